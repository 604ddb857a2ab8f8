//! `pillarbox serve`: the server, its signals and its control socket.

use async_channel::Sender;
use tracing_subscriber::filter::LevelFilter;

use super::load::{self, Loaded};
use super::log::LogFile;
use super::{ConfigFile, Exit, Failure, certificate, queue, secret, systemd};
use crate::accounts::AccountsError;
use crate::config::{Config, not_listening};
use crate::control::{self, Request};
use crate::env::Env;
use crate::listen::Bounds;
use crate::os::{OpenError, OsEnv, TlsServer, process};
use crate::server::{Server, Start, StartError};

/// Run the server
///
/// SIGTERM and SIGINT let sessions finish, then stop. SIGHUP reads accounts, certificate and configuration again and opens
/// the log file anew; a configuration with errors is told in the log and not taken. systemd gets READY=1 when all
/// listeners are open (Type=notify).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pillarbox serve
  pillarbox serve -c /etc/pillarbox/pillarbox.toml

Exit codes: 0 stopped by a signal, 65 the accounts file is damaged, 69 an address or the data directory cannot be used,
70 the disk failed (start it again: nothing that was acknowledged is lost), 75 another server has the data directory,
78 configuration.")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
}

/// What the server's main task hears.
enum Event {
    Stop,
    Reload,
    Control(Request, std::sync::mpsc::Sender<Result<String, String>>),
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = load::load(&self.config)?;
        let config = loaded.config()?;
        let log = LogFile::start(&config.log, LevelFilter::INFO)
            .map_err(|error| Failure::new(Exit::Unavailable, format!("log.to: {error}")))?;
        warn_of(&loaded);
        run(environment(&config)?, config, Some((loaded, log)), |_| Ok(()))
    }
}

/// Warnings of the file, and what does not listen.
fn warn_of(loaded: &Loaded) {
    for problem in &loaded.read.problems {
        tracing::warn!(setting = problem.setting, hint = problem.hint, "{}", problem.what);
    }
    if let Some(config) = &loaded.read.config {
        if config.postmaster.is_none() {
            tracing::warn!(
                setting = "postmaster",
                "missing: the first account gets the mail of postmaster"
            );
        }
        if let Some(line) = not_listening(&config.listeners) {
            tracing::info!("{line}");
        }
    }
}

/// The environment of a data directory, for this process alone (`store.md`, decision 3); the directory is made when absent.
pub(super) fn environment(config: &Config) -> Result<OsEnv, Failure> {
    OsEnv::open(&config.data_dir).map_err(|error| {
        let exit = match error {
            OpenError::InUse(_) => Exit::TryAgain,
            OpenError::Directory { .. } => Exit::Unavailable,
        };
        Failure::new(exit, format!("{error} (data_dir)"))
    })
}

