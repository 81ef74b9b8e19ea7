//! One call of an actor and its answer.

use session_runtime::__private::cascade::owner::amendments::{Look, TakeOut};
use session_runtime::__private::cascade::owner::record::OwnerRecord;
use session_runtime::__private::cascade::protocol::{
    Action, Amend, AmendEnd, CommitEnd, CreateEnd, DurableCommit, Event, Failure, Goal, Machine, Step,
};
use session_runtime::__private::session::meta::Nonce;

use super::actor::{Actor, NOW, Outcome, Stage};
use super::session::{Edit, Refused, Session, What};
use super::state::{Answer, Call, State, key};
use super::{Mutation, Role, Setting};

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
        step: Step<Session, CommitEnd<Session, Refused>>,
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
        step: Step<Session, CommitEnd<Session, Refused>>,
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
