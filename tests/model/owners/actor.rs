//! Actors: each does one thing, by the store's machines and amendments.

use session_runtime::__private::cascade::owner::amendments::{BeyondMax, End, Enter, Look, TakeOut, Undo, Which};
use session_runtime::__private::cascade::owner::record::{Entry, OwnerRecord};
use session_runtime::__private::cascade::protocol::{
    Action, Amend, AmendEnd, Amendment, Change, CommitEnd, Create, CreateEnd, DurableCommit, Event, Failure, Goal,
    Machine, Step,
};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::Version;

use super::session::{Edit, Session, What};
use super::state::{Answer, Call, State, entry, key};
use super::{Mutation, Role, Setting};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) id: u8,
    pub(super) role: Role,
    /// The session that it signs in to, or that it is about.
    session: u8,
    pub(super) stage: Stage,
    /// The call that it makes next.
    pub(super) pending: Option<Call>,
    /// The epoch that it hands in.
    epoch: Option<u64>,
    /// What its entry has replaced.
    previous: Option<Entry>,
    /// What it has yet to destroy, and what it has destroyed.
    to_end: Vec<Entry>,
    ended: Vec<Entry>,
    /// Whether each that was to be destroyed was.
    all_ended: bool,
}

/// The machine that an actor runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Reads the epoch.
    Begin(Amend<Look>),
    /// Reads the session.
    Load,
    Enter(Amend<Enter>),
    Commit(DurableCommit<Session, Edit>),
    Create(Create<Session, Edit>),
    Check(Amend<Look>),
    /// Destroys the session that it has just created, since its entry does not stand.
    Withdraw(DurableCommit<Session, Edit>),
    /// The last thing that it does: nobody waits for it.
    Undo(Amend<Undo>),
    Tidy(Amend<TakeOut>),
    End(Amend<End>),
    /// Reads a session that is to be destroyed.
    LoadToEnd,
    Destroy(DurableCommit<Session, Edit>),
    TakeOut(Amend<TakeOut>),
    Done,
}

/// What happens to an actor's next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Answered,
    /// There is no answer, and the call may take effect later.
    Lost,
    /// It fails, and has no effect.
    Refused,
}

const NOW: Millis = Millis(0);

impl Actor {
    pub(super) fn new(id: u8, role: Role, own: u8) -> Self {
        let session = match role {
            Role::SignInNew | Role::EndAll => own,
            Role::SignIn(at) | Role::EndOne(at) | Role::LogOut(at) | Role::Clear(at) | Role::Rotate(at) => at,
        };
        Self {
            id,
            role,
            session,
            stage: Stage::Done,
            pending: None,
            epoch: None,
            previous: None,
            to_end: Vec::new(),
            ended: Vec::new(),
            all_ended: true,
        }
    }

    pub(super) fn done() -> Self {
        Self::new(u8::MAX, Role::EndAll, 0)
    }

