//! The edge: turns cookies into sessions and sessions into cookies, for axum.

mod commit;
mod cookie;
mod detached;
mod entry;
mod extract;
mod layer;
mod options;
mod rejection;
mod router;
mod service;
mod timing;
mod typed;
mod visit;

pub use cookie::SameSite;
pub use detached::Detached;
pub use extract::SessionState;
pub use layer::SessionLayer;
pub use options::CookieOptions;
pub use rejection::SessionRejection;
pub use router::{RouterExt, StatefulRouterExt};
pub use service::SessionService;
pub use typed::TypedSession;
