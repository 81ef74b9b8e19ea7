//! An owner's sessions: listed and ended, in a request or anywhere else.

use std::cmp::Reverse;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::epoch::OwnerEpoch;
use super::session::RequestSession;
use super::state::LoadState;
use super::typed::TypedSession;
use crate::cascade::inner::StoreInner;
use crate::cascade::owner::amendments::Which;
use crate::cascade::owner::{Ended, Found, SessionType};
use crate::cascade::{CascadeStore, Commit, CommitError, OwnerError};
use crate::session::meta::{Millis, OwnerHash};
use crate::session::migrate::migrate;
use crate::session::owner::{OwnedSession, OwnerRef};
use crate::session::{ServedBy, Session};

/// Identifies a session among those of its owner, for a page that lists them. It is no credential, and the session's
/// cookie cannot be found from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId([u8; 16]);

impl DeviceId {
    pub(crate) fn of_key(key: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(key).into();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }
}

/// 22 letters, digits, `-` and `_`.
impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

/// What was given is no [`DeviceId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the identifier of a device: that is 22 letters, digits, `-` and `_`")]
pub struct DeviceIdError;

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let mut id = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut id) {
            Ok(16) => Ok(Self(id)),
            _ => Err(DeviceIdError),
        }
    }
}

/// As its text.
impl Serialize for DeviceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A session of an owner, in a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// Identifies it, to end it.
    pub id: DeviceId,
    /// When the session was created.
    pub created: SystemTime,
    /// When the owner last signed in to it.
    pub signed_in: SystemTime,
    /// When it was last used, to a tenth of its idle time ([`renew_after`](crate::Builder::renew_after)).
    pub last_used: SystemTime,
    /// When it ends if it is not used again.
    pub expires_at: SystemTime,
    /// What the application [called](TypedSession::set_device_label) the device.
    pub label: Option<String>,
}

/// How many sessions were ended, and whether every cache has forgotten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedSessions {
    /// How many sessions were to be ended, also by others who did not finish. Some may have ended by themselves before.
    pub count: usize,
    /// As of a commit: [`Commit::Unfenced`] where a cache that could not be reached may show one of them to another node for
    /// a while.
    pub commit: Commit,
}

/// The sessions of one owner: see [`CascadeStore::owner`].
pub struct Owner<T> {
    store: Arc<StoreInner>,
    kind: SessionType,
    hash: Result<OwnerHash, OwnerError>,
    of: PhantomData<fn() -> T>,
}

impl<M, D> CascadeStore<M, D> {
    /// The sessions of one owner, to list or to end them: a value of the type of the field that has `#[session(owner)]`, or
    /// of what is in its `Option`. It asks no tier yet.
    ///
    /// ```
    /// # use session_runtime::{CascadeStore, OwnerError, Session};
    /// #[derive(Session)]
    /// #[cascade(memcache, datastore)]
    /// struct Shop {
    ///     #[session(owner)]
    ///     user: Option<u64>,
    /// }
    ///
    /// /// After a change of the password: everybody who knew the old one is signed out.
    /// async fn sign_out_everywhere(store: &CascadeStore, user: u64) -> Result<usize, OwnerError> {
    ///     Ok(store.owner::<Shop>(&user).end_all().await?.count)
    /// }
    /// ```
    pub fn owner<T: OwnedSession + ServedBy<Self>>(&self, id: &(impl OwnerRef<T::OwnerId> + ?Sized)) -> Owner<T> {
        Owner::new(Arc::clone(&self.inner), id)
    }
}

impl<T: OwnedSession> Owner<T> {
    pub(crate) fn new(store: Arc<StoreInner>, id: &(impl OwnerRef<T::OwnerId> + ?Sized)) -> Self {
        let (schema, mut value) = (T::SCHEMA, Vec::new());
        let session = schema.name;
        let hash = id.append(&mut value).map(|()| OwnerHash::new(schema, &value));
        Self {
            kind: SessionType {
                schema,
                migrate: migrate::<T>,
                tiers: store.backend.tiers_for(T::TIERS),
            },
            store,
            hash: hash.map_err(|error| OwnerError::Encode {
                session,
                source: Arc::new(error),
            }),
            of: PhantomData,
        }
    }
}

impl<T: Session> Owner<T> {
    fn hash(&self) -> Result<OwnerHash, OwnerError> {
        self.hash.clone()
    }

