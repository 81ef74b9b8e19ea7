use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::fields::{commit_fields, stage_and_reopen};
use super::session::RequestSession;
use super::state::PendingActions;
use crate::cascade::{Commit, CommitError, LoadError};
use crate::session::{OpenError, Session};

/// A session that outlives its request: [`TypedSession::into_detached`](crate::TypedSession::into_detached).
///
/// It presents the token that the client had at the end of the request. After a sign-in elsewhere a commit is
/// [`CommitError::Superseded`]; once the session has expired or was destroyed, or some time after another rotation, it is
/// [`CommitError::Gone`]. Holding it does not keep the session alive: that takes a commit or a
/// [`touch`](Self::touch). Privileged fields are read-only here: there is no response to carry the new secret. What is
/// not committed is lost.
pub struct Detached<T: Session> {
    fields: T::Detached,
    /// Which of the session's generations the fields belong to.
    generation: u32,
    session: Arc<RequestSession>,
    /// Whether the session is its own, and no longer the request's.
    is_own: bool,
    is_touched: bool,
}

impl<T: Session> Detached<T> {
    pub(super) fn new(session: Arc<RequestSession>) -> Self {
        let (fields, generation) = session.open::<T>().unwrap_or_else(|_| (T::with_defaults(), 0));
        Self {
            fields: T::into_detached(fields),
            generation,
            session,
            is_own: false,
            is_touched: false,
        }
    }

    /// Commits what was changed so far, merging it with what others wrote meanwhile.
    ///
    /// # Errors
    /// See [`CommitError`]. A session that was new is there only once the response has gone out; until then, and where
    /// that failed, it is [`CommitError::Gone`]. Where nothing was written, the changes stay for the next try.
    pub async fn commit(&mut self) -> Result<Commit, CommitError> {
        self.part().await;
        if self.session.is_new() {
            return Err(CommitError::Gone {
                session: T::SCHEMA.name,
            });
        }
        if std::mem::take(&mut self.is_touched) {
            self.session.add_action(PendingActions::TOUCH);
        }
        let fields = T::detached_fields(&mut self.fields);
        commit_fields::<T>(fields, &mut self.generation, &self.session).await
    }

    /// Shows what others have written meanwhile, with the changes that are not committed yet on top.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn reload(&mut self) -> Result<(), LoadError> {
        self.part().await;
        let unreadable = |source: OpenError| LoadError::Open {
            session: T::SCHEMA.name,
            source: Arc::new(source),
        };
        let fields = T::detached_fields(&mut self.fields);
        // Before the wait: should it fail, what was staged is not staged again.
        stage_and_reopen::<T>(fields, &mut self.generation, &self.session).map_err(unreadable)?;
        self.session.reload().await?;
        (*T::detached_fields(&mut self.fields), self.generation) = self.session.open::<T>().map_err(unreadable)?;
        Ok(())
    }

    /// Renews the session with the next [`commit`](Self::commit), even where nothing is changed: its idle time begins
    /// anew.
    pub fn touch(&mut self) {
        self.is_touched = true;
    }

    /// Whether there is no such session, or none any more.
    pub fn is_new(&self) -> bool {
        self.session.is_new()
    }

    /// Leaves the request, once its response has been made and what came with it is committed.
    async fn part(&mut self) {
        if !self.is_own && self.session.is_closed() {
            self.session.ended().await;
            self.session = self.session.detach();
            self.is_own = true;
        }
    }
}

impl<T: Session> Deref for Detached<T> {
    type Target = T::Detached;

    fn deref(&self) -> &T::Detached {
        &self.fields
    }
}

impl<T: Session> DerefMut for Detached<T> {
    fn deref_mut(&mut self) -> &mut T::Detached {
        &mut self.fields
    }
}

impl<T: Session> fmt::Debug for Detached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("session", &T::SCHEMA.name)
            .finish_non_exhaustive()
    }
}
