//! A cache tier of one's own, and the conformance suite that proves it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::conformance::{self, Options};
use session_runtime::tier::{CacheTier, Cached, Scope, Swap, TierError, Token};
use session_runtime::{Clock, ManualClock};

/// A map behind a lock: what a `CacheTier` comes to, with nothing around it. It never drops what has expired unread,
/// so it is a tier to learn from and not one to run.
struct MapCache<C> {
    entries: Mutex<Entries>,
    clock: C,
}

#[derive(Default)]
struct Entries {
    values: HashMap<String, (Cached, SystemTime)>,
    tokens: u64,
}

impl<C: Clock> MapCache<C> {
    /// Looks at what lies under `key`, and puts another value there, or none, where `change` says so.
    fn with<R>(&self, key: &str, ttl: Duration, change: impl FnOnce(Option<&Cached>) -> (Option<Change>, R)) -> R {
        let now = self.clock.now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let there = entries.values.get(key).filter(|(_, until)| now < *until);
        let (change, said) = change(there.map(|(cached, _)| cached));
        match change {
            None => {}
            Some(Change::Remove) => drop(entries.values.remove(key)),
            Some(Change::Store(value)) => {
                entries.tokens += 1;
                let token = Token(entries.tokens);
                entries
                    .values
                    .insert(key.to_owned(), (Cached { value, token }, now + ttl));
            }
        }
        said
    }

    fn change_exactly(&self, key: &str, token: Token, ttl: Duration, change: Change) -> Swap {
        self.with(key, ttl, |there| match there {
            None => (None, Swap::Missing),
            Some(cached) if cached.token == token => (Some(change), Swap::Done),
            Some(_) => (None, Swap::Changed),
        })
    }
}

enum Change {
    Store(Bytes),
    Remove,
}

impl<C: Clock> CacheTier for MapCache<C> {
    fn name(&self) -> &'static str {
        "map-cache"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        Ok(self.with(key, Duration::ZERO, |there| (None, there.cloned())))
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        Ok(self.with(key, ttl, |there| match there {
            None => (Some(Change::Store(value)), true),
            Some(_) => (None, false),
        }))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.with(key, ttl, |_| (Some(Change::Store(value)), ()));
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        Ok(self.change_exactly(key, token, ttl, Change::Store(value)))
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        Ok(self.change_exactly(key, token, Duration::ZERO, Change::Remove))
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
async fn main() -> Result<(), conformance::Violation> {
    let clock = ManualClock::default();
    let tier = Arc::new(MapCache {
        entries: Mutex::default(),
        clock: clock.clone(),
    });
    let options = Options::new().with_passing_time(move |by| clock.advance(by));
    conformance::cache_tier(&tier, &options).await?;
    println!("{} keeps every rule of a cache tier", tier.name());
    Ok(())
}
