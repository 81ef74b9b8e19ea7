//! The sessions of one request.

use std::any::TypeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

use super::session::RequestSession;
use crate::cascade::inner::StoreInner;
use crate::edge::options::CookieOptions;
use crate::session::Session;

/// The sessions of one request. The layer puts it into the request's extensions.
pub(crate) struct RequestSessions {
    pub(crate) store: Arc<StoreInner>,
    pub(crate) cookies: Arc<CookieOptions>,
    sessions: Mutex<Vec<(TypeId, Arc<RequestSession>)>>,
}

impl RequestSessions {
    pub(crate) fn new(store: Arc<StoreInner>, cookies: Arc<CookieOptions>) -> Self {
        Self {
            store,
            cookies,
            sessions: Mutex::default(),
        }
    }

    /// Whether a layer with this store and these cookies would only do again what the one that made this sessions does.
    pub(crate) fn is_same_layer(&self, store: &Arc<StoreInner>, cookies: &CookieOptions) -> bool {
        Arc::ptr_eq(&self.store, store) && *self.cookies == *cookies
    }

    /// The session of session `T`, made at the first look.
    pub(crate) fn session<T: Session>(&self, headers: &HeaderMap) -> Arc<RequestSession> {
        let mut sessions = self.lock();
        let id = TypeId::of::<T>();
        if let Some((_, session)) = sessions.iter().find(|(other, _)| *other == id) {
            return Arc::clone(session);
        }
        let cookie = self.cookies.name(T::SCHEMA.name);
        let session = Arc::new(RequestSession::new::<T>(Arc::clone(&self.store), cookie, headers));
        sessions.push((id, Arc::clone(&session)));
        session
    }

    /// All sessions, in the order in which they were first looked at.
    pub(crate) fn take(&self) -> Vec<Arc<RequestSession>> {
        self.lock().drain(..).map(|(_, session)| session).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Arc<RequestSession>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries are left where the client hung up before the handler had answered: no response, so nothing to commit.
impl Drop for RequestSessions {
    fn drop(&mut self) {
        for session in self.take() {
            session.abandon();
        }
    }
}
