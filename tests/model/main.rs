//! The coherence protocol, explored: the very machines that the store runs, in every order that a few requests, the
//! tiers and their faults can come in.
//!
//! One key; a cache that may forget; a durable tier with a compare-and-swap. What is asked of a tier happens at one
//! moment, and every order of these moments is tried. Time stands still: that something takes long or expires is a
//! fault like any other.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the number of states is printed, and a test that cannot go on fails"
)]

mod actor;
mod broken;
mod explore;
mod holds;
mod record;
mod step;
mod world;

use stateright::{Model, Property};

use session_runtime::__private::cascade::protocol::{Action, Item};
use session_runtime::__private::session::meta::Millis;
use session_runtime::tier::Version;

use actor::{Actor, How, Stage};
use record::{Part, Rec};
use step::{Twist, is_to_cache};
use world::{Broken, Faults, World};

/// Whether to explore the deep bound, which takes minutes: `SESSION_MODEL=deep`.
fn is_deep() -> bool {
    std::env::var("SESSION_MODEL").is_ok_and(|bound| bound == "deep")
}

/// What is explored.
#[derive(Clone, Debug, Default)]
struct Setting {
    parts: Vec<Part>,
    faults: Faults,
    twist: Twist,
    /// Whether no load may see less than an earlier one did, acknowledged or not.
    strong: bool,
    cache_only: bool,
    /// Whose cache calls all fail.
    cut: Option<u8>,
    /// Whether a record with an update in it is larger than the cache takes.
    large: bool,
    /// How many nonces a record keeps, if not two.
    kept: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Step(usize, How),
    Crash(usize),
    Late(usize),
    Evict,
    Expire,
}

impl Setting {
    fn moves_of(&self, world: &World, index: usize, actor: &Actor, moves: &mut Vec<Move>) {
        if actor.stage == Stage::Idle && !world.known && actor.part != Part::Create {
            return;
        }
        let left = world.left;
        let step = |how| Move::Step(index, how);
        let mut next = actor.clone();
        next.start(world, self);
        let Some(asks) = &next.pending else { return };
        let to_cache = is_to_cache(asks);
        if to_cache && self.cut == Some(actor.who) {
            moves.push(step(How::Refused));
        } else {
            moves.push(step(How::Answered));
            let losses = if to_cache { left.losses } else { left.silences };
            if losses > 0 && *asks != Action::Read {
                moves.push(step(How::Lost));
            }
            if !to_cache && left.outages > 0 {
                moves.push(step(How::Refused));
                if matches!(asks, Action::Insert(_) | Action::Update(..)) {
                    moves.push(step(How::Full));
                }
            }
            let looks = matches!(actor.stage, Stage::Idle) && *asks == Action::Get;
            if looks && left.olds > 0 && matches!(world.cache, Some((Item::Value { .. }, _))) {
                moves.push(step(How::Old));
            }
        }
        if left.crashes > 0 && actor.stage != Stage::Idle {
            moves.push(Move::Crash(index));
        }
    }
}

