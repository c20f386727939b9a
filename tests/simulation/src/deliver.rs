//! What becomes of one message when it arrives: a step of a command, a statement, an answer handed over. Refuses to choose which
//! message that is.

use std::time::Duration;

use cache_core::error::StoreErrorKind;
use cache_core::store::Cleared;

use crate::check::Visible;
use crate::database::Xid;
use crate::dataset::Asker;
use crate::job::Job;
use crate::timeline;
use crate::wire::{Cargo, Command, Message, Says, Sql, SqlError, SqlSays, StoreSays};
use crate::world::{Owner, State};

impl State {
    /// Whether a message can arrive now: it is due, and no lock stands in its way.
    pub fn is_deliverable(&self, message: &Message) -> bool {
        if message.not_before > self.now {
            return false;
        }
        match &message.cargo {
            Cargo::Sql(Sql::Write(xid, row)) => !self.database.would_wait(Some(*xid), *row),
            Cargo::Sql(Sql::WriteAlone(row)) => !self.database.would_wait(None, *row),
            _ => true,
        }
    }

    fn happens(&mut self, odds: u32) -> bool {
        odds > 0 && self.rng.u32(..1000) < odds
    }

    /// A message arrives.
    pub fn deliver(&mut self, place: usize) {
        let mut message = self.messages.swap_remove(place);
        match std::mem::replace(&mut message.cargo, Cargo::Abort(0)) {
            Cargo::Store(job) => self.carry_out(&message, job),
            Cargo::Sql(sql) => self.execute(&message, sql),
            Cargo::Answer(says) => self.hand_over(&message, says),
            Cargo::Show(xid, says) => self.show(&message, xid, says),
            Cargo::Abort(xid) => {
                if self.database.is_open(xid) {
                    self.say(|_| {
                        format!("database: notices that the client of tx {xid} is gone, and aborts it")
                    });
                    self.database.abort(xid);
                }
            }
        }
    }

    fn carry_out(&mut self, message: &Message, mut job: Box<Job>) {
        let asker = Asker { process: message.process, now: self.store_time() };
        if matches!(job.command, Command::Fill { .. }) && self.happens(self.odds.rejected) {
            let who = self.who(message.process, message.op);
            self.say(|_| format!("store: rejects the fill of {who}"));
            return self.follow(
                message,
                Duration::ZERO,
                Cargo::Answer(Says::Store(Err(StoreErrorKind::Rejected))),
            );
        }
        let is_clear = matches!(job.command, Command::Clear { .. });
        let split = if is_clear { self.odds.split_clears } else { self.odds.split };
        let all = !self.happens(split);
        loop {
            // A lease is never sent twice: a late duplicate would revive a token that a mark has voided.
            if !matches!(job.command, Command::Lease { .. }) && self.happens(self.odds.repeated) {
                self.counts.repeated_commands += 1;
                self.say(|_| "store: carries the next command out twice".into());
                job.clone().step(&mut self.master, asker);
            }
            job.step(&mut self.master, asker);
            if job.is_done() || !all {
                break;
            }
        }
        let who = |state: &Self| state.who(message.process, message.op);
        if !job.is_done() {
            self.say(|state| {
                format!("store: carries out a part of {} of {}", timeline::command(&job.command), who(state))
            });
            // The rest goes to another node, or waits behind somebody else's pipeline: now and then for long.
            let weight = if self.rng.bool() || split > 500 { 1 } else { message.weight };
            return self.follow(&message.at(weight), Duration::ZERO, Cargo::Store(job));
        }
        let says = job.answer(&mut self.master, asker);
        match job.command {
            Command::Mark { .. } => self.ripe = Some(message.process),
            Command::Lease { .. } if self.happens(self.odds.replicated) => self.replicate(),
            _ => {}
        }
        if let StoreSays::Cleared(_, Cleared { intact, installed }) = &says {
            self.counts.installed_puts += *installed as u64;
            self.counts.fences_set_again += u64::from(!intact);
        }
        let says = Says::Store(Ok(says));
        self.say(|state| {
            let (command, says) = (timeline::command(&job.command), timeline::answer(&says));
            format!("store: {command} of {} -> {says}", who(state))
        });
        self.answers(message, says);
    }

    /// Now and then the way back takes much longer than the way there.
    fn answers(&mut self, message: &Message, says: Says) {
        let weight = if self.rng.u8(..6) == 0 { 1 } else { message.weight };
        self.follow(&message.at(weight), Duration::ZERO, Cargo::Answer(says));
    }

