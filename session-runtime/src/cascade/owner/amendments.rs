//! What is done to an owner's record, each in one compare-and-swap.

use std::convert::Infallible;

use super::record::{EPOCH_KEPT, Entry, OwnerList, OwnerRecord};
use crate::cascade::protocol::Amendment;
use crate::session::meta::{Millis, Nonce};

/// What becomes of a sign-in where an owner has as many sessions as it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BeyondMax {
    /// The session whose sign-in is the oldest is ended.
    #[default]
    EndOldest,
    /// The sign-in is refused.
    RefuseNewest,
}

/// Enters a session, before it is signed in to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enter {
    /// The session.
    pub entry: Entry,
    /// The epoch that the sign-in began in: that of the first attempt, where none was handed in.
    pub epoch: Option<u64>,
    /// How many sessions an owner may have, this one included.
    pub max: usize,
    /// What becomes of it beyond that.
    pub beyond: BeyondMax,
    /// What the other sessions were found to be; `None` where they were not looked up.
    pub looked_up: Option<LookedUp>,
    /// The time.
    pub now: Millis,
    /// Of the last attempt: the entry that the session had before.
    pub previous: Option<Entry>,
    /// Of the last attempt: what is to be destroyed, among it what had to make room.
    pub ending: Vec<Entry>,
}

/// What sessions were found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LookedUp {
    /// Those that the owner has left, or that belong to somebody else.
    pub left: Vec<Entry>,
    /// Those that there are no more, or that have expired.
    pub over: Vec<Entry>,
}

/// Why a session cannot be entered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EnterError {
    /// The owner's sessions were ended since the sign-in began.
    Ended,
    /// There are too many. These are to be looked up, since some may have ended.
    LookUp(Vec<Entry>),
    /// There are too many.
    TooMany,
}

impl Enter {
    /// Enters this one, into a record that it has to find in `epoch`.
    pub fn new(entry: Entry, epoch: Option<u64>, (max, beyond): (usize, BeyondMax), now: Millis) -> Self {
        Self {
            entry,
            epoch,
            max,
            beyond,
            looked_up: None,
            now,
            previous: None,
            ending: Vec::new(),
        }
    }

    /// Makes room for one more.
    fn make_room(&self, list: &mut OwnerList) -> Result<(), EnterError> {
        if list.live.len() < self.max {
            return Ok(());
        }
        if self.looked_up.is_none() {
            return Err(EnterError::LookUp(list.live.clone()));
        }
        if self.beyond == BeyondMax::RefuseNewest {
            return Err(EnterError::TooMany);
        }
        // In the order of the sign-ins, whatever the clocks of their nodes said.
        let beyond = list.live.len() + 1 - self.max;
        list.ending.extend(list.live.drain(..beyond));
        Ok(())
    }
}

impl Amendment<OwnerRecord> for Enter {
    type Error = EnterError;

    fn amend(&mut self, current: Option<&OwnerRecord>) -> Result<Option<OwnerRecord>, EnterError> {
        let mut list = current.map(OwnerRecord::list).cloned().unwrap_or_default();
        self.ending.clone_from(&list.ending);
        let Entry { key, nonce, .. } = &self.entry;
        if list.is_live(key, Nonce(*nonce)) {
            return Ok(None);
        }
        let is_ending = list.ending.iter().any(|entry| entry.key == *key);
        // That of the first attempt, which may have been applied: were it not compared, a later one would enter what was
        // ended in between.
        let epoch = *self.epoch.get_or_insert(list.epoch);
        if epoch != list.epoch || is_ending {
            return Err(EnterError::Ended);
        }
        let LookedUp { left, over } = self.looked_up.clone().unwrap_or_default();
        list.live.retain(|entry| !left.contains(entry));
        // To be destroyed, not only taken out: a node whose clock is slow may serve them yet, or a sign-in be about to create
        // them.
        let is_over = |entry: &mut Entry| entry.ends <= self.now.0 || over.contains(entry);
        let over: Vec<_> = list.live.extract_if(.., is_over).collect();
        list.ending.extend(over);
        list.forget_old(self.now);
        let before = list.live.iter().position(|entry| entry.key == *key);
        self.previous = before.map(|before| list.live.remove(before));
        self.make_room(&mut list)?;
        list.live.push(self.entry.clone());
        self.ending.clone_from(&list.ending);
        Ok(Some(OwnerRecord::new(list)))
    }
}

/// Takes back an entry whose sign-in was certainly not committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Undo {
    /// The entry.
    pub entry: Entry,
    /// What it replaced.
    pub previous: Option<Entry>,
}

