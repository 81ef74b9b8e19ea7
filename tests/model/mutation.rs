//! The protocol with one rule broken, to show that the model notices.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::{Swap, Token, Version, Write};

use super::Setting;
use super::actor::{Actor, Stage};
use super::record::{Record, Role};
use super::state::SystemState;
use super::step::{is_fence, is_large};

/// The broken rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Mutation {
    /// The protocol as it is.
    #[default]
    None,
    /// After a conflict the writer relies on its first fence.
    OneFence,
    /// A fence may expire before the writes that were sent before it have ended.
    ShortFence,
    /// The durable record is deleted at any version.
    BlindDelete,
    /// The write is acknowledged before the cache is settled.
    AnswerEarly,
    /// Readers place leases, writers place no fences.
    NoFence,
    /// Cache-aside: readers fill the cache without a lease, and writers place no fences.
    CacheAside,
    /// A fence whose `set` was not answered is taken to be in place.
    TrustFence,
    /// A writer takes the conflict with its own late write for success.
    TrustConflict,
    /// A writer leaves another's fence, even one whose writer may restore an older record.
    LeaveOldFence,
    /// A writer that was refused leaves its fence.
    KeepFence,
    /// A writer that was refused restores what its first fence replaced, which others have changed.
    RestoreOld,
    /// A writer without a fence takes a swap that was refused for success.
    TrustSwap,
    /// A writer without a fence takes a swap that was not answered for success.
    TrustSilence,
    /// A writer without a fence, whose swap was refused, sets a fence and publishes behind it.
    LateFence,
    /// A writer without a fence, whose swap was refused, leaves a reader's lease.
    LeaveLease,
    /// A writer without a fence, whose swap was refused, leaves an older value.
    LeaveOldValue,
    /// An insert that may still be applied is sent again under the same key.
    SameKey,
    /// A created session's cookie is sent before the session is added to the cache.
    AddLate,
    /// A creator takes an `add` that was not answered for done.
    TrustAdd,
    /// A writer of the cache only swaps again on a token that was refused, where it meets its number again.
    KeepToken,
    /// Where a commit's time runs out, what it leaves unsettled stays so.
    CutShort,
    /// What could not be settled is tried once more, and not again.
    RepairOnce,
    /// A writer without a fence, whose swap was not answered, swaps on the same token again.
    TrustToken,
    /// A cache that has forgotten everything, as one that was restarted, gives the tokens of before again.
    RepeatTokens,
    /// A writer whose new value is too large for the cache leaves the old one there.
    TrustFull,
    /// A reader serves a value however old it is.
    TrustOld,
    /// A reader that fills states the time of that, rather than when it asked the durable tier.
    StampLate,
    /// Patches that could not be made in the record that was written are acknowledged with those that were.
    AcknowledgeRefused,
    /// A patch that could be made in the first record counts as made in the one that was written.
    FirstOutcome,
    /// Which commits are new is counted from the record that was read after a conflict, and not from the one before it.
    EarlyBase,
    /// A writer leaves to the next one of its process the record that it had started from.
    HandOverOld,
    /// A reader joins a load that is under way.
    JoinInFlight,
}

impl Setting {
    /// The answer of the tiers to a call. A mutation makes another call, or changes the answer.
    pub(super) fn answer(&self, state: &mut SystemState, actor: &Actor, action: Action<Record>) -> Event<Record> {
        if self.large && is_large(&action) {
            return match self.mutation {
                Mutation::TrustFull => Event::Swapped(Swap::Done),
                _ => Event::CacheFull,
            };
        }
        let commits = matches!(actor.stage, Stage::Commit(_));
        let fills = matches!(actor.stage, Stage::Fill(_));
        match (self.mutation, action) {
            (Mutation::BlindDelete, Action::Delete(base)) => {
                let base = state.durable.as_ref().map_or(base, |(version, _)| *version);
                state.apply(Action::Delete(base))
            }
            (Mutation::NoFence | Mutation::CacheAside, Action::Swap(_, Item::Fence { .. })) => {
                Event::Swapped(Swap::Done)
            }
            (Mutation::NoFence | Mutation::CacheAside, Action::Set(Item::Fence { .. })) => Event::WasSet,
            (Mutation::CacheAside, Action::Add(Item::Lease(_))) => Event::Added(true),
            (Mutation::CacheAside, Action::Get) if fills => {
                let lease = Item::Lease(Nonce(actor.lease.unwrap_or_default()));
                Event::Got(Some((lease, Token(0))))
            }
            (Mutation::CacheAside, Action::Swap(_, item)) if fills => {
                state.apply(Action::Set(item));
                Event::Swapped(Swap::Done)
            }
            (Mutation::LeaveOldFence, Action::Get) if commits => match state.apply(Action::Get) {
                Event::Got(Some((Item::Fence { writer, .. }, token))) => Event::Got(Some((
                    Item::Fence {
                        writer,
                        replaced_version: None,
                    },
                    token,
                ))),
                event => event,
            },
            (Mutation::TrustConflict, Action::Update(base, record)) => {
                let event = state.apply(Action::Update(base, record));
                match &state.durable {
                    Some((version, stored)) if *stored == record => Event::Wrote(Write::Done(*version)),
                    _ => event,
                }
            }
            (Mutation::KeepFence, Action::Remove(_)) if commits && state.has_fence_of(actor) => {
                Event::Swapped(Swap::Done)
            }
            (Mutation::RestoreOld, Action::Remove(token)) if commits && state.has_fence_of(actor) => {
                let value = Item::Value {
                    version: Version(1),
                    asked_at: Millis(0),
                    record: Record::default(),
                };
                state.apply(Action::Swap(token, value))
            }
            (_, action) => self.answer_without_fence(state, actor, action),
        }
    }

