//! Decides whether a history is valid. Each rule is a function of the history alone.

use std::collections::BTreeMap;
use std::time::Duration;

use session_tests::attack::View;

use super::history::{Ack, History, Kind, Op, Outcome};

/// By how much the times of the checker and of the nodes may differ: nodes count in milliseconds.
const SLACK: Duration = Duration::from_millis(20);

/// The violations in a history, one line each.
pub(super) fn check(history: &History, max_staleness: Duration) -> Vec<String> {
    let checker = Checker {
        history,
        max_staleness,
        by_number: history.ops.iter().map(|op| (op.number, op)).collect(),
    };
    let mut found = Vec::new();
    for op in &history.ops {
        if let Outcome::Unexpected(what) = &op.outcome {
            found.push(format!("an unexpected response ({what}): {op}"));
        }
        if let Some(view) = op.view() {
            found.extend(checker.no_foreign_value(op, view));
            found.extend(every_add_counts_once(op, view));
            found.extend(checker.only_requested_writes(op, view));
            found.extend(checker.no_acknowledged_add_is_missing(op, view));
            found.extend(checker.no_older_note(op, view));
            found.extend(checker.nothing_after_a_destroy(op));
        }
        found.extend(checker.no_session_is_lost(op));
    }
    found
}

impl Op {
    /// What the handler saw, if there was a session.
    fn view(&self) -> Option<&View> {
        match &self.outcome {
            Outcome::Answered(view, _) if !view.is_new => Some(view),
            _ => None,
        }
    }

    /// Whether this operation certainly wrote, and will write, nothing.
    fn wrote_nothing(&self) -> bool {
        match &self.outcome {
            Outcome::Answered(view, _) => view.is_new,
            Outcome::Gone | Outcome::Refused(_) => true,
            Outcome::Unknown(_) | Outcome::Unexpected(_) => false,
        }
    }

    /// Whether the response says that there is no such session.
    fn saw_nothing(&self) -> bool {
        match &self.outcome {
            Outcome::Answered(view, _) => view.is_new,
            Outcome::Gone => true,
            _ => false,
        }
    }
}

struct Checker<'a> {
    history: &'a History,
    max_staleness: Duration,
    by_number: BTreeMap<u32, &'a Op>,
}

/// There are as many visits as adds.
fn every_add_counts_once(op: &Op, view: &View) -> Option<String> {
    (view.visits != view.adds.len() as u64).then(|| format!("an add was not counted exactly once: {op}"))
}

impl Checker<'_> {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Op> {
        self.history.ops.iter().filter(move |op| op.kind == kind)
    }

    /// The time from which on every read must see a write; `None` for a write that was not acknowledged.
    fn seen_from(&self, write: &Op) -> Option<Duration> {
        match &write.outcome {
            Outcome::Answered(view, seen) if !view.is_new => Some(match seen {
                Ack::Clean | Ack::Coherent | Ack::Degraded => write.end,
                Ack::Unfenced => write.end + self.max_staleness + SLACK,
            }),
            _ => None,
        }
    }

    /// No read returns another session.
    fn no_foreign_value(&self, op: &Op, view: &View) -> Option<String> {
        (view.id != self.history.id).then(|| format!("a value of another session: {op}"))
    }

    /// Every value that is read was written by an earlier operation that was not refused.
    fn only_requested_writes(&self, op: &Op, view: &View) -> Vec<String> {
        let adds = view.adds.iter().map(|number| (*number, Kind::Add));
        let note = (view.note != 0).then_some((view.note, Kind::Note));
        let wrong = adds.chain(note).filter_map(|(number, kind)| {
            match self.by_number.get(&number).filter(|write| write.kind == kind) {
                None => Some(format!("{kind:?} {number} was never requested: {op}")),
                Some(write) if write.wrote_nothing() && !self.may_precede_the_end(write) => {
                    Some(format!("a refused write was applied: {write}: {op}"))
                }
                Some(write) if write.start > op.end => Some(format!("{kind:?} {number} was requested later: {op}")),
                Some(_) => None,
            }
        });
        wrong.collect()
    }

    /// Whether a write that failed with `Gone` may have been applied before the session ended: the durable tier did not
    /// answer, and afterwards there was no record in which to find the write.
    fn may_precede_the_end(&self, write: &Op) -> bool {
        let mut destroys = self.of(Kind::Destroy);
        write.outcome == Outcome::Gone && destroys.any(|destroy| !destroy.wrote_nothing() && destroy.start < write.end)
    }

    /// No read misses an acknowledged add.
    fn no_acknowledged_add_is_missing(&self, op: &Op, view: &View) -> Vec<String> {
        let missing = self.of(Kind::Add).filter(|add| {
            let seen_from = self.seen_from(add);
            seen_from.is_some_and(|from| from < op.start) && !view.adds.contains(&add.number)
        });
        missing
            .map(|add| format!("an acknowledged add is missing: {add}: {op}"))
            .collect()
    }

    /// No read returns a note that was overwritten: by one that began after it had ended, and that every read must see.
    fn no_older_note(&self, op: &Op, view: &View) -> Option<String> {
        let ended = match view.note {
            0 => Duration::ZERO,
            number => {
                let write = self.by_number.get(&number)?;
                // A write with an unknown outcome may be applied at any time.
                self.seen_from(write)?;
                write.end
            }
        };
        let newer = self.of(Kind::Note).find(|note| {
            let is_later = view.note == 0 || note.start > ended;
            is_later && self.seen_from(note).is_some_and(|from| from < op.start)
        })?;
        // An operation sees its own note before it is written.
        (view.note != op.number).then(|| format!("a note older than an acknowledged one ({newer}): {op}"))
    }

    /// After an acknowledged destroy the session is not seen, and no write is acknowledged, whatever is cached.
    fn nothing_after_a_destroy(&self, op: &Op) -> Vec<String> {
        let wrote = op.kind != Kind::Read && !matches!(op.outcome, Outcome::Answered(_, Ack::Clean));
        let seen = self.of(Kind::Destroy).filter_map(|destroy| {
            let from = self.seen_from(destroy)?;
            // A second destroy may succeed.
            let writes_later = wrote && op.kind != Kind::Destroy && destroy.end < op.start;
            let is_seen = from < op.start;
            (destroy.number != op.number && (is_seen || writes_later))
                .then(|| format!("seen after an acknowledged destroy ({destroy}): {op}"))
        });
        seen.collect()
    }

    /// A session is found if no destroy may have ended it, and no rotation may have ended the secret that is presented.
    fn no_session_is_lost(&self, op: &Op) -> Option<String> {
        if !op.saw_nothing() {
            return None;
        }
        let may_be_gone = self.history.ops.iter().any(|other| {
            let may_be_applied = other.start < op.end && !other.wrote_nothing();
            match other.kind {
                Kind::Destroy => may_be_applied,
                // The previous secret is accepted, so that only the second rotation ends a secret.
                Kind::Rotate => may_be_applied && other.cookie > op.cookie,
                _ => false,
            }
        });
        (!may_be_gone).then(|| format!("the session is lost: {op}"))
    }
}
