use std::pin::{Pin, pin};
use std::task::Poll;

use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::super::script;
use super::*;
use crate::error::StoreErrorKind;
use crate::time::SystemClock;

/// The server's end of a connection.
struct Peer(DuplexStream);

impl Peer {
    /// The next command: its words.
    async fn hears(&mut self) -> Vec<String> {
        let words = self.number('*').await;
        let mut command = Vec::new();
        for _ in 0..words {
            let mut word = vec![0; self.number('$').await + 2];
            self.0.read_exact(&mut word).await.unwrap();
            command.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
        }
        command
    }

    async fn number(&mut self, sign: char) -> usize {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            line.push(char::from(self.0.read_u8().await.unwrap()));
        }
        line.trim_end().strip_prefix(sign).unwrap().parse().unwrap()
    }

    async fn says(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }
}

async fn connected() -> (Link, JoinHandle<()>, Peer) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&settings, ours, config).await.unwrap();
    let link = Link::new(connection, Epoch(7), Arc::new(SystemClock::default()));
    (link, tokio::spawn(driver), Peer(theirs))
}

/// Polls a command once, which sends it.
async fn begin(mut sending: Pin<&mut impl Future>) {
    let is_pending = std::future::poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
}

fn kind<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
    answer.unwrap_err().kind()
}

#[tokio::test]
async fn a_reply_that_was_not_read_before_the_link_was_retired_does_not_count() {
    for is_retired in [false, true] {
        let (link, _driver, mut peer) = connected().await;
        let get = cmd("GET");
        let mut sending = pin!(link.send(&get));
        begin(sending.as_mut()).await;
        assert_eq!(peer.hears().await, ["GET"]);
        peer.says("$3\r\nold\r\n").await;
        // A second command proves that the first one's reply is there.
        let ping = cmd("PING");
        let mut later = pin!(link.send(&ping));
        begin(later.as_mut()).await;
        peer.hears().await;
        peer.says("+PONG\r\n").await;
        later.await.unwrap();
        if is_retired {
            link.retire();
            assert_eq!(kind(sending.await), StoreErrorKind::Disconnected);
        } else {
            assert_eq!(sending.await.unwrap(), Value::BulkString(b"old".to_vec()));
        }
    }
}

#[derive(Debug, Default)]
struct ByHand(AtomicU64);

impl Clock for ByHand {
    fn wall(&self) -> StoreTime {
        StoreTime::default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn nothing_is_sent_once_the_lease_has_lapsed_but_the_questions_that_serve_nobody() {
    let clock = Arc::new(ByHand::default());
    let (mut link, _driver, mut peer) = connected().await;
    link.clock = clock.clone();
    link.lease.begin(Duration::ZERO);
    clock.0.store(999, Ordering::Relaxed);
    let get = cmd("GET");
    let mut sending = pin!(link.send(&get));
    begin(sending.as_mut()).await;
    assert_eq!(peer.hears().await, ["GET"]);

    clock.0.store(1000, Ordering::Relaxed);
    let steps = [Step::Read(cmd("HGET"))];
    assert_eq!(kind(link.send(&get).await), StoreErrorKind::Unavailable);
    assert_eq!(kind(link.send_all(&steps).await), StoreErrorKind::Unavailable);
    assert_eq!(kind(link.ask(&steps[0]).await), StoreErrorKind::Unavailable);
    let probe = [Step::Read(cmd("INFO"))];
    let mut probing = pin!(link.send_anyway(&probe));
    begin(probing.as_mut()).await;
    assert_eq!(peer.hears().await, ["INFO"], "nothing was sent before it");
    peer.says(":1\r\n:2\r\n").await;
    assert_eq!(sending.await.unwrap(), Value::Int(1), "what was sent in time counts");
    probing.await.unwrap();

    link.lease.renew(Duration::from_millis(500));
    let mut sending = pin!(link.send(&get));
    begin(sending.as_mut()).await;
    assert_eq!(peer.hears().await, ["GET"]);
}

#[tokio::test]
async fn commands_in_flight_fail_when_the_connection_is_given_up() {
    let (link, driver, mut peer) = connected().await;
    let get = cmd("GET");
    let mut sending = pin!(link.send(&get));
    begin(sending.as_mut()).await;
    peer.hears().await;
    driver.abort();
    assert_eq!(kind(sending.await), StoreErrorKind::Disconnected);
    assert!(matches!(link.troubled().await, Refusal::Away(_)));
}

#[tokio::test]
async fn a_server_that_says_it_is_no_master_is_told_to_the_supervisor() {
    let (link, _driver, mut peer) = connected().await;
    let peer = async {
        peer.hears().await;
        peer.says("-READONLY You can't write against a read only replica.\r\n").await;
    };
    let set = cmd("SET");
    let (answer, ()) = tokio::join!(link.send(&set), peer);
    assert_eq!(kind(answer), StoreErrorKind::Disconnected);
    assert!(link.troubled().await.text().contains("READONLY"));
}

#[tokio::test]
async fn only_what_was_not_done_is_sent_again_and_the_reads_behind_it() {
    let (link, _driver, mut peer) = connected().await;
    let steps = [
        Step::script(&script::MARK, &["a".into()], |_| {}),
        Step::Read(cmd("GET")),
        Step::script(&script::CLEAR, &["b".into()], |_| {}),
        Step::script(&script::MARK, &["c".into()], |_| {}),
        Step::Read(cmd("HGET")),
    ];
    let peer = async {
        for _ in 0..5 {
            peer.hears().await;
        }
        peer.says(":1\r\n:2\r\n-NOSCRIPT No matching script.\r\n:4\r\n:5\r\n").await;
        let load = peer.hears().await;
        assert_eq!(load, ["SCRIPT", "LOAD", script::CLEAR.source]);
        assert_eq!(peer.hears().await, ["EVALSHA", &script::CLEAR.digest, "1", "b"]);
        assert_eq!(peer.hears().await, ["HGET"]);
        peer.says("+OK\r\n:33\r\n:55\r\n").await;
    };
    let (replies, ()) = tokio::join!(link.send_all(&steps), peer);
    assert_eq!(replies.unwrap(), [1, 2, 33, 4, 55].map(Value::Int));
}

#[tokio::test]
async fn a_server_that_forgets_every_script_is_given_up_on() {
    let (link, _driver, mut peer) = connected().await;
    let steps = [Step::script(&script::FILL, &["a".into()], |_| {})];
    let peer = async {
        let mut calls = 0;
        loop {
            match peer.hears().await[0].as_str() {
                "EVALSHA" => {
                    calls += 1;
                    peer.says("-NOSCRIPT No matching script.\r\n").await;
                    if calls > LOADS {
                        return;
                    }
                }
                _ => peer.says("$2\r\nOK\r\n").await,
            }
        }
    };
    let (replies, ()) = tokio::join!(link.send_all(&steps), peer);
    match replies.unwrap().as_slice() {
        [Value::ServerError(error)] => assert_eq!(Fault::of(error), Fault::NoScript),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_clock_of_the_server_is_never_early() {
    let (link, _driver, _peer) = connected().await;
    // However long the answer took, all of it has passed.
    link.tells(StoreTime(1_000_000), Duration::ZERO);
    let before = millis(link.clock.monotonic());
    let passed = link.now().0 - 1_000_000;
    let after = millis(link.clock.monotonic());
    assert!((before..=after).contains(&passed), "{before} <= {passed} <= {after}");
}
