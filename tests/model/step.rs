//! One question and its answer, as the protocol has it or with a wrong turn.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::{Swap, Token, Write};

use super::Setting;
use super::record::{Part, Rec};
use super::world::World;
use crate::actor::{Actor, How, Stage};

/// Later than any value in the model may be.
const OLD: Millis = Millis(1_000);

/// A wrong turn, to show that the model sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Twist {
    /// The protocol as it is.
    #[default]
    None,
    /// After a conflict the writer trusts its first fence.
    OneFence,
    /// The durable record is deleted whatever its version.
    BlindDelete,
    /// The caller is told before the cache is settled.
    AnswerEarly,
    /// Readers leave leases, writers no fences.
    NoFence,
    /// Readers put into the cache whatever they read, and writers delete it.
    CacheAside,
    /// A fence whose fate is not known is taken to be up.
    TrustFence,
    /// A writer takes the conflict with its own late write for success.
    TrustConflict,
    /// A writer leaves another's fence, even one that may be taken back and hides an older record.
    LeaveOldFence,
    /// An insert that may yet land is sent again under the same key.
    SameKey,
}

impl Setting {
    /// One actor's question is asked, and it takes the answer.
    pub(super) fn step(&self, world: &mut World, index: usize, how: How) {
        let mut actor = world.actors.remove(index);
        actor.start(world, self);
        let Some(action) = actor.pending.take() else { return };
        let (event, now) = match how {
            How::Answered => (self.answer(world, &actor, action), Millis(0)),
            How::Old => (self.answer(world, &actor, action), OLD),
            How::Refused if is_to_cache(&action) => (Event::CacheFailed, Millis(0)),
            How::Refused => {
                world.left.outages -= 1;
                (Event::DurableFailed, Millis(0))
            }
            How::Full => {
                world.left.outages -= 1;
                (Event::DurableFull, Millis(0))
            }
            How::Lost => (self.lose(world, &actor, action), Millis(0)),
        };
        if how == How::Old {
            world.left.olds -= 1;
        }
        if self.twist == Twist::AnswerEarly
            && let (Event::Wrote(Write::Done(version)), Part::Add) = (&event, actor.part)
        {
            world.settled = world.settled.max(version.0);
        }
        actor.conflicted |= self.twist == Twist::OneFence && event == Event::Wrote(Write::Conflict);
        actor.on(event, now, world, self);
        if actor.conflicted && matches!(&actor.stage, Stage::Commit(_)) && actor.pending.as_ref().is_some_and(is_fence)
        {
            actor.on(Event::WasSet, Millis(0), world, self);
        }
        if actor.stage != Stage::Done {
            world.actors.push(actor);
        }
    }

    fn lose(&self, world: &mut World, actor: &Actor, action: Action<Rec>) -> Event<Rec> {
        let to_cache = is_to_cache(&action);
        let is_fence = is_fence(&action);
        if action != Action::Get && !(self.large && is_large(&action)) {
            world.late.push((actor.who, action));
        }
        if !to_cache {
            world.left.silences -= 1;
            return Event::DurableUnknown;
        }
        world.left.losses -= 1;
        if is_fence && self.twist == Twist::TrustFence {
            return Event::WasSet;
        }
        Event::CacheFailed
    }

    /// What the tiers answer; a twisted actor asks something else, or hears something else.
    fn answer(&self, world: &mut World, actor: &Actor, action: Action<Rec>) -> Event<Rec> {
        if self.large && is_large(&action) {
            return Event::CacheFull;
        }
        match (self.twist, action) {
            (Twist::BlindDelete, Action::Delete(base)) => {
                let base = world.durable.as_ref().map_or(base, |(version, _)| *version);
                world.apply(Action::Delete(base))
            }
            (Twist::NoFence | Twist::CacheAside, action) if is_fence(&action) => match action {
                Action::Swap(..) => Event::Swapped(Swap::Done),
                _ => Event::WasSet,
            },
            (Twist::CacheAside, Action::Add(Item::Lease(_))) => Event::Added(true),
            (Twist::CacheAside, Action::Get) if matches!(actor.stage, Stage::Fill(_)) => {
                let lease = Item::Lease(Nonce(actor.lease.unwrap_or_default()));
                Event::Got(Some((lease, Token(0))))
            }
            (Twist::CacheAside, Action::Swap(_, item)) if matches!(actor.stage, Stage::Fill(_)) => {
                world.apply(Action::Set(item));
                Event::Swapped(Swap::Done)
            }
            (Twist::LeaveOldFence, Action::Get) if matches!(actor.stage, Stage::Commit(_)) => {
                match world.apply(Action::Get) {
                    Event::Got(Some((Item::Fence { writer, .. }, token))) => Event::Got(Some((
                        Item::Fence {
                            writer,
                            replaced_version: None,
                        },
                        token,
                    ))),
                    event => event,
                }
            }
            (Twist::TrustConflict, Action::Update(base, record)) => {
                let event = world.apply(Action::Update(base, record.clone()));
                match &world.durable {
                    Some((version, lies)) if *lies == record => Event::Wrote(Write::Done(*version)),
                    _ => event,
                }
            }
            (_, action) => world.apply(action),
        }
    }
}

pub(super) fn is_to_cache(action: &Action<Rec>) -> bool {
    matches!(
        action,
        Action::Get | Action::Add(_) | Action::Set(_) | Action::Swap(..) | Action::Remove(_)
    )
}

fn is_fence(action: &Action<Rec>) -> bool {
    matches!(
        action,
        Action::Set(Item::Fence { .. }) | Action::Swap(_, Item::Fence { .. })
    )
}

fn is_large(action: &Action<Rec>) -> bool {
    match action {
        Action::Add(Item::Value { record, .. })
        | Action::Set(Item::Value { record, .. })
        | Action::Swap(_, Item::Value { record, .. }) => record.adds != 0,
        _ => false,
    }
}