/// Runs a server until a signal stops it. `started` is called when all listeners are open. With a file, SIGHUP reloads it.
pub(super) fn run(
    env: OsEnv,
    config: Config,
    file: Option<(Loaded, LogFile)>,
    started: impl FnOnce(&Server<OsEnv>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    process::forbid_dumps();
    let connections = Bounds::with_open_files(process::raise_open_files());
    let tls = server_tls(&config)?;
    let secrets = secret::of(&config)?;
    trust(&env, &config)?;
    let (events, heard) = async_channel::unbounded();
    let control_events = events.clone();
    control::serve(&config.data_dir, move |request| ask(&control_events, request))
        .map_err(|error| Failure::new(Exit::Unavailable, format!("{}/control: {error}", config.data_dir.display())))?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    env.clone().run(async {
        let signals = env.clone();
        let start = Start {
            config: config.clone(),
            secrets,
            tls,
            connections,
            password_jobs: jobs,
        };
        let server = Server::start(env, start).await.map_err(start_failed)?;
        listen_to_signals(&signals, events)?;
        tracing::info!("all listeners are open");
        systemd::notify("READY=1");
        started(&server)?;
        let mut running = Running {
            env: signals,
            config,
            file,
        };
        while let Ok(event) = heard.recv().await {
            match event {
                Event::Stop => break,
                Event::Reload => running.reload(&server).await,
                Event::Control(request, reply) => {
                    let outcome = obey(&server, request).await;
                    // The command may have given up.
                    let _ = reply.send(outcome);
                }
            }
        }
        tracing::info!("stopping: sessions finish first");
        systemd::notify("STOPPING=1");
        server.shutdown().await;
        Ok(())
    })
}

fn start_failed(error: StartError) -> Failure {
    let exit = match error {
        StartError::Accounts(AccountsError::Line { .. }) => Exit::BadData,
        StartError::Accounts(AccountsError::Disk { .. }) | StartError::Listen { .. } | StartError::Store(_) => {
            Exit::Unavailable
        }
    };
    Failure::new(exit, error.to_string())
}

/// The roots that the configuration names, from now on.
fn trust(env: &OsEnv, config: &Config) -> Result<(), Failure> {
    env.trust(config.tls_roots.as_deref())
        .map_err(|error| Failure::new(Exit::Configuration, format!("tls.roots: {error}")))
}

fn server_tls(config: &Config) -> Result<TlsServer, Failure> {
    let pem = certificate::find(config)?;
    TlsServer::from_pem(&pem.certificate, &pem.key)
        .map_err(|error| Failure::new(Exit::Configuration, format!("tls.certificate, tls.key: {error}")))
}

/// Does what a command asks, and what it is told.
async fn obey(server: &Server<OsEnv>, request: Request) -> Result<String, String> {
    match request {
        Request::ReloadAccounts => {
            server.reload_accounts().await.map_err(|error| error.to_string())?;
            Ok(String::new())
        }
        Request::ListQueue(form) => Ok(queue::list(&server.queue().await, form)),
        Request::ShowQueued(form, message) => {
            let all = server.queue().await;
            let one = all.iter().find(|one| *one.entered.message == *message);
            Ok(one.map_or_else(String::new, |one| queue::show(one, form)))
        }
        Request::Operate(operation, which) => {
            let rows = server.dispatch().operate(which, operation).await;
            let rows = rows.ok_or("the server is stopping")?;
            Ok(format!("{rows}\n"))
        }
    }
}

/// Called on the control thread: hands a request to the main task and waits.
fn ask(events: &Sender<Event>, request: Request) -> Result<String, String> {
    let (reply, answered) = std::sync::mpsc::channel();
    events
        .try_send(Event::Control(request, reply))
        .map_err(|_| "the server is stopping")?;
    answered.recv().map_err(|_| "the server is stopping")?
}

fn listen_to_signals(env: &OsEnv, events: Sender<Event>) -> Result<(), Failure> {
    let requests = process::Requests::listen();
    let mut requests = requests.map_err(|error| Failure::new(Exit::Internal, format!("signals: {error}")))?;
    env.spawn("signals", async move {
        loop {
            let event = match requests.next().await {
                process::Request::Stop => Event::Stop,
                process::Request::Reload => Event::Reload,
            };
            if events.try_send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// What a reload compares with.
struct Running {
    env: OsEnv,
    config: Config,
    file: Option<(Loaded, LogFile)>,
}

impl Running {
    async fn reload(&mut self, server: &Server<OsEnv>) {
        systemd::notify("RELOADING=1");
        if let Err(error) = self.try_reload(server).await {
            tracing::error!(%error, "reload failed; everything stays as it was");
        }
        systemd::notify("READY=1");
    }

    async fn try_reload(&mut self, server: &Server<OsEnv>) -> Result<(), String> {
        let Some((loaded, log)) = &mut self.file else {
            return server.reload_accounts().await.map_err(|error| error.to_string());
        };
        log.reopen().map_err(|error| format!("log.to: {error}"))?;
        let fresh = load::read(&loaded.path).map_err(|failure| failure.text)?;
        let config = fresh.config().map_err(|failure| failure.text)?;
        let tls = server_tls(&config).map_err(|failure| failure.text)?;
        self.env
            .trust(config.tls_roots.as_deref())
            .map_err(|error| format!("tls.roots: {error}"))?;
        warn_of(&fresh);
        let kept = server
            .reload(&self.config, &config, tls)
            .await
            .map_err(|error| error.to_string())?;
        for setting in &kept {
            tracing::warn!(setting, "this change needs a restart");
        }
        // What needs a restart is compared with what runs.
        let Config {
            data_dir,
            listeners,
            dns,
            routes,
            delivery,
            ring_bytes,
            log,
            record,
            ..
        } = self.config.clone();
        self.config = Config {
            data_dir,
            listeners,
            dns,
            routes,
            delivery,
            ring_bytes,
            log,
            record,
            ..config
        };
        *loaded = fresh;
        tracing::info!("reloaded");
        Ok(())
    }
}

/// For `demo`: a log of warnings on standard error.
pub(super) fn quiet_log(config: &Config) -> Result<(), Failure> {
    let log = LogFile::start(&config.log, LevelFilter::WARN);
    log.map(drop)
        .map_err(|error| Failure::new(Exit::Internal, format!("log: {error}")))
}