    /// Whether it has done nothing yet, so that to crash would be not to have come.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Begin(_) | Stage::Load)
    }

    pub(super) fn is_write(&self) -> bool {
        !matches!(
            self.pending,
            None | Some(Call::Owner(Action::Read) | Call::Session(_, Action::Read))
        )
    }

    pub(super) fn start(&mut self, setting: &Setting) {
        match self.role {
            Role::EndAll => self.begin_end(Which::All),
            Role::EndOne(at) => self.begin_end(Which::One(key(at))),
            Role::SignInNew | Role::SignIn(_) if setting.epochs => {
                let look = Amend::new(Look::default(), false);
                self.amend(look, Stage::Begin, |_, _, _| {});
            }
            Role::SignInNew => self.enter(setting),
            Role::SignIn(_) | Role::LogOut(_) | Role::Clear(_) | Role::Rotate(_) => self.load(),
        }
    }

    fn load(&mut self) {
        self.stage = Stage::Load;
        self.pending = Some(Call::Session(self.session, Action::Read));
    }

    fn begin_end(&mut self, which: Which) {
        let end = Amend::new(End::new(which, Nonce(self.id.into()), NOW), false);
        self.amend(end, Stage::End, |_, _, _| {});
    }

    /// Begins to make an amendment.
    fn amend<A: Amendment<OwnerRecord>>(
        &mut self,
        mut amend: Amend<A>,
        stage: impl FnOnce(Amend<A>) -> Stage,
        end: impl FnOnce(&mut Self, &A, AmendEnd<A::Error>),
    ) {
        let step = Machine::<OwnerRecord>::begin(&mut amend, NOW);
        self.amended(amend, step, stage, end);
    }

    fn amended<A: Amendment<OwnerRecord>>(
        &mut self,
        amend: Amend<A>,
        step: Step<OwnerRecord, AmendEnd<A::Error>>,
        stage: impl FnOnce(Amend<A>) -> Stage,
        end: impl FnOnce(&mut Self, &A, AmendEnd<A::Error>),
    ) {
        match step {
            Step::Do(action) | Step::Retry(_, action) => {
                self.pending = Some(Call::Owner(action));
                self.stage = stage(amend);
            }
            Step::End(outcome) => end(self, amend.amendment(), outcome),
        }
    }

    fn enter(&mut self, setting: &Setting) {
        let epoch = self.epoch.filter(|_| setting.mutation != Mutation::IgnoreEpoch);
        let limit = (usize::MAX, BeyondMax::EndOldest);
        let enter = Enter::new(entry(self.session, self.id), epoch, limit, NOW);
        self.amend(Amend::new(enter, false), Stage::Enter, |_, _, _| {});
    }

    /// Commits the session: creates it, or changes what was loaded.
    fn commit(&mut self, loaded: Option<(Version, Session)>, setting: &Setting) {
        let what = match self.role {
            Role::SignInNew | Role::SignIn(_) => What::SignIn,
            Role::Clear(_) => What::Clear,
            Role::LogOut(_) => What::Destroy,
            Role::Rotate(_) => What::Rotate,
            Role::EndAll | Role::EndOne(_) => What::End,
        };
        let secret = loaded.map_or(0, |(_, session)| session.secret);
        let mut edit = Edit::new(self.id, what, secret, setting.mutation);
        let Ok(record) = edit.apply(&loaded.map_or_else(Session::default, |(_, session)| session)) else {
            return self.finish();
        };
        if self.role == Role::SignInNew {
            let mut create = Create::new(record, edit, false);
            if let Step::Do(action) = create.begin(NOW) {
                self.pending = Some(Call::Session(self.session, action));
                self.stage = Stage::Create(create);
            }
            return;
        }
        let Some((version, _)) = loaded else {
            return self.finish();
        };
        let goal = if what == What::Destroy {
            Goal::Destroy
        } else {
            Goal::Change
        };
        self.run(
            DurableCommit::new(goal, edit, version, record, false, Nonce(0)),
            Stage::Commit,
        );
    }

    fn run(&mut self, mut commit: DurableCommit<Session, Edit>, stage: fn(DurableCommit<Session, Edit>) -> Stage) {
        if let Step::Do(action) = commit.begin(NOW) {
            self.pending = Some(Call::Session(self.session, action));
            self.stage = stage(commit);
        }
    }

    fn finish(&mut self) {
        self.pending = None;
        self.stage = Stage::Done;
    }

    fn undo(&mut self, setting: &Setting) {
        let previous = self
            .previous
            .clone()
            .filter(|_| setting.mutation != Mutation::UndoRemoves);
        let undo = Undo {
            entry: entry(self.session, self.id),
            previous,
        };
        self.amend(Amend::new(undo, false), Stage::Undo, |this, _, _| this.finish());
    }

    fn tidy(&mut self, take_out: TakeOut) {
        self.amend(Amend::new(take_out, false), Stage::Tidy, |this, _, _| this.finish());
    }

    /// The client gets its answer, with the cookie of the session.
    fn give_out(&mut self, state: &mut State) {
        state.given_out |= 1 << self.id;
        self.finish();
    }

    /// Goes on to destroy what is listed as ending, or, where that is done, takes it out.
    fn end_next(&mut self, state: &mut State, setting: &Setting) {
        if setting.mutation == Mutation::TakeOutFirst && self.ended.is_empty() && !self.to_end.is_empty() {
            self.ended = self.to_end.clone();
            let ended = self.ended.clone();
            return self.take_out(ended, state, setting);
        }
        let Some(next) = self.to_end.first() else {
            if setting.mutation == Mutation::TakeOutFirst || self.ended.is_empty() {
                return self.all_done(state, setting);
            }
            let ended = self.ended.clone();
            return self.take_out(ended, state, setting);
        };
        let at = next.key.parse().unwrap();
        self.stage = Stage::LoadToEnd;
        self.pending = Some(Call::Session(at, Action::Read));
    }

    fn take_out(&mut self, ended: Vec<Entry>, state: &mut State, setting: &Setting) {
        let take_out = TakeOut {
            ended,
            ..TakeOut::default()
        };
        let mut finished = false;
        self.amend(Amend::new(take_out, false), Stage::TakeOut, |_, _, _| finished = true);
        if finished {
            self.all_done(state, setting);
        }
    }

    /// All that was to be ended was.
    fn all_done(&mut self, state: &mut State, setting: &Setting) {
        if self.role.signs_in() {
            // It has met what others have left; now to its own session.
            let loaded = state.sessions[usize::from(self.session)];
            return self.commit(loaded, setting);
        }
        if self.role == Role::EndAll && self.all_ended {
            let end = state.applied_end[usize::from(self.id)];
            state.acknowledged_end = state.acknowledged_end.max(end);
        }
        self.finish();
    }
}

