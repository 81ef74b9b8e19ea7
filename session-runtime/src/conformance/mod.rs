//! A test suite for your own tiers: what a tier must do, and what a store on it must do.
//!
//! It has three parts: [`cache_tier`], [`durable_tier`], and [`store`](store()), which takes a pair of tiers and checks sessions
//! in each of the seven sets of [`Tiers`](crate::Tiers). Each rule is a promise of
//! [`CacheTier`](crate::tier::CacheTier), [`DurableTier`](crate::tier::DurableTier) or
//! [`CascadeStore`](crate::CascadeStore). The keys are random, so that the suite can run on a shared server; but two
//! suites at once on one durable tier disturb each other, by the rules about purging. The cache must be large enough: one
//! that evicts what was stored a moment ago does not pass.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # mod example {
//! # use session_runtime::tier::embedded::{LocalCache as MyCache, LocalFile as MyDatabase};
//! use std::sync::Arc;
//!
//! use session_runtime::conformance::{self, Options, Violation};
//!
//! # #[allow(dead_code)]
//! async fn my_tiers_keep_the_rules(cache: MyCache, database: MyDatabase) -> Result<(), Violation> {
//!     let (cache, database) = (Arc::new(cache), Arc::new(database));
//!     let options = Options::new();
//!     conformance::cache_tier(&cache, &options).await?;
//!     conformance::durable_tier(&database, &options).await?;
//!     conformance::store(&cache, &database, &options).await
//! }
//! # }
//! ```
//! If you have only one tier of your own, take [`LocalCache`](crate::tier::embedded::LocalCache) or
//! [`LocalFile`](crate::tier::embedded::LocalFile) for the other. [`Options::with_passing_time`] checks the lifetimes of
//! a cache whose clock a test can move.
//!
//! Run it on a multi-threaded runtime, so that concurrent calls run in parallel.

mod cache;
mod durable;
mod probe;
mod store;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use cache::cache_tier;
pub use durable::durable_tier;
pub use store::store;

/// The options of the suite.
#[derive(Clone)]
pub struct Options {
    pass_time: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    largest_value: usize,
    concurrency: usize,
    rule_timeout: Duration,
}

impl Options {
    /// Values up to 1 MiB, 8 concurrent callers, a minute for each rule, and no way to make time pass.
    pub fn new() -> Self {
        Self {
            pass_time: None,
            largest_value: 1 << 20,
            concurrency: 8,
            rule_timeout: Duration::from_mins(1),
        }
    }

    /// Sets a function that makes the tier's clock advance, so that lifetimes are checked as well. No rule sleeps.
    #[must_use]
    pub fn with_passing_time(self, pass: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self {
            pass_time: Some(Arc::new(pass)),
            ..self
        }
    }

    /// Sets the size of the largest value to try, in bytes, for a tier that takes larger ones.
    #[must_use]
    pub fn with_largest_value(self, bytes: usize) -> Self {
        Self {
            largest_value: bytes,
            ..self
        }
    }

    /// Sets how many callers use one key concurrently; at least two.
    #[must_use]
    pub fn with_concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(2),
            ..self
        }
    }

    /// Sets how long one rule may take.
    #[must_use]
    pub fn with_rule_timeout(self, rule_timeout: Duration) -> Self {
        Self { rule_timeout, ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("passes_time", &self.pass_time.is_some())
            .field("largest_value", &self.largest_value)
            .field("concurrency", &self.concurrency)
            .field("rule_timeout", &self.rule_timeout)
            .finish()
    }
}

/// A rule that a tier or a store breaks: what was expected, and what happened instead.
#[derive(Debug)]
pub struct Violation {
    tier: String,
    rule: &'static str,
    expected: String,
    found: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Violation {
    /// The tier's name; for a rule about stores, the session's set of tiers and the names of both tiers.
    pub fn tier(&self) -> &str {
        &self.tier
    }

    /// The rule, in one sentence.
    pub fn rule(&self) -> &'static str {
        self.rule
    }

    /// What the rule expects.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What happened instead.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tier,
            rule,
            expected,
            found,
            ..
        } = self;
        write!(f, "{tier} breaks the rule \"{rule}\": expected {expected}, but {found}")
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
