//! What is simulated.

use super::calendar::{Micros, SECOND};

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// What it is called in the chart, if it is there.
    pub(crate) drawn: Option<&'static str>,
    pub(crate) seed: u64,
    pub(crate) nodes: u16,
    pub(crate) memcacheds: usize,
    /// How many sessions there are at first.
    pub(crate) sessions: u32,
    /// The exponent of the Zipf distribution by which requests choose their session; not 1.
    pub(crate) zipf: f64,
    /// Requests a second, of all nodes.
    pub(crate) rate: f64,
    /// The share of the requests that write. Of these, one in fifty rotates the secret, and one in fifty destroys.
    pub(crate) writes: f64,
    /// The share of the requests that create a session.
    pub(crate) creations: f64,
    /// Writes a second of one session more, and as many reads, from all nodes.
    pub(crate) hot: f64,
    pub(crate) fault: Option<Fault>,
    /// How long requests come.
    pub(crate) length: Micros,
}

/// What fails, from when, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) from: Micros,
    pub(crate) until: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Datastore answers nothing; what reaches it waits.
    DatastoreStalls,
    /// Every other node cannot reach the first memcached.
    MemcachedCutOff,
    /// The first memcached refuses connections, and comes back empty.
    MemcachedRestarts,
    /// The first memcached answers nothing, and then what reached it meanwhile.
    MemcachedHangs,
}

impl Setting {
    /// A fleet of 20 nodes under 100,000 requests a second by a million sessions: what the others are compared with.
    pub(crate) fn usual() -> Self {
        Self {
            name: "20 nodes".to_owned(),
            drawn: None,
            seed: 1,
            nodes: 20,
            memcacheds: 8,
            sessions: 1_000_000,
            zipf: 0.6,
            rate: 100_000.0,
            writes: 0.1,
            creations: 0.01,
            hot: 0.0,
            fault: None,
            length: 10 * SECOND,
        }
    }
}

impl Fault {
    /// Whether this fails at a time.
    pub(crate) fn is_on(self, kind: FaultKind, at: Micros) -> bool {
        self.kind == kind && (self.from..self.until).contains(&at)
    }
}
