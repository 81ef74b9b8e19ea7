//! Typed web sessions for axum.
#![forbid(unsafe_code)]

pub mod cascade;
pub mod clock;
pub mod codec;
pub mod conformance;
#[cfg(feature = "axum")]
pub mod edge;
pub mod keys;
pub mod session;
pub mod tier;

pub use cascade::{BuildError, Builder, CascadeStore, Commit, CommitError, LoadError};
pub use codec::merge;
#[cfg(feature = "axum")]
pub use edge::{
    CookieOptions, Detached, RouterExt, SameSite, SessionLayer, SessionRejection, SessionState, StatefulRouterExt,
    TypedSession,
};
pub use keys::{KeyError, KeyRing};
pub use session::{Schema, ServedBy, Session};
#[doc = include_str!("derive.md")]
pub use session_macros::Session;
pub use tier::Tiers;
#[cfg(feature = "datastore")]
pub use tier::datastore::Datastore;
#[cfg(feature = "embedded")]
pub use tier::embedded::{LocalCache, LocalFile};
#[cfg(feature = "memcache")]
pub use tier::memcache::Memcache;

/// What the derive's code refers to. Not for use by hand, and free to change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::codec::record::Record;
    pub use crate::codec::slot::{
        AnySlot, Field, FieldDefault, LazySlot, Previous, Redacted, Shown, Slot, field, upgrade_first, upgrade_then,
    };
    pub use crate::codec::{FieldError, OpenError, merge};
    pub use crate::session::{FieldSpec, HasDatastore, HasMemcache, Schema, ServedBy, Session};
    pub use crate::tier::Tiers;
    pub use bytes::Bytes;

    /// Traits whose methods a snapshot calls, to be brought in without a name and all at once: which of them is used,
    /// the fields' types decide.
    pub mod copying {
        pub use crate::codec::slot::{ViaClone as _, ViaCodec as _};
    }

    /// The same for `Debug`.
    pub mod showing {
        pub use crate::codec::slot::{ShownAny as _, ShownDebug as _};
    }
}
