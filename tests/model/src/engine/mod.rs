//! How a protocol moves: who may act, and what then happens. Refuses to judge; reads note what they broke.

mod database;
mod faults;
mod fill;
mod flight;
mod near;
mod reader;
mod rules;
mod strict;
mod writer;

use crate::promise::Promise;
use crate::protocol::{Failover, Lost, Protocol};
use crate::state::{Entry, State, TagStamp, World};
use crate::system::{Story, System, Unnamed};

/// Something that may happen next; a number says to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A writer's next step is made and answered.
    Write(u8),
    /// A writer's command is carried out; the answer is lost.
    WriteUnanswered(u8),
    /// A writer's command is lost.
    WriteLost(u8),
    /// A writer dies.
    Crash(u8),
    /// A refused writer lifts its fence.
    Lift(u8),
    /// The MARK of a refused write arrives.
    LateMark(u8),
    /// The database goes on with a COMMIT.
    Database(u8),
    /// The database undoes a transaction.
    Abort(u8),
    /// The replica of the database catches up by one write.
    ReplicaCatchesUp,
    /// A reader's next step.
    Read(u8),
    /// The answer to a reader's FILL is lost.
    AnswerLost(u8),
    /// A reader takes a lease although the entry stands.
    Refresh(u8),
    /// A read is dropped.
    Drop(u8),
    /// The FILL of a dropped read arrives.
    LateFill(u8),
    /// A waiter loses patience and leads the next flight.
    Overtake(u8),
    /// The invalidations under way to an L1 arrive.
    NearHears(u8),
    /// The lease of an L1 ends.
    NearEnds(u8),
    /// The lease of an L1 is renewed.
    NearRenews(u8),
    /// The connection of an L1 is cut.
    NearCut(u8),
    /// The fences expire.
    FencesExpire,
    /// The fence of a writer without a transaction id is old enough.
    OrphanLifted(u8),
    /// The lease lapses.
    LeaseLapses,
    /// The lease is lost.
    LeaseEvicted,
    /// The entry is lost.
    EntryEvicted,
    /// The fences are lost.
    FencesLost,
    /// The tag's generation is lost.
    GenerationLost,
    /// The relay invalidates one commit.
    Relay(u8),
    /// The second node receives everything.
    Replicate,
    /// The second node takes over.
    Failover,
    /// A reader turns to the new node.
    MoveReader(u8),
    /// A writer turns to the new node.
    MoveWriter(u8),
    /// No lease on the old epoch is given any more.
    Drain,
    /// The new epoch begins.
    OpenEpoch,
    /// A reader gets a lease on the epoch.
    EpochLease(u8),
    /// A reader's lease on the epoch ends.
    EpochLeaseEnds(u8),
}

impl System for Protocol {
    type State = State;
    type Action = Action;

    fn initial(&self) -> Vec<State> {
        let mut cold = World::default();
        // A counter begins with 0; what is random never is 0.
        let first = self.tag().map(|tag| u8::from(tag.lost == Lost::MadeAnew));
        for node in &mut cold.nodes {
            node.generation = first;
        }
        for reader in cold.readers.iter_mut().take(self.readers.count).rev().take(self.readers.elsewhere) {
            reader.elsewhere = true;
        }
        let mut warm = cold;
        let tag = first.map(|generation| TagStamp { generation, epoch: 0 });
        for node in &mut warm.nodes {
            node.entry = Some(Entry { value: 0, epoch: 0, tag });
        }
        vec![Unnamed(cold), Unnamed(warm)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.0;
        for writer in 0..self.writers {
            self.writer_actions(world, writer, actions);
            self.database_actions(world, writer, actions);
        }
        for reader in 0..self.readers.count {
            self.reader_actions(world, reader, actions);
            self.near_actions(world, reader, actions);
        }
        self.fault_actions(world, actions);
        if self.faults.failover != Failover::Never {
            self.failover_actions(world, actions);
        }
    }

    fn step(&self, state: &State, action: Action, story: &mut Story) -> Option<State> {
        let mut world = state.0;
        world.broken = Default::default();
        match action {
            Action::Write(who) => self.write(&mut world, who.into(), story),
            Action::WriteUnanswered(who) => self.write_unanswered(&mut world, who.into(), story),
            Action::WriteLost(who) => self.write_lost(&mut world, who.into(), story),
            Action::Crash(who) => self.crash(&mut world, who.into(), story),
            Action::Lift(who) => self.lift(&mut world, who.into(), story),
            Action::LateMark(who) => self.late_mark(&mut world, who.into(), story),
            Action::Database(who) => self.advance(&mut world, who.into(), story),
            Action::Abort(who) => self.abort(&mut world, who.into(), story),
            Action::ReplicaCatchesUp => {
                world.replica += 1;
                story.tell(|| format!("the replica catches up to v{}", world.replica));
                Some(())
            }
            Action::Read(who) => self.read(&mut world, who.into(), story),
            Action::AnswerLost(who) => self.answer_lost(&mut world, who.into(), story),
            Action::Refresh(who) => self.refresh(&mut world, who.into(), story),
            Action::Drop(who) => self.drop_read(&mut world, who.into(), story),
            Action::LateFill(who) => self.late_fill(&mut world, who.into(), story),
            Action::Overtake(who) => self.overtake(&mut world, who.into(), story),
            Action::NearHears(_) | Action::NearEnds(_) | Action::NearRenews(_) | Action::NearCut(_) => {
                self.near_step(&mut world, action, story)
            }
            Action::Replicate | Action::Failover | Action::MoveReader(_) | Action::MoveWriter(_) => {
                self.failover_step(&mut world, action, story)
            }
            Action::Drain | Action::OpenEpoch | Action::EpochLease(_) | Action::EpochLeaseEnds(_) => {
                self.strict_step(&mut world, action, story)
            }
            _ => self.fault(&mut world, action, story),
        }?;
        world.forget();
        (world != state.0).then_some(Unnamed(world))
    }

    fn keeps(&self, promise: Promise, state: &State) -> bool {
        match promise {
            Promise::A | Promise::B | Promise::C => !state.0.broken[promise as usize],
            Promise::D => !self.is_quiet(&state.0) || self.is_current(&state.0),
        }
    }
}
