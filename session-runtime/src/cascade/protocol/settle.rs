use super::{Action, Event, Item, Machine, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version};

/// How often a [`Settle`] tries again after another has changed the item.
const MAX_ATTEMPTS: u32 = 16;

/// After the durable tier has answered, before the caller is: makes sure that the cache shows nothing older.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settle<R> {
    target: Target<R>,
    attempts: u32,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target<R> {
    /// Exactly the writer's own fence becomes the value. Anything that is or may become older is removed. What others
    /// have put there since, who know more, is left.
    Publish(Nonce, Version, Item<R>),
    /// Exactly the writer's own fence becomes the value that it took the place of; anything else is left.
    PutBack(Nonce, Item<R>),
    /// Whatever is there is covered by something that shows nothing.
    Cover(Item<R>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Getting,
    Swapping(Token),
    Removing,
    Covering,
}

/// What a [`Settle`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettleOutcome {
    /// The cache holds nothing older than what was written.
    Settled,
    /// The cache could not be asked: it holds what it held before.
    Unsettled,
}

impl<R> Settle<R> {
    /// Shows what was written. Only for a write that surely landed while exactly this fence was up: another writer may
    /// have seen a fence that went up later, and have left it to this one to show that one's newer record.
    pub(super) fn publish(fence: Nonce, version: Version, asked_at: Millis, record: R) -> Self {
        let value = Item::Value {
            version,
            asked_at,
            record,
        };
        Self::new(Target::Publish(fence, version, value))
    }

    /// Shows again what the fence took the place of, after nothing was written.
    pub(super) fn put_back(fence: Nonce, version: Version, asked_at: Millis, record: R) -> Self {
        let value = Item::Value {
            version,
            asked_at,
            record,
        };
        Self::new(Target::PutBack(fence, value))
    }

    /// Hides whatever the cache shows, until the fence expires.
    pub fn hide(fence: Nonce) -> Self {
        Self::new(Target::Cover(Item::Fence {
            writer: fence,
            replaced_version: None,
        }))
    }

    /// Shows that the session is gone. That is final, and so may be said at any time, over anything.
    pub fn tombstone() -> Self {
        Self::new(Target::Cover(Item::Tombstone))
    }

    fn new(target: Target<R>) -> Self {
        Self {
            target,
            attempts: 0,
            state: State::Getting,
        }
    }

    fn get(&mut self) -> Step<R, SettleOutcome> {
        if self.attempts == MAX_ATTEMPTS {
            return Step::End(SettleOutcome::Unsettled);
        }
        self.attempts += 1;
        self.state = State::Getting;
        Step::Do(Action::Get)
    }

    fn remove(&mut self, token: Token) -> Step<R, SettleOutcome> {
        self.state = State::Removing;
        Step::Do(Action::Remove(token))
    }
}

impl<R: Clone> Settle<R> {
    fn swap(&mut self, token: Token, value: Item<R>) -> Step<R, SettleOutcome> {
        self.state = State::Swapping(token);
        Step::Do(Action::Swap(token, value))
    }

    fn got(&mut self, item: &Item<R>, token: Token) -> Step<R, SettleOutcome> {
        match (&self.target, item) {
            (Target::Publish(mine, _, value) | Target::PutBack(mine, value), Item::Fence { writer, .. })
                if mine == writer =>
            {
                let value = value.clone();
                self.swap(token, value)
            }
            (Target::Publish(..), Item::Lease(_)) => self.remove(token),
            // A fence that may be taken back is no better than the value it hides; and its writer, who set out from
            // that version, can no longer land.
            (
                Target::Publish(_, ours, _),
                Item::Value { version: other, .. }
                | Item::Fence {
                    replaced_version: Some(other),
                    ..
                },
            ) if other < ours => self.remove(token),
            _ => Step::End(SettleOutcome::Settled),
        }
    }
}

impl<R: Clone> Machine<R> for Settle<R> {
    type End = SettleOutcome;

    fn begin(&mut self, _: Millis) -> Step<R, SettleOutcome> {
        if let Target::Cover(item) = &self.target {
            self.state = State::Covering;
            return Step::Do(Action::Set(item.clone()));
        }
        self.get()
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, SettleOutcome> {
        match (self.state, event) {
            (State::Getting, Event::Got(Some((item, token)))) => self.got(&item, token),
            (State::Getting, Event::Got(None))
            | (State::Covering, Event::WasSet)
            | (State::Swapping(_) | State::Removing, Event::Swapped(Swap::Done | Swap::Missing)) => {
                Step::End(SettleOutcome::Settled)
            }
            (State::Swapping(token), Event::CacheFull) => self.remove(token),
            (State::Swapping(_) | State::Removing, Event::Swapped(Swap::Changed)) => self.get(),
            _ => Step::End(SettleOutcome::Unsettled),
        }
    }
}