    fn execute(&mut self, message: &Message, sql: Sql) {
        if matches!(sql, Sql::Read(_)) && self.happens(self.odds.busy) {
            self.counts.busy_reads += 1;
            let who = self.who(message.process, message.op);
            self.say(|_| format!("database: turns a statement of {who} away"));
            return self.answers(message, Says::Sql(Err(SqlError::Busy)));
        }
        let database = &mut self.database;
        let gone = |_| SqlError::Gone;
        let said = match &sql {
            Sql::Begin => Ok(SqlSays::Begun(database.begin(message.op.unwrap_or_default()))),
            Sql::Write(xid, row) => database.write(*xid, *row).map(SqlSays::Wrote).map_err(gone),
            Sql::WriteAlone(row) => {
                let xid = database.begin(message.op.unwrap_or_default());
                let says = database.write(xid, *row).map(SqlSays::Wrote).map_err(gone);
                return self.commit(message, xid, Says::Sql(says));
            }
            Sql::Savepoint(xid) => database.savepoint(*xid).map(|()| SqlSays::Done).map_err(gone),
            Sql::Release(xid) => database.release(*xid).map(|()| SqlSays::Done).map_err(gone),
            Sql::RollBackTo(xid) => {
                self.counts.rolled_back_savepoints += 1;
                database.roll_back_to(*xid).map(|()| SqlSays::Done).map_err(gone)
            }
            Sql::Identify(xid) => Ok(SqlSays::Open(database.is_open(*xid))),
            Sql::Commit(xid) => return self.commit(message, *xid, Says::Sql(Ok(SqlSays::Done))),
            Sql::RollBack(xid) => {
                database.abort(*xid);
                Ok(SqlSays::Done)
            }
            Sql::Read(rows) => Ok(SqlSays::Versions(rows.iter().map(|row| database.read(*row)).collect())),
            Sql::Finished(asked) => {
                let finished = asked.iter().filter(|(xid, _)| database.is_finished(*xid));
                Ok(SqlSays::Finished(finished.map(|(_, writer)| *writer).collect()))
            }
        };
        let says = Says::Sql(said);
        self.say(|state| {
            let who = state.who(message.process, message.op);
            format!("database: {} of {who} -> {}", timeline::statement(&sql), timeline::answer(&says))
        });
        if matches!(sql, Sql::Read(_)) && self.happens(self.odds.slow) {
            let late = self.now + Duration::from_millis(self.rng.u64(60..400));
            return self.follow(message, late, Cargo::Answer(says));
        }
        self.answers(message, says);
    }

    fn commit(&mut self, message: &Message, xid: Xid, says: Says) {
        if self.happens(self.odds.refused) {
            self.database.abort(xid);
            self.counts.refused_commits += 1;
            self.say(|_| format!("database: refuses to commit tx {xid}"));
            return self.follow(message, Duration::ZERO, Cargo::Answer(Says::Sql(Err(SqlError::Refused))));
        }
        if self.database.commit(xid).is_err() {
            self.say(|_| format!("database: tx {xid} is over and cannot be committed"));
            return self.follow(message, Duration::ZERO, Cargo::Answer(Says::Sql(Err(SqlError::Lost))));
        }
        let stuck = self.happens(self.odds.stuck);
        let visible_at = if stuck {
            self.counts.stuck_commits += 1;
            let longest = if self.rng.bool() { 6 } else { 2500 };
            self.now + Duration::from_millis(self.rng.u64(1..longest))
        } else {
            Duration::ZERO
        };
        self.say(|_| format!("database: tx {xid} is durable{}", if stuck { ", and stuck" } else { "" }));
        let says = if self.happens(self.odds.unknown) {
            self.counts.lost_sessions += 1;
            self.follow(message, Duration::ZERO, Cargo::Answer(Says::Sql(Err(SqlError::Lost))));
            None
        } else {
            Some(says)
        };
        self.follow(message, visible_at, Cargo::Show(xid, says));
    }

    fn show(&mut self, message: &Message, xid: Xid, says: Option<Says>) {
        let at = self.mark_time();
        let (op, writes) = self.database.show(xid);
        self.say(|_| format!("database: tx {xid} of call {op} is visible: {writes:?}"));
        self.ripe = Some(message.process);
        self.facts.visible.extend(writes.into_iter().map(|(row, version)| Visible { row, version, op, at }));
        if let Some(says) = says {
            self.follow(message, Duration::ZERO, Cargo::Answer(says));
        }
    }

    fn hand_over(&mut self, message: &Message, says: Says) {
        if !self.is_awaited(message.call) {
            return;
        }
        self.say(|state| {
            format!("{}: gets {}", state.who(message.process, message.op), timeline::answer(&says))
        });
        if let Says::Store(Ok(StoreSays::Cleared(writer, Cleared { intact: true, .. }))) = &says
            && let Some(Owner::Op(op)) = self.owners.get(writer).copied()
        {
            let at = self.mark_time();
            self.facts.writes.entry(op).or_default().cleared.get_or_insert(at);
        }
        // A dead process reads nothing, so that its work in the background ends as it did.
        if self.processes[message.process].is_alive {
            self.answer(message.call, says);
        }
    }
}
