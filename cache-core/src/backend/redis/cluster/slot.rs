//! Which of the 16384 slots a subject lies in. Pure. Refuses to look at whole keys: all keys of a subject share its name
//! between braces, and only that counts.

use crate::subject::Subject;

/// How many slots a cluster has.
pub(in super::super) const SLOTS: u16 = 16_384;

pub(in super::super) fn slot_of(subject: &Subject) -> u16 {
    checksum(subject.name().as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, as the cluster specification says.
fn checksum(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = table();
    bytes.iter().fold(0, |sum, byte| (sum << 8) ^ TABLE[usize::from((sum >> 8) ^ u16::from(*byte))])
}

const fn table() -> [u16; 256] {
    const POLYNOMIAL: u16 = 0x1021;
    let mut table = [0; 256];
    let (mut at, mut high) = (0, 0_u16);
    while at < table.len() {
        let (mut sum, mut bit) = (high << 8, 0);
        while bit < 8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
        high += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Kind;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(checksum(b"123456789"), 0x31c3);
        for (name, slot) in [("foo", 12182), ("user1000", 3443), ("", 0)] {
            assert_eq!(slot_of(&Subject::new(Kind::Entity, name, None)), slot, "{name}");
        }
    }
}
