//! The log: events of `tracing`, as lines for people or JSON for programs.
//!
//! What comes from a peer is written through [`escaped`], so that it can neither begin a line nor move a cursor (S69).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::config::{Log, LogFormat};

/// Where the log goes; cheap to clone.
#[derive(Clone)]
pub(super) struct LogFile {
    open: Option<(PathBuf, Arc<Mutex<File>>)>,
}

impl LogFile {
    /// Opens the log and sends all events there.
    pub(super) fn start(log: &Log, level: LevelFilter) -> io::Result<LogFile> {
        let open = match &log.file {
            Some(path) => Some((path.clone(), Arc::new(Mutex::new(append(path)?)))),
            None => None,
        };
        let file = LogFile { open };
        let layer = tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_ansi(false)
            .with_writer(file.clone());
        let layer = match log.format {
            LogFormat::Text => layer.boxed(),
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(level));
        tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
        Ok(file)
    }

    /// Opens the file again by its name (logrotate).
    pub(super) fn reopen(&self) -> io::Result<()> {
        if let Some((path, file)) = &self.open {
            *file.lock().unwrap_or_else(PoisonError::into_inner) = append(path)?;
        }
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// One line on its way.
pub(super) struct Line(Option<Arc<Mutex<File>>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.open.as_ref().map(|(_, file)| file.clone()))
    }
}
