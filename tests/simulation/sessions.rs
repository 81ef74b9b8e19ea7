//! The sessions: what each tier has of them, and what has been acknowledged.

use std::rc::Rc;
use std::time::Duration;

use session_runtime::__private::cascade::protocol::Item;
use session_runtime::__private::session::meta::{Meta, Millis};
use session_runtime::tier::Version;
use session_runtime::tier::memcache::{ConfigError, Memcache};

use super::calendar::{Micros, micros};
use super::record::{Record, Shared};
use super::setting::Setting;
use super::{MAX_STALENESS, RENEW_AFTER};

#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) durable: Option<(Version, Shared)>,
    pub(crate) cached: Option<Cached>,
    /// The memcached that it lives on.
    memcached: Option<u8>,
    pub(crate) promised: Promised,
    /// Whether a destroy was asked for: from then on it may be found, or not.
    pub(crate) is_leaving: bool,
    /// Durable writes that were applied.
    pub(crate) durable_writes: u32,
}

/// What a load that begins now must not see less than.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Promised {
    /// The latest version that was acknowledged as coherent.
    pub(crate) coherent: u64,
    /// The latest version that was acknowledged.
    pub(crate) acknowledged: u64,
    /// Whether the end was acknowledged as coherent.
    pub(crate) is_destroyed: bool,
}

/// An item in a memcached.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) item: Item<Shared>,
    pub(crate) token: u64,
    pub(crate) stored_at: Micros,
    pub(crate) expires_at: Micros,
}

pub(crate) struct Sessions {
    all: Vec<Session>,
    /// The session of each rank.
    by_rank: Vec<u32>,
    /// The ranks whose session was destroyed, for those that are created.
    free: Vec<usize>,
    /// Chooses the server of a key.
    placement: Memcache,
    names: Vec<String>,
    zipf: f64,
}

impl Sessions {
    /// As they are after hours of such requests: each was renewed when it was last due, and has been in the cache since,
    /// unless that is too long ago.
    pub(crate) fn new(setting: &Setting, now: Millis, rng: &mut fastrand::Rng) -> Result<Self, ConfigError> {
        let names: Vec<_> = (0..setting.memcacheds)
            .map(|number| format!("10.0.0.{number}:11211"))
            .collect();
        let mut sessions = Self {
            placement: Memcache::connect(&names)?,
            names,
            all: Vec::new(),
            by_rank: (0..setting.sessions).collect(),
            free: Vec::new(),
            zipf: setting.zipf,
        };
        for rank in 0..setting.sessions {
            let between = -rng.f64().max(f64::MIN_POSITIVE).ln() / (setting.rate * sessions.share(rank));
            let age = rng.f64() * (RENEW_AFTER.as_secs_f64() + between.min(1e6));
            let renewed = now.before(Duration::from_secs_f64(age));
            sessions.add(now, renewed);
        }
        Ok(sessions)
    }

    /// A session that was renewed then, and has been in the cache since, unless that is too long ago.
    pub(crate) fn add(&mut self, now: Millis, renewed: Millis) -> u32 {
        let version = Version(1);
        let meta = Meta {
            renewed,
            commits: 1,
            ..Meta::default()
        };
        let record = Rc::new(Record {
            meta,
            ..Record::default()
        });
        let id = self.create();
        let session = self.get(id);
        session.durable = Some((version, Rc::clone(&record)));
        let left = MAX_STALENESS.saturating_sub(now.since(renewed));
        session.cached = (!left.is_zero()).then(|| Cached {
            item: Item::Value {
                version,
                asked_at: renewed,
                record,
            },
            token: u64::from(id) + 1,
            stored_at: 0,
            expires_at: micros(left),
        });
        id
    }

    /// A session that is in no tier yet.
    pub(crate) fn create(&mut self) -> u32 {
        self.all.push(Session::default());
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    /// Gives a session that was created a rank of its own, or that of another, which is not used any more.
    pub(crate) fn enter(&mut self, id: u32, rng: &mut fastrand::Rng) {
        let rank = self.free.pop().unwrap_or_else(|| rng.usize(1..self.by_rank.len()));
        self.by_rank[rank] = id;
    }

    /// The rank and the session of the next request.
    pub(crate) fn choose(&self, rng: &mut fastrand::Rng) -> (usize, u32) {
        let power = 1.0 - self.zipf;
        let end = self.end().powf(power);
        let place = (rng.f64() * (end - 1.0) + 1.0).powf(1.0 / power);
        let rank = (place as usize - 1).min(self.by_rank.len() - 1);
        (rank, self.by_rank[rank])
    }

    pub(crate) fn leaves(&mut self, rank: usize) {
        self.free.push(rank);
    }

    /// The share of the requests that are for the session of a rank.
    fn share(&self, rank: u32) -> f64 {
        let power = 1.0 - self.zipf;
        power * f64::from(rank + 1).powf(-self.zipf) / (self.end().powf(power) - 1.0)
    }

    fn end(&self) -> f64 {
        self.by_rank.len() as f64 + 1.0
    }

    pub(crate) fn get(&mut self, id: u32) -> &mut Session {
        &mut self.all[id as usize]
    }

    pub(crate) fn all(&self) -> &[Session] {
        &self.all
    }

    /// The memcached that a session lives on, by the rule of the tier.
    pub(crate) fn memcached(&mut self, id: u32) -> u8 {
        if let Some(known) = self.all[id as usize].memcached {
            return known;
        }
        let name = self.placement.server_of(&format!("session.{id}"));
        let place = self.names.iter().position(|other| Some(other.as_str()) == name);
        let place = place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0);
        self.all[id as usize].memcached = Some(place);
        place
    }
}
