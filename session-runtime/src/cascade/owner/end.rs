//! Ends sessions through their owner, and finds those that have ended by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

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
/// How long an entry is kept though there is no session: its sign-in may be about to create one. Longer than a commit takes.
const SIGNING_IN: Duration = Duration::from_mins(2);

/// What ending an owner's sessions has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// How many were to be ended.
    pub(crate) sessions: usize,
    /// The gravest of the outcomes.
    pub(crate) commit: Commit,
}

/// What was found of a session that its owner's record lists.
pub(crate) enum Found {
    /// There is no session, or the owner has signed out of it: the entry does not count.
    Ended,
    /// It has expired, but a node whose clock is slow may serve it yet.
    Expired,
    /// The owner is signed in. Last used then, and kept until then at most.
    SignedIn { used: Millis, expires: Millis },
    /// It is being signed in to, or cannot be read: the entry counts.
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
        let ended = self.tasks.spawn(async move {
            let mut end = End::new(which, nonce(), inner.backend.now());
            inner.amend(kind, owner, &mut end).await?;
            let sessions = end.ending.len();
            let commit = inner.finish(kind, owner, end.ending).await?;
            Ok(Ended { sessions, commit })
        });
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
        for (entry, done) in self.side_by_side(ending, destroy).await {
            match done {
                Ok(done) => {
                    commit = gravest(commit, done);
                    ended.push(entry);
                }
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        let left = count - ended.len();
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
                running.spawn(work(Arc::clone(self), entry));
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
        let Some(loaded) = self.load_authority(kind, &key).await? else {
            return Ok(self.hide_destroyed(kind, key).await);
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

    /// The session in the tier that orders writers.
    async fn load_authority(
        &self,
        kind: SessionType,
        key: &str,
    ) -> Result<Option<VersionedRecord<Record>>, CommitError> {
        let session = kind.schema.name;
        let (end, diagnostics) = if kind.tiers.contains(Tiers::DATASTORE) {
            self.backend.run(key, Load::new(false, nonce(), Duration::ZERO)).await
        } else {
            self.backend.run(key, CacheLoad).await
        };
        match end {
            LoadEnd::Known { found, .. } => Ok(found),
            LoadEnd::Unavailable => {
                let source = diagnostics.tier.clone();
                let error = &load_error(session, diagnostics) as &dyn std::error::Error;
                tracing::warn!(session, error, "a session could not be looked up for its owner");
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
    ) -> Vec<(Entry, Found)> {
        let look_up = move |inner: Arc<Self>, entry: Entry| async move {
            let found = inner.load_authority(kind, &entry.key).await;
            let now = inner.backend.now();
            let found = match found {
                Err(_) => Found::Other,
                Ok(None) if now.since(Millis(entry.signed_in)) < SIGNING_IN => Found::Other,
                Ok(None) => Found::Ended,
                Ok(Some(found)) => inner.judge_owned(kind, owner, &entry, &found.record, now),
            };
            (entry, found)
        };
        self.side_by_side(entries, look_up).await
    }

    fn judge_owned(&self, kind: SessionType, owner: OwnerHash, entry: &Entry, record: &Record, now: Millis) -> Found {
        let meta = record.meta();
        let is_theirs = matches!(kind.schema.owner_of(record), Ok(Some(named)) if named == owner);
        let is_entry = meta
            .owner
            .is_some_and(|mark| mark.owner == owner && mark.entry == Nonce(entry.nonce));
        if !meta.may_belong_to(owner) || (is_entry && !is_theirs) {
            return Found::Ended;
        }
        if self.has_expired(meta, now) {
            return Found::Expired;
        }
        if !is_theirs {
            return Found::Other;
        }
        Found::SignedIn {
            used: meta.renewed,
            expires: self.backend.expires_at(meta),
        }
    }

    /// The entries that do not count, and those whose sessions have expired.
    pub(super) async fn find_dead(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        entries: Vec<Entry>,
    ) -> LookedUp {
        let mut looked_up = LookedUp::default();
        for (entry, found) in self.look_up_owned(kind, owner, entries).await {
            match found {
                Found::Ended => looked_up.ended.push(entry),
                Found::Expired => looked_up.expired.push(entry),
                Found::SignedIn { .. } | Found::Other => {}
            }
        }
        looked_up
    }

    /// Takes entries whose sessions have ended out of the record, beside the request.
    pub(crate) fn take_dead_out_later(self: &Arc<Self>, kind: SessionType, owner: OwnerHash, dead: Vec<Entry>) {
        if !dead.is_empty() {
            let live = TakeOut {
                live: dead,
                ..TakeOut::default()
            };
            self.amend_later(kind, owner, live);
        }
    }
}
