//! Ends sessions through their owner, and finds those that have ended by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument;

use super::OwnerError;
use super::amendments::{End, LookedUp, TakeOut, Which};
use super::record::Entry;
use super::sign_in::SessionType;
use crate::cascade::backend::nonce;
use crate::cascade::event::SessionEvent;
use crate::cascade::inner::StoreInner;
use crate::cascade::outcome::{Commit, CommitError, gravest, load_error};
use crate::cascade::patch::{Claim, Patch};
use crate::cascade::protocol::{CacheLoad, Goal, Load, LoadEnd, Settle, SettleOutcome, VersionedRecord};
use crate::session::changes::Changes;
use crate::session::meta::{Millis, Nonce, OwnerHash};
use crate::session::record::Record;
use crate::tier::Tiers;

/// How many sessions of an owner are looked up or destroyed at a time.
const AT_A_TIME: usize = 8;
/// How long an entry is left alone though there is no session: its sign-in may be about to create one, and would fail.
const SIGNING_IN: Duration = Duration::from_mins(2);

/// What ending an owner's sessions has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// How many were to be ended.
    pub(crate) sessions: usize,
    /// The gravest of the outcomes.
    pub(crate) commit: Commit,
}

/// What the tier that orders writers has.
enum Authority {
    Found(VersionedRecord<Record>),
    Missing,
    Unreadable,
}

/// What was found of a session that its owner's record lists.
pub(crate) enum Found {
    /// It belongs to somebody else, or the owner has signed out of it: the entry does not count.
    Left,
    /// There is none, or it has expired. It is to be destroyed rather than only taken out: a sign-in may be about to create
    /// it, and a node whose clock is slow may serve it yet.
    Over,
    /// The owner is signed in. Last used then, and kept until then at most.
    SignedIn { used: Millis, expires: Millis },
    /// It is being signed in to, or cannot be decoded: the entry counts.
    Other,
}

impl StoreInner {
    /// Ends sessions of an owner. A caller that goes away does not stop it.
    pub(crate) async fn end_owned(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        which: Which,
    ) -> Result<Ended, OwnerError> {
        let session = kind.schema.name;
        let inner = Arc::clone(self);
        let end = async move {
            let mut end = End::new(which, nonce(), inner.backend.now());
            inner.amend(kind, owner, &mut end).await?;
            let sessions = end.ending.len();
            let commit = inner.finish(kind, owner, end.ending).await?;
            Ok(Ended { sessions, commit })
        };
        let ended = self.tasks.spawn(end.in_current_span());
        ended
            .await
            .unwrap_or(Err(OwnerError::Unknown { session, source: None }))
    }

