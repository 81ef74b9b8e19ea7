//! A session within one unit of work (a request, a message, a job): loaded, changed, rotated, destroyed, committed, or
//! detached from it. Knows neither HTTP nor axum.

mod actions;
mod commit;
mod csrf;
mod detached;
mod epoch;
mod execute;
mod fields;
mod finish;
mod owner;
mod plan;
mod reference;
mod session;
mod sessions;
mod sign_in;
mod state;
mod token;
mod typed;

pub use csrf::{CsrfError, CsrfTokens, load_csrf};
pub use detached::Detached;
pub use epoch::OwnerEpoch;
pub use finish::{CommitFailure, finish};
pub use owner::{Device, DeviceId, DeviceIdError, EndedSessions, Owner};
pub use reference::SessionRef;
pub use session::RequestSession;
pub use sessions::RequestSessions;
pub use state::{Disposition, Persistence, ResponseState, TokenAction};
pub use token::{MAX_TOKENS, Presented, SessionToken};
pub use typed::{TypedSession, load, load_ref, replace};
