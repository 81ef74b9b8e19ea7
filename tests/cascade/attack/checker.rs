//! Decides whether a history is valid. Each rule is a function of the history alone.

use std::collections::BTreeMap;
use std::time::Duration;

use session_tests::attack::View;

use super::history::{Ack, History, Kind, Op, Outcome};

/// How much later than the maximum staleness an old value may be read. Where the clock of the reader's node is slow, that
/// time is up when memcached forgets the value: it counts in whole seconds, rounded up.
const SLACK: Duration = Duration::from_millis(1020);

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
            found.extend(checker.nothing_older(op, view.note, Kind::Note));
            found.extend(checker.nothing_older(op, view.user, Kind::SignIn));
            found.extend(checker.nothing_after_an_end(op));
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
    fn of(&self, is: impl Fn(Kind) -> bool) -> impl Iterator<Item = &Op> {
        self.history.ops.iter().filter(move |op| is(op.kind))
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
        let is_same = |one: Kind, other: Kind| one == other || (one.is_add() && other.is_add());
        let adds = view.adds.iter().map(|number| (*number, Kind::Add));
        let latest = [(view.note, Kind::Note), (view.user, Kind::SignIn)];
        let latest = latest.into_iter().filter(|(number, _)| *number != 0);
        let wrong = adds.chain(latest).filter_map(|(number, kind)| {
            match self.by_number.get(&number).filter(|write| is_same(write.kind, kind)) {
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
        let mut destroys = self.of(|kind| kind == Kind::Destroy);
        write.outcome == Outcome::Gone && destroys.any(|destroy| !destroy.wrote_nothing() && destroy.start < write.end)
    }

    /// No read misses an acknowledged add.
    fn no_acknowledged_add_is_missing(&self, op: &Op, view: &View) -> Vec<String> {
        let missing = self.of(Kind::is_add).filter(|add| {
            let seen_from = self.seen_from(add);
            seen_from.is_some_and(|from| from < op.start) && !view.adds.contains(&add.number)
        });
        missing
            .map(|add| format!("an acknowledged add is missing: {add}: {op}"))
            .collect()
    }

    /// No read returns the number of a note, or of a sign-in, that was overwritten: by one that began after it had ended,
    /// and that every read must see.
    fn nothing_older(&self, op: &Op, seen: u32, kind: Kind) -> Option<String> {
        let ended = match seen {
            0 => Duration::ZERO,
            number => {
                let write = self.by_number.get(&number)?;
                // A write with an unknown outcome may be applied at any time.
                self.seen_from(write)?;
                write.end
            }
        };
        let newer = self.of(|other| other == kind).find(|write| {
            let is_later = seen == 0 || write.start > ended;
            is_later && self.seen_from(write).is_some_and(|from| from < op.start)
        })?;
        // An operation sees its own write before it is made.
        (seen != op.number).then(|| format!("a {kind:?} older than an acknowledged one ({newer}): {op}"))
    }

    /// When the client got the cookie that an operation sent.
    fn issued(&self, op: &Op) -> Duration {
        self.by_number
            .get(&op.issuer)
            .map_or(Duration::ZERO, |issuer| issuer.end)
    }

    /// After an acknowledged destroy the session is not seen, and no write is acknowledged, whatever is cached. After an
    /// acknowledged sign-in that holds for who presents a secret from before.
    fn nothing_after_an_end(&self, op: &Op) -> Vec<String> {
        let wrote = !matches!(op.outcome, Outcome::Answered(_, Ack::Clean));
        let seen = self.of(|kind| kind == Kind::Destroy || kind == Kind::SignIn);
        let seen = seen.filter_map(|end| {
            let is_destroy = end.kind == Kind::Destroy;
            if !is_destroy && self.issued(op) > end.start {
                return None;
            }
            let from = self.seen_from(end)?;
            // A second destroy may succeed.
            let may_write = is_destroy && op.kind == Kind::Destroy;
            let writes_later = wrote && !may_write && end.end < op.start;
            let is_seen = from < op.start;
            (end.number != op.number && (is_seen || writes_later)).then(|| {
                let what = if is_destroy { "destroy" } else { "sign-in" };
                format!("seen after an acknowledged {what} ({end}): {op}")
            })
        });
        seen.collect()
    }

    /// A session is found if no destroy may have ended it, and nothing the secret that is presented.
    fn no_session_is_lost(&self, op: &Op) -> Option<String> {
        if !op.saw_nothing() {
            return None;
        }
        let may_be_gone = self.history.ops.iter().any(|other| {
            let may_be_applied = other.start < op.end && !other.wrote_nothing();
            match other.kind {
                Kind::Destroy => may_be_applied,
                Kind::SignIn => may_be_applied && !self.is_before_the_cookie(other, op),
                // The previous secret is accepted, so that only the second rotation ends a secret.
                Kind::Rotate => may_be_applied && other.cookie > op.cookie,
                _ => false,
            }
        });
        (!may_be_gone).then(|| format!("the session is lost: {op}"))
    }

    /// Whether a sign-in was certainly applied before the secret was made that an operation presents.
    fn is_before_the_cookie(&self, sign_in: &Op, op: &Op) -> bool {
        let issuer = self.by_number.get(&op.issuer);
        let is_later = issuer.is_some_and(|issuer| self.seen_from(sign_in).is_some() && issuer.start > sign_in.end);
        op.issuer == sign_in.number || is_later
    }
}
