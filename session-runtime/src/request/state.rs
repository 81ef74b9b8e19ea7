//! What a unit of work knows of one session, and what it has staged for the next commit.

use std::time::SystemTime;

use smallvec::SmallVec;

use super::epoch::SignInOptions;
use super::token::SessionToken;
use crate::cascade::lookup::Lookup;
use crate::cascade::protocol::VersionedRecord;
use crate::cascade::{CommitError, CommitReport, LoadReport};
use crate::session::changes::Changes;
use crate::session::meta::Meta;
use crate::session::record::Record;

#[derive(Default)]
pub(super) struct State {
    /// `None` until the first load.
    pub(super) loaded: Option<LoadState>,
    /// The token of the session that was loaded, or that was created since; `None` for a session without one.
    pub(super) token: Option<SessionToken>,
    /// Whose secret the session is to have, should it be created: a CSRF token was made for it.
    pub(super) planned: Option<SessionToken>,
    /// The other tokens that were presented.
    pub(super) other_tokens: SmallVec<[SessionToken; 1]>,
    /// How often the session was destroyed in this unit of work. A handle from before the last time stages nothing.
    pub(super) generation: u32,
    /// How many commits have ended. A load that began before the last of them brings what is out of date.
    pub(super) commits: u64,
    /// What the next commit is to do.
    pub(super) staged: Staged,
    /// Why a change could not be staged, or an earlier commit failed: what the next commit answers.
    pub(super) deferred_error: Option<CommitError>,
    pub(super) phase: Phase,
    /// Something was staged after the response was made, and was dropped.
    pub(super) is_late: bool,
    /// What the next commit is to write of the session's persistence.
    pub(super) persistent: Option<bool>,
    /// What was said of the sign-in that is to be committed.
    pub(super) sign_in: SignInOptions,
    /// Staged changes are not to be committed: `discard`, or a handler that panicked.
    pub(super) is_discarded: bool,
    pub(super) last_failure: LastFailure,
    /// What is stored does not decode, and is not to be written, not even to renew it.
    pub(super) is_unreadable: bool,
    pub(super) token_action: Option<TokenAction>,
    pub(super) load: Option<LoadReport>,
    pub(super) commit: Option<CommitReport>,
}

/// What the next commit is to do.
#[derive(Default)]
pub(super) struct Staged {
    /// Sessions that are to be deleted, before anything else.
    pub(super) destroys: Vec<Destroy>,
    pub(super) changes: Changes,
    pub(super) actions: PendingActions,
}

/// A session that is to be deleted.
#[derive(Clone)]
pub(super) struct Destroy {
    pub(super) token: SessionToken,
    /// The record, where it was loaded; else it is looked up first, and left alone where the token is not valid.
    pub(super) loaded: Option<VersionedRecord<Record>>,
}

bitflags::bitflags! {
    /// What was asked for beside changes and destroys.
    #[derive(Clone, Copy, Default, PartialEq, Eq)]
    pub(super) struct PendingActions: u8 {
        /// A new secret, with a grace for the one before.
        const ROTATE = 1;
        /// The client is to forget its token, unless it gets another.
        const REMOVE_TOKEN = 2;
        /// A session is wanted even where nothing is in it yet.
        const KEEP = 4;
        /// A new secret, without a grace for the one before.
        const ROTATE_NOW = 8;
        /// The session is to be renewed, even where that is not due.
        const TOUCH = 16;
    }
}

/// Whether what is staged is what the last commit failed to write, and nothing more.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LastFailure {
    #[default]
    None,
    /// It is, and nobody was told: the layer tries again.
    Unreported,
    /// It is, and the handler was told, and may have told its user: the layer does not try again on its own.
    Reported,
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
pub(super) enum LoadState {
    New,
    /// There is one, but it has got another secret a moment ago.
    Superseded,
    /// This unit of work has seen it, and another has ended it since.
    Gone,
    Known(VersionedRecord<Record>),
}

/// What the client is to do with its token.
#[derive(Clone, Copy)]
pub enum TokenAction {
    /// Keep this one.
    Set {
        /// The token.
        token: SessionToken,
        /// When the session ends, at the latest.
        until: SystemTime,
        /// Whether to keep it beyond the browser's session; `None` where the session does not say.
        persistent: Option<bool>,
    },
    /// Forget the one it has.
    Remove,
}

impl TokenAction {
    pub(super) fn set(token: SessionToken, meta: &Meta) -> Self {
        Self::Set {
            token,
            until: meta.deadline.into(),
            persistent: meta.persistent,
        }
    }
}

/// Whether a client keeps its session's cookie beyond the browser's session: "remember me".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The cookie ends with the browser.
    BrowserSession,
    /// The cookie lasts as long as the session may.
    Remembered,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is committed.
    Commit,
    /// Changes are discarded, since the handler failed. A destroy or a rotation is carried out all the same.
    Discard,
}

impl State {
    /// Takes over what a token found.
    pub(super) fn accept(&mut self, lookup: Lookup, token: SessionToken) {
        let loaded = match (lookup, self.loaded.take()) {
            // The cache may answer with less than this unit of work has seen or written already.
            (Lookup::Valid(found), Some(LoadState::Known(known))) if found.version < known.version => {
                LoadState::Known(known)
            }
            (Lookup::Valid(found), _) => LoadState::Known(found),
            (Lookup::Superseded, _) => LoadState::Superseded,
            (Lookup::NoSession, Some(LoadState::Known(_) | LoadState::Gone)) => LoadState::Gone,
            (Lookup::NoSession, _) => LoadState::New,
        };
        self.loaded = Some(loaded);
        if self.token != Some(token) {
            self.other_tokens.retain(|other| *other != token);
            self.other_tokens.extend(self.token.replace(token));
        }
    }

    /// Whether the response has been made; logs what is lost for that reason.
    pub(super) fn check_late(&mut self, session: &'static str, what: &str) -> bool {
        let is_late = self.phase != Phase::Open;
        if is_late {
            self.is_late = true;
            tracing::error!(
                session,
                "{what} came after the response was made, and are lost: commit before, or use `into_detached`"
            );
        }
        is_late
    }
}
