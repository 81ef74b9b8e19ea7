//! The sessions of one request.

use std::any::TypeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

use super::session::Entry;
use crate::cascade::inner::Shared;
use crate::edge::options::CookieOptions;
use crate::session::Session;

/// The sessions of one request. The layer puts it into the request's extensions.
pub(crate) struct Visit {
    pub(crate) store: Arc<Shared>,
    pub(crate) cookies: Arc<CookieOptions>,
    entries: Mutex<Vec<(TypeId, Arc<Entry>)>>,
}

impl Visit {
    pub(crate) fn new(store: Arc<Shared>, cookies: Arc<CookieOptions>) -> Self {
        Self {
            store,
            cookies,
            entries: Mutex::default(),
        }
    }

    /// Whether a layer with this store and these cookies would only do again what the one that made this visit does.
    pub(crate) fn is_of(&self, store: &Arc<Shared>, cookies: &CookieOptions) -> bool {
        Arc::ptr_eq(&self.store, store) && *self.cookies == *cookies
    }

    /// The entry of session `T`, made at the first look.
    pub(crate) fn entry<T: Session>(&self, headers: &HeaderMap) -> Arc<Entry> {
        let mut entries = self.lock();
        let id = TypeId::of::<T>();
        if let Some((_, entry)) = entries.iter().find(|(other, _)| *other == id) {
            return Arc::clone(entry);
        }
        let cookie = self.cookies.name(T::SCHEMA.name);
        let entry = Arc::new(Entry::new::<T>(Arc::clone(&self.store), cookie, headers));
        entries.push((id, Arc::clone(&entry)));
        entry
    }

    /// All entries, in the order in which they were first looked at.
    pub(crate) fn take(&self) -> Vec<Arc<Entry>> {
        self.lock().drain(..).map(|(_, entry)| entry).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Arc<Entry>)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries are left where the client hung up before the handler had answered: no response, so nothing to commit.
impl Drop for Visit {
    fn drop(&mut self) {
        for entry in self.take() {
            entry.abandon();
        }
    }
}
