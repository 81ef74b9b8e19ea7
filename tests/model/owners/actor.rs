//! Actors: each does one thing, by the store's machines and amendments.

use session_runtime::__private::cascade::owner::amendments::{BeyondMax, End, Enter, Look, TakeOut, Undo, Which};
use session_runtime::__private::cascade::owner::record::{Entry, OwnerRecord};
use session_runtime::__private::cascade::protocol::{
    Action, Amend, AmendEnd, Amendment, Change, Create, DurableCommit, Goal, Machine, Step,
};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::Version;

use super::session::{Edit, Session, What};
use super::state::{Call, State, entry, key};
use super::{Mutation, Role, Setting};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) id: u8,
    pub(super) role: Role,
    /// The session that it signs in to, or that it is about.
    pub(super) session: u8,
    pub(super) stage: Stage,
    /// The call that it makes next.
    pub(super) pending: Option<Call>,
    /// The epoch that it hands in.
    pub(super) epoch: Option<u64>,
    /// What its entry has replaced.
    pub(super) previous: Option<Entry>,
    /// What it has yet to destroy, and what it has destroyed.
    pub(super) to_end: Vec<Entry>,
    pub(super) ended: Vec<Entry>,
    /// Whether each that was to be destroyed was.
    pub(super) all_ended: bool,
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

pub(super) const NOW: Millis = Millis(0);

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

    pub(super) fn load(&mut self) {
        self.stage = Stage::Load;
        self.pending = Some(Call::Session(self.session, Action::Read));
    }

    fn begin_end(&mut self, which: Which) {
        let end = Amend::new(End::new(which, Nonce(self.id.into()), NOW), false);
        self.amend(end, Stage::End, |_, _, _| {});
    }

    /// Begins to make an amendment.
    pub(super) fn amend<A: Amendment<OwnerRecord>>(
        &mut self,
        mut amend: Amend<A>,
        stage: impl FnOnce(Amend<A>) -> Stage,
        end: impl FnOnce(&mut Self, &A, AmendEnd<A::Error>),
    ) {
        let step = Machine::<OwnerRecord>::begin(&mut amend, NOW);
        self.amended(amend, step, stage, end);
    }

    pub(super) fn amended<A: Amendment<OwnerRecord>>(
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

    pub(super) fn enter(&mut self, setting: &Setting) {
        let epoch = self.epoch.filter(|_| setting.mutation != Mutation::IgnoreEpoch);
        let limit = (usize::MAX, BeyondMax::EndOldest);
        let enter = Enter::new(entry(self.session, self.id), epoch, limit, NOW);
        self.amend(Amend::new(enter, false), Stage::Enter, |_, _, _| {});
    }

    /// Commits the session: creates it, or changes what was loaded.
    pub(super) fn commit(&mut self, loaded: Option<(Version, Session)>, setting: &Setting) {
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

    pub(super) fn run(
        &mut self,
        mut commit: DurableCommit<Session, Edit>,
        stage: fn(DurableCommit<Session, Edit>) -> Stage,
    ) {
        if let Step::Do(action) = commit.begin(NOW) {
            self.pending = Some(Call::Session(self.session, action));
            self.stage = stage(commit);
        }
    }

    pub(super) fn finish(&mut self) {
        self.pending = None;
        self.stage = Stage::Done;
    }

    pub(super) fn undo(&mut self, setting: &Setting) {
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

    pub(super) fn tidy(&mut self, take_out: TakeOut) {
        self.amend(Amend::new(take_out, false), Stage::Tidy, |this, _, _| this.finish());
    }

    /// The client gets its answer, with the cookie of the session.
    pub(super) fn give_out(&mut self, state: &mut State) {
        state.given_out |= 1 << self.id;
        self.finish();
    }

    /// Goes on to destroy what is listed as ending, or, where that is done, takes it out.
    pub(super) fn end_next(&mut self, state: &mut State, setting: &Setting) {
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
    pub(super) fn all_done(&mut self, state: &mut State, setting: &Setting) {
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
