//! A small model of two entries, the outer one made of the inner one, and a write that names both. What the store does for
//! two subjects is two steps. Refuses what the large model covers: dying writers, failover, flights.

mod reader;

use crate::promise::Promise;
use crate::state::Transaction;
use crate::system::{Story, Symmetric, System, Unnamed};

const OUTER: usize = 0;
const INNER: usize = 1;
const NAMES: [&str; 2] = ["outer", "inner"];
const READERS: usize = 2;

/// What a writer does about a CLEAR that found its fence gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing: it has dropped what was there.
    Ignored,
    /// Clears once more.
    ClearedAgain,
    /// Marks everything again under another writer id and clears that, until all fences stood.
    FencedAgain,
}

/// The protocol of a write to both entries.
#[derive(Clone, Copy, Debug)]
pub struct Nested {
    /// What it does about a lost fence.
    pub lost: Lost,
    /// In which order it clears.
    pub clears: [usize; 2],
    /// Whether fences may be lost, one by one.
    pub fences_lost: bool,
}

impl Nested {
    /// The outer entry is cleared before the inner one.
    pub const OUTER_FIRST: [usize; 2] = [OUTER, INNER];
    /// The inner entry is cleared before the outer one.
    pub const INNER_FIRST: [usize; 2] = [INNER, OUTER];
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Subject {
    entry: Option<u8>,
    leased: bool,
    /// Whether the writer's fence stands, under the id that it has now. (Under an earlier one none does: it was cleared.)
    fenced: bool,
    /// A CLEAR that is still under way: whether it is of the id that the writer has now.
    late_clear: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Step {
    #[default]
    Begin,
    Mark(u8),
    Commit,
    Clear(u8),
    Return,
    Done,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Writer {
    step: Step,
    transaction: Transaction,
    /// Whether all fences stood so far in this round of clears.
    intact: bool,
    /// Whether this is not the first round.
    again: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum At {
    #[default]
    Idle,
    Look(u8),
    Lease(u8),
    Load,
    Fill(u8),
    Answer(u8),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Reader {
    at: At,
    asked: u8,
    /// Its leases, and whether they are still the stored ones.
    leases: [Option<bool>; 2],
    value: u8,
    returned: u8,
    visible: u8,
    seen: u8,
}

/// One moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moment {
    visible: u8,
    returned: u8,
    seen: [u8; 2],
    subjects: [Subject; 2],
    writer: Writer,
    readers: [Reader; READERS],
    broken: [bool; 3],
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The writer's next step, answered.
    Write,
    /// Its CLEAR is carried out, the answer is lost.
    ClearUnanswered,
    /// Its CLEAR is held up; it sends another one.
    ClearDelayed,
    /// The CLEAR that was held up arrives.
    LateClear(usize),
    /// The database goes on with the COMMIT.
    Database,
    /// A reader begins to read an entry.
    Begin(usize, usize),
    /// A reader's next step.
    Read(usize),
    /// The FILL of a reader is lost.
    FillLost(usize),
    /// The fences on a subject are lost.
    FencesLost(usize),
}

impl System for Nested {
    type State = Unnamed<Moment>;
    type Action = Action;

    fn initial(&self) -> Vec<Unnamed<Moment>> {
        let cold = Moment::default();
        let mut warm = cold;
        for subject in &mut warm.subjects {
            subject.entry = Some(0);
        }
        vec![Unnamed(cold), Unnamed(warm)]
    }

    fn actions(&self, Unnamed(moment): &Unnamed<Moment>, actions: &mut Vec<Action>) {
        actions.push(Action::Write);
        if let Step::Clear(_) = moment.writer.step {
            actions.extend([Action::ClearUnanswered, Action::ClearDelayed]);
        }
        if matches!(moment.writer.transaction, Transaction::Committing | Transaction::Durable) {
            actions.push(Action::Database);
        }
        for (number, subject) in moment.subjects.iter().enumerate() {
            if subject.late_clear.is_some() {
                actions.push(Action::LateClear(number));
            }
            if self.fences_lost && subject.fenced {
                actions.push(Action::FencesLost(number));
            }
        }
        for (number, reader) in moment.readers.iter().enumerate() {
            match reader.at {
                At::Idle => actions.extend([Action::Begin(number, OUTER), Action::Begin(number, INNER)]),
                At::Fill(_) => actions.extend([Action::Read(number), Action::FillLost(number)]),
                _ => actions.push(Action::Read(number)),
            }
        }
    }

    fn step(
        &self,
        Unnamed(before): &Unnamed<Moment>,
        action: Action,
        story: &mut Story,
    ) -> Option<Unnamed<Moment>> {
        let mut moment = *before;
        moment.broken = [false; 3];
        match action {
            Action::Write => self.write(&mut moment, story)?,
            Action::ClearUnanswered => {
                self.clear(&mut moment, story)?;
                story.tell(|| "the answer is lost, so it will be sent again");
            }
            Action::ClearDelayed => {
                let Step::Clear(place) = moment.writer.step else { return None };
                let subject = &mut moment.subjects[self.clears[usize::from(place)]];
                subject.late_clear = Some(true);
                story.tell(|| "writer: its CLEAR is held up, so it sends another one");
            }
            Action::LateClear(number) => {
                let is_current = moment.subjects[number].late_clear.take()?;
                moment.drop_stored(number);
                moment.subjects[number].fenced &= !is_current;
                story.tell(|| format!("the CLEAR that was held up arrives at the {} subject", NAMES[number]));
            }
            Action::Database => {
                let writer = &mut moment.writer;
                if writer.transaction == Transaction::Committing {
                    writer.transaction = Transaction::Durable;
                    story.tell(|| "database: v1 is durable, but not yet visible");
                } else {
                    (writer.transaction, moment.visible) = (Transaction::Visible, 1);
                    story.tell(|| "database: v1 is visible");
                }
            }
            Action::Begin(number, asked) => {
                let (returned, visible) = (moment.returned, moment.visible);
                moment.readers[number] = Reader {
                    at: At::Look(asked as u8),
                    asked: asked as u8,
                    returned,
                    visible,
                    seen: moment.seen[asked],
                    ..Reader::default()
                };
                story.tell(|| format!("reader {}: begins to read the {} entry", number + 1, NAMES[asked]));
            }
            Action::Read(number) => moment.read(number, story)?,
            Action::FillLost(number) => {
                let At::Fill(subject) = moment.readers[number].at else { return None };
                moment.readers[number].at = At::Answer(subject);
                moment.readers[number].leases[usize::from(subject)] = None;
                story.tell(|| format!("reader {}: its FILL is lost", number + 1));
            }
            Action::FencesLost(number) => {
                moment.subjects[number].fenced = false;
                story.tell(|| format!("store: the fences on the {} subject are lost", NAMES[number]));
            }
        }
        (moment != *before).then_some(Unnamed(moment))
    }

    fn keeps(&self, promise: Promise, Unnamed(moment): &Unnamed<Moment>) -> bool {
        match promise {
            Promise::A | Promise::B | Promise::C => !moment.broken[promise as usize],
            Promise::D => {
                let quiet = moment.writer.step == Step::Done
                    && moment.readers.iter().all(|reader| reader.at == At::Idle)
                    && moment.subjects.iter().all(|subject| subject.late_clear.is_none());
                !quiet
                    || moment.subjects.iter().all(|it| it.entry.is_none_or(|value| value == moment.visible))
            }
        }
    }
}

impl Nested {
    fn write(&self, moment: &mut Moment, story: &mut Story) -> Option<()> {
        let writer = &mut moment.writer;
        match writer.step {
            Step::Begin => {
                (writer.step, writer.transaction) = (Step::Mark(0), Transaction::Active);
                story.tell(|| "writer: BEGIN, UPDATE");
            }
            Step::Mark(number) => {
                writer.step = match (number, writer.again) {
                    (0, _) => Step::Mark(1),
                    (_, false) => Step::Commit,
                    (_, true) => Step::Clear(0),
                };
                writer.intact = true;
                moment.drop_stored(number.into());
                moment.subjects[usize::from(number)].fenced = true;
                story.tell(|| format!("writer: MARK of the {} subject", NAMES[usize::from(number)]));
            }
            Step::Commit if writer.transaction == Transaction::Active => {
                writer.transaction = Transaction::Committing;
                story.tell(|| "writer: sends COMMIT");
            }
            Step::Commit if writer.transaction == Transaction::Visible => {
                writer.step = Step::Clear(0);
                story.tell(|| "writer: COMMIT is answered");
            }
            Step::Clear(place) => {
                self.clear(moment, story)?;
                let intact = moment.writer.intact;
                moment.writer.step = match (place, self.lost) {
                    (0, _) => Step::Clear(1),
                    (_, Lost::FencedAgain) if !intact => {
                        story.tell(|| "a fence was gone: it marks all again under another id");
                        moment.writer.again = true;
                        for subject in &mut moment.subjects {
                            subject.late_clear = subject.late_clear.map(|_| false);
                        }
                        Step::Mark(0)
                    }
                    (_, Lost::ClearedAgain) if !intact && !moment.writer.again => {
                        story.tell(|| "a fence was gone: it clears all again");
                        moment.writer.again = true;
                        Step::Clear(0)
                    }
                    _ => Step::Return,
                };
            }
            Step::Return => {
                (writer.step, moment.returned) = (Step::Done, 1);
                story.tell(|| "writer: returns Ok");
            }
            Step::Commit | Step::Done => return None,
        }
        Some(())
    }

    fn clear(&self, moment: &mut Moment, story: &mut Story) -> Option<()> {
        let Step::Clear(place) = moment.writer.step else { return None };
        let number = self.clears[usize::from(place)];
        moment.drop_stored(number);
        let stood = std::mem::take(&mut moment.subjects[number].fenced);
        moment.writer.intact &= stood;
        story.tell(|| {
            let found = if stood { "its fence stood" } else { "its fence was gone" };
            format!("writer: CLEAR of the {} subject: {found}", NAMES[number])
        });
        Some(())
    }
}

impl Symmetric for Moment {
    fn canonical(&self) -> Self {
        let mut moment = *self;
        moment.readers.sort_unstable();
        moment
    }
}

impl Moment {
    /// What MARK and CLEAR drop.
    fn drop_stored(&mut self, number: usize) {
        (self.subjects[number].entry, self.subjects[number].leased) = (None, false);
        for reader in &mut self.readers {
            reader.leases[number] = reader.leases[number].map(|_| false);
        }
    }
}
