//! Two nodes on the same tiers, and requests that they serve.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::counting::{CallLog, Counting};
use super::sample::{OwnedSample, Sample};
use crate::TypedSession;
use crate::cascade::{BeyondMax, CascadeStore, Commit, CommitError, LoadError, LoadReport};
use crate::clock::{Clock, ManualClock};
use crate::conformance::Options;
use crate::conformance::probe::{LONG, Outcome, RuleFailure};
use crate::keys::KeyRing;
use crate::request::{
    self, Disposition, Owner, OwnerEpoch, Presented, RequestSession, RequestSessions, SessionToken, TokenAction,
};
use crate::session::Session;
use crate::tier::erased::AnyCache;
use crate::tier::{CacheTier, DurableTier, Tiers};

pub(super) const IDLE: Duration = Duration::from_mins(20);
pub(super) const MAX_AGE: Duration = Duration::from_mins(45);
pub(super) const GRACE: Duration = Duration::from_secs(30);
pub(super) const MAX_STALENESS: Duration = Duration::from_mins(5);
pub(super) const MAX_LEN: usize = 4096;
pub(super) const MAX_SESSIONS: usize = 8;

/// Two nodes of one service: their stores share the tiers, the keys and the clock, and nothing else.
pub(super) struct Cluster<'a> {
    pub(super) options: &'a Options,
    pub(super) clock: ManualClock,
    pub(super) cache: Arc<CallLog>,
    pub(super) durable: Arc<CallLog>,
    nodes: [Node; 2],
    /// The cache without its counter, to evict and replace items.
    raw_cache: Arc<dyn AnyCache>,
}

/// One node.
#[derive(Clone)]
pub(super) struct Node(CascadeStore);

/// A request that has loaded its session and has not ended.
pub(super) struct Request<S: Session> {
    pub(super) report: LoadReport,
    session: Arc<RequestSession>,
    typed: TypedSession<S>,
    /// Kept, since dropping a request's sessions abandons them.
    _sessions: RequestSessions,
}

impl<'a> Cluster<'a> {
    pub(super) async fn open<C: CacheTier, D: DurableTier>(
        cache: &Arc<C>,
        durable: &Arc<D>,
        options: &'a Options,
    ) -> Result<Self, RuleFailure> {
        // Not a fixed time, since a tier may compare `expires_at` with its own clock.
        let clock = ManualClock::new(SystemTime::now());
        let keys = KeyRing::random()?;
        let (cached, stored) = (Arc::<CallLog>::default(), Arc::<CallLog>::default());
        let node = async || {
            CascadeStore::builder(keys.clone())
                .single_process() // whose nodes share both tiers
                .memcache(Counting::new(cache, &cached))
                .datastore(Counting::new(durable, &stored))
                .clock(clock.clone())
                .idle(IDLE)
                .max_age(MAX_AGE)
                .max_len(MAX_LEN)
                .max_staleness(MAX_STALENESS)
                .rotation_grace(GRACE)
                .max_sessions(MAX_SESSIONS, BeyondMax::EndOldest)
                .key_prefix("conformance.")
                .build()
                .await
                .map(Node)
        };
        let nodes = [node().await?, node().await?];
        let raw_cache: Arc<dyn AnyCache> = Arc::<C>::clone(cache);
        Ok(Self {
            options,
            clock,
            cache: cached,
            durable: stored,
            nodes,
            raw_cache,
        })
    }

    /// The first node for an even number, the second for an odd one.
    pub(super) fn node(&self, at: usize) -> &Node {
        let [first, second] = &self.nodes;
        if at.is_multiple_of(2) { first } else { second }
    }

    /// The number of calls so far to the cache and to the durable tier.
    pub(super) fn calls(&self) -> (usize, usize) {
        (self.cache.calls(), self.durable.calls())
    }

    /// Waits for background work: cache fills, deletions.
    pub(super) async fn settle(&self) {
        for Node(store) in &self.nodes {
            store.inner.wait_idle().await;
        }
    }

