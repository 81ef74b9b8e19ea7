//! The smallest session in which an owner shows, and the changes to it.

use session_runtime::__private::cascade::protocol::Change;
use session_runtime::tier::Version;

use super::Mutation;

/// A session in the model. There is one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Session {
    /// The sign-in that it shows.
    pub(super) signed_in: Option<u8>,
    /// The entry in the owner's record that was made for the latest sign-in: who made it.
    pub(super) entry: Option<u8>,
    /// The actor that rotated it last.
    pub(super) secret: u8,
    /// The last two actors that committed.
    nonces: [u8; 2],
}

/// What an actor does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edit {
    pub(super) id: u8,
    pub(super) what: What,
    /// The secret that the actor presents.
    pub(super) secret: u8,
    /// Whether an end asks for the secret too: a broken rule.
    pub(super) asks_secret: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    SignIn,
    Clear,
    Rotate,
    /// By the client, who presents the secret.
    Destroy,
    /// By the owner, who does not.
    End,
}

/// The session has another secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refused;

impl Edit {
    pub(super) fn new(id: u8, what: What, secret: u8, mutation: Mutation) -> Self {
        Self {
            id,
            what,
            secret,
            asks_secret: mutation == Mutation::AskSecret,
        }
    }

    fn is_allowed(self, session: Session) -> bool {
        (self.what == What::End && !self.asks_secret) || self.secret == session.secret
    }
}

impl Change<Session> for Edit {
    type Error = Refused;

    fn apply(&mut self, to: &Session) -> Result<Session, Refused> {
        if !self.is_allowed(*to) {
            return Err(Refused);
        }
        let mut session = *to;
        match self.what {
            What::SignIn => {
                (session.signed_in, session.entry) = (Some(self.id), Some(self.id));
                session.secret = self.id;
            }
            What::Clear => {
                session.signed_in = None;
                session.secret = self.id;
            }
            What::Rotate => session.secret = self.id,
            What::Destroy | What::End => {}
        }
        session.nonces = [session.nonces[1], self.id];
        Ok(session)
    }

    fn may_destroy(&self, session: &Session) -> bool {
        self.is_allowed(*session)
    }

    fn was_applied(&self, session: &Session) -> Option<bool> {
        Some(session.nonces.contains(&self.id))
    }

    fn version_of(_: &Session) -> Version {
        Version(0)
    }
}
