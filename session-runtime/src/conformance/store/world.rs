//! Two nodes on the same tiers, and a browser's view of a session on them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::sample::Sample;
use super::watched::{Watch, Watched};
use crate::cascade::inner::{Known, nonce};
use crate::cascade::patch::{Patch, Rotation};
use crate::cascade::protocol::Goal;
use crate::cascade::{CascadeStore, Commit, CommitError, LoadError, LoadReport};
use crate::clock::{Clock, ManualClock};
use crate::conformance::Options;
use crate::conformance::probe::{Broken, LONG, Outcome};
use crate::keys::KeyRing;
use crate::session::Session;
use crate::session::changes::Changes;
use crate::session::meta::{Meta, Nonces, SecretHash, SecretStatus};
use crate::session::migrate::migrate;
use crate::tier::erased::AnyCache;
use crate::tier::{CacheTier, DurableTier, Tiers};

pub(super) const IDLE: Duration = Duration::from_mins(20);
pub(super) const MAX_AGE: Duration = Duration::from_mins(45);
pub(super) const GRACE: Duration = Duration::from_secs(30);
pub(super) const MAX_STALENESS: Duration = Duration::from_mins(5);
pub(super) const MAX_LEN: usize = 4096;

/// Two nodes of one service: their stores share tiers, keys and clock, and nothing else.
pub(super) struct World<'a> {
    pub(super) options: &'a Options,
    pub(super) clock: ManualClock,
    pub(super) cache: Arc<Watch>,
    pub(super) durable: Arc<Watch>,
    nodes: [Node; 2],
    /// The cache itself, to take away what lies in it.
    behind: Arc<dyn AnyCache>,
}

/// One node.
#[derive(Clone)]
pub(super) struct Node(CascadeStore);

/// What a browser has of a session.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) key: String,
    secret: SecretHash,
}

/// A session as one request has loaded it.
pub(super) struct Visit<S: Session> {
    pub(super) fields: S::Fields,
    pub(super) report: LoadReport,
    store: CascadeStore,
    ticket: Ticket,
    known: Known,
}

impl<'a> World<'a> {
    pub(super) async fn open<C: CacheTier, D: DurableTier>(
        cache: &Arc<C>,
        durable: &Arc<D>,
        options: &'a Options,
    ) -> Result<Self, Broken> {
        // Not any fixed time: a tier may look at `expires_at` with a clock of its own.
        let clock = ManualClock::new(SystemTime::now());
        let keys = KeyRing::random()?;
        let (cached, stored) = (Arc::<Watch>::default(), Arc::<Watch>::default());
        let node = async || {
            CascadeStore::builder(keys.clone())
                .memcache(Watched::new(cache, &cached))
                .datastore(Watched::new(durable, &stored))
                .clock(clock.clone())
                .idle(IDLE)
                .max_age(MAX_AGE)
                .max_len(MAX_LEN)
                .max_staleness(MAX_STALENESS)
                .rotation_grace(GRACE)
                .key_prefix("conformance.")
                .build()
                .await
                .map(Node)
        };
        let nodes = [node().await?, node().await?];
        let behind: Arc<dyn AnyCache> = Arc::<C>::clone(cache);
        Ok(Self {
            options,
            clock,
            cache: cached,
            durable: stored,
            nodes,
            behind,
        })
    }

    /// The first node or the second, in turn.
    pub(super) fn node(&self, at: usize) -> &Node {
        let [first, second] = &self.nodes;
        if at.is_multiple_of(2) { first } else { second }
    }

    /// The calls made so far: of the cache, of the durable tier.
    pub(super) fn calls(&self) -> (usize, usize) {
        (self.cache.calls(), self.durable.calls())
    }

    /// Waits for what goes on beside the requests: cache fills, deletions.
    pub(super) async fn settle(&self) {
        for Node(store) in &self.nodes {
            store.shared.settled().await;
        }
    }

    /// [`settle`](Self::settle), and a last try at what had to be put off while the cache was down.
    pub(super) async fn end(&self) {
        for Node(store) in &self.nodes {
            store.drain().await;
        }
    }