    /// Destroys what is listed as ending, and takes out what was destroyed.
    pub(super) async fn finish(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        ending: Vec<Entry>,
    ) -> Result<Commit, OwnerError> {
        if ending.is_empty() {
            return Ok(Commit::Clean);
        }
        let session = kind.schema.name;
        let destroy = move |inner: Arc<Self>, entry: Entry| async move {
            let work = Box::pin(inner.destroy_owned(kind, owner, entry.key.clone()));
            let done = inner.with_commit_timeout(session, work).await;
            (entry, done)
        };
        let count = ending.len();
        let (mut ended, mut commit, mut failure) = (Vec::new(), Commit::Clean, None);
        // What a cache may still show stays listed: who ends all again has it hidden too.
        let mut unfenced = 0;
        for (entry, done) in self.side_by_side(ending, destroy).await {
            match done {
                Ok(done) => {
                    commit = gravest(commit, done);
                    if done.is_unfenced() {
                        unfenced += 1;
                    } else {
                        ended.push(entry);
                    }
                }
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        let left = count - ended.len() - unfenced;
        let mut take_out = TakeOut {
            ended,
            ..TakeOut::default()
        };
        // They are destroyed, which is what was asked for. One that stays listed is destroyed again.
        if let Err(error) = self.amend(kind, owner, &mut take_out).await {
            let error = OwnerError::from(error);
            tracing::debug!(error = &error as &dyn std::error::Error, "ended sessions stay listed");
        }
        if left == 0 {
            return Ok(commit);
        }
        let source = match failure {
            Some(CommitError::Unavailable { source, .. } | CommitError::Unknown { source, .. }) => source,
            _ => None,
        };
        Err(OwnerError::Unfinished { session, left, source })
    }

    /// The same beside the request.
    pub(super) fn finish_later(self: &Arc<Self>, kind: SessionType, owner: OwnerHash, ending: Vec<Entry>) {
        if ending.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = inner.finish(kind, owner, ending).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "sessions that were to be ended are left for the next sign-in"
                );
            }
        });
    }

    /// Does the same for each entry, a few at a time, in any order.
    async fn side_by_side<T, W>(
        self: &Arc<Self>,
        entries: Vec<Entry>,
        work: impl Fn(Arc<Self>, Entry) -> W,
    ) -> Vec<(Entry, T)>
    where
        T: Send + 'static,
        W: Future<Output = (Entry, T)> + Send + 'static,
    {
        let (mut left, mut running, mut done) = (entries.into_iter(), JoinSet::new(), Vec::new());
        loop {
            while running.len() < AT_A_TIME
                && let Some(entry) = left.next()
            {
                running.spawn(work(Arc::clone(self), entry).in_current_span());
            }
            match running.join_next().await {
                Some(Ok(one)) => done.push(one),
                // The runtime is shutting down.
                Some(Err(_)) => {}
                None => return done,
            }
        }
    }

    /// Destroys a session whatever its secret, unless it has another owner, so that it can never get this one.
    async fn destroy_owned(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        key: String,
    ) -> Result<Commit, CommitError> {
        let SessionType { schema, migrate, tiers } = kind;
        let session = schema.name;
        let loaded = match self.load_authority(kind, &key).await? {
            Authority::Found(loaded) => loaded,
            Authority::Missing => return Ok(self.hide_destroyed(kind, key).await),
            Authority::Unreadable => return self.delete_unreadable(kind, key).await,
        };
        if !loaded.record.meta().may_belong_to(owner) {
            return Ok(Commit::Clean);
        }
        let policy = &self.backend.policy;
        let patch = Patch {
            schema,
            migrate,
            changes: Changes::default(),
            claim: Claim::Owner(owner),
            owner: None,
            rotation: None,
            nonce: nonce(),
            now: self.backend.now(),
            persistent: None,
            default_idle: policy.idle,
            idle: policy.idle_of(schema),
            anonymous_idle: policy.anonymous_idle,
            max_len: policy.max_len,
        };
        match self.commit(tiers, Goal::Destroy, &key, loaded, Box::new(patch)).await {
            Ok(done) => {
                let event = SessionEvent::Ended { session };
                self.backend.events.emit(event, || Some(key));
                Ok(done.commit)
            }
            // Another owner's: it got one between the two calls.
            Err(CommitError::Gone { .. }) => Ok(Commit::Clean),
            Err(error) => Err(error),
        }
    }

    /// Has the cache forget a session that the durable tier does not have: whoever deleted it may not have reached the cache.
    async fn hide_destroyed(self: &Arc<Self>, kind: SessionType, key: String) -> Commit {
        let both = Tiers::MEMCACHE | Tiers::DATASTORE;
        if !kind.tiers.contains(both) {
            return Commit::Clean;
        }
        let settle = Settle::tombstone();
        match self.backend.run(&key, settle.clone()).await {
            (SettleOutcome::Settled, _) => Commit::Clean,
            (SettleOutcome::Unsettled, _) => {
                let until = self.invalidate_later(kind.schema.name, key, settle);
                Commit::Unfenced { until: until.into() }
            }
        }
    }

    /// Deletes a session whose record cannot be read, whosever it is: nobody can use it, until the key or the program that
    /// can is put back.
    async fn delete_unreadable(self: &Arc<Self>, kind: SessionType, key: String) -> Result<Commit, CommitError> {
        const TRIES: u32 = 8;
        let session = kind.schema.name;
        let failed = |error| CommitError::Unavailable {
            session,
            source: Some(Arc::new(error)),
        };
        for _ in 0..TRIES {
            let Some(durable) = &self.backend.durable else { break };
            let Some(stored) = durable.read(&key).await.map_err(failed)? else {
                return Ok(self.hide_destroyed(kind, key).await);
            };
            // Another version, or none: it is read again.
            durable.delete(&key, stored.version).await.map_err(failed)?;
        }
        Err(CommitError::Unavailable { session, source: None })
    }

    /// The session in the tier that orders writers.
    async fn load_authority(&self, kind: SessionType, key: &str) -> Result<Authority, CommitError> {
        let session = kind.schema.name;
        let (end, diagnostics) = if kind.tiers.contains(Tiers::DATASTORE) {
            self.backend.run(key, Load::new(false, nonce(), Duration::ZERO)).await
        } else {
            self.backend.run(key, CacheLoad).await
        };
        match end {
            LoadEnd::Known { found: Some(found), .. } => Ok(Authority::Found(found)),
            LoadEnd::Known { found: None, .. } => Ok(Authority::Missing),
            LoadEnd::Unavailable if diagnostics.unreadable.is_some() => {
                let error = &load_error(session, diagnostics) as &dyn std::error::Error;
                tracing::warn!(session, error, "a session of an owner cannot be read");
                Ok(Authority::Unreadable)
            }
            LoadEnd::Unavailable => {
                let source = diagnostics.tier;
                Err(CommitError::Unavailable { session, source })
            }
        }
    }

    /// What has become of each listed session, by the tier that orders writers.
    pub(crate) async fn look_up_owned(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        entries: Vec<Entry>,
    ) -> Vec<(Entry, Result<Found, CommitError>)> {
        let look_up = move |inner: Arc<Self>, entry: Entry| async move {
            let found = inner.load_authority(kind, &entry.key).await;
            let now = inner.backend.now();
            let found = found.map(|found| match found {
                Authority::Missing if now.since(Millis(entry.signed_in)) < SIGNING_IN => Found::Other,
                Authority::Missing => Found::Over,
                Authority::Found(found) => inner.judge_owned(kind, owner, &entry, &found.record, now),
                Authority::Unreadable => Found::Other,
            });
            (entry, found)
        };
        self.side_by_side(entries, look_up).await
    }

    fn judge_owned(&self, kind: SessionType, owner: OwnerHash, entry: &Entry, record: &Record, now: Millis) -> Found {
        // As this program reads it: the field may have had another name.
        let Ok(record) = (kind.migrate)(record) else {
            return Found::Other;
        };
        let meta = record.meta();
        let is_theirs = matches!(kind.schema.owner_of(&record), Ok(Some(named)) if named == owner);
        let is_entry = meta
            .owner
            .is_some_and(|mark| mark.owner == owner && mark.entry == Nonce(entry.nonce));
        if !meta.may_belong_to(owner) || (is_entry && !is_theirs) {
            return Found::Left;
        }
        if self.has_expired(meta, now) {
            return Found::Over;
        }
        if !is_theirs {
            return Found::Other;
        }
        Found::SignedIn {
            used: meta.renewed,
            expires: self.backend.expires_at(meta),
        }
    }

    /// The entries that do not count, and those whose sessions are over; the first error beside them.
    pub(super) async fn find_ended(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        entries: Vec<Entry>,
    ) -> (LookedUp, Option<CommitError>) {
        let (mut looked_up, mut failure) = (LookedUp::default(), None);
        for (entry, found) in self.look_up_owned(kind, owner, entries).await {
            match found {
                Ok(Found::Left) => looked_up.left.push(entry),
                Ok(Found::Over) => looked_up.over.push(entry),
                Ok(Found::SignedIn { .. } | Found::Other) => {}
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        (looked_up, failure)
    }

    /// Takes out of the record what does not count, and ends what is over, beside the request.
    pub(crate) fn tidy_up_later(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        left: Vec<Entry>,
        over: Vec<Entry>,
    ) {
        if !left.is_empty() {
            let live = TakeOut {
                live: left,
                ..TakeOut::default()
            };
            self.amend_later(kind, owner, live);
        }
        if !over.is_empty() {
            let inner = Arc::clone(self);
            self.tasks.spawn(async move {
                if let Err(error) = inner.end_owned(kind, owner, Which::These(over)).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "sessions that are over stay listed");
                }
            });
        }
    }
}