impl Setting {
    /// Makes one actor's call, and hands it the answer.
    pub(super) fn step(&self, state: &mut State, index: usize, outcome: Outcome) {
        let mut actor = state.actors.remove(index);
        let Some(call) = actor.pending.take() else { return };
        let is_owner = matches!(call, Call::Owner(_));
        let answer = match outcome {
            Outcome::Answered => state.apply(call),
            Outcome::Lost => {
                state.left.timeouts -= 1;
                state.in_flight.push(call);
                if is_owner {
                    Answer::Owner(Event::DurableUnknown)
                } else {
                    Answer::Session(Event::DurableUnknown)
                }
            }
            Outcome::Refused => {
                state.left.outages -= 1;
                if is_owner {
                    Answer::Owner(Event::DurableFailed)
                } else {
                    Answer::Session(Event::DurableFailed)
                }
            }
        };
        match answer {
            Answer::Owner(event) => self.on_owner(&mut actor, event, state),
            Answer::Session(event) => self.on_session(&mut actor, event, state),
        }
        state.actors.push(actor);
    }

    /// Hands an actor the answer to a call about the owner's record.
    fn on_owner(&self, actor: &mut Actor, event: Event<OwnerRecord>, state: &mut State) {
        match std::mem::replace(&mut actor.stage, Stage::Done) {
            Stage::Begin(mut look) => {
                let step = look.on(event, NOW);
                actor.amended(look, step, Stage::Begin, |this, look, end| {
                    if end != AmendEnd::Done {
                        return this.finish();
                    }
                    this.epoch = Some(look.found.epoch);
                    state.note_epoch(this.id);
                    if this.role == Role::SignInNew {
                        this.enter(self);
                    } else {
                        this.load();
                    }
                });
            }
            Stage::Enter(mut enter) => {
                let step = enter.on(event, NOW);
                actor.amended(enter, step, Stage::Enter, |this, enter, end| match end {
                    AmendEnd::Done => {
                        this.previous.clone_from(&enter.previous);
                        this.to_end.clone_from(&enter.ending);
                        this.end_next(state, self);
                    }
                    // Refused, among others.
                    _ => this.finish(),
                });
            }
            Stage::Check(mut look) => {
                let step = look.on(event, NOW);
                actor.amended(look, step, Stage::Check, |this, look, end| {
                    let stands = look.found.is_live(&key(this.session), Nonce(this.id.into()));
                    if end == AmendEnd::Done && stands {
                        return this.give_out(state);
                    }
                    let Some((version, session)) = state.sessions[usize::from(this.session)] else {
                        return this.finish();
                    };
                    let edit = Edit::new(this.id, What::Destroy, session.secret, self.mutation);
                    let commit = DurableCommit::new(Goal::Destroy, edit, version, session, false, Nonce(0));
                    this.run(commit, Stage::Withdraw);
                });
            }
            Stage::Undo(mut undo) => {
                let step = undo.on(event, NOW);
                actor.amended(undo, step, Stage::Undo, |this, _, _| this.finish());
            }
            Stage::Tidy(mut take_out) => {
                let step = take_out.on(event, NOW);
                actor.amended(take_out, step, Stage::Tidy, |this, _, _| this.finish());
            }
            Stage::End(mut end) => {
                let step = end.on(event, NOW);
                let step = if self.mutation == Mutation::KeepLive {
                    keep_live(step)
                } else {
                    step
                };
                actor.amended(end, step, Stage::End, |this, end, outcome| {
                    if outcome != AmendEnd::Done {
                        return this.finish();
                    }
                    this.to_end.clone_from(&end.ending);
                    this.end_next(state, self);
                });
            }
            Stage::TakeOut(mut take_out) => {
                let step = take_out.on(event, NOW);
                let mut finished = false;
                actor.amended(take_out, step, Stage::TakeOut, |_, _, _| finished = true);
                if finished && self.mutation == Mutation::TakeOutFirst {
                    actor.end_next(state, self);
                } else if finished {
                    actor.all_done(state, self);
                }
            }
            other => actor.stage = other,
        }
    }

