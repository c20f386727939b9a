//! What a seed decides before a run begins: who there is, what they will do, and what may go wrong. Refuses to decide when.

use crate::faults::Fault;
use crate::world::Odds;

/// A call of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Row(usize),
    Early(usize),
    List,
    Card(usize),
    Page(usize),
    /// One transaction over these rows. A savepoint is set before the second and then released, or rolled back.
    Bump {
        rows: Vec<usize>,
        savepoint: Option<Savepoint>,
    },
    Install(usize),
    Alone(usize),
}

/// How a savepoint ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Savepoint {
    Released,
    RolledBack,
}

impl Call {
    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Row(_) | Self::Early(_) | Self::List | Self::Card(_) | Self::Page(_))
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
    /// Whether there is a replica, or a disk, that follows the store at some distance.
    pub replicates: bool,
    /// How often time moves on, in hundredths of the steps.
    pub time_rate: u32,
    /// Whether a write that returned is followed by a read of its row.
    pub probes: bool,
}

const SHAPES: [Shape; 10] = [
    Shape::Hot,
    Shape::Hot,
    Shape::Tagged,
    Shape::Tagged,
    Shape::Nested,
    Shape::Through,
    Shape::Early,
    Shape::Savepoints,
    Shape::Alone,
    Shape::Mixed,
];

impl Plan {
    /// The plan of a seed.
    pub fn of(rng: &mut fastrand::Rng) -> Self {
        let shape = SHAPES[rng.usize(..SHAPES.len())];
        let few = matches!(shape, Shape::Hot | Shape::Through | Shape::Early);
        let rows = if few { 1 } else { rng.usize(1..=3) };
        let rows: Vec<u64> = (0..rows).map(|_| u64::from(rng.u8(..4) > 0)).collect();
        let count = rng.usize(8..=20);
        let calls = (0..count).map(|_| call(rng, shape, rows.len())).collect();
        let faults: Vec<_> = match rng.u8(..10) {
            0..3 => Vec::new(),
            3..6 => vec![Fault::ALL[rng.usize(..Fault::ALL.len())]],
            _ => Fault::ALL.into_iter().filter(|_| rng.u8(..3) == 0).collect(),
        };
        let calm = faults.is_empty();
        let mut odds = |one_in: u8, thousandths: u32| {
            if !calm && rng.u8(..one_in) == 0 { thousandths } else { 0 }
        };
        let odds = Odds {
            repeated: odds(6, 60),
            rejected: odds(8, 150),
            refused: odds(6, 120),
            stuck: odds(3, 300),
            unknown: odds(4, 150),
        };
        Self {
            instances: rng.usize(2..=3),
            rows,
            calls,
            width: rng.usize(3..=7),
            replicates: faults.contains(&Fault::Failover) || faults.contains(&Fault::Restart),
            fault_rate: if calm { 0 } else { [4, 10, 25][rng.usize(..3)] },
            faults,
            odds,
            time_rate: [2, 8, 20][rng.usize(..3)],
            probes: rng.u8(..4) > 0,
        }
    }
}

fn call(rng: &mut fastrand::Rng, shape: Shape, rows: usize) -> Call {
    let row = rng.usize(..rows);
    let bump = |row| Call::Bump { rows: vec![row], savepoint: None };
    let dice = rng.u8(..10);
    match (shape, dice) {
        (Shape::Hot, 0..7) => Call::Row(row),
        (Shape::Hot, _) => bump(row),
        (Shape::Tagged, 0..5) => Call::List,
        (Shape::Tagged, 5) => Call::Page(row),
        (Shape::Tagged, 6) => Call::Row(row),
        (Shape::Tagged, _) => bump(row),
        (Shape::Nested, 0..4) => Call::Card(row),
        (Shape::Nested, 4..6) => Call::Row(row),
        (Shape::Nested, 6) => Call::Page(row),
        (Shape::Nested, _) => bump(row),
        (Shape::Through, 0..5) => Call::Row(row),
        (Shape::Through, 5..8) => Call::Install(row),
        (Shape::Through, _) => bump(row),
        (Shape::Early, 0..7) => Call::Early(row),
        (Shape::Early, _) => bump(row),
        (Shape::Savepoints, 0..3) => Call::Row(row),
        (Shape::Savepoints, 3..5) => Call::List,
        (Shape::Savepoints, _) => {
            let savepoint = match rng.u8(..4) {
                0 => None,
                1 => Some(Savepoint::Released),
                _ => Some(Savepoint::RolledBack),
            };
            let mut all: Vec<_> = (0..rows).collect();
            all.truncate(rng.usize(1..=rows));
            Call::Bump { rows: all, savepoint }
        }
        (Shape::Alone, 0..6) => Call::Row(row),
        (Shape::Alone, 6..9) => Call::Alone(row),
        (Shape::Alone, _) => bump(row),
        (Shape::Mixed, 0) => Call::Row(row),
        (Shape::Mixed, 1) => Call::Early(row),
        (Shape::Mixed, 2) => Call::List,
        (Shape::Mixed, 3) => Call::Card(row),
        (Shape::Mixed, 4) => Call::Page(row),
        (Shape::Mixed, 5) => Call::Install(row),
        (Shape::Mixed, 6) => Call::Alone(row),
        (Shape::Mixed, _) => bump(row),
    }
}
