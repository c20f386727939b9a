//! TLS around a connection: what is trusted, and what went wrong in words. Refuses to trust a certificate that nobody
//! vouches for, or one for another host; no option changes that.
//!
//! The system's roots are trusted, not a list that comes with a crate: a private server's certificate is signed by an
//! authority that was put into the system's store.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::address::{Endpoint, Tls};
use super::error::Refusal;

/// As long as a handshake may take; less than the supervisor waits, so that the reason is told.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Makes connections secret and servers prove who they are.
#[derive(Clone)]
pub(super) struct Connector(TlsConnector);

impl Connector {
    /// Reads the files of the URL, or the system's certificates.
    pub(super) fn new(tls: &Tls) -> Result<Self, String> {
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions();
        let trusting = versions.map_err(|error| error.to_string())?.with_root_certificates(roots(tls)?);
        let config = match &tls.identity {
            None => trusting.with_no_client_auth(),
            Some((cert, key)) => {
                let private =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("key", key, &error))?;
                trusting
                    .with_client_auth_cert(certificates("cert", cert)?, private)
                    .map_err(|error| format!("the files of cert and key cannot be used together: {error}"))?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(super) async fn wrap(
        &self,
        stream: TcpStream,
        server: &Endpoint,
    ) -> Result<TlsStream<TcpStream>, Refusal> {
        let name = ServerName::try_from(server.host.clone()).map_err(|_| {
            Refusal::Unusable(format!("{} is no name that a certificate can hold", server.host))
        })?;
        let agreeing = async {
            let mut stream = self.0.connect(name, stream).await?;
            greet(&mut stream).await.map(|()| stream)
        };
        let agreed = timeout(PATIENCE, agreeing).await.map_err(|_| {
            Refusal::Away(
                "it does not agree on TLS, and a server without it is silent, too (redis://)".into(),
            )
        })?;
        agreed.map_err(|error| match error.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => refusal(cause, server),
            None => Refusal::Away(format!("it closed the connection while TLS was agreed on: {error}")),
        })
    }
}

/// Asks for any reply. A server that refuses our certificate says so only now, and the client would hide the words.
async fn greet(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    stream.write_all(b"PING\r\n").await?;
    stream.flush().await?;
    // One line, whatever it says: a missing password is told later.
    while stream.read_u8().await? != b'\n' {}
    Ok(())
}

fn roots(tls: &Tls) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = &tls.ca {
        for certificate in certificates("ca", ca)? {
            roots.add(certificate).map_err(|error| unreadable("ca", ca, &error))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    Err(format!(
        "this system has no certificates to trust{why}: name those of the server's authority by ?ca=/path/ca.pem"
    ))
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unreadable(option, path, &error))?;
    if certificates.is_empty() {
        return Err(unreadable(option, path, &"it holds no certificate in PEM"));
    }
    Ok(certificates)
}

fn unreadable(option: &str, path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("the file {} of the option {option} cannot be used: {why}", path.display())
}

fn refusal(error: &rustls::Error, server: &Endpoint) -> Refusal {
    use CertificateError::{BadSignature, NotValidForName, NotValidForNameContext, UnknownIssuer};
    match error {
        rustls::Error::InvalidMessage(_) => Refusal::Unusable(
            "it does not speak TLS on this port: name its TLS port, or write redis:// without the second s".into(),
        ),
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => Refusal::Unusable(
            "nobody who is trusted here has signed its certificate: name the certificate of its authority by \
             ?ca=/path/ca.pem"
                .into(),
        ),
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            let host = &server.host;
            Refusal::Unusable(format!("its certificate is for another host than {host}, by which the URL calls it"))
        }
        rustls::Error::InvalidCertificate(why) => {
            Refusal::Unusable(format!("its certificate cannot be trusted: {why:?}"))
        }
        rustls::Error::AlertReceived(alert) => alerted(*alert),
        other => Refusal::Unusable(format!("TLS could not be agreed on: {other}")),
    }
}

fn alerted(alert: AlertDescription) -> Refusal {
    use AlertDescription::{BadCertificate, CertificateRequired, DecryptError, HandshakeFailure, UnknownCA};
    let advice = match alert {
        CertificateRequired | HandshakeFailure => {
            ": it may want a certificate of ours, ?cert=/path/cert.pem&key=/path/key.pem"
        }
        BadCertificate | DecryptError | UnknownCA => ": it does not trust the certificate of the option cert",
        _ => "",
    };
    Refusal::Unusable(format!("it refused TLS ({alert:?}){advice}"))
}
