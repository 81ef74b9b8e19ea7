//! What happens to sessions, told to the application and to `tracing`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tracing::Level;

/// What has happened to a session: see [`Builder::on_event`](crate::Builder::on_event). Each has the session's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEvent {
    /// There is a session that there was not before.
    Created {
        /// The session's name.
        session: &'static str,
    },
    /// A privileged field was written, be it a sign-in or not, and the session has a new secret. Comes after
    /// [`Created`](Self::Created) where the session is new too.
    SignedIn {
        /// The session's name.
        session: &'static str,
    },
    /// The session has a new secret, and no privileged field was written.
    Rotated {
        /// The session's name.
        session: &'static str,
    },
    /// A session was deleted, since a handler destroyed it.
    Destroyed {
        /// The session's name.
        session: &'static str,
    },
    /// A session was deleted, since its owner, or a sign-in that needed its place, ended it.
    Ended {
        /// The session's name.
        session: &'static str,
    },
    /// A sign-in was refused, since its owner has as many sessions as it may have.
    SignInRefused {
        /// The session's name.
        session: &'static str,
    },
    /// A client presented a secret that another has replaced a moment ago: a parallel request, a lost response, or one
    /// who has stolen it or planted it. Told once for each request.
    SupersededToken {
        /// The session's name.
        session: &'static str,
    },
    /// A client presented, under the session's name, what no key of the store has signed: a forgery, or a token of a key
    /// that was dropped. Told once for each request.
    ForgedToken {
        /// The session's name.
        session: &'static str,
    },
    /// The cache failed on the way of a load or of a commit, which was done all the same.
    Degraded {
        /// The session's name.
        session: &'static str,
    },
    /// An old value was removed from a cache that could not be reached when the session was written.
    Repaired {
        /// The session's name.
        session: &'static str,
    },
}

impl SessionEvent {
    /// The session's name.
    pub fn session(&self) -> &'static str {
        match self {
            Self::Created { session }
            | Self::SignedIn { session }
            | Self::Rotated { session }
            | Self::Destroyed { session }
            | Self::Ended { session }
            | Self::SignInRefused { session }
            | Self::SupersededToken { session }
            | Self::ForgedToken { session }
            | Self::Degraded { session }
            | Self::Repaired { session } => session,
        }
    }

    /// What happened, in a word or two, as the `tracing` event has it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::SignedIn { .. } => "signed-in",
            Self::Rotated { .. } => "rotated",
            Self::Destroyed { .. } => "destroyed",
            Self::Ended { .. } => "ended",
            Self::SignInRefused { .. } => "sign-in-refused",
            Self::SupersededToken { .. } => "superseded-token",
            Self::ForgedToken { .. } => "forged-token",
            Self::Degraded { .. } => "degraded",
            Self::Repaired { .. } => "repaired",
        }
    }
}

/// The target of the `tracing` events.
const TARGET: &str = "session_runtime::event";

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Listener>>);

type Listener = dyn Fn(&SessionEvent) + Send + Sync;

impl Events {
    pub(super) fn new(listener: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells of an event. `key` is the storage key of the session, where there is one.
    pub(crate) fn emit(&self, event: SessionEvent, key: impl FnOnce() -> Option<String>) {
        if tracing::enabled!(target: TARGET, Level::DEBUG) {
            let key = key().map(|key| short_hash(&key));
            tracing::debug!(target: TARGET, event = event.label(), session = event.session(), key, "session event");
        }
        let Some(listener) = &self.0 else { return };
        // What the session has come to is true all the same, and the client is to be told of it.
        if catch_unwind(AssertUnwindSafe(|| listener(&event))).is_err() {
            tracing::error!(event = event.label(), "the listener of `on_event` panicked");
        }
    }
}

/// Eight hex digits, by which the events of one session are found, and from which the key is not.
fn short_hash(key: &str) -> String {
    let hash = Sha256::digest(key);
    let bytes = hash.iter().take(4);
    bytes.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
