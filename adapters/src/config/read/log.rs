//! `[log]`.

use toml::de::DeTable;

use super::super::{Log, LogFormat};
use super::{Walk, quoted, shown};

impl<'a> Walk<'a> {
    pub(super) fn log(&mut self, document: &'a DeTable<'a>) -> Log {
        let table = self.single("log", document);
        let file = match self.text(&table, "to") {
            Some(("stderr", _)) | None => None,
            Some((file, _)) => Some(self.folder.join(file)),
        };
        let to = file
            .as_ref()
            .map_or_else(|| "stderr".to_string(), |file| file.display().to_string());
        self.note(&table, "to", quoted(&to));
        let format = match self.text(&table, "format") {
            Some(("text", _)) | None => LogFormat::Text,
            Some(("json", _)) => LogFormat::Json,
            Some((other, at)) => {
                let what = if other == "postfix" {
                    "`postfix` is not in this version".into()
                } else {
                    format!("`{}` is no format", shown(other))
                };
                self.error(Some(at), "log.format", what, "one of text, json".into());
                LogFormat::Text
            }
        };
        let name = match format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        self.note(&table, "format", quoted(name));
        Log { file, format }
    }
}