    /// What a cache may do at any moment: forgets what lies under the session's key.
    pub(super) async fn evict(&self, ticket: &Ticket) -> Outcome {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            let Some(cached) = self.behind.get(&ticket.key).await? else {
                return Ok(());
            };
            self.behind.remove(&ticket.key, cached.token).await?;
        }
        Err(Broken::new(
            "a value to be gone once it was removed",
            "another one was always there",
        ))
    }

    /// [`evict`](Self::evict), where the session does not live in the cache alone.
    pub(super) async fn evict_if_it_may(&self, ticket: &Ticket, tiers: Tiers) -> Outcome {
        if tiers.contains(Tiers::DATASTORE) {
            self.evict(ticket).await?;
        }
        Ok(())
    }

    /// Puts bytes in the cache that no store has written there.
    pub(super) async fn spoil(&self, key: &str, value: Bytes) -> Outcome {
        Ok(self.behind.set(key, value, LONG).await?)
    }

    /// What lies in the cache under a key.
    pub(super) async fn cached(&self, key: &str) -> Result<Option<Bytes>, Broken> {
        Ok(self.behind.get(key).await?.map(|cached| cached.value))
    }
}

impl Node {
    /// A ticket that was never given out.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket::random(&self.0)
    }

    /// Creates a session; none where nothing of it outlives the request.
    pub(super) async fn create<S: Sample>(
        &self,
        change: impl FnOnce(&mut S::Fields),
    ) -> Result<Option<Ticket>, Broken> {
        let ticket = self.ticket();
        let is_there = self.create_at::<S>(&ticket, change).await?;
        Ok(is_there.then_some(ticket))
    }

    /// Creates a session under a ticket that may be taken; tells whether it outlives the request.
    pub(super) async fn create_at<S: Sample>(
        &self,
        ticket: &Ticket,
        change: impl FnOnce(&mut S::Fields),
    ) -> Result<bool, Broken> {
        let mut fields = S::with_defaults();
        change(&mut fields);
        let patch = patch::<S>(&self.0, Changes::collect::<S>(&fields)?, ticket, 0, None);
        let now = self.0.shared.rooms.now();
        let meta = Meta {
            created: now,
            renewed: now,
            deadline: now.after(MAX_AGE),
            secret: ticket.secret,
            previous: None,
            commits: 0,
            nonces: Nonces::default(),
        };
        let key = ticket.key.clone();
        let done = self
            .0
            .shared
            .create(S::TIERS, patch, meta, || Some(key.clone()))
            .await?;
        Ok(done.known.is_some())
    }

    /// Creates a session that must outlive the request.
    pub(super) async fn created<S: Sample>(&self, change: impl FnOnce(&mut S::Fields)) -> Result<Ticket, Broken> {
        let ticket = self.create::<S>(change).await?;
        ticket.ok_or_else(|| Broken::new("a session to be created", "there was none"))
    }

    /// Loads a session; `None` where there is none, or none for this ticket.
    pub(super) async fn load<S: Sample>(&self, ticket: &Ticket) -> Result<Option<Visit<S>>, LoadError> {
        let shared = &self.0.shared;
        let now = shared.rooms.now();
        let counts = |meta: &Meta| meta.secret_status(&ticket.secret, now) != SecretStatus::Superseded;
        let (known, report) = shared.load(S::SCHEMA.name, S::TIERS, &ticket.key, counts).await?;
        let Some(known) = known.filter(|known| counts(known.record.meta())) else {
            return Ok(None);
        };
        let fields = S::open(&known.record).map_err(|source| LoadError::Open {
            session: S::SCHEMA.name,
            source: Arc::new(source),
        })?;
        Ok(Some(Visit {
            fields,
            report,
            store: self.0.clone(),
            ticket: ticket.clone(),
            known,
        }))
    }

    /// Loads a session that must be there.
    pub(super) async fn found<S: Sample>(&self, ticket: &Ticket) -> Result<Visit<S>, Broken> {
        let visit = self.load::<S>(ticket).await?;
        visit.ok_or_else(|| Broken::new("a session that was created to be found", "there was none"))
    }

    /// There must be no such session.
    pub(super) async fn is_absent<S: Sample>(&self, what: &str, ticket: &Ticket) -> Outcome {
        match self.load::<S>(ticket).await? {
            None => Ok(()),
            Some(visit) => Err(Broken::new(
                format!("{what} to be no session"),
                format!(
                    "it was found in the {} tier with {} visits",
                    visit.report.tier,
                    S::visits(&visit.fields)
                ),
            )),
        }
    }

    /// Loads a session, adds one visit, and commits.
    pub(super) async fn visit<S: Sample>(&self, ticket: &Ticket) -> Result<Commit, Broken> {
        let mut visit = self.found::<S>(ticket).await?;
        S::visit(&mut visit.fields);
        Ok(visit.commit().await?)
    }
}

