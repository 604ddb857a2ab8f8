//! A mail internet for the tests of other projects: in this process, in virtual time, from one seed.
//!
//! Whatever sends or reads mail can be tried against whole servers, and against foreign ones that misbehave in a certain way, without a
//! socket, without waiting, and each time in the same way. A greylist of five minutes costs nothing.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::time::Duration;
//! use pillarbox_tests::double::{Double, PASSWORD, Persona};
//!
//! let mut mail = Double::new(1);
//! mail.server("shop.test", &["alice"]);
//! mail.persona("picky.test", Persona::Greylisting(Duration::from_secs(300)));
//! mail.begin();
//!
//! // The code that is to be tried gets a stream: blocking here, `AsyncRead + AsyncWrite` with `Double::run`.
//! let mut stream = mail.connect("mx.shop.test", 587);
//! # fn send(stream: &mut (impl Read + Write), lines: &[String]) {
//! #     let mut stream = std::io::BufReader::new(stream);
//! #     for line in lines {
//! #         let mut reply = String::new();
//! #         while reply.as_bytes().get(3) != Some(&b' ') {
//! #             reply.clear();
//! #             std::io::BufRead::read_line(&mut stream, &mut reply).expect("a reply");
//! #         }
//! #         assert!(reply.starts_with(['2', '3']), "{reply}");
//! #         stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("it reads");
//! #     }
//! # }
//! # let login = pillarbox_core::bytes::base64::encode(format!("\0alice@shop.test\0{PASSWORD}").as_bytes());
//! # let lines = ["EHLO app.test".into(), format!("AUTH PLAIN {login}"), "MAIL FROM:<alice@shop.test>".into(),
//! #     "RCPT TO:<carol@picky.test>".into(), "DATA".into(), "From: <alice@shop.test>\r\n\r\nhello\r\n.".into(), "QUIT".into()];
//! send(&mut stream, &lines);
//! # stream.read_to_end(&mut Vec::new()).expect("the end");
//! drop(stream);
//!
//! assert!(mail.taken("picky.test").is_empty(), "not yet");
//! mail.pass(Duration::from_secs(3600));
//! assert!(mail.taken("picky.test")[0].text.ends_with("\r\n\r\nhello\r\n"));
//! assert!(mail.inbox("alice@shop.test").is_empty(), "nothing came back");
//! ```

mod persona;

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use pillarbox::env::Env;

use crate::client::imap::Imap;
use crate::sim::dns::Zone;
use crate::sim::tls::Stream;
use crate::sim::{SimEnv, World, server};

pub use crate::sim::server::PASSWORD;
pub use persona::{Message, Persona};

use persona::Taken;

/// The internet; see the [module](self).
pub struct Double {
    world: World,
    zone: Option<Zone>,
    places: Vec<Place>,
}

/// A domain and its server.
struct Place {
    domain: String,
    ip: IpAddr,
    /// What a foreign server has taken.
    taken: Option<Taken>,
}

impl Double {
    /// An empty one. All that is left to chance is drawn with this seed.
    pub fn new(seed: u64) -> Double {
        Double {
            world: World::new(seed),
            zone: Some(Zone::default()),
            places: Vec::new(),
        }
    }

    /// Adds a whole Pillarbox for a domain below `.test`, at `mx.DOMAIN`: ports 25, 143, 465, 587 and 993. Its users are local parts,
    /// all with the password [`PASSWORD`], which is taken without TLS too; the first is its postmaster.
    ///
    /// # Panics
    /// After [`Double::begin`]; for a domain that is there, or no user.
    pub fn server(&mut self, domain: &str, users: &[&str]) {
        let ip = self.place(domain, None);
        server::start(&self.world, ip, domain, users);
    }

    /// Adds a foreign server for a domain below `.test`, at `mx.DOMAIN`, ports 25 and 587, with a character of its own.
    ///
    /// # Panics
    /// After [`Double::begin`]; for a domain that is there.
    pub fn persona(&mut self, domain: &str, persona: Persona) {
        let taken = Taken::default();
        let ip = self.place(domain, Some(taken.clone()));
        let name = format!("mx.{domain}");
        self.world.start(ip, move |env| persona::serve(env, name, persona, taken));
    }

