//! One session within one unit of work: loaded, opened, changed.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::state::{Disposition, LoadState, PendingActions, Phase, ResponseState, State};
use super::token::{Presented, SessionToken};
use crate::cascade::LoadError;
use crate::cascade::inner::StoreInner;
use crate::cascade::outcome::refused;
use crate::session::changes::{ChangeError, Changes};
use crate::session::meta::{Meta, Millis, Nonces, SecretHash, SecretStatus};
use crate::session::migrate::migrate;
use crate::session::record::Record;
use crate::session::{Migrate, OpenError, Schema, Session};
use crate::tier::Tiers;

/// One session within one unit of work: a request, a message, a job.
pub struct RequestSession {
    pub(super) store: Arc<StoreInner>,
    pub(super) schema: &'static Schema,
    pub(super) migrate: Migrate,
    token_name: String,
    pub(super) presented: Presented,
    /// Held by the commit that is under way.
    pub(super) commit_lock: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    /// Notified when the last commit has ended.
    ended: Notify,
}

impl RequestSession {
    /// The session of type `T` that `presented` names, not loaded yet.
    pub(super) fn new<T: Session>(store: Arc<StoreInner>, token_name: String, presented: Presented) -> Self {
        Self {
            store,
            schema: T::SCHEMA,
            migrate: migrate::<T>,
            token_name,
            presented,
            commit_lock: Arc::default(),
            state: Mutex::new(State {
                token: presented.token,
                ..State::default()
            }),
            ended: Notify::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name that the session's token is signed for: the cookie's.
    pub fn token_name(&self) -> &str {
        &self.token_name
    }

    /// The token as it is sent to the client.
    pub fn encode_token(&self, token: &SessionToken) -> String {
        token.encode(&self.store.backend.keys, &self.token_name)
    }

    /// How long from now until `time`.
    pub fn time_until(&self, time: SystemTime) -> Duration {
        Millis::from(time).since(self.store.backend.now())
    }

    /// The same session for one who outlives the unit of work.
    pub(super) fn detach(&self) -> Arc<Self> {
        let (token, loaded) = {
            let state = self.lock();
            (state.token, state.loaded.clone())
        };
        Arc::new(Self {
            store: Arc::clone(&self.store),
            token_name: self.token_name.clone(),
            commit_lock: Arc::default(),
            state: Mutex::new(State {
                loaded,
                token,
                ..State::default()
            }),
            ended: Notify::new(),
            ..*self
        })
    }

    /// Whether the response has been made.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Waits for the end of the commit that comes with the response.
    pub(super) async fn ended(&self) {
        let mut notified = std::pin::pin!(self.ended.notified());
        // Before the phase is read, or a notification in between would be missed.
        notified.as_mut().enable();
        if self.lock().phase != Phase::Ended {
            notified.await;
        }
    }

    pub(super) fn end(&self) {
        self.lock().phase = Phase::Ended;
        self.ended.notify_waiters();
    }

    /// Loads the session, unless it is loaded and lives in the request's memory too.
    pub async fn load(&self) -> Result<(), LoadError> {
        if self.lock().loaded.is_some() && self.schema.tiers.contains(Tiers::REQUEST) {
            return Ok(());
        }
        self.reload().await
    }

    /// Loads the session from its tiers.
    pub async fn reload(&self) -> Result<(), LoadError> {
        let (token, commits) = {
            let mut state = self.lock();
            match state.token {
                Some(token) if self.schema.tiers.intersects(Tiers::DISTRIBUTED) => (token, state.commits),
                _ => {
                    state.loaded = Some(LoadState::New);
                    return Ok(());
                }
            }
        };
        let (name, key) = (self.schema.name, self.store.key(&token.sid()));
        let (hash, now) = (token.hash(), self.store.backend.now());
        let is_secret_valid = |meta: &Meta| meta.secret_status(&hash, now) != SecretStatus::Superseded;
        let (found, report) = self.store.load(name, self.schema.tiers, &key, is_secret_valid).await?;
        let mut state = self.lock();
        state.load.get_or_insert(report);
        if state.commits != commits {
            return Ok(());
        }
        state.loaded = Some(match (found, &state.loaded) {
            (Some(found), _) if is_secret_valid(found.record.meta()) => LoadState::Known(found),
            (Some(_), _) => LoadState::Superseded,
            (None, Some(LoadState::Known(_) | LoadState::Gone)) => LoadState::Gone,
            (None, _) => LoadState::New,
        });
        Ok(())
    }

    /// The fields as they are now: as loaded, with what was staged on top.
    pub(super) fn open<T: Session>(&self) -> Result<T::Fields, OpenError> {
        let state = self.lock();
        let known = match &state.loaded {
            Some(LoadState::Known(known)) => Some(&known.record),
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
            // Another writer came in between; the commit answers with the conflict.
            Err(_) => unchanged(),
        }
    }

    /// Notes that what is stored does not decode.
    pub(super) fn mark_unreadable(&self) {
        self.lock().is_unreadable = true;
    }

    /// Stages what was changed in `fields` for the next commit; to be called once for each change.
    pub(super) fn stage<T: Session>(&self, fields: &T::Fields) {
        let changes = Changes::collect::<T>(fields).map_err(ChangeError::from);
        if changes.as_ref().is_ok_and(Changes::is_empty) {
            return;
        }
        let mut state = self.lock();
        if state.is_late("changes made") {
            return;
        }
        (state.has_failed, state.is_error_reported) = (false, false);
        if let Err(error) = changes.and_then(|changes| state.changes.stage(self.schema, changes)) {
            state.deferred_error = Some(refused(self.schema.name, error.into()));
        }
    }

    /// Stages what was changed in `fields`, and opens them anew, so that it is not staged again.
    pub(super) fn stage_and_reopen<T: Session>(&self, fields: &mut T::Fields) -> Result<(), OpenError> {
        self.stage::<T>(fields);
        *fields = T::with_defaults();
        *fields = self.open::<T>()?;
        Ok(())
    }

    pub(super) fn add_action(&self, actions: PendingActions) {
        let mut state = self.lock();
        // No response would carry the new secret, or take the cookie back.
        if !state.is_late("a rotation or a destroy asked for") {
            state.actions |= actions;
            (state.has_failed, state.is_error_reported) = (false, false);
        }
    }

    pub(super) fn is_new(&self) -> bool {
        !matches!(self.lock().loaded, Some(LoadState::Known(_)))
    }

    pub(super) fn expires_at(&self) -> SystemTime {
        let state = self.lock();
        let meta = match &state.loaded {
            Some(LoadState::Known(known)) => known.record.meta().clone(),
            _ => self.new_meta(None),
        };
        self.store.backend.expires_at(&meta).into()
    }

    /// Ends the handler's part: what is staged later is lost, and logged as such.
    pub(super) fn close(&self, disposition: Disposition) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        if disposition == Disposition::Discard {
            state.changes = Changes::default();
            state.deferred_error = None;
            state.actions -= PendingActions::KEEP;
        } else if state.is_error_reported {
            state.changes = Changes::default();
            state.actions &= PendingActions::DESTROY;
        }
    }

    /// Ends a unit of work that gets no response: nothing of it is committed.
    pub(super) fn abandon(&self) {
        self.close(Disposition::Discard);
        self.lock().actions = PendingActions::empty();
        self.end();
    }

    /// What the response has to tell of the session.
    pub fn take_response_state(&self) -> ResponseState {
        let mut state = self.lock();
        ResponseState {
            token_action: state.token_action.take(),
            load: state.load,
            commit: state.commit.take(),
        }
    }

    /// Whether the session was loaded.
    pub fn is_loaded(&self) -> bool {
        self.lock().loaded.is_some()
    }

    pub(super) fn new_meta(&self, secret: Option<SecretHash>) -> Meta {
        let now = self.store.backend.now();
        Meta {
            created: now,
            renewed: now,
            deadline: now.after(self.store.backend.policy.max_age),
            secret: secret.unwrap_or(SecretHash([0; 32])),
            previous: None,
            commits: 0,
            nonces: Nonces::default(),
            idle: None,
            persistent: None,
        }
    }
}
