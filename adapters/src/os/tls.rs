//! TLS: certificates, ALPN, and the server's side of the handshake; the client's is in [`client`].
//!
//! Versions 1.2 and 1.3, no early data. Any server name (or none) gets the one certificate, never an alert (RFC 7672 §8.1).

pub(super) mod client;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_rustls::TlsAcceptor;
use pillarbox_core::limits;
use pillarbox_core::smtp::server::ask::TlsEvidence;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CommonState, ServerConfig};

use super::net::OsStream;
use crate::env::Alpn;

/// A certificate with its key, ready to serve. Clones share session tickets.
#[derive(Clone)]
pub struct TlsServer(Arc<Configs>);

struct Configs {
    /// Without ALPN.
    plain: Arc<ServerConfig>,
    /// One for each protocol that has been required so far: those of our own listeners.
    by_protocol: Mutex<BTreeMap<&'static str, Arc<ServerConfig>>>,
}

/// A certificate that nobody vouches for.
pub struct SelfSigned {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// The text is not PEM.
    #[error("not a PEM certificate and key: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Key and certificate do not fit, or are of a kind that is not supported.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// There is nothing that a certificate could be checked by.
    #[error("{0}")]
    NoRoots(String),
    /// None can be made for these names.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl TlsServer {
    /// From two PEM files; the certificate's own comes first, those that vouch for it behind it.
    ///
    /// # Errors
    /// When a file cannot be read, or the two do not fit.
    pub fn load(certificate: &Path, key: &Path) -> Result<TlsServer, TlsError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |error| TlsError::File { path, error }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(at(certificate))?;
        TlsServer::new(chain, PrivateKeyDer::from_pem_file(key).map_err(at(key))?)
    }

    /// From two PEM texts.
    ///
    /// # Errors
    /// When they are not PEM, or do not fit.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<TlsServer, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>()?;
        TlsServer::new(chain, PrivateKeyDer::from_pem_slice(key)?)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<TlsServer, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        // Tickets instead of a table: phones come back often, and a table of sessions is memory.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.max_early_data_size = 0;
        Ok(TlsServer(Arc::new(Configs {
            plain: Arc::new(config),
            by_protocol: Mutex::default(),
        })))
    }

    /// ALPN (`rules.md`): a client that offers none is welcome; one that offers others is refused by rustls.
    fn config(&self, alpn: Alpn) -> Arc<ServerConfig> {
        let Alpn::Require(protocol) = alpn else {
            return self.0.plain.clone();
        };
        let mut by_protocol = self.0.by_protocol.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let mut config = ServerConfig::clone(&self.0.plain);
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            Arc::new(config)
        };
        by_protocol.entry(protocol).or_insert_with(make).clone()
    }
}

impl SelfSigned {
    /// Makes one for these names (host names or IP addresses), with a fresh key.
    ///
    /// # Errors
    /// When a name is none.
    pub fn make(names: Vec<String>) -> Result<SelfSigned, TlsError> {
        let common_name = names.first().cloned().unwrap_or_default();
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let certificate = params.self_signed(&key)?;
        Ok(SelfSigned {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

pub(super) async fn accept(stream: OsStream, server: &TlsServer, alpn: Alpn) -> io::Result<(OsStream, TlsEvidence)> {
    let socket = match stream {
        OsStream::Plain(socket) => socket,
        OsStream::Tls(_) => return Err(io::Error::other("TLS inside TLS")),
    };
    let bound = |session: &mut rustls::ServerConnection| session.set_buffer_limit(Some(limits::TLS_BUFFER));
    // Boxed: the state of a handshake is large, and what awaits it outlives it.
    let stream = Box::pin(TlsAcceptor::from(server.config(alpn)).accept_with(socket, bound)).await?;
    let evidence = evidence(stream.get_ref().1).ok_or_else(|| io::Error::other("a handshake without a result"))?;
    Ok((OsStream::Tls(Box::new(stream.into())), evidence))
}

fn evidence(session: &CommonState) -> Option<TlsEvidence> {
    let version = match session.protocol_version()? {
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => return None, // rustls speaks no other
    };
    let cipher = session.negotiated_cipher_suite()?.suite().as_str()?;
    Some(TlsEvidence {
        version: version.to_string(),
        cipher: cipher.replacen("TLS13_", "TLS_", 1), // as the registry of IANA has it
        bits: if cipher.contains("AES_128") { 128 } else { 256 },
    })
}
