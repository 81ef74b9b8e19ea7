//! The edge: turns cookies (or headers) into sessions and sessions into cookies, for axum.

mod caching;
mod cookie;
mod csrf;
mod extract;
mod header;
mod layer;
mod rejection;
mod router;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;

pub use cookie::{CookieError, CookieOptions, SameSite};
pub use csrf::Csrf;
pub use extract::SessionState;
pub use header::{HeaderCarrier, HeaderCarrierError};
pub use layer::{SessionLayer, SessionService};
pub use rejection::{RejectionKind, SessionRejection};
pub use router::{RouterExt, StatefulRouterExt};
