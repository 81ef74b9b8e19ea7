//! The coherence protocol, explored: the very machines that the store runs, in every order that a few requests, the
//! tiers and their faults can come in.
//!
//! One key; a cache that may forget; a durable tier with a compare-and-swap. What is asked of a tier happens at one
//! moment, and every order of these moments is tried. Time stands still: that something takes long or expires is a
//! fault like any other.

mod actor;
mod broken;
mod holds;
mod record;
mod world;

use stateright::{Checker, HasDiscoveries, Model, Property};

use session_runtime::cascade::protocol::{Action, Event, Item};
use session_runtime::codec::meta::{Millis, Nonce};
use session_runtime::tier::{Swap, Token, Write};

use actor::{Actor, How, Stage};
use record::{Part, Rec};
use world::{Broken, Faults, World};

/// Later than any value in the model may be.
const OLD: Millis = Millis(1_000);

/// A wrong turn, to show that the model sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Twist {
    /// The protocol as it is.
    #[default]
    None,
    /// After a conflict the writer trusts its first fence.
    OneFence,
    /// The durable record is deleted whatever its version.
    BlindDelete,
    /// The caller is told before the cache is settled.
    AnswerEarly,
    /// Readers leave leases, writers no fences.
    NoFence,
    /// Readers put into the cache whatever they read, and writers delete it.
    CacheAside,
    /// A fence whose fate is not known is taken to be up.
    TrustFence,
    /// A writer takes the conflict with its own late write for success.
    TrustConflict,
    /// A writer leaves another's fence, even one that may be taken back and hides an older record.
    LeaveOldFence,
    /// An insert that may yet land is sent again under the same key.
    SameKey,
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

    /// One actor's question is asked, and it takes the answer.
    fn step(&self, world: &mut World, index: usize, how: How) {
        let mut actor = world.actors.remove(index);
        actor.start(world, self);
        let Some(action) = actor.pending.take() else { return };
        let (event, now) = match how {
            How::Answered => (self.answer(world, &actor, action), Millis(0)),
            How::Old => (self.answer(world, &actor, action), OLD),
            How::Refused if is_to_cache(&action) => (Event::CacheFailed, Millis(0)),
            How::Refused => {
                world.left.outages -= 1;
                (Event::DurableFailed, Millis(0))
            }
            How::Lost => (self.lose(world, &actor, action), Millis(0)),
        };
        if how == How::Old {
            world.left.olds -= 1;
        }
        if self.twist == Twist::AnswerEarly {
            if let (Event::Wrote(Write::Done(version)), Part::Add) = (&event, actor.part) {
                world.settled = world.settled.max(version.0);
            }
        }
        actor.conflicted |= self.twist == Twist::OneFence && event == Event::Wrote(Write::Conflict);
        actor.on(event, now, world, self);
        if actor.conflicted && matches!(&actor.stage, Stage::Commit(_)) && actor.pending.as_ref().is_some_and(is_fence)
        {
            actor.on(Event::WasSet, Millis(0), world, self);
        }
        if actor.stage != Stage::Done {
            world.actors.push(actor);
        }
    }

    fn lose(&self, world: &mut World, actor: &Actor, action: Action<Rec>) -> Event<Rec> {
        let to_cache = is_to_cache(&action);
        let is_fence = is_fence(&action);
        if action != Action::Get {
            world.late.push((actor.who, action));
        }
        if !to_cache {
            world.left.silences -= 1;
            return Event::DurableUnknown;
        }
        world.left.losses -= 1;
        if is_fence && self.twist == Twist::TrustFence {
            return Event::WasSet;
        }
        Event::CacheFailed
    }

    /// What the tiers answer; a twisted actor asks something else, or hears something else.
    fn answer(&self, world: &mut World, actor: &Actor, action: Action<Rec>) -> Event<Rec> {
        match (self.twist, action) {
            (Twist::BlindDelete, Action::Delete(base)) => {
                let base = world.durable.as_ref().map_or(base, |(version, _)| *version);
                world.apply(Action::Delete(base))
            }
            (Twist::NoFence | Twist::CacheAside, action) if is_fence(&action) => match action {
                Action::Swap(..) => Event::Swapped(Swap::Done),
                _ => Event::WasSet,
            },
            (Twist::CacheAside, Action::Add(Item::Lease(_))) => Event::Added(true),
            (Twist::CacheAside, Action::Get) if matches!(actor.stage, Stage::Fill(_)) => {
                let lease = Item::Lease(Nonce(actor.lease.unwrap_or_default()));
                Event::Got(Some((lease, Token(0))))
            }
            (Twist::CacheAside, Action::Swap(_, item)) if matches!(actor.stage, Stage::Fill(_)) => {
                world.apply(Action::Set(item));
                Event::Swapped(Swap::Done)
            }
            (Twist::LeaveOldFence, Action::Get) if matches!(actor.stage, Stage::Commit(_)) => {
                match world.apply(Action::Get) {
                    Event::Got(Some((Item::Fence { writer, .. }, token))) => {
                        Event::Got(Some((Item::Fence { writer, hides: None }, token)))
                    }
                    event => event,
                }
            }
            (Twist::TrustConflict, Action::Update(base, record)) => {
                let event = world.apply(Action::Update(base, record.clone()));
                match &world.durable {
                    Some((version, lies)) if *lies == record => Event::Wrote(Write::Done(*version)),
                    _ => event,
                }
            }
            (_, action) => world.apply(action),
        }
    }
}

fn is_to_cache(action: &Action<Rec>) -> bool {
    matches!(
        action,
        Action::Get | Action::Add(_) | Action::Set(_) | Action::Swap(..) | Action::Remove(_)
    )
}

fn is_fence(action: &Action<Rec>) -> bool {
    matches!(
        action,
        Action::Set(Item::Fence { .. }) | Action::Swap(_, Item::Fence { .. })
    )
}

impl Model for Setting {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let number = |part: &Part, next: &mut u8| match part {
            Part::Read(_) => 0,
            _ => {
                *next += 1;
                *next
            }
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
            version: session_runtime::tier::Version(u64::from(!self.cache_only)),
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
                let quiet = world.actors.is_empty() && world.left == setting.faults && setting.cut.is_none();
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

    /// Explores, prints the number of states, and hands back the names of the properties that do not hold.
    fn explore(self, name: &str) -> Vec<&'static str> {
        let started = std::time::Instant::now();
        let model = self.clone();
        let checker = self
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let states = checker.unique_state_count();
        println!("{name}: {states} states in {:.1?}", started.elapsed());
        let mut failed: Vec<_> = checker
            .discoveries()
            .into_keys()
            .filter(|found| *found != WORKS)
            .collect();
        if failed.is_empty() && checker.discovery(WORKS).is_none() {
            failed.push(WORKS);
        }
        failed.sort_unstable();
        for failure in &failed {
            if let Some(path) = checker.discovery(failure) {
                println!("{name}: it does not hold that {failure}");
                model.tell(path.into_vec());
            }
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
