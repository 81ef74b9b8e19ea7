//! Runs the checker and prints what it found.

use stateright::{Checker, HasDiscoveries, Model};

use super::world::World;
use super::{Move, Setting, WORKS, is_deep};
use crate::step::Twist;

impl Setting {
    /// Explores, prints the number of states, and hands back the names of the properties that do not hold.
    pub(super) fn explore(self, name: &str) -> Vec<&'static str> {
        let started = std::time::Instant::now();
        let model = self.clone();
        let builder = self.checker().finish_when(HasDiscoveries::AnyFailures);
        // Depth first holds few states at a time and soon finds what there is plenty of; breadth first finds the shortest
        // counterexample.
        let (states, mut found) = if is_deep() || model.twist != Twist::None {
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
            model.tell(path.into_vec());
            failed.push(failure);
        }
        if failed.is_empty() && !works {
            failed.push(WORKS);
        }
        failed
    }

    /// Prints a counterexample.
    fn tell(&self, path: Vec<(World, Option<Move>)>) {
        for (world, next) in path {
            println!("    durable {:?} cache {:?}", world.durable, world.cache);
            match next {
                Some(Move::Step(index, how)) => {
                    let mut actor = world.actors[index].clone();
                    actor.start(&world, self);
                    println!("  {} {:?}: {:?} {how:?}", actor.who, actor.part, actor.pending);
                }
                Some(Move::Late(index)) => println!("  late: {:?}", world.late[index]),
                Some(Move::Crash(index)) => println!("  crash of {:?}", world.actors[index]),
                next => println!("  {next:?}"),
            }
        }
    }
}
