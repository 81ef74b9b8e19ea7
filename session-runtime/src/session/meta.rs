//! The metadata of a record: times, secrets, and the latest commits.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use subtle::{Choice, ConstantTimeEq};

/// How many commit nonces a record keeps. Whether a commit of unknown outcome was applied can be read off the record
/// until this many others have followed it.
pub const NONCES: usize = 8;

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The time that is `by` later; saturates.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This much earlier; the epoch where that is too far.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero where that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds; saturates.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<SystemTime> for Millis {
    fn from(time: SystemTime) -> Self {
        Self(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Millis> for SystemTime {
    fn from(millis: Millis) -> Self {
        /// 9999-12-31T23:59:59Z, the last second that a Datastore timestamp can hold.
        const LAST: u64 = 253_402_300_799_000;
        UNIX_EPOCH + Duration::from_millis(millis.0.min(LAST))
    }
}

/// A random number that identifies one commit in the records that contain it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nonce(pub u64);

/// SHA-256 of a session's secret. The hash does not authenticate anybody; `Debug` hides it all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl Default for SecretHash {
    fn default() -> Self {
        Self::NONE
    }
}

impl SecretHash {
    /// The hash of no secret: SHA-256 of nothing that is known.
    pub const NONE: Self = Self([0; 32]);

    /// Compares eight bytes at a time, and always all of them.
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

/// SHA-256 of a session's name and an owner's encoding: by it the owner's record is found, under any key ring.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerHash(pub [u8; 32]);

/// It identifies a person.
impl fmt::Debug for OwnerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerHash(..)")
    }
}

/// What a record notes of the owner that its session has, or has had: never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerMark {
    /// Who it is.
    pub owner: OwnerHash,
    /// The entry in the owner's record that was made for the latest sign-in.
    pub entry: Nonce,
    /// Whether the owner has signed out since. A program that knows no owners may have signed them in again.
    pub has_left: bool,
}

/// The metadata of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// When the session was created.
    pub created: Millis,
    /// When it was last renewed by being used.
    pub renewed: Millis,
    /// When it ends, even if it is in use.
    pub deadline: Millis,
    /// The hash of the current secret.
    pub secret: SecretHash,
    /// The hash of the secret before it, and until when that is accepted. After a rotation that ended that one at once,
    /// [`SecretHash::NONE`], and until when the secrets before are known to be superseded.
    pub previous: Option<(SecretHash, Millis)>,
    /// The number of commits, including the one that created the record.
    pub commits: u64,
    /// The nonces of the latest commits.
    pub nonces: Nonces,
    /// The idle time that it was last written with, in whole milliseconds; `None` for the store's.
    pub idle: Option<Duration>,
    /// Whether its cookie outlives the browser ("remember me"); `None` for the layer's default.
    pub persistent: Option<bool>,
    /// The owner that the session has or has had; `None` where it never had one.
    pub owner: Option<OwnerMark>,
}

/// The nonces of the latest commits, newest last, at most [`NONCES`].
#[derive(Clone, Copy, Default)]
pub struct Nonces {
    len: usize,
    list: [Nonce; NONCES],
}

impl Nonces {
    /// Appends one; drops the oldest where there are [`NONCES`] already.
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
    /// When it ends if it is not used any more. `default_idle` is the store's idle time.
    pub fn expires_at(&self, default_idle: Duration) -> Millis {
        let idle_until = self.renewed.after(self.idle.unwrap_or(default_idle));
        idle_until.min(self.deadline)
    }

    /// Counts a commit, and keeps its nonce.
    pub fn push(&mut self, nonce: Nonce) {
        self.nonces.push(nonce);
        self.commits = self.commits.saturating_add(1);
    }

    /// Whether the session has, had, or may yet get this owner.
    pub fn may_belong_to(&self, owner: OwnerHash) -> bool {
        self.owner.is_none_or(|mark| mark.owner == owner)
    }

    /// Whether the commit with this nonce was applied to the record. `base` is the number of commits in the record that
    /// it started from. `None` where more commits have followed than there are nonces, so that this cannot be told.
    pub fn was_applied(&self, nonce: Nonce, base: u64) -> Option<bool> {
        if self.nonces.contains(&nonce) {
            return Some(true);
        }
        (self.commits.saturating_sub(base) <= self.nonces.len() as u64).then_some(false)
    }
}

/// Whether a secret belongs to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStatus {
    /// The current secret.
    Current,
    /// The secret before it, within its grace period.
    Previous,
    /// Neither of these, while the grace period of the latest rotation lasts: until then.
    Superseded(Millis),
    /// Neither of these, and no grace period lasts.
    Unknown,
}

impl SecretStatus {
    /// Whether the secret reads and writes the session.
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Current | Self::Previous)
    }
}

impl Meta {
    /// The status of the secret with this hash. Takes the same time whatever the hash.
    pub fn secret_status(&self, secret: &SecretHash, now: Millis) -> SecretStatus {
        let current = self.secret.ct_eq(secret);
        let previous = self.previous.as_ref().map(|(hash, until)| (hash.ct_eq(secret), *until));
        if current.into() {
            return SecretStatus::Current;
        }
        match previous {
            Some((same, until)) if now < until => {
                if same.into() {
                    SecretStatus::Previous
                } else {
                    SecretStatus::Superseded(until)
                }
            }
            _ => SecretStatus::Unknown,
        }
    }

    /// Replaces the secret. Until then the one before it is accepted, or, where it `ends_at_once`, known to be
    /// superseded.
    pub fn rotate(&mut self, secret: SecretHash, until: Millis, ends_at_once: bool) {
        let before = if ends_at_once { SecretHash::NONE } else { self.secret };
        self.previous = Some((before, until));
        self.secret = secret;
    }
}
