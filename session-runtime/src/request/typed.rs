use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::SystemTime;

use super::detached::Detached;
use super::fields::{commit_fields, stage_and_reopen};
use super::reference::SessionRef;
use super::session::RequestSession;
use super::state::{PendingActions, Persistence};
use crate::cascade::{Commit, CommitError, LoadError, LoadReport};
use crate::session::{OpenError, Session};

/// The session of a request, as an extractor: the accessors of `T`'s fields, and the life of the session itself.
///
/// What a handler changes is committed by the layer after the handler has returned and before the first byte of the
/// response goes out. Nothing is written where nothing has changed, where the response is a server error (5xx) or a
/// request timeout (408), or where the handler panicked; [`discard`](Self::discard) drops the changes under any status.
/// To outlive the request, in a stream or a spawned task, it takes [`into_detached`](Self::into_detached): changes that
/// are made after the response are lost, and logged as an error.
///
/// Several of them in one request share their changes: each shows, when it is extracted, what was staged until then, and
/// stages its own when it is dropped. One that is held meanwhile, as by middleware across `next.run`, is a snapshot, which
/// [`refresh`](Self::refresh) renews. An `Option` of it is `None` for a visitor, and [`SessionRef`](crate::SessionRef) only
/// reads.
///
/// With `request` among the tiers of `T`, a second extraction in one request shows what the first one found, even
/// where another request has written the session in between (its own commit is merged with that all the same).
/// Without it, each extraction asks the distributed tiers again.
///
/// ```
/// # use session_runtime::{CascadeStore, RouterExt, Session};
/// # use axum::{Router, routing::post};
/// use axum::http::StatusCode;
/// use session_runtime::{CommitError, TypedSession};
///
/// #[derive(Session)]
/// #[cascade(memcache, datastore)]
/// struct Shop {
///     note: Option<String>,
///     #[session(privileged)]
///     user: Option<u64>,
///     #[session(flash)]
///     notices: Vec<String>,
/// }
///
/// async fn log_in(mut shop: TypedSession<Shop>) {
///     shop.set_user(Some(7)); // and the browser gets a new secret
///     shop.push_notices("Welcome back".to_owned());
/// }
///
/// async fn log_out(mut shop: TypedSession<Shop>) -> StatusCode {
///     shop.destroy();
///     StatusCode::NO_CONTENT
/// }
///
/// /// Sends nothing before the note is safe.
/// async fn order(mut shop: TypedSession<Shop>) -> Result<&'static str, CommitError> {
///     shop.set_note(None);
///     shop.commit().await?;
///     Ok("ordered")
/// }
/// # fn app(store: CascadeStore) -> Router {
/// #     Router::new()
/// #         .route("/in", post(log_in))
/// #         .route("/out", post(log_out))
/// #         .route("/order", post(order))
/// #         .sessions(store)
/// # }
/// ```
pub struct TypedSession<T: Session> {
    fields: T::Fields,
    /// Which of the session's generations the fields belong to.
    generation: u32,
    session: Arc<RequestSession>,
}

/// Loads a session, and opens its fields.
///
/// # Errors
/// See [`LoadError`].
pub async fn load<T: Session>(session: Arc<RequestSession>) -> Result<TypedSession<T>, LoadError> {
    let (fields, generation) = open::<T>(&session).await?;
    Ok(TypedSession {
        fields,
        generation,
        session,
    })
}

/// As [`load`], to be read only.
///
/// # Errors
/// See [`LoadError`].
pub async fn load_ref<T: Session>(session: Arc<RequestSession>) -> Result<SessionRef<T>, LoadError> {
    let (fields, _) = open::<T>(&session).await?;
    Ok(SessionRef { fields, session })
}

/// A new session in place of one that cannot be read, whose record is left as it is. `None` where `T` is another type
/// than that of the session.
pub fn replace<T: Session>(session: Arc<RequestSession>) -> Option<TypedSession<T>> {
    session.replace::<T>().map(|generation| TypedSession {
        fields: T::with_defaults(),
        generation,
        session,
    })
}

async fn open<T: Session>(session: &RequestSession) -> Result<(T::Fields, u32), LoadError> {
    session.load().await?;
    session.open::<T>().map_err(|source| {
        session.mark_unreadable();
        LoadError::Open {
            session: T::SCHEMA.name,
            source: Arc::new(source),
        }
    })
}

