//! One session within one request: what was loaded, what was changed, and what the response has to say of it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::HeaderMap;
use tokio::sync::Notify;

use crate::cascade::inner::{Known, Shared};
use crate::cascade::outcome::refused;
use crate::cascade::{CommitError, CommitReport, LoadError, LoadReport};
use crate::edge::cookie::{self, Presented, Ticket};
use crate::session::OpenError;
use crate::session::changes::{ChangeError, Changes};
use crate::session::meta::{Meta, Nonces, SecretHash, SecretStatus};
use crate::session::migrate::migrate;
use crate::session::record::Record;
use crate::session::{Migrate, Schema, Session};
use crate::tier::Tiers;

pub(crate) struct Entry {
    pub(crate) store: Arc<Shared>,
    pub(crate) schema: &'static Schema,
    pub(crate) migrate: Migrate,
    /// The cookie's name.
    pub(crate) cookie: String,
    pub(crate) presented: Presented,
    /// Held by the commit that is under way.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    /// Told when the request's part has ended.
    ended: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) loaded: Option<Loaded>,
    /// How many commits have ended: what a load brings that began before the latest of them is out of date.
    pub(crate) commits: u64,
    /// What was changed and not yet committed.
    pub(crate) changes: Changes,
    /// Why a change could not be taken down.
    pub(crate) trouble: Option<CommitError>,
    pub(crate) wish: Wish,
    pub(crate) phase: Phase,
    /// What is not committed could not be: nothing was added since.
    pub(crate) has_failed: bool,
    /// The handler knows that; it is not tried again behind its back.
    pub(crate) is_told: bool,
    /// What is stored does not decode, and is not to be touched.
    pub(crate) is_unreadable: bool,
    /// What the browser shows, or is to show from now on.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) gift: Option<Gift>,
    load: Option<LoadReport>,
    pub(crate) commit: Option<CommitReport>,
}

bitflags::bitflags! {
    /// What was asked for beside changes.
    #[derive(Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct Wish: u8 {
        const ROTATE = 1;
        const DESTROY = 2;
        /// A session is wanted even where nothing is in it yet.
        const KEEP = 4;
    }
}

/// How far the request has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// The response has been made: what comes now comes too late.
    Closed,
    /// Its commit has ended too.
    Ended,
}

/// What is known of the session that the cookie names.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "most sessions are known ones")]
pub(crate) enum Loaded {
    New,
    /// There is one, but the secret in the cookie counts no more.
    Superseded,
    /// This request has seen it, and another has ended it since.
    Gone,
    Known(Known),
}

/// What the browser gets.
#[derive(Clone, Copy)]
pub(crate) enum Gift {
    Ticket(Ticket, SystemTime),
    Removal,
}

/// What an entry has to say in the end.
pub(crate) struct Said {
    pub(crate) gift: Option<Gift>,
    pub(crate) load: Option<LoadReport>,
    pub(crate) commit: Option<CommitReport>,
}

/// What becomes of the changes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed,
    /// The handler failed.
    Dropped,
}