    fn place(&mut self, domain: &str, taken: Option<Taken>) -> IpAddr {
        assert!(self.places.iter().all(|place| place.domain != domain), "{domain} is there");
        let number = u8::try_from(self.places.len() + 1).ok().filter(|number| *number < 50);
        let ip = self.world.node(number.expect("fewer than fifty servers"), domain);
        let host = format!("mx.{domain}");
        let zone = self.zone.take().expect("all servers are added before the beginning");
        self.zone = Some(zone.mx(domain, 10, &host).address(&host, ip));
        self.places.push(Place {
            domain: domain.into(),
            ip,
            taken,
        });
        ip
    }

    /// Begins: every server has its records in the DNS, and starts.
    ///
    /// # Panics
    /// The second time.
    pub fn begin(&mut self) {
        let zone = self.zone.take().expect("it begins once");
        self.world.dns(zone);
    }

    /// A blocking stream to a port of `mx.DOMAIN`. Reading runs the internet until there is something to read.
    ///
    /// # Panics
    /// When there is no such server, or nothing listens there for a minute.
    pub fn connect(&mut self, host: &str, port: u16) -> Blocking<'_> {
        let at = self.address(host, port);
        let env = self.world.client();
        let stream = self.world.run(async move { server::connect(&env, at).await });
        Blocking {
            world: &mut self.world,
            stream: Some(stream),
        }
    }

    /// Runs code that connects by itself, over an environment with [`Env::connect`] and the streams of `futures-lite`.
    pub fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&mut self, test: impl FnOnce(SimEnv) -> F) -> T {
        let env = self.world.client();
        self.world.run(test(env))
    }

    /// Where a server listens: for [`Double::run`].
    ///
    /// # Panics
    /// When there is no such server.
    pub fn address(&self, host: &str, port: u16) -> SocketAddr {
        let domain = host.strip_prefix("mx.").unwrap_or(host);
        SocketAddr::new(self.find(domain).ip, port)
    }

    fn find(&self, domain: &str) -> &Place {
        let mut places = self.places.iter();
        places
            .find(|place| place.domain == domain)
            .unwrap_or_else(|| panic!("there is no {domain}"))
    }

    /// Lets time pass. It costs what happens meanwhile.
    pub fn pass(&mut self, time: Duration) {
        let env = self.world.client();
        self.world
            .run(async move { env.sleep_until(env.now().instant.after(time)).await });
    }

    /// All messages in the INBOX of a user of one of our servers.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn inbox(&mut self, address: &str) -> Vec<Vec<u8>> {
        let (_, domain) = address.split_once('@').expect("an address");
        let at = SocketAddr::new(self.find(domain).ip, 143);
        let (env, address) = (self.world.client(), address.to_string());
        self.world.run(async move {
            let stream = server::connect(&env, at).await;
            let mut imap = Imap::login(stream, &address, PASSWORD).await.expect("a session");
            let messages = imap.messages("INBOX").await.expect("messages");
            imap.ok("LOGOUT").await.expect("logged out");
            messages
        })
    }

    /// What a foreign server has taken so far.
    ///
    /// # Panics
    /// When there is no such foreign server.
    pub fn taken(&self, domain: &str) -> Vec<Message> {
        let taken = self.find(domain).taken.as_ref();
        taken.unwrap_or_else(|| panic!("{domain} is one of ours: see inbox")).all()
    }
}

/// A connection whose reader waits in virtual time.
pub struct Blocking<'a> {
    world: &'a mut World,
    /// Away only while it is used.
    stream: Option<Stream>,
}

impl Blocking<'_> {
    fn with<T: Send + 'static, F>(&mut self, work: impl FnOnce(Stream) -> F) -> io::Result<T>
    where
        F: Future<Output = (Stream, io::Result<T>)> + Send + 'static,
    {
        let stream = self.stream.take().expect("it comes back");
        let (stream, outcome) = self.world.run(work(stream));
        self.stream = Some(stream);
        outcome
    }
}

impl Read for Blocking<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(64 * 1024);
        let octets = self.with(move |mut stream| async move {
            let mut octets = vec![0; room];
            let outcome = stream.read(&mut octets).await;
            (stream, outcome.map(|count| octets[..count].to_vec()))
        })?;
        into[..octets.len()].copy_from_slice(&octets);
        Ok(octets.len())
    }
}

impl Write for Blocking<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let octets = octets.to_vec();
        self.with(move |mut stream| async move {
            let outcome = stream.write(&octets).await;
            (stream, outcome)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|mut stream| async move {
            let outcome = stream.flush().await;
            (stream, outcome)
        })
    }
}
