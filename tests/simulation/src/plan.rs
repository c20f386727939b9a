//! What a seed decides before a run begins: who there is, what they will do, and what may go wrong. Refuses to decide when.

mod draw;

use crate::faults::Fault;
use crate::variety::Choice;
use crate::world::Odds;

/// A call of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Row(usize),
    Early(usize),
    Soon(usize),
    /// Many keys of `row` in one call, some of them twice.
    Rows(Vec<usize>),
    /// Many keys of `soon`.
    Many(Vec<usize>),
    List,
    Story(usize),
    Stories,
    /// One of two functions that call each other.
    Left(usize),
    Right(usize),
    Card(usize),
    Page(usize),
    /// Made of a row that may be old, if it is loaded.
    Badge(usize),
    /// One transaction over these rows. A savepoint is set before the second and then released, or rolled back.
    Bump {
        rows: Vec<usize>,
        savepoint: Option<Savepoint>,
    },
    /// One transaction over this row, which names what the others do not: that stories tell of it.
    Revise(usize),
    /// One transaction over this row, for the two that call each other.
    Swing(usize),
    /// One transaction over this row, for what is made of it.
    Pin(usize),
    Install(usize),
    Alone(usize),
    /// A write that nobody tells the cache of.
    Behind(usize),
    /// One of those, and then a clear of the namespace.
    Restore(usize),
    /// A read that asks for something.
    Asked(How, Box<Call>),
    /// Plain reads and at most one write, in one memo.
    Request(Vec<Call>),
}

/// What a read asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    Plain,
    Refresh,
    Peek,
    Bypass,
    Memo,
    Bounded,
}

impl How {
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Refresh, Self::Peek, Self::Bypass, Self::Memo, Self::Bounded];

    /// What a call asks for, by name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "a plain call",
            Self::Refresh => "refresh(…)",
            Self::Peek => "peek(…)",
            Self::Bypass => "bypass(…)",
            Self::Memo => "memo(…)",
            Self::Bounded => "bounded(…)",
        }
    }
}

/// How a savepoint ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Savepoint {
    Released,
    RolledBack,
}

impl Call {
    /// Whether it is a plain read.
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Row(_)
                | Self::Early(_)
                | Self::Soon(_)
                | Self::Rows(_)
                | Self::Many(_)
                | Self::List
                | Self::Story(_)
                | Self::Stories
                | Self::Left(_)
                | Self::Right(_)
                | Self::Card(_)
                | Self::Page(_)
                | Self::Badge(_)
        )
    }

    /// The plain reads that it is made of.
    pub fn reads(&self) -> Vec<&Self> {
        match self {
            Self::Asked(_, call) => vec![call],
            Self::Request(calls) => calls.iter().filter(|call| call.is_read()).collect(),
            call if call.is_read() => vec![call],
            _ => Vec::new(),
        }
    }

    /// The rows that it writes.
    pub fn written(&self) -> Vec<usize> {
        match self {
            Self::Bump { rows, .. } => rows.clone(),
            Self::Revise(row) | Self::Swing(row) | Self::Pin(row) => vec![*row],
            Self::Install(row) | Self::Alone(row) | Self::Restore(row) => vec![*row],
            Self::Request(calls) => calls.iter().flat_map(Self::written).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a plain read may look at this row.
    pub fn looks_at(&self, row: usize) -> bool {
        match self {
            Self::Row(id) | Self::Early(id) | Self::Soon(id) | Self::Card(id) => *id == row,
            Self::Left(id) | Self::Right(id) | Self::Badge(id) => *id == row,
            Self::Rows(ids) | Self::Many(ids) => ids.contains(&row),
            other => other.is_read(),
        }
    }

    /// Whether a memo forgets a plain read when its request writes this row. A story is forgotten as well with the row that it
    /// tells of, which only its value names.
    pub fn is_forgotten_with(&self, row: usize) -> bool {
        match self {
            Self::Story(id) => *id == row,
            other => other.looks_at(row),
        }
    }

    /// Whether its loader calls cached functions.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::Card(_) | Self::Page(_) | Self::Left(_) | Self::Right(_) | Self::Badge(_))
    }
}

/// What kind of work a seed does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Hot,
    Tagged,
    Nested,
    Through,
    Early,
    Savepoints,
    Alone,
    Mixed,
    /// One row, and writers that die.
    Heirs,
    /// One row, and a replica that lags far behind.
    Lagging,
    /// Nested reads, and fences that are lost.
    Unfenced,
    /// Many keys in one call, beside single reads of the same entries.
    Batches,
    /// Tags that only the value names.
    Told,
    /// Writes behind the cache's back, and clears of the namespace.
    Cleared,
    /// Functions that call each other.
    Circles,
    /// Loads that are asked for, and writes behind the cache's back.
    Anew,
    /// Lifetimes that end, and loads that fail or take long.
    Lapsing,
    /// Values that are made of old ones.
    Made,
    /// Loads that fail while a value stands whose lifetime is over.
    Failing,
}

impl Shape {
    /// Whether it is about several rows.
    fn is_wide(self) -> bool {
        use Shape::{Alone, Batches, Mixed, Nested, Savepoints, Tagged, Told};
        matches!(self, Tagged | Nested | Savepoints | Alone | Mixed | Batches | Told)
    }
}

