//! Writers: each goes through the protocol's steps once. Refuses to return before a clear was answered, where it must be.

use super::Action;
use crate::protocol::{Protocol, PutRule, Step};
use crate::state::{Entry, Life, Transaction, World};
use crate::system::Story;

impl Protocol {
    pub(super) fn writer_actions(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        let (writer, number) = (&world.writers[who], who as u8);
        match writer.life {
            Life::Running => {
                let Some(step) = self.writer.get(usize::from(writer.step)) else { return };
                actions.push(Action::Write(number));
                let (unanswered, lost) = match step {
                    Step::Mark | Step::MarkOrProceed | Step::MarkOrOutbox => (true, true),
                    Step::Delete | Step::Invalidate | Step::Clear | Step::ClearAndPut(_) => (true, false),
                    Step::TryClear => (false, true),
                    _ => (false, false),
                };
                if unanswered {
                    actions.push(Action::WriteUnanswered(number));
                }
                if lost {
                    actions.push(Action::WriteLost(number));
                }
                if writer.step > 0 && world.crashes < self.faults.crashes {
                    actions.push(Action::Crash(number));
                }
            }
            Life::Lifting => actions.push(Action::Lift(number)),
            Life::Gone => {}
        }
        if writer.mark_under_way {
            actions.push(Action::LateMark(number));
        }
    }

    pub(super) fn write(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let step = self.writer[usize::from(world.writers[who].step)];
        match step {
            Step::Begin => self.begin(world, who, story)?,
            Step::AwaitNear => {
                self.await_near(world, who)?;
                story.tell(|| format!("writer {}: no L1 serves what it marked", who + 1));
            }
            Step::CheckEpoch => return self.check_epoch(world, who, story),
            Step::Commit => match world.writers[who].transaction {
                Transaction::Active => {
                    world.writers[who].transaction = Transaction::Committing;
                    story.tell(|| format!("writer {}: sends COMMIT", who + 1));
                    return Some(());
                }
                Transaction::Visible => story.tell(|| format!("writer {}: COMMIT is answered", who + 1)),
                _ => return None,
            },
            Step::Return => {
                world.returned = world.returned.max(world.writers[who].version);
                story.tell(|| format!("writer {}: returns Ok", who + 1));
            }
            _ => self.command(world, who, step, story),
        }
        world.writers[who].step += 1;
        Some(())
    }

    pub(super) fn write_unanswered(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let step = self.writer[usize::from(world.writers[who].step)];
        self.command(world, who, step, story);
        match step {
            Step::Mark | Step::MarkOrProceed | Step::MarkOrOutbox => {
                self.goes_on_unfenced(world, who, step, story)
            }
            _ => story.tell(|| "the answer is lost, so it will be sent again"),
        }
        Some(())
    }

    pub(super) fn write_lost(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let step = self.writer[usize::from(world.writers[who].step)];
        if step == Step::TryClear {
            story.tell(|| format!("writer {}: CLEAR is lost; it goes on", who + 1));
            world.writers[who].step += 1;
        } else {
            story.tell(|| format!("writer {}: MARK does not arrive for now", who + 1));
            world.writers[who].mark_under_way = true;
            self.goes_on_unfenced(world, who, step, story);
        }
        Some(())
    }

    fn goes_on_unfenced(&self, world: &mut World, who: usize, step: Step, story: &mut Story) {
        let writer = &mut world.writers[who];
        match step {
            Step::MarkOrProceed => {
                writer.step += 1;
                story.tell(|| "no answer to MARK: it goes on without");
            }
            Step::MarkOrOutbox => {
                writer.step += 1;
                writer.outbox = true;
                story.tell(|| "no answer to MARK: it adds a row to the outbox");
            }
            _ => {
                writer.life = Life::Lifting;
                writer.transaction = Transaction::Aborted;
                story.tell(|| "no answer to MARK: the write is refused and rolled back");
            }
        }
    }

    pub(super) fn crash(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        world.crashes += 1;
        let writer = &mut world.writers[who];
        (writer.life, writer.step) = (Life::Gone, 0);
        if writer.transaction == Transaction::None {
            writer.transaction = Transaction::Aborted;
        }
        story.tell(|| format!("writer {} dies", who + 1));
        Some(())
    }

