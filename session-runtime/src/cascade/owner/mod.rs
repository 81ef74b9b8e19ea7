//! Owners: which sessions somebody is signed in to, and how they are ended for good.
//!
//! An owner's record lists the sessions that belong to it. It lies in the tier that orders writers, and is changed there by
//! compare-and-swap; a session is listed **before** it can be signed in to, so that who ends all that is listed ends all
//! that there is.
//!
//! | task | in this order |
//! |---|---|
//! | sign in | enter the session's key into `live`; commit the session with its owner; where the session is new, look whether the entry still stands, and only then send the cookie |
//! | end all | draw a new epoch and move `live` to `ending`, in one write; destroy each of `ending` in every tier, whether or not it shows its owner yet; take them out; answer |
//! | end one | the same for one entry, with the epoch that there is |
//! | log out | destroy the session; take its entry out |
//!
//! Whoever meets what is left in `ending`, by one who crashed, finishes it. A read of a session asks nothing of this.

pub mod amendments;
mod end;
mod error;
pub mod record;
mod sign_in;

pub(crate) use end::{Ended, Found};
pub use error::OwnerError;
pub(crate) use sign_in::{SessionType, SignIn, entry_nonce};
