//! A tier that counts its calls, and fails, blocks or obstructs them on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::{
    CacheTier, Cached, DurableTier, Scope, Stored, Swap, TierError, TierErrorKind, Token, Version, Write,
};
use tokio::sync::Semaphore;

/// A tier whose calls go through a [`Control`].
#[derive(Clone, Debug)]
pub struct Instrumented<T> {
    tier: T,
    control: Control,
}

/// Counts the calls of a tier by name (`"get"`, `"update"`, ...), and decides which of them fail or block. Clones share
/// everything.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<&'static str, usize>,
    rules: Vec<Rule>,
    keys_to_occupy: usize,
    occupied: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    /// `None` for every call.
    call: Option<&'static str>,
    effect: Effect,
    once: bool,
}

#[derive(Clone, Debug)]
enum Effect {
    Fail { kind: TierErrorKind, is_applied: bool },
    Block { gate: Gate, is_applied: bool },
}

/// What [`Control::occupy`] stores.
pub const OCCUPANT: Bytes = Bytes::from_static(b"stored before");

/// Where a blocked call waits.
#[derive(Clone, Debug)]
pub struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            reached: closed(),
            open: closed(),
        }
    }

    /// Waits until a call waits at the gate.
    ///
    /// # Panics
    /// Where none comes within ten seconds.
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_secs(10), self.reached.acquire()).await;
        reached
            .expect("no call has reached the gate within ten seconds")
            .expect("the semaphore is never closed")
            .forget();
    }

    /// Lets the call go on.
    pub fn release(&self) {
        self.open.add_permits(1);
    }

    /// Waits for [`release`](Self::release), as the blocked call.
    pub async fn pass(&self) {
        self.reached.add_permits(1);
        if let Ok(permit) = self.open.acquire().await {
            permit.forget();
        }
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the number of calls so far by name; the count starts again at zero.
    pub fn take_calls(&self) -> Vec<(&'static str, usize)> {
        std::mem::take(&mut self.lock().counts).into_iter().collect()
    }

    /// Fails every call from now on, as a tier that is down does.
    pub fn down(&self) {
        self.rule(None, TierErrorKind::Unavailable, false, false);
    }

    /// Removes every rule, so that calls succeed again.
    pub fn up(&self) {
        self.lock().rules.clear();
    }

    /// Fails every call of this name from now on, without applying it.
    pub fn fail(&self, call: &'static str, kind: TierErrorKind) {
        self.rule(Some(call), kind, false, false);
    }

    /// Fails the next call of this name; `is_applied` says whether it is applied nevertheless.
    pub fn fail_once(&self, call: &'static str, kind: TierErrorKind, is_applied: bool) {
        self.rule(Some(call), kind, is_applied, true);
    }

    /// Blocks the next call of this name before it is applied.
    pub fn block(&self, call: &'static str) -> Gate {
        self.gate(call, false)
    }

    /// Blocks the next call of this name after it is applied, before its caller has the answer.
    pub fn block_after(&self, call: &'static str) -> Gate {
        self.gate(call, true)
    }

    /// Stores a value under the keys of the next `count` calls of `add` or `insert`, just before they are applied.
    pub fn occupy(&self, count: usize) {
        self.lock().keys_to_occupy = count;
    }

    /// The keys that [`occupy`](Self::occupy) has stored a value under, in order.
    pub fn occupied(&self) -> Vec<String> {
        self.lock().occupied.clone()
    }

    fn is_to_occupy(&self, key: &str) -> bool {
        let mut inner = self.lock();
        let Some(left) = inner.keys_to_occupy.checked_sub(1) else {
            return false;
        };
        inner.keys_to_occupy = left;
        inner.occupied.push(key.to_owned());
        true
    }

    fn rule(&self, call: Option<&'static str>, kind: TierErrorKind, is_applied: bool, once: bool) {
        let effect = Effect::Fail { kind, is_applied };
        self.lock().rules.push(Rule { call, effect, once });
    }

    fn gate(&self, call: &'static str, is_applied: bool) -> Gate {
        let gate = Gate::new();
        let effect = Effect::Block {
            gate: gate.clone(),
            is_applied,
        };
        let call = Some(call);
        self.lock().rules.push(Rule {
            call,
            effect,
            once: true,
        });
        gate
    }

    fn enter(&self, call: &'static str) -> Option<Effect> {
        let mut inner = self.lock();
        *inner.counts.entry(call).or_default() += 1;
        let at = inner
            .rules
            .iter()
            .position(|rule| rule.call.is_none_or(|of| of == call))?;
        Some(if inner.rules[at].once {
            inner.rules.remove(at).effect
        } else {
            inner.rules[at].effect.clone()
        })
    }

    async fn call<R>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<R, TierError>>,
    ) -> Result<R, TierError> {
        match self.enter(call) {
            None => work.await,
            Some(Effect::Fail { kind, is_applied }) => {
                if is_applied {
                    work.await?;
                }
                Err(TierError::new("instrumented", call, kind))
            }
            Some(Effect::Block { gate, is_applied }) => {
                if is_applied {
                    let outcome = work.await;
                    gate.pass().await;
                    return outcome;
                }
                gate.pass().await;
                work.await
            }
        }
    }
}

impl<T> Instrumented<T> {
    /// Wraps `tier`.
    pub fn new(tier: T) -> (Self, Control) {
        let control = Control::default();
        let instrumented = Self {
            tier,
            control: control.clone(),
        };
        (instrumented, control)
    }
}

impl<T: CacheTier> CacheTier for Instrumented<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn scope(&self) -> Scope {
        self.tier.scope()
    }

    fn max_value_len(&self) -> usize {
        self.tier.max_value_len()
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        self.control.call("get", self.tier.get(key)).await
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        let work = async {
            if self.control.is_to_occupy(key) {
                self.tier.add(key, OCCUPANT, ttl).await?;
            }
            self.tier.add(key, value, ttl).await
        };
        self.control.call("add", work).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.control.call("set", self.tier.set(key, value, ttl)).await
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.control.call("swap", self.tier.swap(key, token, value, ttl)).await
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.control.call("remove", self.tier.remove(key, token)).await
    }
}

impl<T: DurableTier> DurableTier for Instrumented<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn scope(&self) -> Scope {
        self.tier.scope()
    }

    fn max_value_len(&self) -> usize {
        self.tier.max_value_len()
    }

    fn max_write_delay(&self) -> Duration {
        self.tier.max_write_delay()
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.control.call("read", self.tier.read(key)).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let work = async {
            if self.control.is_to_occupy(key) {
                self.tier.insert(key, OCCUPANT, expires_at).await?;
            }
            self.tier.insert(key, value, expires_at).await
        };
        self.control.call("insert", work).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let work = self.tier.update(key, base, value, expires_at);
        self.control.call("update", work).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.control.call("delete", self.tier.delete(key, base)).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.control.call("purge", self.tier.purge_expired(now, limit)).await
    }
}
