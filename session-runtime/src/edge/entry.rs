//! One session within one request: what was loaded, what was changed, and what the response has to say of it.

use std::any::TypeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::HeaderMap;
use tokio::time::Instant;

use super::cookie::{self, Presented, Ticket};
use super::options::CookieOptions;
use crate::cascade::store::{Done, Known, Shared, nonce};
use crate::cascade::{Commit, CommitError, CommitReport, LoadError, LoadReport, metrics, protocol::Goal};
use crate::codec::OpenError;
use crate::codec::meta::{Meta, Nonces, SecretHash, Standing};
use crate::codec::patch::{Changes, Patch, Refusal, Rotation, migrate};
use crate::codec::record::Record;
use crate::session::{Schema, Session};
use crate::tier::Tiers;

/// The sessions of one request. The layer puts it into the request's extensions.
pub(crate) struct Visit {
    pub(crate) store: Arc<Shared>,
    pub(crate) cookies: Arc<CookieOptions>,
    entries: Mutex<Vec<(TypeId, Arc<Entry>)>>,
}

impl Visit {
    pub(crate) fn new(store: Arc<Shared>, cookies: Arc<CookieOptions>) -> Self {
        Self {
            store,
            cookies,
            entries: Mutex::default(),
        }
    }

    /// The entry of session `T`, made at the first look.
    pub(crate) fn entry<T: Session>(&self, headers: &HeaderMap) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let id = TypeId::of::<T>();
        if let Some((_, entry)) = entries.iter().find(|(other, _)| *other == id) {
            return Arc::clone(entry);
        }
        let cookie = self.cookies.name(T::SCHEMA.name);
        let presented = cookie::presented(headers, &self.store.rooms.keys, &cookie);
        let entry = Arc::new(Entry {
            store: Arc::clone(&self.store),
            schema: T::SCHEMA,
            migrate: migrate::<T>,
            cookie,
            presented,
            turn: Arc::default(),
            state: Mutex::new(State {
                ticket: presented.ticket,
                ..State::default()
            }),
        });
        entries.push((id, Arc::clone(&entry)));
        entry
    }

    /// All entries, in the order in which they were first looked at.
    pub(crate) fn take(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.drain(..).map(|(_, entry)| entry).collect()
    }
}

pub(crate) struct Entry {
    pub(crate) store: Arc<Shared>,
    schema: &'static Schema,
    migrate: fn(&Record) -> Result<Record, OpenError>,
    /// The cookie's name.
    pub(crate) cookie: String,
    presented: Presented,
    /// Held by the commit that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: Option<Loaded>,
    /// What was changed and not yet committed.
    changes: Changes,
    /// Why a change could not be taken down.
    trouble: Option<CommitError>,
    rotate: bool,
    destroy: bool,
    /// A session is wanted even where nothing is in it yet.
    keep: bool,
    /// The response has been made: what comes now comes too late.
    closed: bool,
    /// What the browser shows, or is to show from now on.
    ticket: Option<Ticket>,
    gift: Option<Gift>,
    load: Option<LoadReport>,
    commit: Option<CommitReport>,
}