    /// The same for the rules of writers without a fence, and of time.
    fn answer_without_fence(&self, state: &mut SystemState, actor: &Actor, action: Action<Record>) -> Event<Record> {
        let commits = matches!(actor.stage, Stage::Commit(_));
        let fills = matches!(actor.stage, Stage::Fill(_));
        match (self.mutation, action) {
            (Mutation::TrustSwap, action @ Action::Swap(_, Item::Value { .. })) if commits => {
                state.apply(action);
                Event::Swapped(Swap::Done)
            }
            (Mutation::LateFence, Action::Get) if actor.remembered.is_some() => {
                let replaced_version = None;
                let writer = actor.fence();
                state.apply(Action::Set(Item::Fence {
                    writer,
                    replaced_version,
                }));
                state.apply(Action::Get)
            }
            (Mutation::LeaveLease, Action::Get) if commits && matches!(state.cache, Some((Item::Lease(_), _))) => {
                Event::Got(None)
            }
            (Mutation::LeaveOldValue, Action::Get)
                if commits && matches!(state.cache, Some((Item::Value { .. }, _))) =>
            {
                Event::Got(None)
            }
            (Mutation::TrustToken, Action::Get) if actor.remembered.is_some() => {
                match actor.remembered.clone().map(|swap| state.apply(swap)) {
                    Some(Event::Swapped(Swap::Done)) => Event::Got(None),
                    _ => state.apply(Action::Get),
                }
            }
            (
                Mutation::StampLate,
                Action::Swap(
                    token,
                    Item::Value {
                        version,
                        asked_at: _,
                        record,
                    },
                ),
            ) if fills => {
                let asked_at = state.now;
                state.apply(Action::Swap(
                    token,
                    Item::Value {
                        version,
                        asked_at,
                        record,
                    },
                ))
            }
            (_, action) => state.apply(action),
        }
    }

    /// What a caller of the cache takes the lack of an answer for.
    pub(super) fn after_silence(&self, action: &Action<Record>) -> Event<Record> {
        match (self.mutation, action) {
            (Mutation::TrustFence, action) if is_fence(action) => Event::WasSet,
            (Mutation::TrustSilence, Action::Swap(_, Item::Value { .. })) => Event::Swapped(Swap::Done),
            (Mutation::TrustAdd, Action::Add(Item::Value { .. })) => Event::Added(true),
            _ => Event::CacheUnknown,
        }
    }

    /// What a mutation changes after an actor has taken the answer to a call.
    pub(super) fn disturb(
        &self,
        state: &mut SystemState,
        actor: &mut Actor,
        call: &Action<Record>,
        event: &Event<Record>,
    ) {
        match (self.mutation, event) {
            (Mutation::AnswerEarly, Event::Wrote(Write::Done(version))) if actor.role == Role::Add => {
                state.settled = state.settled.max(version.0);
            }
            (Mutation::AddLate, Event::Wrote(Write::Done(_))) if actor.role == Role::Create => {
                state.is_cookie_sent = true;
            }
            (Mutation::OneFence, Event::Wrote(Write::Conflict)) | (Mutation::TrustToken, Event::CacheUnknown) => {
                actor.remembered = Some(call.clone());
            }
            (Mutation::OneFence, _) if actor.remembered.is_some() && actor.pending.as_ref().is_some_and(is_fence) => {
                actor.on(Event::WasSet, Millis(0), state, self);
                actor.precedes_fence = state.has_fence_of(actor) && actor.is_writing();
            }
            (Mutation::LateFence, Event::Swapped(Swap::Changed)) if actor.pending == Some(Action::Get) => {
                actor.remembered = Some(call.clone());
            }
            (Mutation::KeepToken, Event::Swapped(Swap::Changed)) if matches!(actor.stage, Stage::CacheCommit(_)) => {
                actor.remembered = Some(call.clone());
            }
            (Mutation::KeepToken, Event::Got(Some((_, token)))) => {
                if let Some(Action::Swap(refused, _)) = &actor.remembered
                    && refused == token
                    && matches!(actor.pending, Some(Action::Swap(..)))
                {
                    actor.pending = actor.remembered.take();
                }
            }
            _ => {}
        }
    }
}
