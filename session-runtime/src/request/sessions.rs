//! The sessions of one unit of work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

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
    /// Most requests take one.
    sessions: Mutex<SmallVec<[Arc<RequestSession>; 1]>>,
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
        if let Some(session) = sessions.iter().find(|session| session.is_of_type::<T>()) {
            return Ok(Arc::clone(session));
        }
        self.store.register::<T>()?;
        let name = token_name();
        let presented = presented(&self.store.backend.keys, &name);
        for _ in 0..presented.old_keys {
            self.store.backend.count_old_key(Use::Token, SignedBy::Older);
        }
        let is_forged = presented.is_forged;
        let session = RequestSession::new::<T>(Arc::clone(&self.store), name, presented);
        if self.is_over.load(Ordering::Relaxed) {
            session.abandon();
        }
        sessions.push(Arc::clone(&session));
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
    pub fn take(&self) -> SmallVec<[Arc<RequestSession>; 1]> {
        let mut sessions = self.lock();
        self.is_over.store(true, Ordering::Relaxed);
        std::mem::take(&mut *sessions)
    }

    fn lock(&self) -> MutexGuard<'_, SmallVec<[Arc<RequestSession>; 1]>> {
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
