//! The simulated database: rows with versions, row locks, savepoints, and commits that are durable before they are visible.
//! Refuses to decide when anything happens.

use std::collections::BTreeMap;

use crate::world::OpId;

/// A transaction's id.
pub type Xid = u64;

/// A row's content: 0 while there is none. Each statement that writes a row makes the next version of it.
pub type Version = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Durable; nobody sees it yet.
    Committing,
    Committed,
    Aborted,
}

#[derive(Debug)]
struct Transaction {
    op: OpId,
    state: State,
    writes: BTreeMap<usize, Version>,
    savepoints: Vec<BTreeMap<usize, Version>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    visible: Version,
    last: Version,
    held: Option<Xid>,
}

/// All rows and transactions.
#[derive(Debug, Default)]
pub struct Database {
    rows: Vec<Row>,
    transactions: BTreeMap<Xid, Transaction>,
    last: Xid,
}

/// The transaction is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Database {
    /// A database whose rows have these versions.
    pub fn new(rows: &[Version]) -> Self {
        let row = |&version: &Version| Row { visible: version, last: version, held: None };
        Self { rows: rows.iter().map(row).collect(), ..Self::default() }
    }

    pub fn begin(&mut self, op: OpId) -> Xid {
        self.last += 1;
        let transaction =
            Transaction { op, state: State::Open, writes: BTreeMap::new(), savepoints: Vec::new() };
        self.transactions.insert(self.last, transaction);
        self.last
    }

    fn open(&mut self, xid: Xid) -> Result<&mut Transaction, Gone> {
        self.transactions.get_mut(&xid).filter(|transaction| transaction.state == State::Open).ok_or(Gone)
    }

    /// Whether a statement of this transaction would wait for another's lock.
    pub fn would_wait(&self, xid: Option<Xid>, row: usize) -> bool {
        self.rows[row].held.is_some_and(|holder| Some(holder) != xid)
    }

    /// Writes a row; the caller has seen that the lock is free.
    pub fn write(&mut self, xid: Xid, row: usize) -> Result<Version, Gone> {
        self.open(xid)?;
        let at = &mut self.rows[row];
        at.last += 1;
        at.held = Some(xid);
        let version = at.last;
        self.open(xid)?.writes.insert(row, version);
        Ok(version)
    }

    pub fn savepoint(&mut self, xid: Xid) -> Result<(), Gone> {
        let transaction = self.open(xid)?;
        transaction.savepoints.push(transaction.writes.clone());
        Ok(())
    }

    pub fn release(&mut self, xid: Xid) -> Result<(), Gone> {
        self.open(xid)?.savepoints.pop().map(drop).ok_or(Gone)
    }

    /// Undoes what was written since the last savepoint; the locks stay until the end.
    pub fn roll_back_to(&mut self, xid: Xid) -> Result<(), Gone> {
        let transaction = self.open(xid)?;
        transaction.writes = transaction.savepoints.pop().ok_or(Gone)?;
        Ok(())
    }

    pub fn is_open(&self, xid: Xid) -> bool {
        self.transactions.get(&xid).is_some_and(|transaction| transaction.state == State::Open)
    }

    /// Makes it durable.
    pub fn commit(&mut self, xid: Xid) -> Result<(), Gone> {
        self.open(xid)?.state = State::Committing;
        Ok(())
    }

    /// Shows it to everybody; what changed, and whose change it is.
    pub fn show(&mut self, xid: Xid) -> (OpId, BTreeMap<usize, Version>) {
        let transaction = self.transactions.get_mut(&xid).expect("only what was begun commits");
        transaction.state = State::Committed;
        let (op, writes) = (transaction.op, transaction.writes.clone());
        for (&row, &version) in &writes {
            self.rows[row].visible = version;
        }
        self.unlock(xid);
        (op, writes)
    }

    /// Undoes it, unless it is durable.
    pub fn abort(&mut self, xid: Xid) {
        if let Ok(transaction) = self.open(xid) {
            transaction.state = State::Aborted;
            self.unlock(xid);
        }
    }

    fn unlock(&mut self, xid: Xid) {
        for row in &mut self.rows {
            row.held = row.held.filter(|holder| *holder != xid);
        }
    }

    /// Whether it has ended, and its effect, if any, is visible.
    pub fn is_finished(&self, xid: Xid) -> bool {
        let state = self.transactions.get(&xid).map(|transaction| transaction.state);
        matches!(state, Some(State::Committed | State::Aborted))
    }

    /// What a statement that begins now sees.
    pub fn read(&self, row: usize) -> Version {
        self.rows[row].visible
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whose transaction it is.
    pub fn op(&self, xid: Xid) -> Option<OpId> {
        self.transactions.get(&xid).map(|transaction| transaction.op)
    }

    /// The transactions that are open.
    pub fn open_ones(&self) -> Vec<(Xid, OpId)> {
        let open = self.transactions.iter().filter(|(_, transaction)| transaction.state == State::Open);
        open.map(|(xid, transaction)| (*xid, transaction.op)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_durable_before_it_is_visible() {
        let mut database = Database::new(&[1]);
        let xid = database.begin(7);
        assert_eq!(database.write(xid, 0), Ok(2));
        database.commit(xid).unwrap();
        database.abort(xid);
        assert_eq!((database.read(0), database.is_finished(xid)), (1, false));
        assert!(database.would_wait(None, 0), "the lock is held until others see the change");
        assert_eq!(database.show(xid), (7, BTreeMap::from([(0, 2)])));
        assert_eq!((database.read(0), database.is_finished(xid)), (2, true));
        assert!(!database.would_wait(None, 0));
    }

    #[test]
    fn a_savepoint_takes_back_what_came_after_it() {
        let mut database = Database::new(&[1, 0]);
        let xid = database.begin(1);
        database.write(xid, 0).unwrap();
        database.savepoint(xid).unwrap();
        database.write(xid, 0).unwrap();
        database.write(xid, 1).unwrap();
        database.roll_back_to(xid).unwrap();
        database.commit(xid).unwrap();
        database.show(xid);
        assert_eq!((database.read(0), database.read(1)), (2, 0));
    }

    #[test]
    fn what_was_aborted_is_finished_and_cannot_go_on() {
        let mut database = Database::new(&[1]);
        let xid = database.begin(1);
        database.write(xid, 0).unwrap();
        database.abort(xid);
        assert_eq!((database.read(0), database.is_finished(xid)), (1, true));
        assert_eq!((database.write(xid, 0), database.commit(xid)), (Err(Gone), Err(Gone)));
        assert!(!database.is_finished(99), "what was never begun is not known to be finished");
    }
}
