//! What a record says about itself: its age, its secrets, its latest commits.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use subtle::{Choice, ConstantTimeEq};

/// How many commit nonces a record keeps: a commit whose outcome is unknown can be told from the record as long as
/// fewer others came after it.
pub const NONCES: usize = 8;

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// This much later; the end of time where that is too far.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Millis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for SystemTime {
    fn from(millis: Millis) -> Self {
        /// 9999-12-31T23:59:59Z, the last second that a Datastore timestamp can hold.
        const LAST: u64 = 253_402_300_799_000;
        UNIX_EPOCH + Duration::from_millis(millis.0.min(LAST))
    }
}

/// A random number that names one commit, so that it can be found again in the record it was written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nonce(pub u64);

/// SHA-256 of a session's secret. What is stored logs nobody in; `Debug` shows nothing all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Eight bytes at a time, but always all of them.
    fn ct_eq(&self, other: &Self) -> Choice {
        let word = |word: &[u8; 8]| u64::from_ne_bytes(*word);
        let pairs = self.0.as_chunks().0.iter().zip(other.0.as_chunks().0);
        let differing = pairs.fold(0, |differing, (one, other)| differing | (word(one) ^ word(other)));
        differing.ct_eq(&0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// What a record says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// When the session was created.
    pub created: Millis,
    /// When it was last written because of use.
    pub renewed: Millis,
    /// When it ends, however much it is used.
    pub deadline: Millis,
    /// Of the present secret.
    pub secret: SecretHash,
    /// Of the secret before, honoured until the time beside it.
    pub previous: Option<(SecretHash, Millis)>,
    /// How many commits the record has seen, its creation included.
    pub commits: u64,
    /// The nonces of the latest commits.
    pub nonces: Nonces,
}

/// The nonces of the latest commits, newest last, at most [`NONCES`].
#[derive(Clone, Copy, Default)]
pub struct Nonces {
    len: usize,
    list: [Nonce; NONCES],
}

impl Nonces {
    /// Puts one behind the others; where there are as many as can be, the oldest goes.
    pub fn push(&mut self, nonce: Nonce) {
        if self.len == NONCES {
            self.list.rotate_left(1);
            self.len -= 1;
        }
        if let Some(free) = self.list.get_mut(self.len) {
            *free = nonce;
            self.len += 1;
        }
    }
}

impl Deref for Nonces {
    type Target = [Nonce];

    fn deref(&self) -> &[Nonce] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

impl PartialEq for Nonces {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Nonces {}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Meta {
    /// Counts one more commit.
    pub fn push(&mut self, nonce: Nonce) {
        self.nonces.push(nonce);
        self.commits = self.commits.saturating_add(1);
    }

    /// Whether the commit with this nonce is in the record: `None` where it could be, but is too long ago to tell,
    /// given that the record had seen `base` commits when that one set out.
    pub fn was_applied(&self, nonce: Nonce, base: u64) -> Option<bool> {
        if self.nonces.contains(&nonce) {
            return Some(true);
        }
        (self.commits.saturating_sub(base) <= self.nonces.len() as u64).then_some(false)
    }
}

/// What a secret is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStatus {
    /// The present secret.
    Current,
    /// The secret before, within its grace.
    Previous,
    /// None that counts any more.
    Superseded,
}

impl Meta {
    /// What a secret, given by its hash, is to this session. Takes the same time whatever the secret.
    pub fn secret_status(&self, secret: &SecretHash, now: Millis) -> SecretStatus {
        let current = self.secret.ct_eq(secret);
        let previous = self.previous.as_ref().map(|(hash, until)| (hash.ct_eq(secret), *until));
        if current.into() {
            return SecretStatus::Current;
        }
        match previous {
            Some((same, until)) if same.into() && now < until => SecretStatus::Previous,
            _ => SecretStatus::Superseded,
        }
    }
}
