//! Owners under the model checker: sign-ins, ends, sign-outs and rotations of one owner's sessions, in every order of their
//! calls, with crashes, silence and outages at each.
//!
//! Each actor runs the machines and amendments that the store runs, in the order in which `cascade/owner` and
//! `request/execute` run them. The sessions are in the durable tier alone: what a cache adds to a destroy is explored in the
//! rest of this model.

mod actor;
mod holds;
mod session;
mod state;
mod step;

use stateright::{Checker, HasDiscoveries, Model, Property};

use actor::{Actor, Outcome, Stage};
use state::State;

/// What an actor does. Sessions are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// Signs in to a session of its own, which is new.
    SignInNew,
    /// Signs in to a session that there is: a visitor's, or one that is signed in to already.
    SignIn(u8),
    /// Ends all.
    EndAll,
    /// Ends one.
    EndOne(u8),
    /// Destroys a session, and has it taken out.
    LogOut(u8),
    /// Clears the owner, and has the session taken out.
    Clear(u8),
    /// Gives a session a new secret.
    Rotate(u8),
}

/// The broken rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mutation {
    /// The protocol as it is.
    #[default]
    None,
    /// Entries stay among the live ones while their sessions are ended.
    KeepLive,
    /// A new session does not look whether its entry still stands.
    SkipCheck,
    /// An end spares a session that does not show its owner yet.
    SpareUnsigned,
    /// Who signs out is taken out by the session's key, whatever sign-in has followed.
    LeaveByKey,
    /// Who signs out is taken out though the record that contains the sign-out shows a later sign-in.
    LeaveSignedIn,
    /// A sign-in that failed takes its session out, though it was signed in to before.
    UndoRemoves,
    /// Sessions are taken out before they are destroyed.
    TakeOutFirst,
    /// A sign-in does not compare the epoch that it was given.
    IgnoreEpoch,
    /// An end asks for the session's secret, as a client does.
    AskSecret,
}

/// How many faults of each kind may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Faults {
    /// An actor crashes; the write that it had sent may be applied at any later time.
    crashes: u8,
    /// A write is not answered, and may be applied at any later time.
    timeouts: u8,
    /// The tier cannot be reached.
    outages: u8,
}

/// What is explored.
#[derive(Clone, Debug, Default)]
struct Setting {
    roles: Vec<Role>,
    faults: Faults,
    mutation: Mutation,
    /// How many sessions there are at the beginning. The first one is signed in to if `is_signed_in`.
    sessions: u8,
    is_signed_in: bool,
    /// Whether sign-ins hand in the epoch that they read before they looked at the password.
    epochs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Step(usize, Outcome),
    Crash(usize),
    Deliver(usize),
}

impl Model for Setting {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        for (index, actor) in state.actors.iter().enumerate() {
            if actor.stage == Stage::Done {
                continue;
            }
            moves.push(Move::Step(index, Outcome::Answered));
            if actor.is_write() && state.left.timeouts > 0 {
                moves.push(Move::Step(index, Outcome::Lost));
            }
            if state.left.outages > 0 {
                moves.push(Move::Step(index, Outcome::Refused));
            }
            if state.left.crashes > 0 && !actor.is_idle() {
                moves.push(Move::Crash(index));
            }
        }
        moves.extend((0..state.in_flight.len()).map(Move::Deliver));
    }

    fn next_state(&self, state: &State, next: Move) -> Option<State> {
        let mut state = state.clone();
        match next {
            Move::Step(index, outcome) => self.step(&mut state, index, outcome),
            Move::Crash(index) => {
                state.left.crashes -= 1;
                let mut actor = std::mem::replace(&mut state.actors[index], Actor::done());
                if let Some(call) = actor.pending.take().filter(|_| actor.is_write()) {
                    state.in_flight.push(call);
                }
            }
            Move::Deliver(index) => {
                let call = state.in_flight.remove(index);
                state.apply(call);
            }
        }
        state.normalize();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENDED, |_, state: &State| state.no_session_survived_an_end()),
            Property::always(LISTED, |_, state: &State| state.everybody_is_listed()),
            Property::eventually(FINISHES, |_, state: &State| state.is_finished()),
            Property::sometimes(WORKS, |setting: &Self, state: &State| {
                state.has_signed_somebody_in() || setting.roles.iter().all(|role| !role.signs_in())
            }),
        ]
    }
}

const ENDED: &str = "after an acknowledged end, no session of an earlier sign-in is there";
const LISTED: &str = "whoever is signed in is listed";
const FINISHES: &str = "everyone finishes";
const WORKS: &str = "a sign-in can succeed";

impl Role {
    fn signs_in(self) -> bool {
        matches!(self, Self::SignInNew | Self::SignIn(_))
    }
}

impl Setting {
    /// Explores, prints the number of states, and returns the names of the properties that do not hold.
    fn explore(&self, name: &str) -> Vec<&'static str> {
        let started = std::time::Instant::now();
        let builder = self.clone().checker().finish_when(HasDiscoveries::AnyFailures);
        let checker = builder.spawn_dfs().join();
        let (states, mut found) = (checker.unique_state_count(), checker.discoveries());
        println!("owners, {name}: {states} states in {:.1?}", started.elapsed());
        let works = found.remove(WORKS).is_some();
        let mut failed = Vec::new();
        for (failure, path) in found {
            println!("{name}: it does not hold that {failure}");
            for (state, next) in path.into_vec() {
                println!("    {state}");
                if let Some(Move::Step(index, outcome)) = next {
                    let Actor { id, role, pending, .. } = &state.actors[index];
                    println!("  {id} {role:?}: {pending:?} {outcome:?}");
                } else {
                    println!("  {next:?}");
                }
            }
            failed.push(failure);
        }
        if failed.is_empty() && !works {
            failed.push(WORKS);
        }
        failed
    }
}
