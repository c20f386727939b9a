//! A sentinel that says what a script wants. Knows three commands.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[derive(Debug)]
struct Script {
    /// The server, its failover, and how many milliseconds ago that was.
    names: Mutex<(SocketAddr, u64, u64)>,
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
    /// Names this server, made master by this failover a long time ago.
    pub(crate) async fn naming(server: SocketAddr, term: u64) -> Self {
        Self::start(server, term, None).await
    }

    /// The same over TLS, with the certificate and the key of a folder.
    pub(crate) async fn naming_over_tls(server: SocketAddr, term: u64, folder: &Path) -> Self {
        let certificates = CertificateDer::pem_file_iter(folder.join("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates.collect::<Result<_, _>>().unwrap(), key)
            .unwrap();
        Self::start(server, term, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(server: SocketAddr, term: u64, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script =
            Arc::new(Script { names: Mutex::new((server, term, 1_000_000)), answers: AtomicUsize::new(0) });
        let told = script.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, tls) = (told.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, script, accepting }
    }

    /// Names another one from this moment on.
    pub(crate) fn names(&self, server: SocketAddr, term: u64) {
        *self.script.names.lock().unwrap() = (server, term, 0);
    }

    /// How often it was asked and has answered.
    pub(crate) fn answers(&self) -> usize {
        self.script.answers.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Arc<Script>) {
    let mut heard = Vec::new();
    // The two questions come in one go, and the second one ends with the master's name.
    while stream.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
        if heard == b"PING\r\n" {
            heard.clear();
            if stream.write_all(b"+PONG\r\n").await.is_err() {
                return;
            }
        }
        if heard.windows(6).filter(|word| *word == b"\r\nshop").count() == 2 && heard.ends_with(b"shop\r\n") {
            heard.clear();
            let (server, term, time) = *script.names.lock().unwrap();
            let (host, port) = (server.ip().to_string(), server.port().to_string());
            let (term, time) = (term.to_string(), time.to_string());
            let address =
                ["name", "shop", "ip", &host, "port", &port, "flags", "master", "config-epoch", &term];
            let role = ["role-reported", "master", "role-reported-time", &time];
            let answer = list(&[&address[..], &role].concat()) + &list(&[&host, &port]);
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
