//! Decides whether a history may be. Each rule is a function of the history alone.

use std::collections::BTreeMap;
use std::time::Duration;

use session_tests::attack::View;

use super::history::{History, Kind, Op, Outcome, Seen};

/// What the clocks of the checker and the nodes may differ by: nodes count in milliseconds.
const SLACK: Duration = Duration::from_millis(20);

/// Everything in the history that must not be, in words.
pub(super) fn check(history: &History, max_staleness: Duration) -> Vec<String> {
    let look = Look {
        history,
        max_staleness,
        by_number: history.ops.iter().map(|op| (op.number, op)).collect(),
    };
    let mut found = Vec::new();
    for op in &history.ops {
        if let Outcome::Wrong(what) = &op.outcome {
            found.push(format!("an answer that must not be ({what}): {op}"));
        }
        if let Some(view) = op.view() {
            found.extend(look.no_foreign_value(op, view));
            found.extend(every_add_counts_once(op, view));
            found.extend(look.nothing_from_nowhere(op, view));
            found.extend(look.no_acknowledged_add_is_missing(op, view));
            found.extend(look.no_older_note(op, view));
            found.extend(look.nothing_after_a_destroy(op));
        }
        found.extend(look.no_session_is_lost(op));
    }
    found
}

impl Op {
    /// What the handler saw of a session that there is.
    fn view(&self) -> Option<&View> {
        match &self.outcome {
            Outcome::Answered(view, _) if !view.is_new => Some(view),
            _ => None,
        }
    }

    /// Whether it is certain that this operation wrote, and will write, nothing.
    fn is_void(&self) -> bool {
        match &self.outcome {
            Outcome::Answered(view, _) => view.is_new,
            Outcome::Gone | Outcome::Refused(_) => true,
            Outcome::Unknown(_) | Outcome::Wrong(_) => false,
        }
    }

    /// Whether it says that there is no such session.
    fn saw_nothing(&self) -> bool {
        match &self.outcome {
            Outcome::Answered(view, _) => view.is_new,
            Outcome::Gone => true,
            _ => false,
        }
    }
}

struct Look<'a> {
    history: &'a History,
    max_staleness: Duration,
    by_number: BTreeMap<u32, &'a Op>,
}

/// As many visits as adds.
fn every_add_counts_once(op: &Op, view: &View) -> Option<String> {
    (view.visits != view.adds.len() as u64).then(|| format!("an add was not counted exactly once: {op}"))
}

impl Look<'_> {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Op> {
        self.history.ops.iter().filter(move |op| op.kind == kind)
    }

    /// From when on every read must see an acknowledged write; `None` for a write that was not acknowledged.
    fn seen_from(&self, write: &Op) -> Option<Duration> {
        match &write.outcome {
            Outcome::Answered(view, seen) if !view.is_new => Some(match seen {
                Seen::Clean | Seen::ByAll | Seen::Degraded => write.end,
                Seen::Unfenced => write.end + self.max_staleness + SLACK,
            }),
            _ => None,
        }
    }

    /// No value of another session, ever.
    fn no_foreign_value(&self, op: &Op, view: &View) -> Option<String> {
        (view.id != self.history.id).then(|| format!("a value of another session: {op}"))
    }

    /// What is seen has been asked for before, by a write that was not refused.
    fn nothing_from_nowhere(&self, op: &Op, view: &View) -> Vec<String> {
        let adds = view.adds.iter().map(|number| (*number, Kind::Add));
        let note = (view.note != 0).then_some((view.note, Kind::Note));
        let wrong = adds.chain(note).filter_map(|(number, kind)| {
            match self.by_number.get(&number).filter(|write| write.kind == kind) {
                None => Some(format!("{kind:?} {number} was never asked for: {op}")),
                Some(write) if write.is_void() && !self.may_have_died_before(write) => {
                    Some(format!("a refused write was made all the same: {write}: {op}"))
                }
                Some(write) if write.start > op.end => Some(format!("{kind:?} {number} lies in the future: {op}")),
                Some(_) => None,
            }
        });
        wrong.collect()
    }

    /// Whether a write that was told that the session has ended may have been made before that end: it heard nothing
    /// from the durable tier, and then found no session in which to look for itself.
    fn may_have_died_before(&self, write: &Op) -> bool {
        let mut destroys = self.of(Kind::Destroy);
        write.outcome == Outcome::Gone && destroys.any(|destroy| !destroy.is_void() && destroy.start < write.end)
    }

    /// No read older than an acknowledged add.
    fn no_acknowledged_add_is_missing(&self, op: &Op, view: &View) -> Vec<String> {
        let missing = self.of(Kind::Add).filter(|add| {
            let seen_from = self.seen_from(add);
            seen_from.is_some_and(|from| from < op.start) && !view.adds.contains(&add.number)
        });
        missing
            .map(|add| format!("an acknowledged add is missing: {add}: {op}"))
            .collect()
    }

    /// No read older than an acknowledged note: what is seen was not overwritten by a note that set out after it had
    /// ended, and that every read had to see.
    fn no_older_note(&self, op: &Op, view: &View) -> Option<String> {
        let ended = match view.note {
            0 => Duration::ZERO,
            number => {
                let write = self.by_number.get(&number)?;
                // One whose outcome is unknown may land at any time.
                self.seen_from(write)?;
                write.end
            }
        };
        let newer = self.of(Kind::Note).find(|note| {
            let is_later = view.note == 0 || note.start > ended;
            is_later && self.seen_from(note).is_some_and(|from| from < op.start)
        })?;
        // A note of its own shows before it is written.
        (view.note != op.number).then(|| format!("a note older than an acknowledged one ({newer}): {op}"))
    }

    /// Nothing after an acknowledged destroy; and no write is acknowledged after it, whatever the caches show.
    fn nothing_after_a_destroy(&self, op: &Op) -> Vec<String> {
        let wrote = op.kind != Kind::Read && !matches!(op.outcome, Outcome::Answered(_, Seen::Clean));
        let seen = self.of(Kind::Destroy).filter_map(|destroy| {
            let from = self.seen_from(destroy)?;
            // A destroy of what is already destroyed may be told that it is.
            let lands = wrote && op.kind != Kind::Destroy && destroy.end < op.start;
            let is_seen = from < op.start;
            (destroy.number != op.number && (is_seen || lands))
                .then(|| format!("seen after an acknowledged destroy ({destroy}): {op}"))
        });
        seen.collect()
    }

    /// A session that nobody may have destroyed, shown with a secret that nobody may have superseded, is there.
    fn no_session_is_lost(&self, op: &Op) -> Option<String> {
        if !op.saw_nothing() {
            return None;
        }
        let is_excused = self.history.ops.iter().any(|other| {
            let may_have_been = other.start < op.end && !other.is_void();
            match other.kind {
                Kind::Destroy => may_have_been,
                // The secret before is honoured, so it takes a rotation of one that came after.
                Kind::Rotate => may_have_been && other.cookie > op.cookie,
                _ => false,
            }
        });
        (!is_excused).then(|| format!("the session is lost: {op}"))
    }
}
