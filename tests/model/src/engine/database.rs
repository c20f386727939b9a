//! The database: a COMMIT becomes durable, then visible, and only then is answered. Refuses to let two writers hold the row.

use super::Action;
use crate::protocol::{Protocol, Relay};
use crate::state::{Life, Transaction, World};
use crate::system::Story;

impl Protocol {
    pub(super) fn database_actions(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        let (writer, number) = (&world.writers[who], who as u8);
        match writer.transaction {
            Transaction::Committing | Transaction::Durable => actions.push(Action::Database(number)),
            _ => {}
        }
        // A dead client's transaction ends; that of a living one may be refused at COMMIT.
        let may_abort = match writer.transaction {
            Transaction::Active => writer.life == Life::Gone,
            Transaction::Committing => self.fences() || writer.life == Life::Gone,
            _ => false,
        };
        if may_abort {
            actions.push(Action::Abort(number));
        }
    }

    pub(super) fn begin(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let holds_row = |writer: usize| {
            let transaction = world.writers[writer].transaction;
            matches!(transaction, Transaction::Active | Transaction::Committing | Transaction::Durable)
        };
        if (0..self.writers).any(|other| other != who && holds_row(other)) {
            return None;
        }
        world.writers[who].transaction = Transaction::Active;
        story.tell(|| format!("writer {}: BEGIN, UPDATE", who + 1));
        Some(())
    }

    pub(super) fn advance(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let writer = &mut world.writers[who];
        if writer.transaction == Transaction::Committing {
            world.durable += 1;
            writer.transaction = Transaction::Durable;
            writer.version = world.durable;
            story.tell(|| {
                format!("database: v{} of writer {} is durable, but not yet visible", world.durable, who + 1)
            });
            if self.cache.relay.is_some_and(|relay| relay != Relay::Outbox) || writer.outbox {
                world.relay.insert(who);
            }
        } else {
            writer.transaction = Transaction::Visible;
            writer.holds_epoch = false;
            world.visible = writer.version;
            story.tell(|| format!("database: v{} of writer {} is visible", world.visible, who + 1));
        }
        Some(())
    }

    pub(super) fn abort(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let writer = &mut world.writers[who];
        writer.transaction = Transaction::Aborted;
        writer.holds_epoch = false;
        story.tell(|| format!("database: the transaction of writer {} is rolled back", who + 1));
        if writer.life == Life::Running {
            story.tell(|| "the writer is told so, and will lift its fence");
            writer.life = Life::Lifting;
        }
        Some(())
    }
}