impl Entry {
    pub(crate) fn new<T: Session>(store: Arc<Shared>, cookie: String, headers: &HeaderMap) -> Self {
        let presented = cookie::presented(headers, &store.rooms.keys, &cookie);
        Self {
            store,
            schema: T::SCHEMA,
            migrate: migrate::<T>,
            cookie,
            presented,
            turn: Arc::default(),
            state: Mutex::new(State {
                ticket: presented.ticket,
                ..State::default()
            }),
            ended: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same session for one who outlives the request.
    pub(crate) fn detach(&self) -> Arc<Self> {
        let (ticket, loaded) = {
            let state = self.lock();
            (state.ticket, state.loaded.clone())
        };
        Arc::new(Self {
            store: Arc::clone(&self.store),
            cookie: self.cookie.clone(),
            turn: Arc::default(),
            state: Mutex::new(State {
                loaded,
                ticket,
                ..State::default()
            }),
            ended: Notify::new(),
            ..*self
        })
    }

    /// Whether the response has been made.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Waits for the end of the commit that comes with the response.
    pub(crate) async fn ended(&self) {
        let mut told = std::pin::pin!(self.ended.notified());
        // Before the look, or the word that comes in between would be missed.
        told.as_mut().enable();
        if self.lock().phase != Phase::Ended {
            told.await;
        }
    }

    pub(crate) fn end(&self) {
        self.lock().phase = Phase::Ended;
        self.ended.notify_waiters();
    }

    /// Loads the session, unless this request has looked already and the session lives in the request's memory too.
    pub(crate) async fn load(&self) -> Result<(), LoadError> {
        if self.lock().loaded.is_some() && self.schema.tiers.contains(Tiers::REQUEST) {
            return Ok(());
        }
        self.load_anew().await
    }

    /// Loads the session from its tiers.
    pub(crate) async fn load_anew(&self) -> Result<(), LoadError> {
        let (ticket, commits) = {
            let mut state = self.lock();
            match state.ticket {
                Some(ticket) if self.schema.tiers.intersects(Tiers::DISTRIBUTED) => (ticket, state.commits),
                _ => {
                    state.loaded = Some(Loaded::New);
                    return Ok(());
                }
            }
        };
        let (name, key) = (self.schema.name, self.store.key(&ticket.sid()));
        let (hash, now) = (ticket.hash(), self.store.rooms.now());
        let counts = |meta: &Meta| meta.secret_status(&hash, now) != SecretStatus::Superseded;
        let (known, report) = self.store.load(name, self.schema.tiers, &key, counts).await?;
        let mut state = self.lock();
        state.load.get_or_insert(report);
        if state.commits != commits {
            return Ok(());
        }
        state.loaded = Some(match (known, &state.loaded) {
            (Some(known), _) if counts(known.record.meta()) => Loaded::Known(known),
            (Some(_), _) => Loaded::Superseded,
            (None, Some(Loaded::Known(_) | Loaded::Gone)) => Loaded::Gone,
            (None, _) => Loaded::New,
        });
        Ok(())
    }

    /// The fields as they are now: as loaded, with what this request changed already.
    pub(crate) fn open<T: Session>(&self) -> Result<T::Fields, OpenError> {
        let state = self.lock();
        let known = match &state.loaded {
            Some(Loaded::Known(known)) => Some(&known.record),
            _ => None,
        };
        let unchanged = || known.map_or_else(|| Ok(T::with_defaults()), T::open);
        if state.changes.is_empty() {
            return unchanged();
        }
        let record = match known {
            Some(record) => (self.migrate)(record)?,
            None => Cow::Owned(Record::new(T::SCHEMA, &self.new_meta(None))),
        };
        let mut draft = record.draft();
        match state.changes.apply(T::SCHEMA, &mut draft) {
            Ok(()) => T::open(&draft.finish()),
            // Another writer came between, and the commit will say so.
            Err(_) => unchanged(),
        }
    }

    /// Says that what is stored does not decode.
    pub(crate) fn is_unreadable(&self) {
        self.lock().is_unreadable = true;
    }

    /// Takes down what was changed in `fields`; to be done once.
    pub(crate) fn fold<T: Session>(&self, fields: &T::Fields) {
        let changes = Changes::collect::<T>(fields).map_err(ChangeError::from);
        if changes.as_ref().is_ok_and(Changes::is_empty) {
            return;
        }
        let mut state = self.lock();
        if state.is_late("changes made") {
            return;
        }
        (state.has_failed, state.is_told) = (false, false);
        if let Err(error) = changes.and_then(|changes| state.changes.stage(self.schema, changes)) {
            state.trouble = Some(refused(self.schema.name, error.into()));
        }
    }

    /// Takes down what was changed in `fields`, and opens them anew, so that it is not taken down again.
    pub(crate) fn exchange<T: Session>(&self, fields: &mut T::Fields) -> Result<(), OpenError> {
        self.fold::<T>(fields);
        *fields = T::with_defaults();
        *fields = self.open::<T>()?;
        Ok(())
    }

    /// The name of a privileged field that was changed, here or in `fields`.
    pub(crate) fn privileged_change<T: Session>(&self, fields: &T::Fields) -> Option<&'static str> {
        let changes = Changes::collect::<T>(fields).unwrap_or_default();
        changes.privileged().or_else(|| self.lock().changes.privileged())
    }

    pub(crate) fn wish(&self, wish: Wish) {
        let mut state = self.lock();
        // No response would carry the new secret, or take the cookie back.
        if !state.is_late("a rotation or a destroy asked for") {
            state.wish |= wish;
            (state.has_failed, state.is_told) = (false, false);
        }
    }

    pub(crate) fn is_new(&self) -> bool {
        !matches!(self.lock().loaded, Some(Loaded::Known(_)))
    }

    pub(crate) fn expires_at(&self) -> SystemTime {
        let state = self.lock();
        let meta = match &state.loaded {
            Some(Loaded::Known(known)) => known.record.meta().clone(),
            _ => self.new_meta(None),
        };
        self.store.rooms.expires_at(&meta).into()
    }

    /// Ends the request's part: what comes later is lost, and said to be.
    pub(crate) fn close(&self, fate: Fate) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        if fate == Fate::Dropped {
            state.changes = Changes::default();
            state.trouble = None;
            state.wish -= Wish::KEEP;
        } else if state.is_told {
            state.changes = Changes::default();
            state.wish &= Wish::DESTROY;
        }
    }

    /// Ends a request that gets no response: nothing of it is committed.
    pub(crate) fn abandon(&self) {
        self.close(Fate::Dropped);
        self.lock().wish = Wish::empty();
        self.end();
    }

    /// What to tell the browser.
    pub(crate) fn said(&self) -> Said {
        let mut state = self.lock();
        Said {
            gift: state.gift.take(),
            load: state.load,
            commit: state.commit.take(),
        }
    }

    /// Whether the session was looked at.
    pub(crate) fn was_loaded(&self) -> bool {
        self.lock().loaded.is_some()
    }

    pub(crate) fn new_meta(&self, secret: Option<SecretHash>) -> Meta {
        let now = self.store.rooms.now();
        Meta {
            created: now,
            renewed: now,
            deadline: now.after(self.store.rooms.policy.max_age),
            secret: secret.unwrap_or(SecretHash([0; 32])),
            previous: None,
            commits: 0,
            nonces: Nonces::default(),
        }
    }
}

impl State {
    /// Whether the response has been made; says what is lost for it.
    fn is_late(&self, what: &str) -> bool {
        let late = self.phase != Phase::Open;
        if late {
            tracing::warn!("{what} after the response was made: lost; use `into_detached`, and commit them");
        }
        late
    }
}
