//! Runs the checker and prints what it found.

use stateright::{Checker, HasDiscoveries, Model};

use super::mutation::Mutation;
use super::state::SystemState;
use super::{Move, Setting, WORKS, is_deep};

impl Setting {
    /// Explores, prints the number of states, and returns the names of the properties that do not hold.
    pub(super) fn explore(self, name: &str) -> Vec<&'static str> {
        let started = std::time::Instant::now();
        let model = self.clone();
        let builder = self.checker().finish_when(HasDiscoveries::AnyFailures);
        // Depth first needs little memory and soon finds a frequent violation; breadth first finds the shortest
        // counterexample.
        let (states, mut found) = if is_deep() || model.mutation != Mutation::None {
            let checker = builder.spawn_dfs().join();
            (checker.unique_state_count(), checker.discoveries())
        } else {
            let checker = builder.spawn_bfs().join();
            (checker.unique_state_count(), checker.discoveries())
        };
        println!("{name}: {states} states in {:.1?}", started.elapsed());
        let works = found.remove(WORKS).is_some();
        let mut failed = Vec::new();
        for (failure, path) in found {
            println!("{name}: it does not hold that {failure}");
            model.print_path(path.into_vec());
            failed.push(failure);
        }
        if failed.is_empty() && !works {
            failed.push(WORKS);
        }
        failed
    }

    /// Prints a counterexample.
    fn print_path(&self, path: Vec<(SystemState, Option<Move>)>) {
        for (state, next) in path {
            println!("    durable {:?} cache {:?}", state.durable, state.cache);
            match next {
                Some(Move::Step(index, outcome)) => {
                    let mut actor = state.actors[index].clone();
                    actor.start(&state, self);
                    println!("  {} {:?}: {:?} {outcome:?}", actor.id, actor.role, actor.pending);
                }
                Some(Move::Deliver(index)) => println!("  in_flight: {:?}", state.in_flight[index]),
                Some(next @ (Move::Crash(index) | Move::Cut(index))) => {
                    println!("  {next:?} of {:?}", state.actors[index]);
                }
                next => println!("  {next:?}"),
            }
        }
    }
}
