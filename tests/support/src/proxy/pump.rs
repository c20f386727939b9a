//! Carries one direction of one connection: a thread that reads and stamps, a thread that waits and writes. Two, so that a
//! delay adds latency and does not take away throughput.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use super::{
    control::{Control, Direction, Turn},
    resp::Requests,
    snare::Sprung,
};

const CHUNK: usize = 16 * 1024;
/// Chunks held back before the sender feels it.
const HELD: usize = 1024;

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    sprung: Option<Sprung>,
}

pub(super) fn start(control: Arc<Control>, link: u64, direction: Direction, from: TcpStream, to: TcpStream) {
    let (sender, receiver) = sync_channel(HELD);
    let reader = Arc::clone(&control);
    thread::spawn(move || read(&reader, direction, from, &sender));
    thread::spawn(move || write(&control, link, direction, to, &receiver));
}

fn read(control: &Control, direction: Direction, mut from: TcpStream, chunks: &SyncSender<Chunk>) {
    let mut requests = control.understands_commands(direction).then(Requests::default);
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = buffer[..length].to_vec();
        if let Some(requests) = &mut requests {
            requests.feed(&bytes, |name| control.count_command(name));
        }
        let due = control.arrived(direction, length);
        let sprung = control.spring(direction, &bytes);
        if chunks.send(Chunk { due, bytes, sprung }).is_err() {
            return;
        }
    }
}

fn write(control: &Control, link: u64, direction: Direction, mut to: TcpStream, chunks: &Receiver<Chunk>) {
    for Chunk { due, bytes, sprung } in chunks {
        match control.turn(link, direction, due) {
            Turn::Gone => return,
            Turn::Discard => {}
            Turn::Forward => {
                let passes = sprung.map_or(bytes.len(), |sprung| sprung.passes(bytes.len()));
                if to.write_all(&bytes[..passes]).is_err() || sprung.is_some_and(Sprung::breaks) {
                    return control.broken(link);
                }
            }
        }
    }
    // The sender is done: so is this direction, and the other one goes on.
    let _ = to.shutdown(Shutdown::Write);
    control.direction_ended(link);
}
