//! Typed web sessions for axum, kept coherent through memory, memcached or Valkey, and Postgres or Google Cloud
//! Datastore.
//!
//! Derive [`Session`](macro@Session) on a struct, name the [tiers](Tiers) it lives in, take [`TypedSession`] in a
//! handler, and end the router with [`sessions`](RouterExt::sessions):
//!
//! ```
//! use axum::{Router, routing::post};
//! use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};
//!
//! #[derive(Session)]
//! #[session(name = "shop", version = 1)]
//! #[cascade(memcache, datastore)]
//! struct Shop {
//!     #[session(merge = add)]
//!     visits: u64,
//!     #[session(privileged)]
//!     user: Option<u64>,
//! }
//!
//! async fn visit(mut shop: TypedSession<Shop>) -> String {
//!     *shop.visits_mut() += 1;
//!     format!("visit {}", shop.visits())
//! }
//!
//! # async fn app() -> Result<Router, session_runtime::BuildError> {
//! let store = CascadeStore::from_env().await?;
//! let app = Router::new().route("/visit", post(visit)).sessions(store);
//! # Ok(app)
//! # }
//! ```
//!
//! What a handler changes is committed after it has returned and before the first byte of its response goes out; what
//! another request wrote meanwhile is [merged](merge) with it, field by field. A server error (5xx) commits nothing.
//!
//! | to | see |
//! |---|---|
//! | begin: guard, sign-in, "remember me", tests, metrics, health, proxies, rolling deploys, streams | the [`recipes`] |
//! | know every attribute of the derive | [`Session`](macro@Session) |
//! | read, change, rotate, destroy a session | [`TypedSession`] |
//! | keep a session beyond its request | [`Detached`] |
//! | put a store together | [`CascadeStore::from_env`], [`CascadeStore::builder`], [`Builder`] |
//! | set cookies and answers | [`SessionLayer`], [`CookieOptions`] |
//! | serve clients without cookies | [`HeaderCarrier`] |
//! | tell forms of one's own from those of others | [`Csrf`] |
//! | use a router with a state of its own | [`SessionState`] |
//! | choose how two writers are reconciled | [`merge`] |
//! | know how a load or a commit can end | [`LoadError`], [`Commit`], [`CommitError`] |
//! | list an owner's sessions, and end them for good | [`CascadeStore::owner`], [`Owner`] |
//! | hear of sign-ins, forged cookies, outages | [`SessionEvent`], [`Builder::on_event`] |
//! | test an application that has sessions | `testing`, behind the feature of that name |
//! | bring a tier of your own | [`tier`], and the feature `conformance` |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `axum` | yes | the edge: cookies, the layer, the extractor |
//! | `embedded` | yes | tiers for one process: a cache in memory and a durable file |
//! | `memcache` | yes | the memcached tier |
//! | `datastore` | no | the Google Cloud Datastore tier; its client takes minutes to build |
//! | `postgres` | no | the Postgres tier |
//! | `seal` | no | encrypts what is stored outside of this process |
//! | `valkey` | no | the Valkey tier, for Redis too |
//! | `metrics` | no | counters and histograms through the `metrics` facade |
//! | `conformance` | no | a test suite for tiers of your own |
//! | `testing` | no | for the tests of an application: a store in memory, a clock, and cookies of sessions that are signed in |
#![forbid(unsafe_code)]

mod cascade;
mod cbor;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "axum")]
mod edge;
mod keys;
// For readers of the documentation alone. Its tests need the features of this crate's own `[dev-dependencies]`.
#[cfg(all(doc, any(not(doctest), all(feature = "metrics", feature = "testing"))))]
pub mod recipes;
mod request;
mod session;
pub mod tier;

pub use cascade::{
    BeyondMax, BuildError, Builder, CascadeStore, Commit, CommitError, Degraded, Health, LoadError, LoadReport,
    NoDatastore, NoMemcache, OwnerError, SessionEvent, TierHealth, WithDatastore, WithMemcache,
};
pub use clock::{Clock, ManualClock, SystemClock};
#[cfg(feature = "testing")]
pub use edge::testing;
#[cfg(feature = "axum")]
pub use edge::{
    CookieError, CookieOptions, Csrf, HeaderCarrier, HeaderCarrierError, RejectionKind, RouterExt, SameSite,
    SessionLayer, SessionRejection, SessionService, SessionState, StatefulRouterExt,
};
pub use keys::{KeyError, KeyRing};
pub use request::{
    CommitFailure, CsrfError, Detached, Device, DeviceId, DeviceIdError, EndedSessions, Owner, OwnerEpoch, Persistence,
    SessionRef, TypedSession,
};
pub use session::owner::{OwnedSession, OwnerId, OwnerRef};
pub use session::{FieldError, OpenError, Schema, ServedBy, Session, merge};
#[doc = include_str!("derive.md")]
pub use session_macros::Session;
pub use tier::Tiers;
#[cfg(feature = "datastore")]
pub use tier::datastore::Datastore;
#[cfg(feature = "embedded")]
pub use tier::embedded::{LocalCache, LocalFile};
#[cfg(feature = "memcache")]
pub use tier::memcache::Memcache;
#[cfg(feature = "postgres")]
pub use tier::postgres::Postgres;
#[cfg(feature = "valkey")]
pub use tier::valkey::Valkey;

/// What the derive's code, the protocol's model and the crate's own tests refer to. Not for use by hand, and free to
/// change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::session::migrate::{Previous, upgrade_first, upgrade_then};
    pub use crate::session::owner::{OwnedSession, OwnerField};
    pub use crate::session::record::Record;
    pub use crate::session::slot::{
        AnySlot, DebugProbe, Field, FieldCursor, FieldDefault, LazySlot, Redacted, Slot, field,
    };
    pub use crate::session::{
        CarriesSecret, CookieSpec, FieldError, FieldSpec, HasDatastore, HasMemcache, Migrate, OpenError, SameSite,
        Schema, ServedBy, Session, merge,
    };
    pub use crate::tier::Tiers;
    pub use bytes::Bytes;

    /// Traits whose methods a snapshot calls, to be brought in without a name and all at once: which of them is used,
    /// the fields' types decide.
    pub mod copy_traits {
        pub use crate::session::slot::{ViaClone as _, ViaCodec as _};
    }

    /// The same for `Debug`.
    pub mod debug_traits {
        pub use crate::session::slot::{ViaDebug as _, ViaPlaceholder as _};
    }

    /// For the model and the tests: the codec.
    pub mod cbor {
        pub use crate::cbor::*;
    }

    /// For the model and the tests: records and what is changed in them.
    pub mod session {
        pub use crate::session::*;
    }

    /// For the model and the tests: the protocol and what it puts into the tiers.
    pub mod cascade {
        pub use crate::cascade::*;
    }

    /// For the edge and the tests: sessions within a unit of work.
    pub mod request {
        pub use crate::request::*;
    }
}

/// The blocks of the README, compiled.
#[cfg(all(doctest, feature = "axum", feature = "embedded"))]
#[doc = include_str!("../../README.md")]
struct Readme;
