//! What is published of a write: `number|life|who has to acknowledge|stripes`. Pure. Refuses to guess: what cannot be read may have
//! been about anything.

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its number and the life of the board that counts; nothing where there was no board.
    pub(super) place: Option<Place>,
    pub(super) asks: Asks,
    /// What was written; nothing for everything.
    pub(super) stripes: Vec<u64>,
}

/// Where a message stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) life: u64,
    pub(super) number: u64,
}

/// Who has to acknowledge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Everybody,
    Some(Vec<u64>),
}

impl Asks {
    pub(super) fn asks(&self, member: u64) -> bool {
        match self {
            Self::Everybody => true,
            Self::Some(members) => members.contains(&member),
        }
    }
}

/// An id or a life as the scripts write them.
pub(super) fn hex(number: u64) -> String {
    format!("{number:016x}")
}

pub(super) fn unhex(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 16)?;
    u64::from_str_radix(text, 16).ok()
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a message; `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Message> {
    let mut parts = bytes.splitn(4, |byte| *byte == b'|');
    let (number, life, asks, stripes) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let place = match (number, life) {
        (b"", b"") => None,
        _ => Some(Place { life: unhex(life)?, number: decimal(number)? }),
    };
    let asks = match asks {
        b"*" => Asks::Everybody,
        b"" => Asks::Some(Vec::new()),
        members => Asks::Some(members.split(|byte| *byte == b',').map(unhex).collect::<Option<_>>()?),
    };
    let (stripes, rest) = stripes.as_chunks::<8>();
    let stripes = stripes.iter().map(|stripe| u64::from_le_bytes(*stripe)).collect();
    rest.is_empty().then_some(Message { place, asks, stripes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(head: &str, stripes: &[u64]) -> Vec<u8> {
        let mut bytes = head.as_bytes().to_vec();
        stripes.iter().for_each(|stripe| bytes.extend(stripe.to_le_bytes()));
        bytes
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        // A stripe may hold any byte, the sign between the parts included.
        let odd = u64::from_le_bytes(*b"||,*\n\0|7");
        let head = "7|00000000000000aa|0000000000000001,00000000000000ff|";
        let read_back = read(&message(head, &[odd, 3])).unwrap();
        assert_eq!(read_back.place, Some(Place { life: 0xaa, number: 7 }));
        assert!(read_back.asks.asks(255) && !read_back.asks.asks(2));
        assert_eq!(read_back.stripes, [odd, 3]);

        let all = read(b"8|00000000000000aa|*|").unwrap();
        assert!(all.asks.asks(2) && all.stripes.is_empty());
        let boardless = read(&message("|||", &[3])).unwrap();
        assert_eq!((boardless.place, boardless.asks), (None, Asks::Some(Vec::new())));
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        for strange in [
            &b""[..],
            b"7",
            b"7|aa|*|",
            b"x|00000000000000aa|*|",
            b"|00000000000000aa|*|",
            b"7||*|",
            b"7|00000000000000aa|me|",
            b"7|00000000000000aa|*|1234567",
        ] {
            assert_eq!(read(strange), None, "{strange:?}");
        }
    }
}
