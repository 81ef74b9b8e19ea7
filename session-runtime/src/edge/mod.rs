//! The edge: turns cookies into sessions and sessions into cookies, for axum.

mod caching;
mod cookie;
mod extract;
mod layer;
mod rejection;
mod router;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;

pub use cookie::{CookieError, CookieOptions, SameSite};
pub use extract::SessionState;
pub use layer::{SessionLayer, SessionService};
pub use rejection::SessionRejection;
pub use router::{RouterExt, StatefulRouterExt};
