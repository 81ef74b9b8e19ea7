//! One session within one unit of work: loaded, opened, changed.

use std::any::TypeId;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::state::{Disposition, LastFailure, LoadState, PendingActions, Phase, ResponseState, Staged, State};
use super::token::{Presented, SessionToken};
use crate::cascade::inner::StoreInner;
use crate::cascade::lookup::Lookup;
use crate::cascade::outcome::refused;
use crate::cascade::{LoadError, LoadReport, SessionEvent};
use crate::session::changes::{ChangeError, Changes};
use crate::session::meta::{Meta, Millis, Nonces, SecretHash};
use crate::session::migrate::migrate;
use crate::session::record::Record;
use crate::session::{CookieSpec, Migrate, OpenError, Schema, Session};
use crate::tier::Tiers;

/// One session within one unit of work: a request, a message, a job.
pub struct RequestSession {
    pub(super) store: Arc<StoreInner>,
    /// Of the type that its handles have.
    type_id: TypeId,
    pub(super) schema: &'static Schema,
    /// The tiers in which it lives in this store.
    pub(super) tiers: Tiers,
    pub(super) migrate: Migrate,
    token_name: String,
    /// Whether the client presented anything under the session's name.
    pub(super) is_presented: bool,
    /// Whether it has outlived its unit of work, so that no response tells the client of a new token.
    pub(super) is_detached: bool,
    /// Held by the commit that is under way.
    pub(super) commit_lock: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    /// Notified when the last commit has ended.
    ended: Notify,
}

impl RequestSession {
    /// The session of type `T` that `presented` names, not loaded yet.
    pub(super) fn new<T: Session>(store: Arc<StoreInner>, token_name: String, presented: Presented) -> Arc<Self> {
        let mut tokens = presented.tokens;
        let token = (!tokens.is_empty()).then(|| tokens.remove(0));
        let state = State {
            token,
            other_tokens: tokens,
            ..State::default()
        };
        Arc::new(Self {
            tiers: store.backend.tiers_for(T::TIERS),
            store,
            type_id: TypeId::of::<T>(),
            schema: T::SCHEMA,
            migrate: migrate::<T>,
            token_name,
            is_presented: presented.any,
            is_detached: false,
            commit_lock: Arc::default(),
            state: Mutex::new(state),
            ended: Notify::new(),
        })
    }

    /// The name that the session's token is signed for: the cookie's.
    pub fn token_name(&self) -> &str {
        &self.token_name
    }

    /// Whether it is the session of type `T`.
    pub(super) fn is_of_type<T: Session>(&self) -> bool {
        self.type_id == TypeId::of::<T>()
    }