    /// [`settle`](Self::settle), and a last attempt at the invalidations that failed while the cache was down.
    pub(super) async fn end(&self) {
        for Node(store) in &self.nodes {
            store.drain().await;
        }
    }

    /// Evicts the session's item from the cache, as a cache may at any time.
    pub(super) async fn evict(&self, token: &SessionToken) -> Outcome {
        const TRIES: usize = 100;
        let key = self.key(token);
        for _ in 0..TRIES {
            let Some(cached) = self.raw_cache.get(&key).await? else {
                return Ok(());
            };
            self.raw_cache.remove(&key, cached.token).await?;
        }
        Err(RuleFailure::new(
            "a value to be gone after its removal",
            "there was another one each time",
        ))
    }

    /// [`evict`](Self::evict), unless the cache is the session's only tier.
    pub(super) async fn evict_unless_authoritative(&self, token: &SessionToken, tiers: Tiers) -> Outcome {
        if tiers.contains(Tiers::DATASTORE) {
            self.evict(token).await?;
        }
        Ok(())
    }

    /// Stores bytes in the cache under the session's key, behind the stores' back.
    pub(super) async fn overwrite(&self, token: &SessionToken, value: Bytes) -> Outcome {
        Ok(self.raw_cache.set(&self.key(token), value, LONG).await?)
    }

    /// The cache's value under the session's key.
    pub(super) async fn cached(&self, token: &SessionToken) -> Result<Option<Bytes>, RuleFailure> {
        Ok(self.raw_cache.get(&self.key(token)).await?.map(|cached| cached.value))
    }

    pub(super) fn key(&self, token: &SessionToken) -> String {
        let [Node(store), _] = &self.nodes;
        token.storage_key(&store.inner.backend.policy.key_prefix)
    }
}

impl Node {
    /// A token that was never issued.
    pub(super) fn unknown_token() -> Result<SessionToken, RuleFailure> {
        SessionToken::random().map_err(|error| RuleFailure::new("random bytes", error.to_string()))
    }

    /// Creates a session; returns the token that its client gets, if it outlives the request.
    pub(super) async fn create<S: Sample>(
        &self,
        change: impl FnOnce(&mut S::Fields),
    ) -> Result<Option<SessionToken>, RuleFailure> {
        let mut request = self.request::<S>(None).await?;
        change(&mut request);
        let (_, token) = request.end().await?;
        Ok(token)
    }

    /// Creates a session that must outlive the request.
    pub(super) async fn created<S: Sample>(
        &self,
        change: impl FnOnce(&mut S::Fields),
    ) -> Result<SessionToken, RuleFailure> {
        let token = self.create::<S>(change).await?;
        token.ok_or_else(|| RuleFailure::new("a session to be created", "there was none"))
    }

    /// Loads a session; `None` if there is none for this token.
    pub(super) async fn load<S: Sample>(&self, token: &SessionToken) -> Result<Option<Request<S>>, LoadError> {
        let request = self.request::<S>(Some(*token)).await?;
        Ok((!request.typed.is_new()).then_some(request))
    }

    /// Loads a session that must exist.
    pub(super) async fn found<S: Sample>(&self, token: &SessionToken) -> Result<Request<S>, RuleFailure> {
        let request = self.load::<S>(token).await?;
        request.ok_or_else(|| RuleFailure::new("a created session to be found", "it was not"))
    }

    /// There must be no such session.
    pub(super) async fn is_absent<S: Sample>(&self, what: &str, token: &SessionToken) -> Outcome {
        match self.load::<S>(token).await? {
            None => Ok(()),
            Some(request) => Err(RuleFailure::new(
                format!("{what} not to be found"),
                format!(
                    "it was found in the {} tier with {} visits",
                    request.report.tier.unwrap_or("request"),
                    S::visits(&request)
                ),
            )),
        }
    }

    /// Loads a session, adds one visit, and commits.
    pub(super) async fn visit<S: Sample>(&self, token: &SessionToken) -> Result<Commit, RuleFailure> {
        let mut request = self.found::<S>(token).await?;
        S::visit(&mut request);
        Ok(request.commit().await?)
    }