    /// Hands an actor the answer to a call about a session.
    fn on_session(&self, actor: &mut Actor, event: Event<Session>, state: &mut State) {
        match std::mem::replace(&mut actor.stage, Stage::Done) {
            Stage::Load => match event {
                Event::Found(Some(_)) if actor.role.signs_in() => actor.enter(self),
                Event::Found(Some(loaded)) => actor.commit(Some(loaded), self),
                _ => actor.finish(),
            },
            Stage::Create(mut create) => match create.on(event, NOW) {
                Step::Do(action) | Step::Retry(_, action) => {
                    actor.pending = Some(Call::Session(actor.session, action));
                    actor.stage = Stage::Create(create);
                }
                Step::End(CreateEnd::Done { .. }) => match self.mutation {
                    Mutation::SkipCheck => actor.give_out(state),
                    _ => actor.amend(Amend::new(Look::default(), false), Stage::Check, |_, _, _| {}),
                },
                Step::End(_) => actor.undo(self),
            },
            Stage::Commit(mut commit) => {
                let step = commit.on(event, NOW);
                self.committed(actor, commit, step, state);
            }
            Stage::Withdraw(mut commit) => match commit.on(event, NOW) {
                Step::Do(action) | Step::Retry(_, action) => {
                    actor.pending = Some(Call::Session(actor.session, action));
                    actor.stage = Stage::Withdraw(commit);
                }
                Step::End(CommitEnd::Destroyed { .. }) => actor.undo(self),
                Step::End(_) => actor.finish(),
            },
            Stage::LoadToEnd => self.loaded_to_end(actor, &event, state),
            Stage::Destroy(mut commit) => {
                let step = commit.on(event, NOW);
                self.destroyed(actor, commit, step, state);
            }
            other => actor.stage = other,
        }
    }

