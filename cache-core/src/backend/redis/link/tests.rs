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

/// One command for each word.
fn steps(words: &[&'static str]) -> Vec<Step> {
    words.iter().map(|word| Step::Read(cmd(word))).collect()
}

async fn hear(peer: &mut Peer, words: &[&str]) {
    for word in words {
        assert_eq!(peer.hears().await, [*word]);
    }
}

#[tokio::test]
async fn who_is_alone_asks_at_once_and_others_ask_together_and_each_gets_his_own_answers() {
    let (link, _driver, mut peer) = connected().await;
    let [alone, two, none, three] = [&["A"][..], &["B", "C"], &[], &["D", "E", "F"]].map(steps);
    let mut first = pin!(link.send_all(&alone));
    begin(first.as_mut()).await;
    hear(&mut peer, &["A"]).await;
    let [mut second, mut third] = [&two, &three].map(|steps| Box::pin(link.send_all(steps)));
    assert_eq!(link.send_all(&none).await.unwrap(), []);
    begin(second.as_mut()).await;
    begin(third.as_mut()).await;
    hear(&mut peer, &["B", "C", "D", "E", "F"]).await;
    peer.says(":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n").await;
    let answers = [first.await, second.await, third.await].map(Result::unwrap);
    let numbers = |numbers: &[i64]| numbers.iter().map(|number| Value::Int(*number)).collect::<Vec<_>>();
    assert_eq!(answers, [&[1][..], &[2, 3], &[4, 5, 6]].map(numbers));
}

#[tokio::test]
async fn who_goes_away_takes_nobody_along_and_an_error_is_told_to_him_alone() {
    let (link, _driver, mut peer) = connected().await;
    let [alone, gone, stays] = [["A"], ["B"], ["C"]].map(|words| steps(&words));
    let mut first = pin!(link.send_all(&alone));
    begin(first.as_mut()).await;
    let mut leaves = Box::pin(link.send_all(&gone));
    begin(leaves.as_mut()).await;
    let mut other = pin!(link.send_all(&stays));
    begin(other.as_mut()).await;
    drop(leaves);
    hear(&mut peer, &["A", "B", "C"]).await;
    peer.says(":1\r\n:2\r\n-ERR no\r\n").await;
    assert_eq!(first.await.unwrap(), [Value::Int(1)]);
    assert!(matches!(&other.await.unwrap()[..], [Value::ServerError(_)]));
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_to_all_who_asked_together() {
    let (link, _driver, mut peer) = connected().await;
    let [alone, two, three] = [["A"], ["B"], ["C"]].map(|words| steps(&words));
    let mut asked = [&alone, &two, &three].map(|steps| Box::pin(link.send_all(steps)));
    for one in &mut asked {
        begin(one.as_mut()).await;
    }
    hear(&mut peer, &["A", "B", "C"]).await;
    drop(peer);
    for one in asked {
        assert_eq!(kind(one.await), StoreErrorKind::Disconnected);
    }
}

#[tokio::test]
async fn who_asks_for_much_is_not_waited_for() {
    let (link, _driver, mut peer) = connected().await;
    let [alone, little] = [["A"], ["Z"]].map(|words| steps(&words));
    let much = steps(&["B"; 9]);
    let mut first = pin!(link.send_all(&alone));
    begin(first.as_mut()).await;
    let mut large = pin!(link.send_all(&much));
    begin(large.as_mut()).await;
    let mut small = pin!(link.send_all(&little));
    begin(small.as_mut()).await;
    hear(&mut peer, &["A"]).await;
    hear(&mut peer, &["B"; 9]).await;
    hear(&mut peer, &["Z"]).await;
    peer.says(&":1\r\n".repeat(10)).await;
    assert_eq!(first.await.unwrap().len(), 1);
    assert_eq!(large.await.unwrap().len(), 9);
    peer.says(":7\r\n").await;
    assert_eq!(small.await.unwrap(), [Value::Int(7)]);
}

#[tokio::test]
async fn many_who_ask_together_do_not_wait_for_the_last_of_all() {
    let (link, _driver, mut peer) = connected().await;
    let (alone, one) = (steps(&["A"]), steps(&["B"]));
    let mut first = pin!(link.send_all(&alone));
    begin(first.as_mut()).await;
    let mut others: Vec<_> = (0..65).map(|_| Box::pin(link.send_all(&one))).collect();
    for other in &mut others {
        begin(other.as_mut()).await;
    }
    hear(&mut peer, &["A"]).await;
    hear(&mut peer, &["B"; 65]).await;
    peer.says(&":1\r\n".repeat(65)).await;
    let last = others.pop().unwrap();
    for other in others {
        assert_eq!(other.await.unwrap(), [Value::Int(1)]);
    }
    peer.says(":2\r\n").await;
    assert_eq!(last.await.unwrap(), [Value::Int(2)]);
}

/// A runtime that is shut down with what it was to send must not leave those of another one waiting.
#[tokio::test]
async fn a_runtime_that_is_shut_down_leaves_nobody_waiting() {
    let (link, _driver, mut peer) = connected().await;
    let link = Arc::new(link);
    let [alone, word] = [["A"], ["B"]].map(|words| steps(&words));
    let mut first = pin!(link.send_all(&alone));
    begin(first.as_mut()).await;
    let mut left = Box::pin({
        let link = link.clone();
        async move { link.send_all(&steps(&["X"])).await }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
            // Polled there once: what it spawned is never run.
            let _entered = other.enter();
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(left.as_mut().poll(&mut context).is_pending());
            drop(_entered);
            drop(other);
        });
    });
    assert_eq!(kind(left.await), StoreErrorKind::Disconnected);
    let (link, _driver, mut other_peer) = connected().await;
    let mut next = pin!(link.send_all(&word));
    begin(next.as_mut()).await;
    hear(&mut other_peer, &["B"]).await;
    hear(&mut peer, &["A"]).await;
}
