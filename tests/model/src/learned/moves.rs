//! What writers, the database and the end of a read do. Refuses nothing.

use super::{Article, MOVER, Moment, RENAMER, Reader, name};
use crate::state::Transaction;
use crate::system::Story;

impl Moment {
    /// A tag gets another generation: whoever knows the one before knows an old one, and an entry that carries it is as good
    /// as none.
    pub(super) fn moves(&mut self, group: usize) {
        self.store.lost[group] = false;
        self.store.entry = self.store.entry.filter(|(_, tags)| tags[group].is_none());
        for reader in &mut self.readers {
            reader.tags[group] = reader.tags[group].map(|_| false);
        }
    }

    /// What MARK and CLEAR drop.
    fn drop_stored(&mut self, writer: usize) {
        if writer == MOVER {
            (self.store.entry, self.store.leased) = (None, false);
            for reader in &mut self.readers {
                reader.lease = reader.lease.map(|_| false);
            }
        } else {
            self.moves(RENAMER);
        }
    }

    pub(super) fn clear(&mut self, writer: usize, story: &mut Story) {
        self.drop_stored(writer);
        *self.fence(writer) = false;
        story.tell(|| format!("{}: CLEAR", name(writer)));
    }

    pub(super) fn write(&mut self, number: usize, story: &mut Story) -> Option<()> {
        match self.writers[number].step {
            0 => {
                self.writers[number].transaction = Transaction::Active;
                story.tell(|| format!("{}: BEGIN, UPDATE", name(number)));
            }
            1 => {
                self.drop_stored(number);
                *self.fence(number) = true;
                story.tell(|| format!("{}: MARK of {}", name(number), ["the article", "tag b"][number]));
            }
            2 if self.writers[number].transaction == Transaction::Active => {
                self.writers[number].transaction = Transaction::Committing;
                story.tell(|| format!("{}: sends COMMIT", name(number)));
                return Some(());
            }
            2 if self.writers[number].transaction == Transaction::Visible => {
                story.tell(|| format!("{}: COMMIT is answered", name(number)));
            }
            3 => self.clear(number, story),
            4 => {
                self.returned[number] = true;
                story.tell(|| format!("{}: returns Ok", name(number)));
            }
            _ => return None,
        }
        self.writers[number].step += 1;
        Some(())
    }

    pub(super) fn database(&mut self, number: usize, story: &mut Story) -> Option<()> {
        let writer = &mut self.writers[number];
        match writer.transaction {
            Transaction::Committing => {
                (writer.transaction, self.visible[number]) = (Transaction::Visible, true);
                story.tell(|| format!("database: the write of the {} is visible", name(number)));
            }
            Transaction::Active if writer.dead => {
                writer.transaction = Transaction::Aborted;
                story.tell(|| format!("database: the write of the {} is rolled back", name(number)));
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn finish(&mut self, number: usize, article: Article, story: &mut Story) {
        let floors = self.readers[number].floors;
        for (broken, [moved, renamed]) in self.broken.iter_mut().zip(floors) {
            *broken |= moved && article.group == 0 || renamed && article.group == 1 && !article.renamed;
        }
        self.seen[MOVER] |= article.group == 1;
        self.seen[RENAMER] |= article.renamed;
        self.readers[number] = Reader::default();
        story.tell(|| format!("reader {} returns it {}", number + 1, article.words()));
    }
}

impl Article {
    pub(super) fn words(self) -> String {
        match (self.group, self.renamed) {
            (0, _) => "in group a".into(),
            (_, false) => "in group b, old name".into(),
            (_, true) => "in group b, new name".into(),
        }
    }
}