    fn committed(
        &self,
        actor: &mut Actor,
        commit: DurableCommit<Session, Edit>,
        step: Step<Session, CommitEnd<Session, super::session::Refused>>,
        state: &mut State,
    ) {
        match step {
            Step::Do(action) | Step::Retry(_, action) => {
                actor.pending = Some(Call::Session(actor.session, action));
                actor.stage = Stage::Commit(commit);
            }
            Step::End(CommitEnd::Changed { record, .. }) => match actor.role {
                Role::SignIn(_) => actor.give_out(state),
                Role::Clear(at) => {
                    let may_leave = record.signed_in.is_none() || self.mutation == Mutation::LeaveSignedIn;
                    let Some(entry) = record.entry.filter(|_| may_leave) else {
                        return actor.finish();
                    };
                    let by_key = self.mutation == Mutation::LeaveByKey;
                    actor.tidy(TakeOut {
                        destroyed: if by_key { vec![key(at)] } else { Vec::new() },
                        left: (!by_key).then(|| (key(at), Nonce(entry.into()))),
                        ..TakeOut::default()
                    });
                }
                // The client has the new secret of the session that it is signed in to.
                _ => actor.finish(),
            },
            Step::End(CommitEnd::Destroyed { .. }) => actor.tidy(TakeOut {
                destroyed: vec![key(actor.session)],
                ..TakeOut::default()
            }),
            Step::End(CommitEnd::Failed { failure, .. }) => {
                if actor.role.signs_in() && failure != Failure::Unknown {
                    actor.undo(self);
                } else {
                    actor.finish();
                }
            }
        }
    }

    fn loaded_to_end(&self, actor: &mut Actor, event: &Event<Session>, state: &mut State) {
        let Event::Found(found) = event else {
            // It stays listed.
            actor.all_ended = false;
            actor.to_end.remove(0);
            return actor.end_next(state, self);
        };
        let spares = self.mutation == Mutation::SpareUnsigned;
        let Some((version, session)) = found.filter(|(_, session)| !spares || session.signed_in.is_some()) else {
            return actor.ended_one(state, self);
        };
        let edit = Edit::new(actor.id, What::End, session.secret, self.mutation);
        let mut commit = DurableCommit::new(Goal::Destroy, edit, version, session, false, Nonce(0));
        let step = commit.begin(NOW);
        self.destroyed(actor, commit, step, state);
    }

    fn destroyed(
        &self,
        actor: &mut Actor,
        commit: DurableCommit<Session, Edit>,
        step: Step<Session, CommitEnd<Session, super::session::Refused>>,
        state: &mut State,
    ) {
        match step {
            Step::Do(action) | Step::Retry(_, action) => {
                let at = actor.to_end[0].key.parse().unwrap();
                actor.pending = Some(Call::Session(at, action));
                actor.stage = Stage::Destroy(commit);
            }
            // `Gone`: it is another owner's.
            Step::End(
                CommitEnd::Destroyed { .. }
                | CommitEnd::Failed {
                    failure: Failure::Gone, ..
                },
            ) => actor.ended_one(state, self),
            Step::End(_) => {
                actor.all_ended = false;
                actor.to_end.remove(0);
                actor.end_next(state, self);
            }
        }
    }
}

impl Actor {
    fn ended_one(&mut self, state: &mut State, setting: &Setting) {
        let entry = self.to_end.remove(0);
        if setting.mutation != Mutation::TakeOutFirst {
            self.ended.push(entry);
        }
        self.end_next(state, setting);
    }
}

/// An end that leaves among the live ones what it is about to end.
fn keep_live<E>(step: Step<OwnerRecord, E>) -> Step<OwnerRecord, E> {
    let keep = |record: OwnerRecord| {
        let mut list = record.list().clone();
        let ending = list.ending.clone();
        list.live.extend(ending);
        OwnerRecord::new(list)
    };
    match step {
        Step::Do(Action::Update(base, record)) => Step::Do(Action::Update(base, keep(record))),
        Step::Do(Action::Insert(record)) => Step::Do(Action::Insert(keep(record))),
        step => step,
    }
}
