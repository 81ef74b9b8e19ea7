use super::{Action, Event, Item, Machine, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version};

/// How many times a [`Settle`] reads the item, each time after another caller has changed it.
const MAX_ATTEMPTS: u32 = 16;

/// Makes sure that the cache shows nothing older than what the durable tier has, before a commit is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settle<R> {
    target: Target<R>,
    attempts: u32,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target<R> {
    /// The value replaces exactly what `loaded` names, or the writer's own fence. What is or may become older is removed.
    /// Anything else is newer, and stays.
    Publish {
        /// Forgotten once it was used: where it was refused, or not answered, it names nothing any more.
        loaded: Option<Token>,
        fence: Nonce,
        version: Version,
        value: Item<R>,
    },
    /// The writer's own fence becomes the value that it replaced; without one, it is removed. Anything else stays.
    Withdraw(Nonce, Option<Item<R>>),
    /// Exactly what the token names is removed.
    Discard(Token),
    /// A fence or a tombstone is set over whatever is there.
    Cover(Item<R>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Getting,
    Swapping(Token),
    Removing,
    Covering,
}

/// How a [`Settle`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettleOutcome {
    /// The cache shows nothing older than what was written.
    Settled,
    /// The cache failed, or was changed in every attempt: it may show an older value.
    Unsettled,
}

impl<R> Settle<R> {
    /// Shows what was written. Only for a write that was certainly applied while exactly this fence was in place: another
    /// writer, with a newer record, leaves a later fence of this writer in place, for this writer to settle.
    pub(super) fn publish(fence: Nonce, version: Version, asked_at: Millis, record: R) -> Self {
        Self::shows(None, fence, version, asked_at, record)
    }

    /// Shows what was written in place of the value that was loaded, by a writer without a fence. If that value is no
    /// longer there, only removes: a fence would now replace that of a later writer, who would leave it for this one.
    pub(super) fn replace(loaded: Token, fence: Nonce, version: Version, asked_at: Millis, record: R) -> Self {
        Self::shows(Some(loaded), fence, version, asked_at, record)
    }

    fn shows(loaded: Option<Token>, fence: Nonce, version: Version, asked_at: Millis, record: R) -> Self {
        let value = Item::Value {
            version,
            asked_at,
            record,
        };
        Self::new(Target::Publish {
            loaded,
            fence,
            version,
            value,
        })
    }

    /// Removes a value that was loaded and is now outdated.
    pub(super) fn discard(loaded: Token) -> Self {
        Self::new(Target::Discard(loaded))
    }

    /// Shows again the value that the fence replaced, where certainly nothing was written since that was loaded.
    pub(super) fn restore(fence: Nonce, version: Version, asked_at: Millis, record: R) -> Self {
        let value = Item::Value {
            version,
            asked_at,
            record,
        };
        Self::new(Target::Withdraw(fence, Some(value)))
    }

    /// Removes the fence of a writer that has written nothing.
    pub(super) fn remove(fence: Nonce) -> Self {
        Self::new(Target::Withdraw(fence, None))
    }

    /// Hides whatever is cached, until the fence expires.
    pub fn hide(fence: Nonce) -> Self {
        Self::new(Target::Cover(Item::Fence {
            writer: fence,
            replaced_version: None,
        }))
    }

    /// Shows that the session was destroyed. That is final, so that it may be set at any time, over anything.
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

    fn remove_item(&mut self, token: Token) -> Step<R, SettleOutcome> {
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
            (
                Target::Publish { fence, value, .. } | Target::Withdraw(fence, Some(value)),
                Item::Fence { writer, .. },
            ) if fence == writer => {
                let value = value.clone();
                self.swap(token, value)
            }
            (Target::Withdraw(fence, None), Item::Fence { writer, .. }) if fence == writer => self.remove_item(token),
            (Target::Publish { .. }, Item::Lease(_)) => self.remove_item(token),
            // The fence's writer may restore the older value. Its write, based on that version, can no longer be applied.
            (
                Target::Publish { version: ours, .. },
                Item::Value { version: other, .. }
                | Item::Fence {
                    replaced_version: Some(other),
                    ..
                },
            ) if other < ours => self.remove_item(token),
            _ => Step::End(SettleOutcome::Settled),
        }
    }
}

impl<R: Clone> Machine<R> for Settle<R> {
    type End = SettleOutcome;

    fn begin(&mut self, _: Millis) -> Step<R, SettleOutcome> {
        self.attempts = 0;
        match &mut self.target {
            Target::Cover(item) => {
                let item = item.clone();
                self.state = State::Covering;
                Step::Do(Action::Set(item))
            }
            Target::Discard(loaded) => {
                let loaded = *loaded;
                self.remove_item(loaded)
            }
            Target::Publish { loaded, value, .. } => match loaded.take() {
                Some(loaded) => {
                    let value = value.clone();
                    self.swap(loaded, value)
                }
                None => self.get(),
            },
            Target::Withdraw(..) => self.get(),
        }
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, SettleOutcome> {
        match (self.state, event) {
            (State::Getting, Event::Got(Some((item, token)))) => self.got(&item, token),
            (State::Getting, Event::Got(None))
            | (State::Covering, Event::WasSet)
            | (State::Swapping(_) | State::Removing, Event::Swapped(Swap::Done | Swap::Missing)) => {
                Step::End(SettleOutcome::Settled)
            }
            (State::Removing, Event::Swapped(_)) if matches!(self.target, Target::Discard(_)) => {
                Step::End(SettleOutcome::Settled)
            }
            (State::Swapping(token), Event::CacheFull) => self.remove_item(token),
            (State::Swapping(_) | State::Removing, Event::Swapped(Swap::Changed)) => self.get(),
            _ => Step::End(SettleOutcome::Unsettled),
        }
    }
}
