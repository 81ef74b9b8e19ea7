//! The coherence protocol as state machines without I/O: the next call to a tier, given the answer to the last one.
//!
//! No step does I/O, reads a clock or draws a random number, so that the store's driver runs the same code that the
//! model checker explores. A machine is created with everything it needs; [`begin`](Machine::begin) returns its first
//! action, and [`on`](Machine::on) takes the answer to the last action and returns the next one, or the end.
//!
//! The rule behind it: **a value may be hidden at any time, and shown only by an exact swap.** Before it writes, a
//! writer replaces whatever the cache has by a fence, with an unconditional `set`. A value enters the cache only by a
//! swap of its writer's own fence, or of its reader's own lease.
//!
//! | task | with a durable tier | with the cache only |
//! |---|---|---|
//! | load a session | [`Load`], then [`Fill`] in the background | [`CacheLoad`] |
//! | create a session | [`Create`] | [`CacheCreate`] |
//! | change or destroy a session | [`DurableCommit`], which ends in a [`Settle`] | [`CacheCommit`] |
//! | hide a cached value later | [`Settle::hide`] or [`Settle::tombstone`] | – |
//! | change an owner's record | [`Amend`] | [`Amend`] |

mod amend;
mod cache_only;
mod commit;
mod commit_end;
mod create;
mod load;
mod settle;

use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version, Write};

pub use amend::{Amend, AmendEnd, Amendment};
pub use cache_only::{CacheCommit, CacheCreate, CacheLoad};
pub use commit::{DurableCommit, Goal};
pub use commit_end::{CommitEnd, Failure};
pub use create::{Create, CreateEnd};
pub use load::{CacheRef, Fill, Load, LoadEnd, Source, VersionedRecord};
pub use settle::{Settle, SettleOutcome};

/// What the cache stores under a session's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item<R> {
    /// A copy of the durable record; with the cache only, the record.
    Value {
        /// Its version in the durable tier; with the cache only, the number of its commits.
        version: Version,
        /// When the call that read or wrote it in the durable tier began.
        asked_at: Millis,
        /// The record.
        record: R,
    },
    /// A reader is reading the durable tier, and will replace exactly this lease by what it reads.
    Lease(Nonce),
    /// A writer is writing the durable tier: read that, and store nothing here.
    Fence {
        /// The writer's nonce.
        writer: Nonce,
        /// The version of the value that this fence replaced by a swap: its writer may restore that value if its write
        /// certainly fails. `None` for a fence that was set over whatever was there.
        replaced_version: Option<Version>,
    },
    /// The session was destroyed.
    Tombstone,
}

/// A call to a tier.
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

/// A tier's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<R> {
    /// To [`Action::Get`]. An item that is not authentic counts as none, and may be overwritten; one whose
    /// key is unknown counts as another's lease.
    Got(Option<(Item<R>, Token)>),
    /// To [`Action::Add`]: whether it was stored.
    Added(bool),
    /// To [`Action::Set`].
    WasSet,
    /// To [`Action::Swap`] and [`Action::Remove`].
    Swapped(Swap),
    /// To any call of the cache: it could not be reached. Nothing was read, and nothing was or will be written.
    CacheFailed,
    /// To any call of the cache: it did not answer. A write may have been applied, or may still be.
    CacheUnknown,
    /// The item is too large for the cache; nothing was written.
    CacheFull,
    /// To [`Action::Read`].
    Found(Option<(Version, R)>),
    /// To [`Action::Insert`], [`Action::Update`] and [`Action::Delete`].
    Wrote(Write),
    /// The durable tier could not be reached: nothing was read, and nothing was or will be written.
    DurableFailed,
    /// The record is too large for the durable tier; nothing was written.
    DurableFull,
    /// The durable tier did not answer: a write may have been applied, or may still be.
    DurableUnknown,
}

/// What a machine does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step<R, E> {
    /// Make this call, and hand the answer to [`Machine::on`].
    Do(Action<R>),
    /// The same after a random pause that grows with the number of the attempt: others are writing the same session.
    Retry(u32, Action<R>),
    /// The machine has ended.
    End(E),
}

/// A state machine whose actions depend only on the answers to them, and on the time.
pub trait Machine<R> {
    /// How it ends.
    type End;

    /// Whether the cache has the only copy of the record, so that its values must stay for as long as the session lives.
    const IS_CACHE_ONLY: bool = false;

    /// The first action. `now` is the time.
    fn begin(&mut self, now: Millis) -> Step<R, Self::End>;

    /// The next step, after `event` answered the last one.
    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, Self::End>;
}

impl<R, M: Machine<R>> Machine<R> for &mut M {
    type End = M::End;
    const IS_CACHE_ONLY: bool = M::IS_CACHE_ONLY;

    fn begin(&mut self, now: Millis) -> Step<R, M::End> {
        (**self).begin(now)
    }

    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, M::End> {
        (**self).on(event, now)
    }
}

/// A change to a record of type `R`, which can be applied again to a record that others have changed.
pub trait Change<R> {
    /// Why it cannot be applied.
    type Error;

    /// The record with the change applied, by a three-way merge where the record is not the one that was loaded. The next
    /// write is based on this record.
    fn apply(&mut self, to: &R) -> Result<R, Self::Error>;

    /// Whether the request may destroy this record: whether its secret is still valid.
    fn may_destroy(&self, record: &R) -> bool;

    /// Whether the record already contains this change; `None` where it no longer keeps the nonces to tell.
    fn was_applied(&self, record: &R) -> Option<bool>;

    /// The version of a record that is in the cache only: the number of its commits.
    fn version_of(record: &R) -> Version;
}

impl<R, C: Change<R>> Change<R> for &mut C {
    type Error = C::Error;

    fn apply(&mut self, to: &R) -> Result<R, C::Error> {
        (**self).apply(to)
    }

    fn may_destroy(&self, record: &R) -> bool {
        (**self).may_destroy(record)
    }

    fn was_applied(&self, record: &R) -> Option<bool> {
        (**self).was_applied(record)
    }

    fn version_of(record: &R) -> Version {
        C::version_of(record)
    }
}