/// Everything that is settled before the first step.
#[derive(Clone, Debug)]
pub struct Plan {
    pub instances: usize,
    /// First versions of the rows; 0 is a row that is not there.
    pub rows: Vec<u64>,
    pub calls: Vec<Call>,
    /// How many calls may run at once.
    pub width: usize,
    /// What may go wrong, and how often, in thousandths of the steps.
    pub faults: Vec<Fault>,
    pub fault_rate: u32,
    pub odds: Odds,
    /// How often the replica, or the disk, catches up with the store, in thousandths of the steps.
    pub replication: u32,
    /// One in how many writes meets with trouble half-way.
    pub trouble: u8,
    /// How often time moves on, in hundredths of the steps.
    pub time_rate: u32,
    /// The policies that are drawn, the second for later; `None` is a long lifetime and every default.
    pub choices: [Option<Choice>; 2],
    /// How often the second takes the place of the first, in thousandths of the steps.
    pub change_rate: u32,
    /// Whether a write that returned is followed by a read of its row.
    pub probes: bool,
}

/// Each as often as it stands here: those more often that find what is rare.
const SHAPES: [Shape; 36] = {
    use Shape::*;
    [
        Anew, Heirs, Heirs, Heirs, Lagging, Lagging, Unfenced, Unfenced, Unfenced, Lapsing, Lapsing, Lapsing,
        Lapsing, Failing, Failing, Batches, Batches, Told, Told, Cleared, Cleared, Circles, Hot, Hot, Tagged,
        Tagged, Nested, Nested, Early, Early, Through, Savepoints, Alone, Mixed, Made, Made,
    ]
};

impl Plan {
    /// The plan of a seed.
    pub fn of(rng: &mut fastrand::Rng) -> Self {
        let shape = SHAPES[rng.usize(..SHAPES.len())];
        let few = !shape.is_wide();
        let rows = if few { 1 } else { rng.usize(1..=3) };
        let rows: Vec<u64> = (0..rows).map(|_| u64::from(rng.u8(..4) > 0)).collect();
        // One fault at the worst moment, and nothing else that would hide what it does.
        let is_focused = matches!(shape, Shape::Heirs | Shape::Lagging | Shape::Unfenced);
        let is_varied = match shape {
            Shape::Lapsing | Shape::Failing | Shape::Made => true,
            _ if is_focused => rng.u8(..8) == 0,
            _ => rng.bool(),
        };
        let count = if is_focused { rng.usize(16..=30) } else { rng.usize(8..=20) };
        let asks = !is_focused && rng.u8(..4) == 0;
        let one = if asks { draw::special } else { draw::call };
        let calls = (0..count).map(|_| one(rng, shape, rows.len())).collect();
        let faults: Vec<_> = match rng.u8(..10) {
            _ if shape == Shape::Heirs => vec![Fault::Crash],
            _ if shape == Shape::Lagging => vec![Fault::Failover],
            _ if shape == Shape::Unfenced => vec![Fault::Flush],
            0..3 => Vec::new(),
            3..6 => vec![Fault::ALL[rng.usize(..Fault::ALL.len())]],
            _ => Fault::ALL.into_iter().filter(|_| rng.u8(..3) == 0).collect(),
        };
        let calm = faults.is_empty();
        let mut odds = |one_in: u8, thousandths: u32| {
            if !calm && !is_focused && rng.u8(..one_in) == 0 { thousandths } else { 0 }
        };
        let replicated = faults.contains(&Fault::Failover) || faults.contains(&Fault::Restart);
        let odds = Odds {
            replicated: if replicated { 250 } else { 0 },
            split: 300,
            split_clears: if shape == Shape::Unfenced { 900 } else { 300 },
            repeated: odds(6, 60),
            rejected: odds(8, 150),
            refused: odds(6, 120),
            stuck: if shape == Shape::Unfenced { 400 } else { odds(3, 300) },
            unknown: odds(4, 150),
            // An old load ends when the fence of the dead is lifted, or when the namespace is clear.
            slow: if matches!(shape, Shape::Heirs | Shape::Cleared) { 300 } else { 0 },
            busy: match shape {
                Shape::Lapsing => [0, 150, 500][rng.usize(..3)],
                Shape::Failing => 400,
                _ if is_varied => odds(4, 200),
                _ => 0,
            },
        };
        let draw = if shape == Shape::Failing { Choice::draw_failing } else { Choice::draw };
        let mut choice = || is_varied.then(|| draw(rng));
        let choices = [choice(), choice()];
        Self {
            instances: if matches!(shape, Shape::Lagging | Shape::Anew) { 1 } else { rng.usize(2..=3) },
            rows,
            calls,
            width: rng.usize(3..=7),
            replication: match (replicated, shape) {
                (false, _) => 0,
                (true, Shape::Lagging) => 3,
                (true, _) => 40,
            },
            trouble: if is_focused { 2 } else { 4 },
            time_rate: if matches!(shape, Shape::Early | Shape::Lapsing) {
                25
            } else {
                [2, 8, 20][rng.usize(..3)]
            },
            choices,
            change_rate: if is_varied && rng.u8(..3) == 0 { 5 } else { 0 },
            fault_rate: if calm || is_focused { 0 } else { [4, 10, 25][rng.usize(..3)] },
            faults,
            odds,
            probes: rng.u8(..4) > 0,
        }
    }
}
