//! The state of the model: the tier, the actors, and what is known of sign-ins and ends.

use std::fmt;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;
use session_runtime::__private::cascade::owner::record::{Entry, OwnerList, OwnerRecord};
use session_runtime::__private::cascade::protocol::{Action, Event};
use session_runtime::tier::{Version, Write};

use super::actor::{Actor, Stage};
use super::session::Session;
use super::{Faults, Setting};

/// How many sessions there may be.
pub(super) const MAX_SESSIONS: usize = 4;
/// How many actors.
pub(super) const MAX_ACTORS: usize = 5;
/// The entry and the sign-in of the session that is signed in to at the beginning.
pub(super) const BEFORE: u8 = 0;

/// A call to the tier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Owner(Action<OwnerRecord>),
    Session(u8, Action<Session>),
}

/// Its answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Owner(Event<OwnerRecord>),
    Session(Event<Session>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) owner: Option<(Version, OwnerRecord)>,
    pub(super) sessions: [Option<(Version, Session)>; MAX_SESSIONS],
    last_version: u64,
    pub(super) actors: Vec<Actor>,
    pub(super) in_flight: Vec<Call>,
    pub(super) left: Faults,
    /// How many ends of all were applied to the owner's record.
    ends: u8,
    /// By actor: as which of these its end was applied.
    pub(super) applied_end: [u8; MAX_ACTORS],
    /// By sign-in: how many ends had been applied when it began to count, which is when it was entered, or when it read the
    /// epoch that it hands in.
    pub(super) began: [Option<u8>; MAX_ACTORS],
    /// The sign-ins whose clients have the cookie, one bit each.
    pub(super) given_out: u8,
    /// The latest end that was acknowledged.
    pub(super) acknowledged_end: u8,
}

impl State {
    pub(super) fn new(setting: &Setting) -> Self {
        let mut state = Self {
            owner: None,
            sessions: [None; MAX_SESSIONS],
            last_version: 1,
            actors: Vec::new(),
            in_flight: Vec::new(),
            left: setting.faults,
            ends: 0,
            applied_end: [0; MAX_ACTORS],
            began: [None; MAX_ACTORS],
            given_out: 0,
            acknowledged_end: 0,
        };
        for session in 0..setting.sessions {
            state.sessions[usize::from(session)] = Some((Version(1), Session::default()));
        }
        if setting.is_signed_in {
            let mut session = Session::default();
            (session.signed_in, session.entry) = (Some(BEFORE), Some(BEFORE));
            state.sessions[0] = Some((Version(1), session));
            let mut list = OwnerList::default();
            list.live.push(entry(0, BEFORE));
            state.owner = Some((Version(1), OwnerRecord::new(list)));
            (state.began[usize::from(BEFORE)], state.given_out) = (Some(0), 1 << BEFORE);
        }
        let mut own = setting.sessions;
        for (role, id) in setting.roles.iter().zip(1..) {
            let mut actor = Actor::new(id, *role, own);
            own += u8::from(*role == super::Role::SignInNew);
            actor.start(setting);
            state.actors.push(actor);
        }
        state.normalize();
        state
    }

    pub(super) fn apply(&mut self, call: Call) -> Answer {
        match call {
            Call::Owner(action) => {
                let before = self.owner.as_ref().map_or(0, |(_, record)| record.list().epoch);
                let event = apply(&mut self.owner, &mut self.last_version, action);
                self.note(before);
                Answer::Owner(event)
            }
            Call::Session(at, action) => {
                let session = &mut self.sessions[usize::from(at)];
                Answer::Session(apply(session, &mut self.last_version, action))
            }
        }
    }

    /// Notes what a write of the owner's record has begun or ended.
    fn note(&mut self, epoch_before: u64) {
        let Some((_, record)) = &self.owner else { return };
        let list = record.list();
        if list.epoch != epoch_before {
            self.ends += 1;
            if let Some(end) = usize::try_from(list.epoch)
                .ok()
                .and_then(|by| self.applied_end.get_mut(by))
            {
                *end = self.ends;
            }
        }
        for entry in &list.live {
            if let Some(began) = usize::try_from(entry.nonce).ok().and_then(|by| self.began.get_mut(by)) {
                began.get_or_insert(self.ends);
            }
        }
    }

