//! Free ports, and asking a server whether it answers.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::random;

/// Below every system's range for outgoing connections (Linux begins at 32768). A client that keeps reconnecting to a
/// stopped server on a port inside that range can be given the same port as its own, and then talks to itself.
const PORTS: std::ops::Range<u64> = 10_240..32_768;
const PROBE: Duration = Duration::from_millis(500);

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A listener on a free port of 127.0.0.1.
pub(crate) fn bind_free() -> io::Result<TcpListener> {
    let mut last = None;
    for _ in 0..100 {
        let port = PORTS.start + random::number() % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).expect("the range lies within u16");
        match TcpListener::bind(local(port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("the loop ran"))
}

/// A port nobody listens on now. Whoever binds it must be ready to find it taken.
pub(crate) fn free() -> io::Result<u16> {
    Ok(bind_free()?.local_addr()?.port())
}

/// Connects, sends `question` and reads the first `N` bytes of the answer.
pub(crate) fn ask<const N: usize>(port: u16, question: &[u8]) -> io::Result<[u8; N]> {
    let mut stream = TcpStream::connect_timeout(&local(port), PROBE)?;
    stream.set_read_timeout(Some(PROBE))?;
    stream.set_write_timeout(Some(PROBE))?;
    stream.write_all(question)?;
    let mut answer = [0; N];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_lies_below_the_range_of_outgoing_connections() {
        for _ in 0..50 {
            let port = u64::from(free().unwrap());
            assert!(PORTS.contains(&port), "{port}");
        }
    }
}