    /// The session's name.
    pub fn name(&self) -> &'static str {
        self.schema.name
    }

    /// What the session's type says of its cookie.
    pub fn cookie(&self) -> &'static CookieSpec {
        &self.schema.cookie
    }

    /// The token as it is sent to the client.
    pub fn encode_token(&self, token: &SessionToken) -> String {
        token.encode(&self.store.backend.keys, &self.token_name, self.schema.name)
    }

    /// How long from now until `time`.
    pub fn time_until(&self, time: SystemTime) -> Duration {
        Millis::from(time).since(self.store.backend.now())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same session for one who outlives the unit of work.
    pub(super) fn detach(&self) -> Arc<Self> {
        let state = {
            let state = self.lock();
            State {
                loaded: state.loaded.clone(),
                token: state.token,
                ..State::default()
            }
        };
        Arc::new(Self {
            store: Arc::clone(&self.store),
            token_name: self.token_name.clone(),
            is_detached: true,
            commit_lock: Arc::default(),
            state: Mutex::new(state),
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
        if self.tiers.contains(Tiers::REQUEST) && self.lock().loaded.is_some() {
            return Ok(());
        }
        self.reload().await
    }

    /// Loads the session from its tiers. Of several tokens, the first that is valid counts.
    pub async fn reload(&self) -> Result<(), LoadError> {
        let (mut token, others, commits, generation) = {
            let mut state = self.lock();
            match state.token {
                Some(token) if self.tiers.intersects(Tiers::DISTRIBUTED) => {
                    // Those that were presented beside it are tried once, in the first load.
                    let is_first = state.loaded.is_none();
                    let others = if is_first {
                        state.other_tokens.clone()
                    } else {
                        SmallVec::new()
                    };
                    (token, others, state.commits, state.generation)
                }
                _ => {
                    state.loaded.get_or_insert(LoadState::New);
                    return Ok(());
                }
            }
        };
        let mut unreadable = None;
        let (mut lookup, report) = match self.look_up(&token).await {
            Err(error) if others.is_empty() || error.is_outage() => return Err(error),
            Err(error) => {
                unreadable = Some(error);
                (Lookup::NoSession, LoadReport::default())
            }
            Ok(found) => found,
        };
        for other in &others {
            if matches!(lookup, Lookup::Valid(_)) {
                break;
            }
            let found = match self.look_up(other).await {
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => {
                    unreadable.get_or_insert(error);
                    continue;
                }
                Ok((found, _)) => found,
            };
            let is_better = match found {
                Lookup::Valid(_) => true,
                Lookup::Superseded => matches!(lookup, Lookup::NoSession),
                Lookup::NoSession => false,
            };
            if is_better {
                (lookup, token) = (found, *other);
            }
        }
        if let Some(error) = unreadable
            && !matches!(lookup, Lookup::Valid(_))
        {
            return Err(error);
        }
        let mut state = self.lock();
        state.load.get_or_insert(report);
        if (state.commits, state.generation) == (commits, generation) {
            let was_superseded = matches!(state.loaded, Some(LoadState::Superseded));
            state.accept(lookup, token);
            let is_superseded = matches!(state.loaded, Some(LoadState::Superseded));
            drop(state);
            if is_superseded && !was_superseded {
                let session = self.schema.name;
                self.emit(SessionEvent::SupersededToken { session }, &token);
            }
        }
        Ok(())
    }

    pub(super) fn storage_key(&self, token: &SessionToken) -> String {
        token.storage_key(&self.store.backend.policy.key_prefix)
    }

    /// Tells of what has happened to the session of this token.
    pub(super) fn emit(&self, event: SessionEvent, token: &SessionToken) {
        let key = || Some(self.storage_key(token));
        self.store.backend.events.emit(event, key);
    }

    async fn look_up(&self, token: &SessionToken) -> Result<(Lookup, LoadReport), LoadError> {
        let key = self.storage_key(token);
        let (name, tiers) = (self.schema.name, self.tiers);
        self.store.load(name, tiers, &key, &token.hash()).await
    }

    /// The fields as they are now, as loaded and with what was staged on top, and the generation that they belong to.
    pub(super) fn open<T: Session>(&self) -> Result<(T::Fields, u32), OpenError> {
        let state = self.lock();
        let known = match &state.loaded {
            Some(LoadState::Known(known)) => Some(&known.record),
            _ => None,
        };
        let unchanged = || known.map_or_else(|| Ok(T::with_defaults()), T::open);
        let changes = &state.staged.changes;
        if changes.is_empty() {
            return Ok((unchanged()?, state.generation));
        }
        let record = match known {
            Some(record) => (self.migrate)(record)?,
            None => Cow::Owned(Record::new(T::SCHEMA, &self.new_meta(SecretHash::NONE))),
        };
        let mut draft = record.draft();
        let fields = match changes.apply(T::SCHEMA, &mut draft) {
            Ok(()) => T::open(&draft.finish())?,
            // Another writer came in between; the commit answers with the conflict.
            Err(_) => unchanged()?,
        };
        Ok((fields, state.generation))
    }

    /// Notes that what is stored does not decode.
    pub(super) fn mark_unreadable(&self) {
        self.lock().is_unreadable = true;
    }

    /// Stages what was changed in `fields` for the next commit; to be called once for each change.
    pub(super) fn stage<T: Session>(&self, fields: &T::Fields, generation: u32) {
        let changes = Changes::collect::<T>(fields).map_err(ChangeError::from);
        if changes.as_ref().is_ok_and(Changes::is_empty) {
            return;
        }
        let mut state = self.lock();
        if state.generation != generation {
            tracing::debug!(
                session = self.schema.name,
                "changes of a session that was destroyed are dropped"
            );
            return;
        }
        if state.check_late(self.schema.name, "changes") {
            return;
        }
        state.last_failure = LastFailure::None;
        if let Err(error) = changes.and_then(|changes| state.staged.changes.stage(self.schema, changes)) {
            state.deferred_error = Some(refused(self.schema.name, error.into()));
        }
    }

    /// Whether the client has no session.
    pub(super) fn is_new(&self) -> bool {
        !matches!(self.lock().loaded, Some(LoadState::Known(_)))
    }

    pub(super) fn expires_at(&self) -> SystemTime {
        let state = self.lock();
        let meta = match &state.loaded {
            Some(LoadState::Known(known)) => known.record.meta().clone(),
            _ => Meta {
                idle: Some(self.store.backend.policy.new_idle_of(self.schema)),
                ..self.new_meta(SecretHash::NONE)
            },
        };
        self.store.backend.expires_at(&meta).into()
    }

    /// Ends the handler's part: what is staged later is lost, and logged as such.
    pub(super) fn close(&self, disposition: Disposition) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        // A commit that is still under way puts back what it fails to write.
        state.is_discarded |= disposition == Disposition::Discard;
        if state.is_discarded {
            state.staged.changes = Changes::default();
            state.staged.actions -= PendingActions::KEEP | PendingActions::TOUCH;
            state.persistent = None;
            if state.staged.destroys.is_empty() {
                state.deferred_error = None;
            }
        } else if state.last_failure == LastFailure::Reported {
            state.staged.changes = Changes::default();
            state.persistent = None;
            state.staged.actions &= PendingActions::REMOVE_TOKEN | PendingActions::KEEP;
        }
    }

    /// Ends a unit of work that gets no response: nothing of it is committed.
    pub(super) fn abandon(&self) {
        self.close(Disposition::Discard);
        self.lock().staged = Staged::default();
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

    /// What the first load has to tell; without a tier where none was asked.
    pub(super) fn load_report(&self) -> LoadReport {
        self.lock().load.unwrap_or_default()
    }

    /// Whether the session was loaded.
    pub fn is_loaded(&self) -> bool {
        self.lock().loaded.is_some()
    }

    pub(super) fn new_meta(&self, secret: SecretHash) -> Meta {
        let now = self.store.backend.now();
        Meta {
            created: now,
            renewed: now,
            deadline: now.after(self.store.backend.policy.max_age_of(self.schema)),
            secret,
            previous: None,
            commits: 0,
            nonces: Nonces::default(),
            idle: None,
            persistent: None,
            owner: None,
        }
    }
}