    /// The sessions of one owner.
    pub(super) fn owner<S: OwnedSample>(&self, user: u64) -> Owner<S> {
        Owner::new(Arc::clone(&self.0.inner), &user)
    }

    /// Signs in within an epoch, to a visitor's session or to a new one; returns the token that the client gets.
    pub(super) async fn sign_in<S: OwnedSample>(
        &self,
        visitor: Option<&SessionToken>,
        user: u64,
        epoch: OwnerEpoch,
    ) -> Result<Option<SessionToken>, CommitError> {
        let request = self.request::<S>(visitor.copied()).await;
        let mut request = request.map_err(|_| CommitError::Unavailable {
            session: S::SCHEMA.name,
            source: None,
        })?;
        S::set_user(&mut request, user);
        request.typed.sign_in_within(epoch);
        request.end().await.map(|(_, token)| token)
    }

    /// A request that presents this token, as the edge does for a cookie.
    async fn request<S: Sample>(&self, token: Option<SessionToken>) -> Result<Request<S>, LoadError> {
        let sessions = RequestSessions::new(Arc::clone(&self.0.inner));
        let presented = Presented {
            tokens: token.into_iter().collect(),
            any: token.is_some(),
            ..Presented::default()
        };
        let session = sessions.session::<S>(|| S::SCHEMA.name.to_owned(), |_, _| presented);
        // The store has seen no other type of this name.
        let session = session.map_err(|_| LoadError::Unavailable {
            session: S::SCHEMA.name,
            source: None,
        })?;
        let typed = request::load::<S>(Arc::clone(&session)).await?;
        Ok(Request {
            report: session.take_response_state().load.unwrap_or_default(),
            session,
            typed,
            _sessions: sessions,
        })
    }
}

impl<S: Sample> Request<S> {
    /// Ends the request, as the layer does after a handler that succeeded.
    pub(super) async fn commit(self) -> Result<Commit, CommitError> {
        self.end().await.map(|(commit, _)| commit)
    }

    /// Rotates the secret, and ends the request; returns the token that the client gets.
    pub(super) async fn rotate(mut self) -> Result<SessionToken, RuleFailure> {
        self.typed.rotate();
        let (_, token) = self.end().await?;
        token.ok_or_else(|| RuleFailure::new("a rotation to give the client a new token", "it gave none"))
    }

    /// Destroys the session, and ends the request.
    pub(super) async fn destroy(mut self) -> Result<Commit, CommitError> {
        self.typed.destroy();
        self.commit().await
    }

    async fn end(self) -> Result<(Commit, Option<SessionToken>), CommitError> {
        let Self { session, typed, .. } = self;
        // Changes are staged when the handler's session is dropped.
        drop(typed);
        request::finish(&[Arc::clone(&session)], Disposition::Commit)
            .await
            .map_err(|failure| failure.error)?;
        let state = session.take_response_state();
        let token = match state.token_action {
            Some(TokenAction::Set { token, .. }) => Some(token),
            Some(TokenAction::Remove) | None => None,
        };
        // Without a report there was nothing to commit.
        let commit = state.commit.map_or(Ok(Commit::Clean), |commit| commit.outcome)?;
        Ok((commit, token))
    }
}

impl<S: Session> Deref for Request<S> {
    type Target = S::Fields;

    fn deref(&self) -> &S::Fields {
        &self.typed
    }
}

impl<S: Session> DerefMut for Request<S> {
    fn deref_mut(&mut self) -> &mut S::Fields {
        &mut self.typed
    }
}

/// Whether `S` lives in all of these tiers.
pub(super) fn has<S: Session>(tiers: Tiers) -> bool {
    S::TIERS.contains(tiers)
}

/// The time now, for outcomes that contain one.
pub(super) fn now(cluster: &Cluster<'_>) -> SystemTime {
    cluster.clock.now()
}
