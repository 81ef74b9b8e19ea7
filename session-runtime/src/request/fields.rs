//! How a handle's fields are staged, committed and opened anew.

use std::sync::Arc;

use super::session::RequestSession;
use crate::cascade::{Commit, CommitError};
use crate::session::{OpenError, Session};

/// Commits the changes in `fields`, and opens them anew. The generation that they belong to follows.
pub(super) async fn commit_fields<T: Session>(
    fields: &mut T::Fields,
    generation: &mut u32,
    session: &Arc<RequestSession>,
) -> Result<Commit, CommitError> {
    let unreadable = |source| CommitError::Open {
        session: T::SCHEMA.name,
        source: Arc::new(source),
    };
    // Before the wait: should the future be dropped, what was staged is not staged again.
    stage_and_reopen::<T>(fields, generation, session).map_err(unreadable)?;
    let outcome = session.commit().await;
    if outcome.is_err() {
        session.mark_error_reported();
    }
    // What is stored now opens, since it was just written or loaded; and the outcome says more than an error here could.
    if let Ok(opened) = session.open::<T>() {
        (*fields, *generation) = opened;
    }
    outcome
}

/// Stages what was changed in `fields`, and opens them anew, so that it is not staged again.
pub(super) fn stage_and_reopen<T: Session>(
    fields: &mut T::Fields,
    generation: &mut u32,
    session: &RequestSession,
) -> Result<(), OpenError> {
    session.stage::<T>(fields, *generation);
    *fields = T::with_defaults();
    (*fields, *generation) = session.open::<T>()?;
    Ok(())
}
