//! Breaks a connection at a moment that its bytes name. Pure: bytes in, verdict out. Refuses to understand more of them.

use super::control::Direction;

/// The moment at which a [`FaultProxy`](crate::FaultProxy) breaks a connection. The bytes must come in one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snare {
    /// The client sends these bytes; the server never sees them.
    BeforeRequest(Vec<u8>),
    /// The client sends these bytes; the server gets them, and its answer is lost.
    AfterRequest(Vec<u8>),
    /// The server answers; half of the packet arrives.
    MidReply,
    /// The server sends these bytes; the client never sees the packet, and the connection goes on.
    LosesReply(Vec<u8>),
}

/// How much passes before the connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sprung {
    Nothing,
    Half,
    All,
    /// Nothing passes, and the connection goes on.
    Lost,
}

impl Snare {
    pub(super) fn sprung_by(&self, direction: Direction, bytes: &[u8]) -> Option<Sprung> {
        let holds =
            |wanted: &[u8]| !wanted.is_empty() && bytes.windows(wanted.len()).any(|part| part == wanted);
        match (self, direction) {
            (Self::BeforeRequest(wanted), Direction::ToServer) if holds(wanted) => Some(Sprung::Nothing),
            (Self::AfterRequest(wanted), Direction::ToServer) if holds(wanted) => Some(Sprung::All),
            (Self::MidReply, Direction::ToClient) if bytes.len() > 1 => Some(Sprung::Half),
            (Self::LosesReply(wanted), Direction::ToClient) if holds(wanted) => Some(Sprung::Lost),
            _ => None,
        }
    }
}

impl Sprung {
    /// Whether the connection ends with it.
    pub(super) fn breaks(self) -> bool {
        self != Self::Lost
    }

    pub(super) fn passes(self, length: usize) -> usize {
        match self {
            Self::Nothing | Self::Lost => 0,
            Self::Half => length / 2,
            Self::All => length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wanted_bytes_in_the_wanted_direction_spring_it() {
        let before = Snare::BeforeRequest(b"COMMIT\0".into());
        assert_eq!(before.sprung_by(Direction::ToServer, b"Q\0\0\0\x0bCOMMIT\0"), Some(Sprung::Nothing));
        assert_eq!(before.sprung_by(Direction::ToClient, b"C\0\0\0\x0bCOMMIT\0"), None);
        assert_eq!(before.sprung_by(Direction::ToServer, b"Q\0\0\0\x0aBEGIN\0"), None);
        assert_eq!(Snare::AfterRequest(b"x".into()).sprung_by(Direction::ToServer, b"x"), Some(Sprung::All));
        assert_eq!(Snare::AfterRequest(Vec::new()).sprung_by(Direction::ToServer, b"x"), None);
        assert_eq!(Snare::MidReply.sprung_by(Direction::ToClient, b"+OK"), Some(Sprung::Half));
        assert_eq!(Snare::MidReply.sprung_by(Direction::ToClient, b"+"), None);
        let loses = Snare::LosesReply(b"message".into());
        assert_eq!(loses.sprung_by(Direction::ToClient, b">3 message"), Some(Sprung::Lost));
        assert_eq!(loses.sprung_by(Direction::ToServer, b">3 message"), None);
        assert!(!Sprung::Lost.breaks() && Sprung::Nothing.breaks() && Sprung::Lost.passes(9) == 0);
        assert_eq!(Snare::MidReply.sprung_by(Direction::ToServer, b"+OK"), None);
    }
}