    pub(super) fn lift(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        self.clear(world, who, None, story);
        let writer = &mut world.writers[who];
        (writer.life, writer.step) = (Life::Gone, 0);
        Some(())
    }

    pub(super) fn late_mark(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        story.tell(|| "late");
        self.mark(world, who, story);
        world.writers[who].mark_under_way = false;
        Some(())
    }

    /// A command to the store is carried out.
    fn command(&self, world: &mut World, who: usize, step: Step, story: &mut Story) {
        let node = usize::from(world.writers[who].node);
        let entry = Entry { value: world.writers[who].version, epoch: node as u8, tag: None };
        match step {
            Step::Mark | Step::MarkOrProceed | Step::MarkOrOutbox => self.mark(world, who, story),
            Step::Clear | Step::TryClear => {
                if world.writers[who].outbox {
                    story.tell(|| format!("writer {}: leaves CLEAR to the relay", who + 1));
                } else {
                    self.clear(world, who, None, story);
                }
            }
            Step::ClearAndPut(rule) => self.clear(world, who, Some(rule), story),
            Step::Delete => {
                world.nodes[node].entry = None;
                self.push(world, who);
                story.tell(|| format!("writer {}: drops the entry", who + 1));
            }
            Step::Invalidate => {
                self.drop_stored(world, node);
                self.push(world, who);
                story.tell(|| format!("writer {}: drops entry and lease", who + 1));
            }
            Step::SetValue => {
                world.nodes[node].entry = Some(entry);
                story.tell(|| format!("writer {}: SET v{}", who + 1, entry.value));
            }
            Step::SetIfNewer => {
                let newer = world.nodes[node].entry.is_none_or(|stands| stands.value < entry.value);
                if newer {
                    world.nodes[node].entry = Some(entry);
                }
                story.tell(|| format!("writer {}: SET v{} if newer -> {newer}", who + 1, entry.value));
            }
            Step::Begin | Step::AwaitNear | Step::CheckEpoch | Step::Commit | Step::Return => {}
        }
    }

    pub(super) fn mark(&self, world: &mut World, who: usize, story: &mut Story) {
        let number = usize::from(world.writers[who].node);
        self.drop_stored(world, number);
        let node = &mut world.nodes[number];
        if !node.fences.has(who) {
            node.solo = node.fences.is_empty().then_some(who as u8);
        } else if node.solo != Some(who as u8) {
            node.solo = None;
        }
        node.fences.insert(who);
        world.writers[who].marked_on = number as u8;
        self.push(world, who);
        story.tell(|| {
            format!("writer {}: MARK on node {number}: fence set, entry and lease dropped", who + 1)
        });
    }

    fn clear(&self, world: &mut World, who: usize, put: Option<PutRule>, story: &mut Story) {
        let (number, version) = (usize::from(world.writers[who].node), world.writers[who].version);
        let same_epoch = world.writers[who].marked_on == number as u8;
        let alone = world.nodes[number].solo == Some(who as u8);
        if self.tag().is_none_or(|tag| tag.clear_rotates) {
            self.drop_stored(world, number);
        }
        let node = &mut world.nodes[number];
        node.fences.remove(who);
        if alone {
            node.solo = None;
        }
        let installs = put.is_some_and(|rule| {
            node.fences.is_empty() && (alone || !rule.alone) && (same_epoch || !rule.same_epoch)
        });
        if installs {
            node.entry = Some(Entry { value: version, epoch: number as u8, tag: None });
        }
        story.tell(|| {
            let installed = if installs { format!(", v{version} installed") } else { String::new() };
            format!("writer {}: CLEAR on node {number}: fence lifted{installed}", who + 1)
        });
    }

    /// What MARK, CLEAR and an invalidation do to what is stored.
    pub(super) fn drop_stored(&self, world: &mut World, number: usize) {
        if self.tag().is_some() {
            let generation = world.new_generation();
            world.nodes[number].generation = Some(generation);
        } else {
            world.nodes[number].entry = None;
            world.nodes[number].lease = None;
        }
    }
}
