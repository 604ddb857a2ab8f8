//! The client's side: whom to trust, and the handshake.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_rustls::TlsConnector;
use pillarbox_core::limits;
use pillarbox_core::smtp::server::ask::TlsEvidence;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{TlsError, evidence};
use crate::os::net::OsStream;

/// The two ways to be a client. Clones of a configuration share its memory of sessions; the two ways share none, so that a session
/// which nobody vouched for is never resumed as a verified one.
#[derive(Default)]
pub(in crate::os) struct Trust(Mutex<Configs>);

#[derive(Default)]
struct Configs {
    verified: Option<Arc<ClientConfig>>,
    any: Option<Arc<ClientConfig>>,
}

impl Trust {
    pub(in crate::os) fn set(&self, roots: Option<&Path>) -> Result<(), TlsError> {
        let verified = match roots {
            Some(path) => Some(verifying(roots_of(path)?)?),
            None => None,
        };
        self.configs().verified = verified;
        Ok(())
    }

    fn configs(&self) -> std::sync::MutexGuard<'_, Configs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn verified(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = &self.configs().verified {
            return Ok(config.clone());
        }
        let config = blocking::unblock(|| verifying(system_roots()?)).await?;
        Ok(self.configs().verified.get_or_insert(config).clone())
    }

    fn any(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = &self.configs().any {
            return Ok(config.clone());
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        Ok(self.configs().any.get_or_insert(Arc::new(config)).clone())
    }
}

fn verifying(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Whether a file holds roots that can be trusted.
///
/// # Errors
/// When it cannot be read or has no certificate.
pub fn check_roots(path: &Path) -> Result<(), TlsError> {
    roots_of(path).map(drop)
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| TlsError::File {
                path: path.to_path_buf(),
                error,
            })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    match roots.is_empty() {
        true => Err(TlsError::NoRoots(format!("{}: no certificate in it", path.display()))),
        false => Ok(roots),
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One odd certificate of the system's must not take all others away.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsError::NoRoots(format!(
            "this system has no root certificates{why}: install ca-certificates, or name a file in tls.roots"
        )));
    }
    Ok(roots)
}

/// The handshake.
pub(in crate::os) async fn connect(
    stream: OsStream,
    trust: &Trust,
    name: &str,
    verify: bool,
) -> io::Result<(OsStream, TlsEvidence)> {
    let socket = match stream {
        OsStream::Plain(socket) => socket,
        OsStream::Tls(_) => return Err(io::Error::other("TLS inside TLS")),
    };
    let config = match verify {
        true => trust.verified().await,
        false => trust.any(),
    };
    let config = config.map_err(io::Error::other)?;
    let name = match server_name(name) {
        Some(name) => name,
        None if verify => {
            return Err(io::Error::other(format!(
                "no certificate can be valid for `{}`",
                name.escape_debug()
            )));
        }
        // Nobody checks it, and an address sends no SNI.
        None => ServerName::IpAddress(IpAddr::V6(Ipv6Addr::UNSPECIFIED).into()),
    };
    let bound = |session: &mut rustls::ClientConnection| session.set_buffer_limit(Some(limits::TLS_BUFFER));
    // Boxed: the state of a handshake is large, and what awaits it outlives it.
    let stream = Box::pin(TlsConnector::from(config).connect_with(name, socket, bound)).await?;
    let evidence = evidence(stream.get_ref().1).ok_or_else(|| io::Error::other("a handshake without a result"))?;
    Ok((OsStream::Tls(Box::new(stream.into())), evidence))
}

/// A host name without its final dot, or an address without the brackets of a literal (`[192.0.2.1]`, `[IPv6:2001:db8::1]`).
fn server_name(name: &str) -> Option<ServerName<'static>> {
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = literal
        .map(|inner| inner.strip_prefix("IPv6:").unwrap_or(inner))
        .unwrap_or(name);
    if let Ok(address) = address.parse::<IpAddr>() {
        return Some(ServerName::IpAddress(address.into()));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name.to_owned()).ok()
}

/// Takes any certificate (opportunistic TLS, RFC 7435). The peer must still sign the handshake with its key: else a session could be
/// moved to another one.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
