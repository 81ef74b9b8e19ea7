//! The coherence protocol as pure steps: what to ask a tier next, given what it answered last.
//!
//! No step does I/O, attempts at a clock or draws a random number, so that the same code is run by the store's driver and
//! explored by a model checker. Each machine is made with everything it needs, [`begin`](Machine::begin) gives its
//! first action, and [`on`](Machine::on) takes the answer to the last action and gives the next one, or the end.
//!
//! The rule behind it: **hiding a value may be sloppy, revealing one must be exact.** A writer hides what the cache
//! holds behind a fence before it writes, with a blind `set`; a value is only ever put there over exactly the lease or
//! the fence of the one who puts it.
//!
//! | machine | with a durable tier | in the cache alone |
//! |---|---|---|
//! | look a session up | [`Load`], then [`Fill`] beside the request | [`CacheLoad`] |
//! | write a new session | [`Create`] | [`CacheCreate`] |
//! | write or destroy an old one | [`DurableCommit`], which ends in a [`Settle`] | [`CacheCommit`] |
//! | hide what could not be settled | [`Settle::hide`] or [`Settle::tombstone`], later | – |

mod cache_only;
mod commit;
mod create;
mod load;
mod settle;

use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version, Write};

pub use cache_only::{CacheCommit, CacheCreate, CacheLoad};
pub use commit::{CommitEnd, DurableCommit, Failure, Goal};
pub use create::{Create, CreateEnd};
pub use load::{CacheRef, Fill, Load, LoadEnd, Source, VersionedRecord};
pub use settle::{Settle, SettleOutcome};

/// What lies in the cache under a session's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item<R> {
    /// A record as the durable tier had it.
    Value {
        /// The durable version that it is; in the cache alone, the number of its commits.
        version: Version,
        /// When the durable tier was asked for it, or told of it.
        asked_at: Millis,
        /// The record.
        record: R,
    },
    /// A reader is asking the durable tier, and will put what it learns in this very place.
    Lease(Nonce),
    /// A writer is at work: ask the durable tier, and put nothing here.
    Fence {
        /// The writer's own random number.
        writer: Nonce,
        /// The version of exactly the value that this fence took the place of, which the writer may put back should
        /// its write fail for certain; `None` for a fence that hides whatever was there.
        replaced_version: Option<Version>,
    },
    /// The session is gone for good.
    Tombstone,
}

/// What to ask a tier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<R> {
    /// [`CacheTier::get`](crate::tier::CacheTier::get).
    Get,
    /// [`CacheTier::add`](crate::tier::CacheTier::add).
    Add(Item<R>),
    /// [`CacheTier::set`](crate::tier::CacheTier::set).
    Set(Item<R>),
    /// [`CacheTier::swap`](crate::tier::CacheTier::swap).
    Swap(Token, Item<R>),
    /// [`CacheTier::remove`](crate::tier::CacheTier::remove).
    Remove(Token),
    /// [`DurableTier::read`](crate::tier::DurableTier::read).
    Read,
    /// [`DurableTier::insert`](crate::tier::DurableTier::insert).
    Insert(R),
    /// [`DurableTier::update`](crate::tier::DurableTier::update).
    Update(Version, R),
    /// [`DurableTier::delete`](crate::tier::DurableTier::delete).
    Delete(Version),
}

/// What a tier answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<R> {
    /// To [`Action::Get`]. An item that is not authentic counts as none, and so may be overwritten.
    Got(Option<(Item<R>, Token)>),
    /// To [`Action::Add`]: whether it was stored.
    Added(bool),
    /// To [`Action::Set`].
    WasSet,
    /// To [`Action::Swap`] and [`Action::Remove`].
    Swapped(Swap),
    /// The cache failed, whatever it was asked; a write may have been applied or not.
    CacheFailed,
    /// The item is larger than the cache takes; nothing was written.
    CacheFull,
    /// To [`Action::Read`].
    Found(Option<(Version, R)>),
    /// To [`Action::Insert`], [`Action::Update`] and [`Action::Delete`].
    Wrote(Write),
    /// The durable tier was not reached: nothing was read, nothing was or will be written.
    DurableFailed,
    /// The record is larger than the durable tier takes; nothing was written.
    DurableFull,
    /// The durable tier did not answer: a write may have been applied, or may yet be.
    DurableUnknown,
}

/// What comes after an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step<R, E> {
    /// Ask this, and come back with the answer.
    Do(Action<R>),
    /// Others are writing the same session: pause for a random while that grows with the number, then ask this.
    Retry(u32, Action<R>),
    /// The end.
    End(E),
}

/// A sequence of actions that depends on nothing but the answers to them.
pub trait Machine<R> {
    /// What it comes to.
    type End;

    /// The first action. `now` is the time.
    fn begin(&mut self, now: Millis) -> Step<R, Self::End>;

    /// The next step, after `event` answered the last one.
    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, Self::End>;
}

/// A change to a record of type `R`, that can be made more than once and on top of others' changes.
pub trait Change<R> {
    /// Why it cannot be made.
    type Error;

    /// The record with the change made, three-way merged where the record is not the one that the change set out from.
    fn apply(&self, to: &R) -> Result<R, Self::Error>;

    /// Whether the change still may destroy this record.
    fn may_destroy(&self, record: &R) -> bool;

    /// Whether this very change is in the record; `None` where it is too long ago to tell.
    fn was_applied(&self, record: &R) -> Option<bool>;

    /// What counts as the version of a record that has none but its own count of commits (the cache alone).
    fn version_of(record: &R) -> Version;
}
