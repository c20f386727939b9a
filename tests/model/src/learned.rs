//! A small model of tags that only the value knows: an article lies in a group, and shows the group's name. One writer moves
//! the article from group a to group b and marks the article; another renames b and marks that tag. Refuses what the large
//! model covers: lost fences, failover, flights.

mod moves;

use crate::promise::Promise;
use crate::state::Transaction;
use crate::system::{Story, Symmetric, System, Unnamed};

const GROUPS: [&str; 2] = ["a", "b"];
const READERS: usize = 2;
const MOVER: usize = 0;
const RENAMER: usize = 1;

/// How a reader that has loaded an article stamps it with the group's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamping {
    /// With what was read before the load, if the value's tags are among those; else it does not fill.
    WithinHint,
    /// With what was read before the load, whatever the value's tags are.
    OfHint,
    /// With what is read after the load.
    AfterLoad,
}

/// The protocol of the readers. The hint is any set of tags: it may be wrong, old or lost.
#[derive(Clone, Copy, Debug)]
pub struct Learned {
    /// How a loaded article is stamped.
    pub stamping: Stamping,
    /// How many writers may die.
    pub crashes: u8,
    /// Whether generations may be evicted.
    pub generations_lost: bool,
}

/// An article as it is read: its group, and whether it shows b's new name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Article {
    group: u8,
    renamed: bool,
}

/// The tags that somebody has read, by group: whether the generation is still the same. (It is random, so no more matters.)
type Generations = [Option<bool>; 2];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    entry: Option<(Article, Generations)>,
    leased: bool,
    /// The mover's fence on the article.
    fenced: bool,
    /// Tags whose generation is lost.
    lost: [bool; 2],
    /// The renamer's fence on tag b.
    tag_fenced: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Writer {
    step: u8,
    dead: bool,
    transaction: Transaction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum At {
    #[default]
    Idle,
    Look,
    LookTags,
    Lease,
    Load,
    Stamp,
    Fill,
    Answer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Reader {
    at: At,
    article: Article,
    /// Its lease, and whether it is still the stored one.
    lease: Option<bool>,
    tags: Generations,
    /// For A, B and C: whether the move, and the renaming, must show.
    floors: [[bool; 2]; 3],
}

/// One moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Moment {
    visible: [bool; 2],
    returned: [bool; 2],
    seen: [bool; 2],
    store: Store,
    writers: [Writer; 2],
    readers: [Reader; READERS],
    crashes: u8,
    broken: [bool; 3],
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A writer's next step, answered.
    Write(usize),
    /// A writer's CLEAR is carried out, the answer is lost.
    ClearUnanswered(usize),
    /// A writer dies.
    Crash(usize),
    /// The database goes on with a COMMIT, or undoes what a dead writer left.
    Database(usize),
    /// A reader's next step.
    Read(usize),
    /// A reader asks for a lease and reads the tags of this hint, as bits.
    Lease(usize, u8),
    /// The FILL of a reader is lost.
    FillLost(usize),
    /// A generation is evicted.
    GenerationLost(usize),
}

impl System for Learned {
    type State = Unnamed<Moment>;
    type Action = Action;

    fn initial(&self) -> Vec<Unnamed<Moment>> {
        let cold = Moment::default();
        let mut warm = cold;
        warm.store.entry = Some((Article::default(), [Some(true), None]));
        vec![Unnamed(cold), Unnamed(warm)]
    }

    fn actions(&self, Unnamed(moment): &Unnamed<Moment>, actions: &mut Vec<Action>) {
        for (number, writer) in moment.writers.iter().enumerate() {
            if !writer.dead {
                actions.push(Action::Write(number));
                if writer.step > 0 && writer.step < 5 && moment.crashes < self.crashes {
                    actions.push(Action::Crash(number));
                }
            }
            if writer.step == 3 && !writer.dead {
                actions.push(Action::ClearUnanswered(number));
            }
            actions.push(Action::Database(number));
        }
        for (number, reader) in moment.readers.iter().enumerate() {
            match reader.at {
                At::Lease => actions.extend((0..4).map(|hint| Action::Lease(number, hint))),
                At::Fill => actions.extend([Action::Read(number), Action::FillLost(number)]),
                _ => actions.push(Action::Read(number)),
            }
        }
        if self.generations_lost {
            actions.extend([Action::GenerationLost(0), Action::GenerationLost(1)]);
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
            Action::Write(writer) => moment.write(writer, story)?,
            Action::ClearUnanswered(writer) => {
                moment.clear(writer, story);
                story.tell(|| "the answer is lost, so it will be sent again");
            }
            Action::Crash(writer) => {
                moment.crashes += 1;
                moment.writers[writer].dead = true;
                story.tell(|| format!("the {} dies", name(writer)));
            }
            Action::Database(writer) => moment.database(writer, story)?,
            Action::Read(reader) => self.read(&mut moment, reader, story)?,
            Action::Lease(reader, hint) => self.lease(&mut moment, reader, hint, story),
            Action::FillLost(reader) => {
                moment.readers[reader].at = At::Answer;
                story.tell(|| format!("reader {}: its FILL is lost", reader + 1));
            }
            Action::GenerationLost(group) => {
                moment.moves(group);
                moment.store.lost[group] = true;
                story.tell(|| format!("store: the generation of tag {} is evicted", GROUPS[group]));
            }
        }
        (moment != *before).then_some(Unnamed(moment))
    }

    fn keeps(&self, promise: Promise, Unnamed(moment): &Unnamed<Moment>) -> bool {
        match promise {
            Promise::A | Promise::B | Promise::C => !moment.broken[promise as usize],
            Promise::D => {
                let over =
                    |writer: &Writer| (writer.dead || writer.step == 5) && writer.transaction.is_over();
                let quiet =
                    moment.writers.iter().all(over) && moment.readers.iter().all(|it| it.at == At::Idle);
                let served = moment.store.entry.filter(|(_, tags)| unmoved(tags));
                !quiet || served.is_none_or(|(article, _)| article == moment.current())
            }
        }
    }
}

fn unmoved(tags: &Generations) -> bool {
    tags.iter().all(|tag| *tag != Some(false))
}

fn name(writer: usize) -> &'static str {
    ["mover", "renamer"][writer]
}

