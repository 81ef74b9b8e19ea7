//! The end of a unit of work: its sessions are committed, in one task and in a stated order.

use std::sync::Arc;

use smallvec::SmallVec;

use super::commit::CommitJob;
use super::session::RequestSession;
use super::state::Disposition;
use crate::cascade::outcome::gravest;
use crate::cascade::{Commit, CommitError};

/// Why the sessions of a unit of work were not all committed.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.committed, .not_begun))]
pub struct CommitFailure {
    /// The gravest of the errors.
    #[source]
    pub error: CommitError,
    /// The names of the sessions whose changes were committed all the same.
    pub committed: Vec<&'static str>,
    /// The names of the sessions whose changes were not begun, since those of another had failed.
    pub not_begun: Vec<&'static str>,
}

fn describe(committed: &[&str], not_begun: &[&str]) -> String {
    let mut out = "the sessions of a request could not be committed".to_owned();
    for (what, names) in [("committed", committed), ("not begun", not_begun)] {
        if !names.is_empty() {
            out.push_str("; ");
            out.push_str(what);
            out.push_str(": ");
            out.push_str(&names.join(", "));
        }
    }
    out
}

/// Ends a unit of work, and commits its sessions for the last time: first what is to be destroyed, then the changes, in
/// the order in which the sessions were first asked for. After the first change that fails the rest are not begun.
///
/// It has begun when this returns, and goes on to its end whether or not the caller waits for it.
pub fn finish(
    sessions: &[Arc<RequestSession>],
    disposition: Disposition,
) -> impl Future<Output = Result<(), CommitFailure>> + Send + use<> {
    for session in sessions {
        session.close(disposition);
    }
    let task = match sessions.first() {
        Some(first) if !sessions.iter().all(|session| session.is_clean()) => {
            let begin = |session: &Arc<RequestSession>| session.try_begin(true).ok_or_else(|| Arc::clone(session));
            Some(first.store.spawn_commit(run(sessions.iter().map(begin).collect())))
        }
        // Most requests have nothing to commit, and pay for no task.
        _ => {
            for session in sessions {
                session.end();
            }
            None
        }
    };
    let session = sessions.first().map_or("", |session| session.name());
    async move {
        let Some(task) = task else { return Ok(()) };
        task.await.unwrap_or_else(|| {
            Err(CommitFailure {
                error: CommitError::Unknown { session, source: None },
                committed: Vec::new(),
                not_begun: Vec::new(),
            })
        })
    }
}

async fn run(jobs: Vec<Result<CommitJob, Arc<RequestSession>>>) -> Result<(), CommitFailure> {
    let mut begun = Vec::with_capacity(jobs.len());
    for job in jobs {
        begun.push(match job {
            Ok(job) => (job, Ok(Commit::Clean)),
            // A commit of the handler's is under way.
            Err(session) => (session.begin(true).await, Ok(Commit::Clean)),
        });
    }
    begun.retain(|(job, _)| !job.is_clean());
    for (job, outcome) in &mut begun {
        *outcome = job.destroy().await;
    }
    let mut committed = SmallVec::<[_; 1]>::new();
    let mut not_begun = Vec::new();
    let mut errors: Vec<CommitError> = begun.iter().filter_map(|(_, outcome)| outcome.clone().err()).collect();
    for (mut job, destroyed) in begun {
        let writes = job.writes();
        let outcome = match destroyed {
            Ok(destroyed) if errors.is_empty() || !writes => {
                job.change().await.map(|changed| gravest(destroyed, changed))
            }
            Ok(destroyed) => {
                not_begun.push(job.session_name());
                Ok(destroyed)
            }
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(_) if errors.is_empty() && writes => committed.push(job.session_name()),
            Err(error) if errors.is_empty() => errors.push(error.clone()),
            _ => {}
        }
        job.end(outcome);
    }
    match errors.into_iter().max_by_key(CommitError::severity) {
        None => Ok(()),
        Some(error) => Err(CommitFailure {
            error,
            committed: committed.into_vec(),
            not_begun,
        }),
    }
}
