//! The fault proxy in front of a tiny server that sends back what it gets.

#![allow(clippy::unwrap_used, reason = "this file is all tests; the lint knows only their functions")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use cache_test_support::{FaultProxy, Snare};

/// An echo server that counts the bytes it has got; its thread ends with the test program.
struct Echo {
    address: SocketAddr,
    got: Arc<AtomicUsize>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&got);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        counter.fetch_add(length, SeqCst);
                        if stream.write_all(&buffer[..length]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, got }
    }
}

fn client(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn echoed(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Whether nothing comes for a while, the connection staying open.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let outcome = stream.read(&mut [0]);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn has_ended(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn setting() -> (Echo, FaultProxy, TcpStream) {
    let echo = Echo::start();
    let proxy = FaultProxy::tcp(echo.address).unwrap();
    let stream = client(&proxy);
    (echo, proxy, stream)
}

#[test]
fn bytes_pass_and_are_counted() {
    let (_echo, proxy, mut stream) = setting();
    assert_eq!(echoed(&mut stream, "hello").unwrap(), "hello");
    let traffic = proxy.traffic();
    assert_eq!((traffic.connections, traffic.to_server, traffic.to_client, traffic.commands), (1, 5, 5, 0));
    proxy.reset();
    assert_eq!(proxy.traffic(), cache_test_support::Traffic::default());
}

#[test]
fn a_megabyte_arrives_whole() {
    let (_echo, _proxy, mut stream) = setting();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = thread::spawn(move || writer.write_all(&copy).unwrap());
    let mut got = vec![0; sent.len()];
    stream.read_exact(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == sent);
}

#[test]
fn commands_are_counted_with_their_names() {
    let echo = Echo::start();
    let proxy = FaultProxy::redis(&format!("redis://{}/3", echo.address)).unwrap();
    assert_eq!(proxy.url(), format!("redis://{}/3", proxy.address()));
    let mut stream = client(&proxy);
    echoed(&mut stream, "*2\r\n$3\r\nget\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n").unwrap();
    assert_eq!(proxy.commands(), ["GET", "PING"]);
    assert_eq!(
        (proxy.traffic().commands, proxy.commands_named("GET"), proxy.commands_named("SET")),
        (2, 1, 0)
    );
    proxy.reset();
    assert!(proxy.commands().is_empty());
}

#[test]
fn a_cut_ends_open_connections_and_welcomes_new_ones() {
    let (_echo, proxy, mut stream) = setting();
    echoed(&mut stream, "a").unwrap();
    assert_eq!(proxy.open_connections(), 1);
    proxy.cut();
    assert!(has_ended(&mut stream));
    assert_eq!(proxy.open_connections(), 0);
    assert_eq!(echoed(&mut client(&proxy), "b").unwrap(), "b");
}

#[test]
fn a_refusing_proxy_keeps_its_connections_and_takes_no_new_ones() {
    let (_echo, proxy, mut stream) = setting();
    echoed(&mut stream, "a").unwrap();
    proxy.refuse();
    proxy.refuse();
    let refused = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(echoed(&mut stream, "b").unwrap(), "b");
    proxy.accept().unwrap();
    proxy.accept().unwrap();
    assert_eq!(echoed(&mut client(&proxy), "c").unwrap(), "c");
}

#[test]
fn a_stalled_connection_stays_open_and_delivers_later() {
    let (echo, proxy, mut stream) = setting();
    echoed(&mut stream, "a").unwrap();
    proxy.stall();
    stream.write_all(b"later").unwrap();
    assert!(is_silent(&mut stream));
    assert_eq!(echo.got.load(SeqCst), 1);
    proxy.flow();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"later");
}

#[test]
fn a_stalled_connection_can_be_cut() {
    let (_echo, proxy, mut stream) = setting();
    echoed(&mut stream, "a").unwrap();
    proxy.stall();
    stream.write_all(b"lost").unwrap();
    proxy.cut();
    assert!(has_ended(&mut stream));
}

#[test]
fn a_delay_delivers_late_and_can_be_cut_short() {
    let (echo, proxy, mut stream) = setting();
    proxy.delay(Duration::from_millis(20));
    assert_eq!(echoed(&mut stream, "slow").unwrap(), "slow");
    proxy.delay(Duration::from_secs(3600));
    stream.write_all(b"never").unwrap();
    eventually("the proxy has the bytes", || proxy.traffic().to_server == 9);
    proxy.cut();
    assert!(has_ended(&mut stream));
    assert_eq!(echo.got.load(SeqCst), 4);
}

#[test]
fn with_replies_dropped_the_request_is_done_and_nobody_hears_of_it() {
    let (echo, proxy, mut stream) = setting();
    let mut other = client(&proxy);
    echoed(&mut stream, "a").unwrap();
    echoed(&mut other, "b").unwrap();
    proxy.drop_replies();
    stream.write_all(b"done").unwrap();
    eventually("the server has the request", || echo.got.load(SeqCst) == 6);
    assert!(is_silent(&mut stream));
    proxy.pass_replies();
    assert!(has_ended(&mut stream));
    assert_eq!(echoed(&mut other, "c").unwrap(), "c");
}

#[test]
fn a_client_that_hangs_up_is_told_to_the_server() {
    let (_echo, proxy, mut stream) = setting();
    echoed(&mut stream, "a").unwrap();
    drop(stream);
    eventually("the connection is forgotten", || proxy.open_connections() == 0);
}

#[test]
fn calm_ends_every_fault() {
    let (_echo, proxy, _stream) = setting();
    proxy.stall();
    proxy.delay(Duration::from_secs(3600));
    proxy.drop_replies();
    proxy.refuse();
    proxy.calm().unwrap();
    assert_eq!(echoed(&mut client(&proxy), "a").unwrap(), "a");
}

#[test]
fn a_server_that_is_down_ends_the_connection() {
    let proxy = FaultProxy::tcp("127.0.0.1:1").unwrap();
    assert!(has_ended(&mut client(&proxy)));
}

#[test]
fn a_dropped_proxy_leaves_nothing_behind() {
    let (_echo, proxy, mut stream) = setting();
    echoed(&mut stream, "a").unwrap();
    let address = proxy.address();
    drop(proxy);
    assert!(has_ended(&mut stream));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_swallowed_connection_stays_open_and_silent_while_new_ones_work() {
    let (echo, proxy, mut stream) = setting();
    assert_eq!(echoed(&mut stream, "one").unwrap(), "one");
    assert_eq!(proxy.swallow(), 1);
    stream.write_all(b"two").unwrap();
    assert!(is_silent(&mut stream));
    assert_eq!(echoed(&mut client(&proxy), "three").unwrap(), "three");
    assert_eq!(echo.got.load(SeqCst), 8, "what was swallowed never came to the server");
    proxy.calm().unwrap();
    assert!(has_ended(&mut stream));
}

#[test]
fn a_snare_breaks_one_connection_before_or_after_the_server_got_the_bytes() {
    let (echo, proxy, mut stream) = setting();
    proxy.set_snare(Snare::BeforeRequest(b"COMMIT".into()));
    assert_eq!(echoed(&mut stream, "BEGIN").unwrap(), "BEGIN");
    assert!(echoed(&mut stream, "COMMIT").is_err());
    assert_eq!((proxy.snared(), echo.got.load(SeqCst)), (1, 5));

    let mut stream = client(&proxy);
    assert_eq!(echoed(&mut stream, "COMMIT").unwrap(), "COMMIT", "it springs once");
    proxy.set_snare(Snare::AfterRequest(b"COMMIT".into()));
    let _ = echoed(&mut stream, "COMMIT");
    eventually("the server got it all the same", || echo.got.load(SeqCst) == 17);
    assert!(has_ended(&mut stream));
    assert_eq!(proxy.snared(), 2);
}

#[test]
fn half_a_reply_comes_and_then_the_end() {
    let (_echo, proxy, mut stream) = setting();
    proxy.set_snare(Snare::MidReply);
    stream.write_all(b"12345678").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"1234");
    assert_eq!(proxy.open_connections(), 0);
}