impl Learned {
    fn lease(&self, moment: &mut Moment, number: usize, hint: u8, story: &mut Story) {
        for writer in [MOVER, RENAMER] {
            if matches!(moment.writers[writer].transaction, Transaction::Visible | Transaction::Aborted) {
                *moment.fence(writer) = false;
            }
        }
        let hinted = |group: usize| hint & 1 << group != 0;
        let store = &mut moment.store;
        for group in (0..2).filter(|group| hinted(*group)) {
            store.lost[group] = false;
        }
        let reader = &mut moment.readers[number];
        let fenced = store.fenced || store.tag_fenced && hinted(RENAMER);
        reader.at = At::Load;
        let granted = !fenced && !store.leased;
        if granted {
            store.leased = true;
            reader.lease = Some(true);
            reader.tags = [hinted(0).then_some(true), hinted(1).then_some(true)];
        }
        story.tell(|| {
            let named = ["no tag", "tag a", "tag b", "tags a and b"][usize::from(hint)];
            let answer = if granted { "granted" } else { "will load, not fill" };
            format!("reader {}: reads {named}, LEASE -> {answer}", number + 1)
        });
    }

    fn read(&self, moment: &mut Moment, number: usize, story: &mut Story) -> Option<()> {
        let who = number + 1;
        let current = moment.current();
        let reader = &mut moment.readers[number];
        match reader.at {
            At::Idle => {
                *reader = Reader { at: At::Look, ..Reader::default() };
                reader.floors = [moment.returned, moment.visible, moment.seen];
                story.tell(|| format!("reader {who}: begins a read"));
            }
            At::Look => {
                reader.at = At::Lease;
                if let Some((article, tags)) = moment.store.entry {
                    (reader.at, reader.article, reader.tags) = (At::LookTags, article, tags);
                } else {
                    // What is loaded from now on breaks nothing.
                    reader.floors = [[false; 2]; 3];
                }
                let found = moment.store.entry.map_or("miss".into(), |(article, _)| article.words());
                story.tell(|| format!("reader {who}: HGET -> {found}"));
            }
            At::LookTags => {
                let (article, tags) = (reader.article, reader.tags);
                (reader.at, reader.article, reader.tags) = (At::Lease, Article::default(), [None; 2]);
                if unmoved(&tags) {
                    moment.finish(number, article, story);
                } else {
                    moment.readers[number].floors = [[false; 2]; 3];
                    story.tell(|| format!("reader {who}: a tag moved: a miss"));
                }
            }
            At::Load => {
                reader.article = current;
                story.tell(|| format!("reader {who}: SELECT -> {}", current.words()));
                let known = reader.tags[usize::from(current.group)].is_some();
                let fills = reader.lease.is_some() && (known || self.stamping != Stamping::WithinHint);
                match self.stamping {
                    _ if !fills => {
                        // The lease is given back.
                        if reader.lease == Some(true) {
                            moment.store.leased = false;
                        }
                        moment.finish(number, current, story);
                    }
                    Stamping::AfterLoad => reader.at = At::Stamp,
                    Stamping::WithinHint | Stamping::OfHint => reader.at = At::Fill,
                }
            }
            At::Stamp => {
                let group = usize::from(reader.article.group);
                let fenced = moment.store.tag_fenced && group == RENAMER;
                reader.tags = [None; 2];
                reader.tags[group] = Some(true);
                reader.at = if fenced || moment.store.lost[group] { At::Answer } else { At::Fill };
                story.tell(|| format!("reader {who}: reads tag {} after the load", GROUPS[group]));
            }
            At::Fill => {
                let accepted = !moment.store.fenced && reader.lease == Some(true);
                if accepted {
                    // Only the value's own tag is kept; `OfHint` keeps what it has instead.
                    let group = usize::from(reader.article.group);
                    let own = |(at, tag): (usize, Option<bool>)| tag.filter(|_| at == group);
                    let tags = match self.stamping {
                        Stamping::OfHint => reader.tags,
                        _ => [own((0, reader.tags[0])), own((1, reader.tags[1]))],
                    };
                    moment.store.entry = Some((reader.article, tags)).filter(|(_, tags)| unmoved(tags));
                    (moment.store.leased, reader.lease) = (false, None);
                }
                reader.at = At::Answer;
                let answer = if accepted { "stored" } else { "refused" };
                story.tell(|| format!("reader {who}: FILL {} -> {answer}", reader.article.words()));
            }
            At::Answer => {
                let article = reader.article;
                moment.finish(number, article, story);
            }
            At::Lease => return None,
        }
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
    /// What a load sees. The name of a never changes, so only in b does the renaming show.
    fn current(&self) -> Article {
        Article { group: self.visible[MOVER].into(), renamed: self.visible[MOVER] && self.visible[RENAMER] }
    }

    fn fence(&mut self, writer: usize) -> &mut bool {
        if writer == MOVER { &mut self.store.fenced } else { &mut self.store.tag_fenced }
    }
}
