//! The client's side of TLS: who is trusted, for which name, and what opportunistic TLS still checks (S63).

use super::*;
use crate::env::Alpn;

/// A server's certificate, and a file of roots that has it.
struct World {
    env: OsEnv,
    made: SelfSigned,
    folder: Folder,
}

impl World {
    fn new(env: OsEnv) -> World {
        let folder = Folder::new();
        std::fs::create_dir_all(&folder.0).unwrap();
        let made = SelfSigned::make(vec!["mx.one.test".into(), "127.0.0.1".into()]).unwrap();
        std::fs::write(folder.0.join("roots.pem"), &made.certificate).unwrap();
        World { env, made, folder }
    }

    fn trust_it(&self) {
        self.env.trust(Some(&self.folder.0.join("roots.pem"))).unwrap();
    }

    /// What the client thinks of a server with this certificate and the key of that one.
    async fn connect(&self, name: &str, verify: bool) -> io::Result<TlsEvidence> {
        let server = TlsServer::from_pem(self.made.certificate.as_bytes(), self.made.key.as_bytes()).unwrap();
        let (server_side, client_side) = connection(&self.env).await;
        let client = async {
            let (mut stream, evidence) = self.env.tls_connect(client_side, name, verify).await?;
            stream.write_all(b"ping").await?;
            stream.close().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            assert_eq!(answer, b"pong");
            Ok(evidence)
        };
        let server = async {
            let (mut stream, _) = self.env.tls_accept(server_side, &server, Alpn::Require("imap")).await?;
            let mut ping = Vec::new();
            stream.read_to_end(&mut ping).await?;
            stream.write_all(b"pong").await?;
            stream.close().await
        };
        let (client, server) = future::zip(client, server).await;
        assert_eq!(client.is_ok(), server.is_ok(), "{client:?} {server:?}");
        client
    }
}

#[test]
fn s63_a_verified_client_takes_only_the_name_it_asked_for() {
    with_env(|env| async move {
        let world = World::new(env);
        world.trust_it();
        for good in ["mx.one.test", "mx.one.test.", "MX.One.Test", "127.0.0.1", "[127.0.0.1]"] {
            let evidence = world
                .connect(good, true)
                .await
                .unwrap_or_else(|error| panic!("{good}: {error}"));
            assert_eq!(evidence.version, "TLSv1.3");
        }
        for other in ["mx.two.test", "one.test", "127.0.0.2", "[IPv6:::1]"] {
            let told = world.connect(other, true).await.unwrap_err().to_string();
            assert!(told.contains("not valid for name"), "{other}: {told}");
        }
        let told = world.connect("no name", true).await.unwrap_err().to_string();
        assert!(told.contains("no certificate can be valid for `no name`"), "{told}");
    });
}

#[test]
fn s63_a_verified_client_takes_only_whom_it_trusts() {
    with_env(|env| async move {
        let world = World::new(env);
        let other = SelfSigned::make(vec!["mx.one.test".into()]).unwrap();
        std::fs::write(world.folder.0.join("other.pem"), &other.certificate).unwrap();
        world.env.trust(Some(&world.folder.0.join("other.pem"))).unwrap();
        let told = world.connect("mx.one.test", true).await.unwrap_err().to_string();
        assert!(told.contains("UnknownIssuer") || told.contains("BadSignature"), "{told}");
        // A session that nobody vouched for is not resumed as a verified one.
        world.connect("mx.one.test", false).await.unwrap();
        world.connect("mx.one.test", true).await.unwrap_err();
        world.trust_it();
        world.connect("mx.one.test", true).await.unwrap();
        world.env.trust(None).unwrap();
        world.connect("mx.one.test", true).await.unwrap_err();
    });
}

#[test]
fn an_opportunistic_client_takes_any_certificate() {
    with_env(|env| async move {
        let world = World::new(env);
        for name in [
            "mx.one.test",
            "other.test.",
            "_odd_.test",
            "127.0.0.9",
            "[IPv6:::1]",
            "no name",
        ] {
            world
                .connect(name, false)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}

#[test]
fn roots_that_are_none_are_named() {
    with_env(|env| async move {
        let world = World::new(env);
        let told = |name: &str, text: &str| {
            std::fs::write(world.folder.0.join(name), text).unwrap();
            world.env.trust(Some(&world.folder.0.join(name))).unwrap_err().to_string()
        };
        assert!(told("empty.pem", "").contains("empty.pem: no certificate in it"));
        let broken = told("broken.pem", "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n");
        assert!(broken.contains("broken.pem"), "{broken}");
        let missing = world.env.trust(Some(&world.folder.0.join("missing.pem"))).unwrap_err();
        assert!(missing.to_string().contains("missing.pem"), "{missing}");
    });
}
