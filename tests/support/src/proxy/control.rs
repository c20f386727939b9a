//! What the proxy's threads share: the faults, the open connections, the counts.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Protocol, Traffic, pump,
    snare::{Snare, Sprung},
};

const LOG: usize = 10_000;

/// What is wrong with the network now.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) is_stalled: bool,
    pub(super) drops_replies: bool,
    pub(super) delay: Duration,
    /// What the next connection that goes into it is broken by.
    pub(super) snare: Option<Snare>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// What to do with bytes whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Forward,
    Discard,
    Gone,
}

#[derive(Debug)]
pub(super) struct Control {
    upstream: String,
    protocol: Protocol,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    faults: Faults,
    /// A listener the acceptor has not taken yet.
    listener: Option<TcpListener>,
    door: Door,
    is_closed: bool,
    links: HashMap<u64, Link>,
    next_link: u64,
    traffic: Traffic,
    snared: u64,
    log: VecDeque<Arc<str>>,
    by_name: HashMap<Arc<str>, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Closing,
    Closed,
}

/// One connection: both sockets, to shut them from outside their threads.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    has_lost_replies: bool,
    /// Nothing passes any more, either way, and nobody is told.
    is_swallowed: bool,
    open_directions: u8,
}

impl Link {
    fn shut(&self) {
        // Already closed by its peer: just as well.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Control {
    pub(super) fn new(upstream: String, protocol: Protocol, listener: TcpListener) -> Self {
        let state = State {
            faults: Faults::default(),
            listener: Some(listener),
            door: Door::Open,
            is_closed: false,
            links: HashMap::new(),
            next_link: 0,
            traffic: Traffic::default(),
            snared: 0,
            log: VecDeque::new(),
            by_name: HashMap::new(),
        };
        Self { upstream, protocol, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The acceptor's thread.
    pub(super) fn accept_until_closed(self: &Arc<Self>) {
        loop {
            let Some(listener) = self.next_listener() else { return };
            loop {
                let accepted = listener.accept();
                if self.state().door != Door::Open {
                    break;
                }
                match accepted {
                    // When the server is down, the client sees its connection end.
                    Ok((client, _)) => drop(self.link(client)),
                    // The client is gone already, or we are out of descriptors for a while.
                    Err(_) => std::thread::yield_now(),
                }
            }
            drop(listener);
            self.state().door = Door::Closed;
            self.changed.notify_all();
        }
    }

    fn next_listener(&self) -> Option<TcpListener> {
        let mut state = self.state();
        loop {
            // First, also for a proxy that is gone: whoever drops it waits until this one is refused, too.
            if let Some(listener) = state.listener.take() {
                return Some(listener);
            }
            if state.is_closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn link(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(&self.upstream)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (request_side, reply_side) = (client.try_clone()?, client.try_clone()?);
        let (server_in, server_out) = (server.try_clone()?, server.try_clone()?);
        let id = {
            let mut state = self.state();
            let id = state.next_link;
            state.next_link += 1;
            state.traffic.connections += 1;
            let link =
                Link { client, server, has_lost_replies: false, is_swallowed: false, open_directions: 2 };
            state.links.insert(id, link);
            id
        };
        pump::start(Arc::clone(self), id, Direction::ToServer, request_side, server_in);
        pump::start(Arc::clone(self), id, Direction::ToClient, server_out, reply_side);
        Ok(())
    }

    pub(super) fn understands_commands(&self, direction: Direction) -> bool {
        self.protocol == Protocol::Redis && direction == Direction::ToServer
    }

    /// Counts bytes that have arrived, and tells when they are due.
    pub(super) fn arrived(&self, direction: Direction, bytes: usize) -> Instant {
        let mut state = self.state();
        let counter = match direction {
            Direction::ToServer => &mut state.traffic.to_server,
            Direction::ToClient => &mut state.traffic.to_client,
        };
        *counter += bytes as u64;
        Instant::now() + state.faults.delay
    }

    /// Whether these bytes go into the snare, which is gone then.
    pub(super) fn spring(&self, direction: Direction, bytes: &[u8]) -> Option<Sprung> {
        let mut state = self.state();
        let sprung = state.faults.snare.as_ref()?.sprung_by(direction, bytes)?;
        state.faults.snare = None;
        state.snared += 1;
        Some(sprung)
    }

    pub(super) fn snared(&self) -> u64 {
        self.state().snared
    }

    pub(super) fn count_command(&self, name: &str) {
        let mut state = self.state();
        let name = match state.by_name.get_key_value(name) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(name),
        };
        *state.by_name.entry(Arc::clone(&name)).or_default() += 1;
        state.traffic.commands += 1;
        if state.log.len() == LOG {
            state.log.pop_front();
        }
        state.log.push_back(name);
    }

    /// Waits until bytes that are due at `due` may go.
    pub(super) fn turn(&self, link: u64, direction: Direction, due: Instant) -> Turn {
        let mut state = self.state();
        loop {
            let State { faults, links, .. } = &mut *state;
            let Some(link) = links.get_mut(&link) else { return Turn::Gone };
            let now = Instant::now();
            if link.is_swallowed {
                return Turn::Discard;
            } else if faults.is_stalled {
                state = self.wait(state);
            } else if now < due {
                state = self.changed.wait_timeout(state, due - now).unwrap_or_else(PoisonError::into_inner).0;
            } else if direction == Direction::ToClient && faults.drops_replies {
                link.has_lost_replies = true;
                return Turn::Discard;
            } else {
                return Turn::Forward;
            }
        }
    }

    /// One direction has come to its end; with the second the connection does.
    pub(super) fn direction_ended(&self, id: u64) {
        let mut state = self.state();
        if let Some(link) = state.links.get_mut(&id) {
            link.open_directions -= 1;
            if link.open_directions == 0 {
                state.links.remove(&id);
            }
        }
    }

    pub(super) fn broken(&self, id: u64) {
        self.cut_where(|link, _| link == id);
    }

    pub(super) fn cut(&self) {
        self.cut_where(|_, _| true);
    }

    pub(super) fn pass_replies(&self) {
        self.change(|faults| faults.drops_replies = false);
        self.cut_where(|_, has_lost_replies| has_lost_replies);
    }

    /// Tells how many connections there were to swallow.
    pub(super) fn swallow(&self) -> usize {
        let mut state = self.state();
        for link in state.links.values_mut() {
            link.is_swallowed = true;
            link.has_lost_replies = true;
        }
        self.changed.notify_all();
        state.links.len()
    }

    fn cut_where(&self, wanted: impl Fn(u64, bool) -> bool) {
        self.state().links.retain(|&id, link| {
            let cut = wanted(id, link.has_lost_replies);
            if cut {
                link.shut();
            }
            !cut
        });
        self.changed.notify_all();
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
        self.changed.notify_all();
    }

    /// Whether the door was open.
    pub(super) fn begin_refusing(&self) -> bool {
        let mut state = self.state();
        let was_open = state.door == Door::Open;
        if was_open {
            state.door = Door::Closing;
        }
        was_open
    }

    pub(super) fn wait_until_refusing(&self) {
        let mut state = self.state();
        while state.door == Door::Closing {
            state = self.wait(state);
        }
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.state().door == Door::Closed
    }

    pub(super) fn listen(&self, listener: TcpListener) {
        let mut state = self.state();
        state.listener = Some(listener);
        state.door = Door::Open;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.state().traffic
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.state().log.iter().map(|name| name.to_string()).collect()
    }

    pub(super) fn commands_named(&self, name: &str) -> u64 {
        self.state().by_name.get(name).copied().unwrap_or_default()
    }

    pub(super) fn open_connections(&self) -> usize {
        self.state().links.len()
    }

    pub(super) fn reset(&self) {
        let mut state = self.state();
        state.traffic = Traffic::default();
        state.log.clear();
        state.by_name.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_came_before_the_end_is_still_taken_and_closed() {
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let control = Control::new("127.0.0.1:1".into(), Protocol::Opaque, listener());
        control.close();
        assert!(control.next_listener().is_some());
        assert!(control.next_listener().is_none());
    }
}