impl Model for Setting {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let number = |part: &Part, next: &mut u8| {
            if matches!(part, Part::Read(_)) {
                return 0;
            }
            *next += 1;
            *next
        };
        let mut next = 0;
        let actors: Vec<Actor> = self
            .parts
            .iter()
            .map(|part| Actor::new(number(part, &mut next), *part))
            .collect();
        let is_new = self.parts.contains(&Part::Create);
        let mut world = World::new((!is_new && !self.cache_only).then(Rec::default), actors, self.faults);
        world.known = !is_new;
        world.tidy();
        let mut filled = world.clone();
        filled.store(Item::Value {
            version: Version(u64::from(!self.cache_only)),
            asked_at: Millis(0),
            record: Rec::default(),
        });
        match (is_new, self.cache_only) {
            (true, _) => vec![world],
            (false, true) => vec![filled],
            (false, false) => vec![world, filled],
        }
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.broken.is_some() {
            return;
        }
        for (index, actor) in world.actors.iter().enumerate() {
            // Of two who are the same, either's move leads to the same state.
            if index == 0 || world.actors[index - 1] != *actor {
                self.moves_of(world, index, actor, moves);
            }
        }
        moves.extend((0..world.late.len()).map(Move::Late));
        if let Some((item, _)) = &world.cache {
            let forgets = world.left.forgets > 0 && !matches!(item, Item::Fence { .. });
            if world.left.evictions > 0 || forgets {
                moves.push(Move::Evict);
            }
            if world.is_cache_item_orphaned() && !self.cache_only {
                moves.push(Move::Expire);
            }
        }
    }

    fn next_state(&self, world: &World, next: Move) -> Option<World> {
        let mut world = world.clone();
        match next {
            Move::Step(index, how) => self.step(&mut world, index, how),
            Move::Crash(index) => {
                world.left.crashes -= 1;
                let actor = world.actors.remove(index);
                if let Some(action) = actor
                    .pending
                    .filter(|action| !is_to_cache(action) && *action != Action::Read)
                {
                    world.late.push((actor.who, action));
                }
            }
            Move::Late(index) => {
                let (_, action) = world.late.remove(index);
                world.apply(action);
            }
            Move::Evict => {
                let fence = matches!(world.cache, Some((Item::Fence { .. }, _)));
                if !fence && world.left.forgets > 0 {
                    world.left.forgets -= 1;
                } else {
                    world.left.evictions -= 1;
                }
                world.cache = None;
            }
            Move::Expire => world.cache = None,
        }
        world.tidy();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(BACK, |_, world: &World| world.broken != Some(Broken::WentBack)),
            Property::always(ACKNOWLEDGED, |_, world: &World| {
                world.broken != Some(Broken::MissedAcknowledged)
            }),
            Property::always(DEAD, |setting: &Self, world: &World| {
                world.broken != Some(Broken::ServedDead) && !(world.dead && setting.authority(world).is_some())
            }),
            Property::always(LOST, |setting: &Self, world: &World| {
                let has = |record: &Rec| record.adds & world.acknowledged == world.acknowledged;
                setting.authority(world).is_none_or(has)
            }),
            Property::always(ROTATION, |setting: &Self, world: &World| {
                let kept = |record: &Rec| !setting.has_rotated(world) || record.secret != 0;
                setting.authority(world).is_none_or(kept)
            }),
            Property::always(ONCE, |setting: &Self, world: &World| {
                let once = |record: &Rec| !record.twice && record.adds & world.denied == 0;
                setting.authority(world).is_none_or(once)
            }),
            Property::always(GONE, |_, world: &World| world.broken != Some(Broken::CalledLivingGone)),
            Property::always(TIDY, |setting: &Self, world: &World| {
                let quiet = world.actors.is_empty() && world.left == setting.faults;
                let quiet = quiet && setting.cut.is_none() && !setting.large;
                let litter = matches!(world.cache, Some((Item::Fence { .. } | Item::Lease(_), _)));
                !(quiet && litter)
            }),
            Property::eventually(ENDS, |_, world: &World| world.is_over() || world.broken.is_some()),
            Property::sometimes(WORKS, |_, world: &World| world.known && world.is_over()),
        ]
    }
}

const BACK: &str = "no load sees less than an earlier one";
const ACKNOWLEDGED: &str = "no load sees less than was acknowledged";
const DEAD: &str = "a destroyed session is neither served nor saved again";
const LOST: &str = "no acknowledged update is lost";
const ROTATION: &str = "no acknowledged rotation is undone";
const ONCE: &str = "no update is made twice, or after its failure";
const GONE: &str = "no living session is called gone";
const TIDY: &str = "without faults, nobody leaves a fence or a lease behind";
const ENDS: &str = "everyone finishes";
const WORKS: &str = "everyone can finish";

impl Setting {
    fn kept(&self) -> usize {
        self.kept.unwrap_or(2)
    }

    /// The record as the authority has it.
    fn authority<'a>(&self, world: &'a World) -> Option<&'a Rec> {
        if !self.cache_only {
            return world.durable.as_ref().map(|(_, record)| record);
        }
        match &world.cache {
            Some((Item::Value { record, .. }, _)) => Some(record),
            _ => None,
        }
    }

    fn has_rotated(&self, world: &World) -> bool {
        let writers = self.parts.iter().filter(|part| !matches!(part, Part::Read(_)));
        let mut rotators = writers.zip(1..).filter(|(part, _)| **part == Part::Rotate);
        rotators.any(|(_, who)| world.acknowledged & (1 << who) != 0)
    }
}