impl Ticket {
    fn random(store: &CascadeStore) -> Self {
        let mut secret = [0; 32];
        fastrand::fill(&mut secret);
        Self {
            key: store.shared.key(&format!("{:032x}", fastrand::u128(..))),
            secret: SecretHash(secret),
        }
    }
}

impl<S: Sample> Visit<S> {
    /// Commits what was changed, as the layer does: nothing at all where nothing was, unless the use is to be noted.
    pub(super) async fn commit(self) -> Result<Commit, CommitError> {
        let changes = self.changes()?;
        if changes.is_empty() && !self.is_due() {
            return Ok(Commit::Clean);
        }
        self.carry_out(Goal::Change, changes, None).await
    }

    /// Whether a commit is due only because the session was used.
    pub(super) fn is_due(&self) -> bool {
        self.store.shared.is_due_for_renewal(self.known.record.meta())
    }

    /// Commits what was changed with a new secret; the old one is honoured for `grace`.
    pub(super) async fn rotate(self, grace: Option<Duration>) -> Result<Ticket, CommitError> {
        let mut next = Ticket::random(&self.store);
        next.key.clone_from(&self.ticket.key);
        let rotation = Rotation {
            secret: next.secret,
            grace,
        };
        let changes = self.changes()?;
        self.carry_out(Goal::Change, changes, Some(rotation)).await?;
        Ok(next)
    }

    pub(super) async fn destroy(self) -> Result<Commit, CommitError> {
        self.carry_out(Goal::Destroy, Changes::default(), None).await
    }

    fn changes(&self) -> Result<Changes, CommitError> {
        Changes::collect::<S>(&self.fields).map_err(|source| CommitError::Field {
            session: S::SCHEMA.name,
            source: Arc::new(source),
        })
    }

    async fn carry_out(self, goal: Goal, changes: Changes, rotation: Option<Rotation>) -> Result<Commit, CommitError> {
        let Self {
            store, ticket, known, ..
        } = self;
        let patch = patch::<S>(&store, changes, &ticket, known.record.meta().commits, rotation);
        let shared = Arc::clone(&store.shared);
        let work = async move {
            let done = shared.commit(S::TIERS, goal, &ticket.key, known, patch).await?;
            Ok(done.commit)
        };
        let done = store.shared.in_own_task(work).await;
        done.unwrap_or(Err(CommitError::Unknown {
            session: S::SCHEMA.name,
            source: None,
        }))
    }
}

fn patch<S: Session>(
    store: &CascadeStore,
    changes: Changes,
    ticket: &Ticket,
    base_commits: u64,
    rotation: Option<Rotation>,
) -> Patch {
    Patch {
        schema: S::SCHEMA,
        migrate: migrate::<S>,
        changes,
        presented: ticket.secret,
        rotation,
        nonce: nonce(),
        base_commits,
        now: store.shared.rooms.now(),
        max_len: MAX_LEN,
    }
}

/// Whether `S` lives in all of these tiers.
pub(super) fn has<S: Session>(tiers: Tiers) -> bool {
    S::TIERS.contains(tiers)
}

/// The present, for outcomes that name a time.
pub(super) fn now(world: &World<'_>) -> SystemTime {
    world.clock.now()
}
