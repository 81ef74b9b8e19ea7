use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use super::session::RequestSession;
use crate::cascade::LoadReport;
use crate::session::Session;

/// The session of a request, to be read only: the accessors of `T`'s fields that read.
///
/// It cannot change the session, so its request writes nothing but a renewal that is due. What it shows is a snapshot of
/// the moment at which it was extracted.
///
/// ```
/// # use session_runtime::{RouterExt, Session};
/// use session_runtime::SessionRef;
///
/// #[derive(Session)]
/// #[cascade(memcache, datastore)]
/// struct Shop {
///     note: Option<String>,
/// }
///
/// async fn note(shop: SessionRef<Shop>) -> String {
///     shop.note().clone().unwrap_or_default()
/// }
/// # fn app(store: session_runtime::CascadeStore) -> axum::Router {
/// #     axum::Router::new().route("/", axum::routing::get(note)).sessions(store)
/// # }
/// ```
pub struct SessionRef<T: Session> {
    pub(super) fields: T::Fields,
    pub(super) session: Arc<RequestSession>,
}

impl<T: Session> SessionRef<T> {
    /// Whether there was no such session when the request came: no cookie, or none that is valid.
    pub fn is_new(&self) -> bool {
        self.session.is_new()
    }

    /// When the session ends if it is not used again.
    pub fn expires_at(&self) -> SystemTime {
        self.session.expires_at()
    }

    /// Which tier answered the first load of this request, and how long it took: what `Server-Timing` tells, for a page or
    /// a log.
    pub fn load_report(&self) -> LoadReport {
        self.session.load_report()
    }
}

impl<T: Session> Deref for SessionRef<T> {
    type Target = T::Fields;

    fn deref(&self) -> &T::Fields {
        &self.fields
    }
}

impl<T: Session> fmt::Debug for SessionRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRef")
            .field("session", &T::SCHEMA.name)
            .finish_non_exhaustive()
    }
}
