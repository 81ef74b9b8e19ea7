//! The edge: turns cookies into sessions and sessions into cookies, for axum.

pub(crate) mod cookie;
mod extract;
mod layer;
pub(crate) mod options;
mod rejection;
mod router;
mod service;
mod timing;

pub use cookie::SameSite;
pub use extract::SessionState;
pub use layer::SessionLayer;
pub use options::CookieOptions;
pub use rejection::SessionRejection;
pub use router::{RouterExt, StatefulRouterExt};
pub use service::SessionService;
