//! The certificate that a server shows: the configured one, or a self-signed one that is made once and kept.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Exit, Failure};
use crate::config::{CertificateFiles, Config};
use crate::os::SelfSigned;

/// The certificate chain and its key, PEM.
pub(super) struct Pem {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// Reads the configured files, or makes a certificate in the data directory.
pub(super) fn find(config: &Config) -> Result<Pem, Failure> {
    match &config.tls {
        Some(files) => read(files).map_err(|text| Failure::new(Exit::Configuration, text)),
        None => self_signed(config).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("{}: no certificate can be made: {error}", config.data_dir.display()),
            )
        }),
    }
}

fn read(files: &CertificateFiles) -> Result<Pem, String> {
    let read = |path: &Path, setting: &str| fs::read(path).map_err(|error| format!("{setting}: {}: {error}", path.display()));
    Ok(Pem {
        certificate: read(&files.certificate, "tls.certificate")?,
        key: read(&files.key, "tls.key")?,
    })
}

/// Kept, so that a client that was told to trust it need not be told again. A new host name makes a new one.
fn self_signed(config: &Config) -> io::Result<Pem> {
    let folder = config.data_dir.join("self-signed");
    let (certificate, key) = (
        folder.join(format!("{}.pem", config.hostname)),
        folder.join(format!("{}.key", config.hostname)),
    );
    if let (Ok(certificate), Ok(key)) = (fs::read(&certificate), fs::read(&key)) {
        return Ok(Pem { certificate, key });
    }
    let names = vec![
        config.hostname.as_str().to_string(),
        "localhost".into(),
        "127.0.0.1".into(),
        "::1".into(),
    ];
    let made = SelfSigned::make(names).map_err(io::Error::other)?;
    let pem = Pem {
        certificate: made.certificate.into_bytes(),
        key: made.key.into_bytes(),
    };
    fs::create_dir_all(&folder)?;
    // The key is written first: a certificate alone is made anew.
    for (path, bytes) in [(&key, &pem.key), (&certificate, &pem.certificate)] {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    Ok(pem)
}
