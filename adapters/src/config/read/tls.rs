//! `[tls]`.

use std::path::PathBuf;

use toml::de::DeTable;

use super::super::CertificateFiles;
use super::Walk;

impl<'a> Walk<'a> {
    pub(super) fn tls(&mut self, document: &'a DeTable<'a>) -> (Option<CertificateFiles>, Option<PathBuf>) {
        let table = self.single("tls", document);
        let certificate = self.path(&table, "certificate");
        let key = self.path(&table, "key");
        let roots = self.path(&table, "roots");
        let files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                let hint = "add key = \"key.pem\", the certificate's private key".into();
                self.error(table.at, "tls.key", "missing beside `certificate`".into(), hint);
                None
            }
            (None, Some(_)) => {
                let hint = "add certificate = \"cert.pem\", the chain of this key".into();
                self.error(table.at, "tls.certificate", "missing beside `key`".into(), hint);
                None
            }
        };
        (files, roots)
    }
}