/// What is known of the session that the cookie names.
#[derive(Clone)]
enum Loaded {
    New,
    /// There is one, but the secret in the cookie counts no more.
    Superseded,
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

impl Entry {
    fn lock(&self) -> MutexGuard<'_, State> {
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
                ticket,
                loaded,
                ..State::default()
            }),
            ..*self
        })
    }

    /// Whether the request's part has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
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
        let ticket = self
            .lock()
            .ticket
            .filter(|_| self.schema.tiers.intersects(Tiers::DISTRIBUTED));
        let Some(ticket) = ticket else {
            self.lock().loaded = Some(Loaded::New);
            return Ok(());
        };
        let (name, key) = (self.schema.name, self.store.key(&ticket.sid()));
        let (known, report) = self.store.load(name, self.schema.tiers, &key).await?;
        let loaded = known.map_or(Loaded::New, |known| {
            match known.record.meta.standing(&ticket.hash(), self.store.rooms.now()) {
                Standing::Current | Standing::Previous => Loaded::Known(known),
                Standing::Superseded => Loaded::Superseded,
            }
        });
        let mut state = self.lock();
        state.loaded = Some(loaded);
        state.load.get_or_insert(report);
        Ok(())
    }

    /// The fields as they are now: as loaded, with what this request changed already.
    pub(crate) fn open<T: Session>(&self) -> Result<T::Fields, OpenError> {
        let state = self.lock();
        let mut record = match (&state.loaded, state.changes.is_empty()) {
            (Some(Loaded::Known(known)), true) => return T::open(&known.record),
            (_, true) => return Ok(T::fresh()),
            (Some(Loaded::Known(known)), false) => (self.migrate)(&known.record)?,
            (_, false) => Record::new(
                T::SCHEMA.name,
                T::SCHEMA.version,
                T::SCHEMA.fingerprint,
                self.new_meta(None),
            ),
        };
        match state.changes.apply(T::SCHEMA, &mut record) {
            Ok(()) => T::open(&record),
            // Another writer came between: the commit will say so.
            Err(_) => Ok(T::fresh()),
        }
    }

    /// Takes down what was changed in `fields`.
    pub(crate) fn fold<T: Session>(&self, fields: &T::Fields) {
        let changes = Changes::collect::<T>(fields).map_err(|error| Refusal::Field(Arc::new(error), false));
        let mut state = self.lock();
        if let Ok(changes) = &changes {
            if changes.is_empty() {
                return;
            }
            if state.closed {
                tracing::warn!(
                    session = self.schema.name,
                    "changes made after the response was sent are lost: use `into_detached` and commit them"
                );
                return;
            }
        }
        let folded = changes.and_then(|changes| state.changes.fold(self.schema, changes));
        if let Err(refusal) = folded {
            state.trouble = Some(crate::cascade::store::refused(self.schema.name, refusal));
        }
    }

    /// The name of a privileged field that was changed, here or in `fields`.
    pub(crate) fn privileged_change<T: Session>(&self, fields: &T::Fields) -> Option<&'static str> {
        let changes = Changes::collect::<T>(fields).unwrap_or_default();
        changes.privileged().or_else(|| self.lock().changes.privileged())
    }

    pub(crate) fn rotate(&self) {
        self.lock().rotate = true;
    }

    pub(crate) fn destroy(&self) {
        self.lock().destroy = true;
    }

    pub(crate) fn keep(&self) {
        self.lock().keep = true;
    }

    pub(crate) fn is_new(&self) -> bool {
        !matches!(self.lock().loaded, Some(Loaded::Known(_)))
    }

    pub(crate) fn expires_at(&self) -> SystemTime {
        let state = self.lock();
        let meta = match &state.loaded {
            Some(Loaded::Known(known)) => known.record.meta.clone(),
            _ => self.new_meta(None),
        };
        self.store.rooms.expires_at(&meta).into()
    }

    /// Ends the request's part: what comes later is lost, and said to be.
    pub(crate) fn close(&self, fate: Fate) {
        let mut state = self.lock();
        state.closed = true;
        if fate == Fate::Dropped {
            state.changes = Changes::default();
            state.trouble = None;
            state.keep = false;
        }
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

    /// Commits what there is to commit. It goes on to its end even where the caller does not wait for it, and the next
    /// commit waits for that end.
    pub(crate) async fn commit(self: &Arc<Self>) -> Result<Commit, CommitError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let started = Instant::now();
        let outcome = match self.plan() {
            Ok(Plan::Nothing) => Ok(Commit::Clean),
            Ok(plan) => {
                let entry = Arc::clone(self);
                let work = async move {
                    let outcome = entry.carry_out(plan).await;
                    drop(turn);
                    outcome
                };
                self.store.in_own_task(self.schema.name, work).await
            }
            Err(error) => Err(error),
        };
        metrics::committed(self.schema.name, &outcome, started.elapsed());
        self.lock().commit = Some(CommitReport {
            outcome: outcome.clone(),
            took: started.elapsed(),
        });
        outcome
    }

    async fn carry_out(&self, plan: Plan) -> Result<Commit, CommitError> {
        match plan {
            Plan::Nothing => Ok(Commit::Clean),
            Plan::Forget => {
                self.lock().gift = Some(Gift::Removal);
                Ok(Commit::Clean)
            }
            Plan::Create(patch) => self.create(patch).await,
            Plan::Write {
                goal,
                key,
                known,
                patch,
                ticket,
                only_renews,
            } => {
                let rotated = patch.rotation.map(|rotation| rotation.secret);
                match self.store.commit(self.schema.tiers, goal, &key, known, patch).await {
                    Ok(done) => Ok(self.after(done, goal, rotated, ticket)),
                    Err(error) if only_renews => {
                        let session = self.schema.name;
                        tracing::debug!(
                            session,
                            error = &error as &dyn std::error::Error,
                            "a session was not renewed"
                        );
                        Ok(Commit::Clean)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// What is to be done; takes the changes.
    fn plan(&self) -> Result<Plan, CommitError> {
        let mut state = self.lock();
        if let Some(trouble) = state.trouble.take() {
            return Err(trouble);
        }
        let session = self.schema.name;
        let changes = std::mem::take(&mut state.changes);
        let (rotate, destroy) = (std::mem::take(&mut state.rotate), std::mem::take(&mut state.destroy));
        let is_dirty = !changes.is_empty() || rotate || destroy;
        if !self.schema.tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok(Plan::Nothing);
        }
        let (known, ticket) = match (state.loaded.clone(), state.ticket) {
            (Some(Loaded::Known(known)), Some(ticket)) => (known, ticket),
            (Some(Loaded::Superseded), _) if is_dirty => return Err(CommitError::Gone { session }),
            (Some(Loaded::New | Loaded::Known(_)), _) if destroy => {
                return Ok(if self.presented.any {
                    Plan::Forget
                } else {
                    Plan::Nothing
                });
            }
            (Some(Loaded::New | Loaded::Known(_)), _) if !changes.is_empty() || state.keep => {
                return Ok(Plan::Create(self.patch(changes, 0, None, None)));
            }
            _ => return Ok(Plan::Nothing),
        };
        let only_renews = !is_dirty;
        if only_renews && !self.store.is_due_for_renewal(&known.record.meta) {
            return Ok(Plan::Nothing);
        }
        let rotates = !destroy && (rotate || changes.privileged().is_some());
        let grace = changes
            .privileged()
            .is_none()
            .then_some(self.store.rooms.policy.rotation_grace);
        let next = if rotates {
            Some(ticket.with_new_secret().map_err(|_| no_random(session))?)
        } else {
            None
        };
        let rotation = next.map(|next| Rotation {
            secret: next.hash(),
            grace,
        });
        let patch = self.patch(changes, known.record.meta.commits, Some(ticket.hash()), rotation);
        let key = self.store.key(&ticket.sid());
        let goal = if destroy { Goal::Destroy } else { Goal::Change };
        Ok(Plan::Write {
            goal,
            key,
            known,
            patch,
            ticket: next.unwrap_or(ticket),
            only_renews,
        })
    }

    fn patch(
        &self,
        changes: Changes,
        base_commits: u64,
        presented: Option<SecretHash>,
        rotation: Option<Rotation>,
    ) -> Patch {
        Patch {
            schema: self.schema,
            migrate: self.migrate,
            changes,
            presented: presented.unwrap_or(SecretHash([0; 32])),
            rotation,
            nonce: nonce(),
            base_commits,
            now: self.store.rooms.now(),
            max_len: self.store.rooms.policy.max_len,
        }
    }

    async fn create(&self, patch: Patch) -> Result<Commit, CommitError> {
        let session = self.schema.name;
        // One secret, as the record holds its hash, and a sid for each try.
        let first = Ticket::random().map_err(|_| no_random(session))?;
        let tried = Arc::new(Mutex::new(None));
        let (last, store) = (Arc::clone(&tried), Arc::clone(&self.store));
        let next = move || {
            let ticket = first.with_new_sid().ok()?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
            Some(store.key(&ticket.sid()))
        };
        let meta = self.new_meta(Some(first.hash()));
        let done = self.store.create(self.schema.tiers, patch, meta, next).await?;
        let ticket = *tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.ticket = ticket;
        if let (Some(ticket), Some(known)) = (ticket, &done.known) {
            state.gift = Some(Gift::Ticket(ticket, known.record.meta.deadline.into()));
        }
        state.loaded = done.known.map(Loaded::Known);
        Ok(done.commit)
    }

    fn after(&self, done: Done, goal: Goal, rotated: Option<SecretHash>, ticket: Ticket) -> Commit {
        let mut state = self.lock();
        match (goal, done.known) {
            (Goal::Change, Some(known)) => {
                // Where another request rotated first, its answer carries the secret that counts.
                if rotated == Some(known.record.meta.secret) {
                    state.ticket = Some(ticket);
                    state.gift = Some(Gift::Ticket(ticket, known.record.meta.deadline.into()));
                }
                state.loaded = Some(Loaded::Known(known));
            }
            _ => {
                state.ticket = None;
                state.gift = Some(Gift::Removal);
                state.loaded = Some(Loaded::New);
            }
        }
        done.commit
    }

    fn new_meta(&self, secret: Option<SecretHash>) -> Meta {
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

/// What becomes of the changes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed,
    /// The handler failed.
    Dropped,
}

enum Plan {
    Nothing,
    /// There is no session, and the browser is to forget that there was one.
    Forget,
    Create(Patch),
    Write {
        goal: Goal,
        key: String,
        known: Known,
        patch: Patch,
        /// What the browser shows afterwards.
        ticket: Ticket,
        only_renews: bool,
    },
}

fn no_random(session: &'static str) -> CommitError {
    CommitError::Unavailable { session, source: None }
}
