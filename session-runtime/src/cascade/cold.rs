//! Readers of one process that do not find a session in the cache share one load of it from the durable tier.
//!
//! A reader may join only a load that has not begun: one that is under way may return what a commit has replaced that was
//! acknowledged before the reader came. So whoever comes during a load waits for its end, and one of those who wait then
//! loads, from the cache again if the first has filled it, for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::diagnostics::Diagnostics;
use super::protocol::LoadEnd;
use crate::session::record::Record;

type Loaded = (LoadEnd<Record>, Diagnostics);
type Waiting = Vec<oneshot::Sender<Turn>>;

/// The loads that are under way, each with those who wait for its end.
#[derive(Default)]
pub(super) struct ColdLoads(Mutex<HashMap<String, Waiting>>);

/// What a reader does.
pub(super) enum Turn {
    /// It goes on with its load: nobody else is loading.
    GoOn(ColdLoad),
    /// It begins its load again, for all who have waited with it.
    BeginAgain(ColdLoad),
    /// Another reader, which has waited with it, has loaded.
    Loaded(Loaded),
}

/// A load that is under way; the next one begins when this is dropped.
pub(super) struct ColdLoad {
    loads: Arc<ColdLoads>,
    key: String,
    /// Those who wait for this load's result.
    joined: Waiting,
}

impl ColdLoads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a load, unless another reader is loading.
    pub(super) fn try_begin(self: &Arc<Self>, key: &str) -> Option<ColdLoad> {
        let mut loads = self.lock();
        if loads.contains_key(key) {
            return None;
        }
        loads.insert(key.to_owned(), Vec::new());
        Some(self.load(key.to_owned(), Vec::new()))
    }

    /// Begins a load, or waits for the end of the one that is under way.
    pub(super) async fn enter(self: &Arc<Self>, key: &str) -> Turn {
        loop {
            let receiver = {
                let mut loads = self.lock();
                let Some(waiting) = loads.get_mut(key) else {
                    loads.insert(key.to_owned(), Vec::new());
                    return Turn::GoOn(self.load(key.to_owned(), Vec::new()));
                };
                let (turn, receiver) = oneshot::channel();
                waiting.push(turn);
                receiver
            };
            // Whoever loads hands on its turn, even when its own future is dropped.
            if let Ok(turn) = receiver.await {
                return turn;
            }
        }
    }

    fn load(self: &Arc<Self>, key: String, joined: Waiting) -> ColdLoad {
        ColdLoad {
            loads: Arc::clone(self),
            key,
            joined,
        }
    }
}

impl ColdLoad {
    /// Tells those who have joined what was loaded. Nobody joins any more.
    pub(super) fn publish(&mut self, end: &LoadEnd<Record>, diagnostics: &Diagnostics) {
        for turn in self.joined.drain(..) {
            // It may wait no longer.
            drop(turn.send(Turn::Loaded((end.without_fill(), diagnostics.clone()))));
        }
    }
}

impl Drop for ColdLoad {
    fn drop(&mut self) {
        let mut joined = std::mem::take(&mut self.joined);
        let next = {
            let mut loads = self.loads.lock();
            if let Some(waiting) = loads.get_mut(&self.key) {
                joined.append(waiting);
            }
            let next = loop {
                match joined.pop() {
                    Some(turn) if turn.is_closed() => {}
                    next => break next,
                }
            };
            if next.is_none() {
                loads.remove(&self.key);
            }
            next
        };
        if let Some(turn) = next {
            let load = self.loads.load(std::mem::take(&mut self.key), joined);
            // Where it waits no longer, the load comes back, and is handed on as it is dropped.
            drop(turn.send(Turn::BeginAgain(load)));
        }
    }
}