    /// The sessions that the owner is signed in to, the latest sign-in first. Reads the owner's record, and each session,
    /// from the tier that orders writers.
    ///
    /// # Errors
    /// See [`OwnerError`].
    pub async fn sessions(&self) -> Result<Vec<Device>, OwnerError> {
        let (kind, owner) = (self.kind, self.hash()?);
        let list = self.store.look(kind, owner).await?;
        let mut entries = list.live;
        if !list.ending.is_empty()
            && let Err(error) = self.store.end_owned(kind, owner, Which::LeftOver).await
        {
            // Left by one who crashed, and still there: the owner is to see them.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                session = kind.schema.name,
                error,
                "sessions whose end has begun are still there"
            );
            entries.extend(list.ending);
        }
        let found = self.store.look_up_owned(kind, owner, entries).await;
        let (mut devices, mut left, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, found) in found {
            match found.map_err(|error| unavailable(kind, error))? {
                Found::Left => left.push(entry),
                Found::Over => over.push(entry),
                Found::Other => {}
                Found::SignedIn { used, expires } => devices.push(Device {
                    id: DeviceId::of_key(&entry.key),
                    created: Millis(entry.created).into(),
                    signed_in: Millis(entry.signed_in).into(),
                    last_used: used.into(),
                    expires_at: expires.into(),
                    label: entry.label,
                }),
            }
        }
        self.store.tidy_up_later(kind, owner, left, over);
        devices.sort_by_key(|device| Reverse((device.signed_in, device.id.0)));
        Ok(devices)
    }

    /// The epoch that a sign-in of this owner begins in.
    ///
    /// # Errors
    /// See [`OwnerError`].
    pub async fn epoch(&self) -> Result<OwnerEpoch, OwnerError> {
        let owner = self.hash()?;
        let read_at = self.store.backend.now();
        let list = self.store.look(self.kind, owner).await?;
        Ok(OwnerEpoch::new(owner, list.epoch, read_at))
    }

    /// Ends all sessions of the owner. Once it has returned, no request that presents the cookie of one of them finds it.
    /// Of the sign-ins that are under way, those fail whose commit had begun, and those that [hand
    /// in](TypedSession::sign_in_within) the epoch that they began in.
    ///
    /// It goes on to its end where the caller does not wait for it. After an error it may be called again.
    ///
    /// # Errors
    /// See [`OwnerError`].
    pub async fn end_all(&self) -> Result<EndedSessions, OwnerError> {
        self.end_which(Which::All).await
    }

    /// Ends all sessions of the owner but this one, as after a change of the password.
    ///
    /// # Errors
    /// See [`OwnerError`].
    pub async fn end_all_except(&self, session: &TypedSession<T>) -> Result<EndedSessions, OwnerError> {
        let key = session.request_session().current_key();
        self.end_which(key.map_or(Which::All, Which::AllExcept)).await
    }

    /// Ends one session of the owner; returns whether there was one.
    ///
    /// # Errors
    /// See [`OwnerError`].
    pub async fn end(&self, device: DeviceId) -> Result<bool, OwnerError> {
        let (kind, owner) = (self.kind, self.hash()?);
        let list = self.store.look(kind, owner).await?;
        let mut entries = list.live.iter().chain(&list.ending);
        let Some(entry) = entries.find(|entry| DeviceId::of_key(&entry.key) == device) else {
            return Ok(false);
        };
        let key = entry.key.clone();
        self.store.end_owned(kind, owner, Which::One(key)).await?;
        Ok(true)
    }

    async fn end_which(&self, which: Which) -> Result<EndedSessions, OwnerError> {
        let Ended { sessions, commit } = self.store.end_owned(self.kind, self.hash()?, which).await?;
        Ok(EndedSessions {
            count: sessions,
            commit,
        })
    }
}

impl<T: Session> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("session", &T::SCHEMA.name)
            .finish_non_exhaustive()
    }
}

fn unavailable(kind: SessionType, error: CommitError) -> OwnerError {
    let session = kind.schema.name;
    let source = match error {
        CommitError::Unavailable { source, .. } => source,
        _ => None,
    };
    OwnerError::Unavailable { session, source }
}

/// How long a device's label may be, in bytes. A longer one is cut.
const MAX_LABEL: usize = 128;

impl<T: OwnedSession> TypedSession<T> {
    /// Identifies this session among [those of its owner](Owner::sessions); `None` while it is new.
    pub fn device_id(&self) -> Option<DeviceId> {
        self.request_session().current_key().map(|key| DeviceId::of_key(&key))
    }

    /// What the device is to be called in the [list](Owner::sessions) of the owner's sessions, such as "Firefox on
    /// Linux": at most 128 bytes, the rest is cut. It is stored with the sign-in that this request makes, and has no
    /// effect without one.
    pub fn set_device_label(&mut self, label: impl Into<String>) {
        let mut label = label.into();
        label.truncate(label.floor_char_boundary(MAX_LABEL));
        self.request_session().lock().sign_in.label = Some(label);
    }

    /// Says in which epoch the sign-in that this request makes began. It is refused, with
    /// [`CommitError::SignInEnded`](crate::CommitError::SignInEnded), where all sessions of the owner were ended since, as
    /// with a change of the password, or where the epoch is that of another owner.
    pub fn sign_in_within(&mut self, epoch: OwnerEpoch) {
        self.request_session().lock().sign_in.epoch = Some(epoch);
    }
}

impl RequestSession {
    /// The storage key of the session that the client has, where it has one.
    fn current_key(&self) -> Option<String> {
        let token = {
            let state = self.lock();
            // A token whose session is not there, or has another secret now, may be somebody else's.
            state
                .token
                .filter(|_| matches!(state.loaded, Some(LoadState::Known(_))))
        };
        token.map(|token| self.storage_key(&token))
    }
}
