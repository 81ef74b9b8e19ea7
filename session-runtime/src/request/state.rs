//! What a unit of work knows of one session, and what it has staged for the next commit.

use std::time::SystemTime;

use super::token::SessionToken;
use crate::cascade::protocol::VersionedRecord;
use crate::cascade::{CommitError, CommitReport, LoadReport};
use crate::session::changes::Changes;
use crate::session::record::Record;

#[derive(Default)]
pub(super) struct State {
    /// `None` until the first load.
    pub(super) loaded: Option<LoadState>,
    /// How many commits have ended. A load that began before the latest of them brings what is out of date.
    pub(super) commits: u64,
    /// What was changed and is not yet committed.
    pub(super) changes: Changes,
    /// Why a change could not be staged, or an earlier commit failed: what the next commit answers.
    pub(super) deferred_error: Option<CommitError>,
    pub(super) actions: PendingActions,
    pub(super) phase: Phase,
    /// The last commit failed, and nothing was staged since.
    pub(super) has_failed: bool,
    /// The handler has been told so: the layer does not try again on its own.
    pub(super) is_error_reported: bool,
    /// What is stored does not decode, and is not to be written, not even to renew it.
    pub(super) is_unreadable: bool,
    /// What the client presents, or will present from now on.
    pub(super) token: Option<SessionToken>,
    pub(super) token_action: Option<TokenAction>,
    pub(super) load: Option<LoadReport>,
    pub(super) commit: Option<CommitReport>,
}

bitflags::bitflags! {
    /// What was asked for beside changes.
    #[derive(Clone, Copy, Default, PartialEq, Eq)]
    pub(super) struct PendingActions: u8 {
        const ROTATE = 1;
        const DESTROY = 2;
        /// A session is wanted even where nothing is in it yet.
        const KEEP = 4;
    }
}

/// How far the unit of work has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    /// The response has been made: what is staged now comes too late.
    Closed,
    /// The commit that came with the response has ended too.
    Ended,
}

/// What is known of the session that the token names.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "most sessions that are looked at exist")]
pub(super) enum LoadState {
    New,
    /// There is one, but the secret of the token is no longer valid.
    Superseded,
    /// This unit of work has seen it, and another has ended it since.
    Gone,
    Known(VersionedRecord<Record>),
}

/// What the client is to do with its token.
#[derive(Clone, Copy)]
pub enum TokenAction {
    /// Keep this one, until that time at the latest.
    Set(SessionToken, SystemTime),
    /// Forget the one it has.
    Remove,
}

/// What a response has to tell of a session.
pub struct ResponseState {
    /// What the client is to do with its token; `None` where nothing changes.
    pub token_action: Option<TokenAction>,
    /// The first load; `None` where no tier was asked.
    pub load: Option<LoadReport>,
    /// The last commit; `None` where there was none.
    pub commit: Option<CommitReport>,
}

/// What becomes of what was staged, now that the unit of work ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It is committed.
    Commit,
    /// Changes are discarded, since the handler failed. A destroy or a rotation is carried out all the same.
    Discard,
}

impl State {
    /// Whether the response has been made; logs what is lost for that reason.
    pub(super) fn is_late(&self, what: &str) -> bool {
        let late = self.phase != Phase::Open;
        if late {
            tracing::warn!("{what} after the response was made: lost; use `into_detached`, and commit them");
        }
        late
    }
}