impl<T: Session> TypedSession<T> {
    pub(super) fn request_session(&self) -> &RequestSession {
        &self.session
    }

    /// Whether the client has no session: it presented no cookie, or none that is valid.
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

    /// Gives the session a new secret with the response; the old one is accepted for a short grace, so that parallel
    /// requests of a page survive it ([`rotation_grace`](crate::Builder::rotation_grace)). Writing a privileged field does
    /// so by itself, and without the grace.
    pub fn rotate(&mut self) {
        self.session.add_action(PendingActions::ROTATE);
    }

    /// As [`rotate`](Self::rotate), but the old secret ends at once.
    pub fn rotate_now(&mut self) {
        self.session.add_action(PendingActions::ROTATE_NOW);
    }

    /// Renews the session with the response, even where that is not due yet: its idle time begins anew.
    pub fn touch(&mut self) {
        self.session.add_action(PendingActions::TOUCH);
    }

    /// Says whether the client keeps the session's cookie beyond the browser's session, as for "remember me" (default: what
    /// the layer's [`CookieOptions`](crate::CookieOptions) say). It is kept in the record, for every cookie that the session
    /// gets from now on; a session that is new and stays empty is not created for it.
    pub fn set_persistence(&mut self, persistence: Persistence) {
        self.session.set_persistence(persistence);
    }

    /// Drops the changes of this request, made so far or yet to be made, whatever the response's status, and shows the
    /// session as it was loaded. A [`destroy`](Self::destroy) or a [`rotate`](Self::rotate) is carried out all the same.
    pub fn discard(&mut self) {
        self.session.discard();
        // It opened when it was loaded, so it opens now.
        if let Ok(opened) = self.session.open::<T>() {
            (self.fields, self.generation) = opened;
        }
    }

    /// Shows what other extractions of the session in this request have changed since, with the changes of this one. It
    /// asks no tier.
    ///
    /// # Errors
    /// Where the changes of two extractions cannot be merged, or what is stored does not decode.
    pub fn refresh(&mut self) -> Result<(), OpenError> {
        stage_and_reopen::<T>(&mut self.fields, &mut self.generation, &self.session)
    }

    /// Ends the session, and any other of its name that the client presented: they are deleted from every tier, and the
    /// cookie is taken back, even where the handler fails. Requests that are under way cannot bring it back.
    ///
    /// The fields show their defaults at once. What is written from now on begins a new session, with a new cookie, once
    /// the old one is surely deleted.
    pub fn destroy(&mut self) {
        self.generation = self.session.destroy();
        self.fields = T::with_defaults();
    }

    /// Commits what was changed so far, for a handler that wants the outcome itself. What is changed afterwards is
    /// committed with the response as ever.
    ///
    /// # Errors
    /// See [`CommitError`]; as a response it has the status that the layer would have answered with. Where nothing was
    /// written and another try may help (`Unavailable`, `TooLarge`, a `Conflict` of no field), the changes stay, and the
    /// next `commit` includes them; the layer does so only where something more is changed. After any other error they
    /// are dropped, and the fields show the session as it was loaded.
    pub async fn commit(&mut self) -> Result<Commit, CommitError> {
        commit_fields::<T>(&mut self.fields, &mut self.generation, &self.session).await
    }

    /// The session for one who outlives the request, such as a stream of server-sent events or a WebSocket. Nothing is
    /// committed for it: it has to [`commit`](Detached::commit) by itself. A session that is new is created with the
    /// response.
    pub fn into_detached(mut self) -> Detached<T> {
        self.session.add_action(PendingActions::KEEP);
        // It opened when it was loaded, so it opens now.
        let _ = self.refresh();
        Detached::new(Arc::clone(&self.session))
    }
}

impl<T: Session> Deref for TypedSession<T> {
    type Target = T::Fields;

    fn deref(&self) -> &T::Fields {
        &self.fields
    }
}

impl<T: Session> DerefMut for TypedSession<T> {
    fn deref_mut(&mut self) -> &mut T::Fields {
        &mut self.fields
    }
}

impl<T: Session> Drop for TypedSession<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What a handler left half-made is not to be saved, even where its panic is caught and answered as a success.
            self.session.discard();
            return;
        }
        self.session.stage::<T>(&self.fields, self.generation);
    }
}

impl<T: Session> fmt::Debug for TypedSession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedSession")
            .field("session", &T::SCHEMA.name)
            .finish_non_exhaustive()
    }
}
