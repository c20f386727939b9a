//! Readers of the outer or the inner entry. Refuses to fill without the lease that stands.

use super::{At, INNER, Moment, NAMES, OUTER, Reader};
use crate::state::Transaction;
use crate::system::Story;

impl Moment {
    pub(super) fn read(&mut self, number: usize, story: &mut Story) -> Option<()> {
        let transaction = self.writer.transaction;
        let reader = &mut self.readers[number];
        let who = number + 1;
        match reader.at {
            At::Idle => return None,
            At::Look(at) => {
                let (name, found) = (NAMES[usize::from(at)], self.subjects[usize::from(at)].entry);
                story.tell(|| match found {
                    Some(value) => format!("reader {who}: HGET {name} -> v{value}"),
                    None => format!("reader {who}: HGET {name} -> miss"),
                });
                match found {
                    Some(value) => self.has(number, at, value, story),
                    None => reader.at = At::Lease(at),
                }
            }
            At::Lease(at) => {
                let (name, subject) = (NAMES[usize::from(at)], &mut self.subjects[usize::from(at)]);
                if transaction == Transaction::Visible {
                    subject.fenced = false;
                }
                reader.at = if usize::from(at) == OUTER { At::Look(INNER as u8) } else { At::Load };
                if subject.fenced {
                    story.tell(|| format!("reader {who}: LEASE {name} -> fenced"));
                } else if let Some(value) = subject.entry {
                    story.tell(|| format!("reader {who}: LEASE {name} -> there is v{value} by now"));
                    self.has(number, at, value, story);
                } else if subject.leased {
                    story.tell(|| format!("reader {who}: LEASE {name} -> another one loads"));
                } else {
                    subject.leased = true;
                    reader.leases[usize::from(at)] = Some(true);
                    story.tell(|| format!("reader {who}: LEASE {name} -> granted"));
                }
            }
            At::Load => {
                reader.value = self.visible;
                (reader.returned, reader.visible, reader.seen) = (0, 0, 0);
                story.tell(|| format!("reader {who}: SELECT -> v{}", reader.value));
                match reader.leases[INNER] {
                    Some(_) => reader.at = At::Fill(INNER as u8),
                    None => self.has(number, INNER as u8, self.visible, story),
                }
            }
            At::Fill(at) => {
                let (name, subject) = (NAMES[usize::from(at)], &mut self.subjects[usize::from(at)]);
                let accepted = !subject.fenced && reader.leases[usize::from(at)] == Some(true);
                if accepted {
                    (subject.entry, subject.leased) = (Some(reader.value), false);
                }
                reader.leases[usize::from(at)] = None;
                reader.at = At::Answer(at);
                let answer = if accepted { "stored" } else { "refused" };
                story.tell(|| format!("reader {who}: FILL {name} with v{} -> {answer}", reader.value));
            }
            At::Answer(at) => {
                let value = reader.value;
                story.tell(|| format!("reader {who}: its FILL is answered, or given up"));
                self.has(number, at, value, story);
            }
        }
        Some(())
    }

    /// A reader has the value of a subject: what it was asked for, or what the outer one is made of.
    fn has(&mut self, number: usize, of: u8, value: u8, story: &mut Story) {
        let reader = &mut self.readers[number];
        reader.value = value;
        // What it does not fall below no longer matters.
        for floor in [&mut reader.returned, &mut reader.visible, &mut reader.seen] {
            *floor = if value >= *floor { 0 } else { *floor };
        }
        let asked = usize::from(reader.asked);
        if usize::from(of) == INNER && asked == OUTER && reader.leases[OUTER].is_some() {
            reader.at = At::Fill(OUTER as u8);
            return;
        }
        self.broken[0] |= value < reader.returned;
        self.broken[1] |= value < reader.visible;
        self.broken[2] |= value < reader.seen;
        self.seen[asked] = self.seen[asked].max(value);
        *reader = Reader::default();
        story.tell(|| format!("reader {} returns v{value} for the {} entry", number + 1, NAMES[asked]));
    }
}
