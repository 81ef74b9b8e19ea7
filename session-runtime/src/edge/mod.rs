//! The edge: turns cookies into sessions and sessions into cookies, for axum.

mod caching;
mod cookie;
mod extract;
mod layer;
mod rejection;
mod router;
mod timing;

pub use cookie::{CookieError, CookieOptions, SameSite};
pub use extract::SessionState;
pub use layer::{SessionLayer, SessionService};
pub use rejection::{RejectionKind, SessionRejection};
pub use router::{RouterExt, StatefulRouterExt};
