//! The sessions of one unit of work.

use std::any::TypeId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::RequestSession;
use super::token::Presented;
use crate::cascade::SessionEvent;
use crate::cascade::inner::StoreInner;
use crate::keys::{KeyRing, SignedBy, Use};
use crate::session::Session;
use crate::tier::Tiers;

/// The sessions of one unit of work, each loaded when it is first asked for. What is left in it when it is dropped is
/// not committed.
pub struct RequestSessions {
    store: Arc<StoreInner>,
    /// Whether the unit of work has ended: what is asked for now comes too late. Written and read under the lock.
    is_over: AtomicBool,
    sessions: Mutex<Vec<(TypeId, Arc<RequestSession>)>>,
}

impl RequestSessions {
    /// No sessions yet, of this store.
    pub fn new(store: Arc<StoreInner>) -> Self {
        Self {
            store,
            is_over: AtomicBool::new(false),
            sessions: Mutex::default(),
        }
    }

    /// Whether they are of this store.
    pub fn is_of_store(&self, store: &Arc<StoreInner>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }

    /// The distributed tiers that session `T` names and the store does not have.
    pub fn missing_tiers<T: Session>(&self) -> Tiers {
        let backend = &self.store.backend;
        backend.tiers_for(T::TIERS) & Tiers::DISTRIBUTED & !backend.tiers()
    }

    /// Session `T`, of which there is one for each unit of work. At the first call `presented` finds the client's token
    /// by its name, `token_name`.
    ///
    /// # Errors
    /// The type's name, where another type with the same session name has used the store before.
    pub fn session<T: Session>(
        &self,
        token_name: impl FnOnce() -> String,
        presented: impl FnOnce(&KeyRing, &str) -> Presented,
    ) -> Result<Arc<RequestSession>, &'static str> {
        let mut sessions = self.lock();
        let id = TypeId::of::<T>();
        if let Some((_, session)) = sessions.iter().find(|(other, _)| *other == id) {
            return Ok(Arc::clone(session));
        }
        self.store.register::<T>()?;
        let name = token_name();
        let presented = presented(&self.store.backend.keys, &name);
        for _ in 0..presented.old_keys {
            self.store.backend.count_old_key(Use::Token, SignedBy::Older);
        }
        let is_forged = presented.is_forged;
        let session = Arc::new(RequestSession::new::<T>(Arc::clone(&self.store), name, presented));
        if self.is_over.load(Ordering::Relaxed) {
            session.abandon();
        }
        sessions.push((id, Arc::clone(&session)));
        drop(sessions);
        if is_forged {
            let session = T::SCHEMA.name;
            self.store
                .backend
                .events
                .emit(SessionEvent::ForgedToken { session }, || None);
        }
        Ok(session)
    }

    /// Whether none was asked for so far.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes all sessions out, in the order in which they were first asked for.
    pub fn take(&self) -> Vec<Arc<RequestSession>> {
        let mut sessions = self.lock();
        self.is_over.store(true, Ordering::Relaxed);
        sessions.drain(..).map(|(_, session)| session).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Arc<RequestSession>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions are left where the client hung up before the handler had answered: without a response there is nothing to
/// commit.
impl Drop for RequestSessions {
    fn drop(&mut self) {
        for session in self.take() {
            session.abandon();
        }
    }
}
