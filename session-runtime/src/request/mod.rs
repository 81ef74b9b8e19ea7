//! A session within one unit of work: loaded, changed, rotated, destroyed, committed, or detached from it.

pub(crate) mod commit;
mod detached;
pub(crate) mod session;
pub(crate) mod sessions;
mod typed;

pub use detached::Detached;
pub use typed::TypedSession;
