//! A sentinel that says what a script wants. Knows two commands.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Debug)]
struct Script {
    names: Mutex<(SocketAddr, u64)>,
    answers: AtomicUsize,
}

/// Closed when dropped.
pub(crate) struct FakeSentinel {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
    accepting: JoinHandle<()>,
}

impl Drop for FakeSentinel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl FakeSentinel {
    /// Names this server, made master by this failover.
    pub(crate) async fn naming(server: SocketAddr, term: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script { names: Mutex::new((server, term)), answers: AtomicUsize::new(0) });
        let told = script.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, told.clone()));
            }
        });
        Self { address, script, accepting }
    }

    pub(crate) fn names(&self, server: SocketAddr, term: u64) {
        *self.script.names.lock().unwrap() = (server, term);
    }

    /// How often it was asked and has answered.
    pub(crate) fn answers(&self) -> usize {
        self.script.answers.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>) {
    let mut heard = Vec::new();
    // The two questions come in one go, and the second one ends with the master's name.
    while stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
        if heard.windows(6).filter(|word| *word == b"\r\nshop").count() == 2 && heard.ends_with(b"shop\r\n") {
            heard.clear();
            let (server, term) = *script.names.lock().unwrap();
            let (host, port, term) = (server.ip().to_string(), server.port().to_string(), term.to_string());
            let about = list(&["name", "shop", "ip", &host, "port", &port, "config-epoch", &term]);
            let answer = about + &list(&[&host, &port]);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            script.answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn list(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}