    /// A sign-in has read the epoch that it will hand in.
    pub(super) fn note_epoch(&mut self, id: u8) {
        self.began[usize::from(id)] = Some(self.ends);
    }

    fn shown(&self) -> impl Iterator<Item = (u8, u8)> {
        let sessions = (0..).zip(&self.sessions);
        sessions.filter_map(|(at, session)| Some((at, (*session)?.1.signed_in?)))
    }

    fn has_cookie(&self, sign_in: u8) -> bool {
        self.given_out & (1 << sign_in) != 0
    }

    pub(super) fn no_session_survived_an_end(&self) -> bool {
        self.shown().filter(|(_, by)| self.has_cookie(*by)).all(|(_, by)| {
            let began = self.began[usize::from(by)];
            began.is_some_and(|began| began >= self.acknowledged_end)
        })
    }

    pub(super) fn everybody_is_listed(&self) -> bool {
        let list = self.owner.as_ref().map(|(_, record)| record.list());
        let is_listed = |at: u8| {
            list.is_some_and(|list| {
                let mut entries = list.live.iter().chain(&list.ending);
                entries.any(|entry| entry.key == key(at))
            })
        };
        self.shown()
            .filter(|(_, by)| self.has_cookie(*by))
            .all(|(at, _)| is_listed(at))
    }

    /// Whether a sign-in has succeeded, other than that of the beginning.
    pub(super) fn has_signed_somebody_in(&self) -> bool {
        self.given_out & !(1 << BEFORE) != 0
    }

    pub(super) fn is_finished(&self) -> bool {
        self.actors.iter().all(|actor| actor.stage == Stage::Done)
    }

    /// Sorts what has no order, so that equal states compare as equal.
    pub(super) fn normalize(&mut self) {
        self.actors.retain(|actor| actor.stage != Stage::Done);
        self.actors.sort_by_cached_key(|actor| (actor.id, stable_hash(actor)));
        self.in_flight.sort_by_cached_key(stable_hash);
    }
}

fn stable_hash(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Applies a call to one record.
fn apply<R: Clone>(stored: &mut Option<(Version, R)>, last_version: &mut u64, action: Action<R>) -> Event<R> {
    let mut write = |stored: &mut Option<(Version, R)>, record: Option<R>| {
        *last_version += 1;
        let version = Version(*last_version);
        *stored = record.map(|record| (version, record));
        Write::Done(version)
    };
    let current = stored.as_ref().map(|(version, _)| *version);
    match action {
        Action::Read => Event::Found(stored.clone()),
        Action::Insert(record) => Event::Wrote(match current {
            Some(_) => Write::Conflict,
            None => write(stored, Some(record)),
        }),
        Action::Update(base, record) => Event::Wrote(match current {
            Some(version) if version == base => write(stored, Some(record)),
            Some(_) => Write::Conflict,
            None => Write::Missing,
        }),
        Action::Delete(base) => Event::Wrote(match current {
            Some(version) if version == base => write(stored, None),
            Some(_) => Write::Conflict,
            None => Write::Missing,
        }),
        // There is no cache.
        Action::Get | Action::Add(_) | Action::Set(_) | Action::Swap(..) | Action::Remove(_) => Event::CacheFailed,
    }
}

/// The key of a session.
pub(super) fn key(session: u8) -> String {
    session.to_string()
}

/// The entry of a sign-in.
pub(super) fn entry(session: u8, sign_in: u8) -> Entry {
    Entry {
        key: key(session),
        nonce: sign_in.into(),
        created: 0,
        signed_in: 0,
        ends: u64::MAX,
        label: None,
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.owner.as_ref().map(|(_, record)| record.list());
        let entries = |entries: &[Entry]| {
            let entries = entries.iter().map(|entry| format!("{}/{}", entry.key, entry.nonce));
            entries.collect::<Vec<_>>().join(" ")
        };
        match list {
            None => write!(f, "no owner"),
            Some(list) => write!(
                f,
                "epoch {} live [{}] ending [{}]",
                list.epoch,
                entries(&list.live),
                entries(&list.ending)
            ),
        }?;
        write!(f, " sessions {:?}", self.sessions.iter().flatten().collect::<Vec<_>>())
    }
}