impl Amendment<OwnerRecord> for Undo {
    type Error = Infallible;

    fn amend(&mut self, current: Option<&OwnerRecord>) -> Result<Option<OwnerRecord>, Infallible> {
        let Some(mut list) = current.map(OwnerRecord::list).cloned() else {
            return Ok(None);
        };
        let Some(at) = list.live.iter().position(|entry| *entry == self.entry) else {
            return Ok(None);
        };
        match &self.previous {
            Some(previous) => list.live[at] = previous.clone(),
            None => drop(list.live.remove(at)),
        }
        Ok(Some(OwnerRecord::new(list)))
    }
}

/// Which of an owner's sessions are to be ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// All of them, and those that are being signed in to.
    All,
    /// The same without the session that has this key.
    AllExcept(String),
    /// The one that has this key.
    One(String),
    /// These entries.
    These(Vec<Entry>),
    /// None but those that others have left to be destroyed.
    LeftOver,
}

/// Moves sessions to those that are to be destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct End {
    which: Which,
    /// The new epoch.
    epoch: Nonce,
    now: Millis,
    /// Of the last attempt: everything that is to be destroyed, also what others have left.
    pub ending: Vec<Entry>,
}

impl End {
    /// `epoch` is a fresh nonce, for where all are ended.
    pub fn new(which: Which, epoch: Nonce, now: Millis) -> Self {
        Self {
            which,
            epoch,
            now,
            ending: Vec::new(),
        }
    }
}

impl Amendment<OwnerRecord> for End {
    type Error = Infallible;

    fn amend(&mut self, current: Option<&OwnerRecord>) -> Result<Option<OwnerRecord>, Infallible> {
        let mut list = current.map(OwnerRecord::list).cloned().unwrap_or_default();
        let ends_all = matches!(self.which, Which::All | Which::AllExcept(_));
        let is_made = ends_all && list.epoch == self.epoch.0;
        let moves = |entry: &mut Entry| match &self.which {
            Which::LeftOver => false,
            _ if is_made => false,
            Which::All => true,
            Which::AllExcept(key) => entry.key != *key,
            Which::One(key) => entry.key == *key,
            Which::These(entries) => entries.contains(entry),
        };
        list.forget_old(self.now);
        let taken: Vec<_> = list.live.extract_if(.., moves).collect();
        let is_changed = !taken.is_empty() || (ends_all && !is_made);
        list.ending.extend(taken);
        self.ending.clone_from(&list.ending);
        if !is_changed {
            return Ok(None);
        }
        if ends_all {
            list.epoch = self.epoch.0;
            list.epoch_until = self.now.after(EPOCH_KEPT).0;
        }
        Ok(Some(OwnerRecord::new(list)))
    }
}

/// Takes entries out: of the live ones, those whose sessions have ended or belong to nobody any more; of the ending ones,
/// those that were destroyed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TakeOut {
    /// Live entries, exactly as they were.
    pub live: Vec<Entry>,
    /// The keys of live entries whose sessions were destroyed, whatever sign-in they are of.
    pub destroyed: Vec<String>,
    /// The key of a session that has no owner any more, and the entry that it had.
    pub left: Option<(String, Nonce)>,
    /// Ending entries.
    pub ended: Vec<Entry>,
}

impl Amendment<OwnerRecord> for TakeOut {
    type Error = Infallible;

    fn amend(&mut self, current: Option<&OwnerRecord>) -> Result<Option<OwnerRecord>, Infallible> {
        let Some(current) = current.map(OwnerRecord::list) else {
            return Ok(None);
        };
        let mut list = current.clone();
        let has_left = |entry: &Entry| self.left.as_ref().is_some_and(|(key, nonce)| entry.is(key, *nonce));
        list.live
            .retain(|entry| !self.live.contains(entry) && !self.destroyed.contains(&entry.key) && !has_left(entry));
        list.ending.retain(|entry| !self.ended.contains(entry));
        Ok((list != *current).then(|| OwnerRecord::new(list)))
    }
}

/// Reads the record, and writes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Look {
    /// What it lists.
    pub found: OwnerList,
}

impl Amendment<OwnerRecord> for Look {
    type Error = Infallible;

    fn amend(&mut self, current: Option<&OwnerRecord>) -> Result<Option<OwnerRecord>, Infallible> {
        self.found = current.map(OwnerRecord::list).cloned().unwrap_or_default();
        Ok(None)
    }
}
