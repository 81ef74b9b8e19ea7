use super::{Action, Event, Item, Machine, Step};
use crate::codec::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version};

/// How often a [`Settle`] looks again after another changed the item under its hands.
const LOOKS: u32 = 16;

/// After a durable write, before anyone is told: makes sure that the cache shows nothing older.
///
/// Exactly the writer's own fence becomes the new item. Anything that is or may become older is removed. What others
/// have put there since, who know more, is left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settle<R> {
    fence: Nonce,
    item: Item<R>,
    looks: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Getting,
    Publishing(Token),
    Removing,
}

/// What a [`Settle`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fenced {
    /// The cache holds nothing older than what was written.
    Settled,
    /// The cache could not be asked: it holds what it held before.
    Unsettled,
}

impl<R> Settle<R> {
    /// `item` is what was written: [`Item::Value`], or [`Item::Tombstone`] after a destroy.
    pub fn new(fence: Nonce, item: Item<R>) -> Self {
        Self {
            fence,
            item,
            looks: 0,
            state: State::Getting,
        }
    }

    fn is_newer_than(&self, other: Version) -> bool {
        match &self.item {
            Item::Value { version, .. } => *version > other,
            Item::Tombstone | Item::Lease(_) | Item::Fence(_) => true,
        }
    }

    fn look(&mut self) -> Step<R, Fenced> {
        if self.looks == LOOKS {
            return Step::End(Fenced::Unsettled);
        }
        self.looks += 1;
        self.state = State::Getting;
        Step::Do(Action::Get)
    }

    fn remove(&mut self, token: Token) -> Step<R, Fenced> {
        self.state = State::Removing;
        Step::Do(Action::Remove(token))
    }
}

impl<R: Clone> Machine<R> for Settle<R> {
    type End = Fenced;

    fn begin(&mut self, _: Millis) -> Step<R, Fenced> {
        self.look()
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, Fenced> {
        match (self.state, event) {
            (State::Getting, Event::Got(found)) => match found {
                Some((Item::Fence(fence), token)) if fence == self.fence => {
                    self.state = State::Publishing(token);
                    Step::Do(Action::Swap(token, self.item.clone()))
                }
                Some((Item::Value { version, .. }, token)) if self.is_newer_than(version) => self.remove(token),
                Some((Item::Lease(_), token)) => self.remove(token),
                Some((Item::Value { .. } | Item::Fence(_) | Item::Tombstone, _)) | None => Step::End(Fenced::Settled),
            },
            (State::Publishing(token), Event::CacheFull) => self.remove(token),
            (State::Publishing(_) | State::Removing, Event::Swapped(Swap::Done | Swap::Missing)) => {
                Step::End(Fenced::Settled)
            }
            (State::Publishing(_) | State::Removing, Event::Swapped(Swap::Changed)) => self.look(),
            _ => Step::End(Fenced::Unsettled),
        }
    }
}
