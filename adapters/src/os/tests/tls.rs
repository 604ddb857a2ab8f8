//! TLS with a client of the same library: names, ALPN, versions.

use futures_rustls::TlsConnector;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::*;

struct Offer {
    name: &'static str,
    alpn: &'static [&'static str],
    version: &'static SupportedProtocolVersion,
}

const OFFER: Offer = Offer {
    name: "mx.one.test",
    alpn: &[],
    version: &rustls::version::TLS13,
};

/// A handshake with a certificate for `mx.one.test`; what the server and the client think of it.
async fn handshake(env: &OsEnv, offer: Offer, alpn: Alpn) -> (io::Result<TlsEvidence>, io::Result<()>) {
    let made = SelfSigned::make(vec!["mx.one.test".into(), "127.0.0.1".into()]).unwrap();
    let server = TlsServer::from_pem(made.certificate.as_bytes(), made.key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[offer.version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offer.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let (server_side, client_side) = connection(env).await;
    let OsStream::Plain(client_side) = client_side else {
        panic!("a new connection is plain")
    };
    let client = async {
        let name = ServerName::try_from(offer.name).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, client_side).await?;
        stream.write_all(b"ping").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        assert_eq!(answer, b"pong");
        Ok(())
    };
    let server = async {
        let (mut stream, evidence) = env.tls_accept(server_side, &server, alpn).await?;
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).await?;
        stream.write_all(b"pong").await?;
        stream.close().await?; // read_to_end of the client fails without close_notify
        Ok(evidence)
    };
    future::zip(server, client).await
}

#[test]
fn both_versions_are_served_and_told() {
    with_env(|env| async move {
        let (server, client) = handshake(&env, OFFER, Alpn::Ignore).await;
        client.unwrap();
        let evidence = server.unwrap();
        assert_eq!(
            (evidence.version.as_str(), evidence.cipher.as_str()),
            ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        );
        assert_eq!(evidence.bits, 256);
        let offer = Offer {
            version: &rustls::version::TLS12,
            ..OFFER
        };
        let (server, client) = handshake(&env, offer, Alpn::Ignore).await;
        client.unwrap();
        let evidence = server.unwrap();
        assert_eq!(evidence.version, "TLSv1.2");
        assert!(evidence.cipher.starts_with("TLS_ECDHE_ECDSA_WITH_"), "{}", evidence.cipher);
    });
}

#[test]
fn alpn_follows_the_rules() {
    with_env(|env| async move {
        let imap = Alpn::Require("imap");
        let offered = |alpn| Offer { alpn, ..OFFER };
        handshake(&env, offered(&[]), imap).await.1.unwrap();
        handshake(&env, offered(&["h2", "imap"]), imap).await.1.unwrap();
        handshake(&env, offered(&["h2"]), Alpn::Ignore).await.1.unwrap();
        let (server, client) = handshake(&env, offered(&["h2", "http/1.1"]), imap).await;
        server.unwrap_err();
        let told = client.unwrap_err().to_string();
        assert!(told.contains("NoApplicationProtocol"), "{told}");
    });
}

#[test]
fn s47_any_name_gets_the_certificate_and_the_client_judges_it() {
    with_env(|env| async move {
        handshake(
            &env,
            Offer {
                name: "127.0.0.1",
                ..OFFER
            },
            Alpn::Ignore,
        )
        .await
        .1
        .unwrap();
        for name in ["other.test", "192.0.2.1"] {
            let told = handshake(&env, Offer { name, ..OFFER }, Alpn::Ignore)
                .await
                .1
                .unwrap_err()
                .to_string();
            assert!(told.contains("not valid for name"), "{name}: {told}");
        }
    });
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let (certificate, key) = (folder.0.join("cert.pem"), folder.0.join("key.pem"));
    let told = TlsServer::load(&certificate, &key).err().unwrap().to_string();
    assert!(told.contains("cert.pem"), "{told}");
    let made = SelfSigned::make(vec!["mx.one.test".into()]).unwrap();
    std::fs::write(&certificate, &made.certificate).unwrap();
    std::fs::write(&key, &made.key).unwrap();
    TlsServer::load(&certificate, &key).unwrap();
    let other = SelfSigned::make(vec!["mx.one.test".into()]).unwrap();
    std::fs::write(&key, &other.key).unwrap();
    assert!(matches!(TlsServer::load(&certificate, &key), Err(TlsError::Unusable(_))));
}
