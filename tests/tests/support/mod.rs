//! One simulated server and a client.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::tls::Stream;
use pillarbox_tests::sim::{Nodes, SimEnv, World};

/// What a story is told with.
#[derive(Clone)]
pub(crate) struct Story {
    /// The world from inside.
    pub(crate) world: Nodes,
    /// The client's environment.
    pub(crate) env: SimEnv,
    /// The server's node.
    pub(crate) server: IpAddr,
    seed: u64,
}

impl Story {
    /// A world with one server, `here.test`, with the accounts alice and bob.
    #[allow(clippy::new_ret_no_self)]
    pub(crate) fn new(seed: u64) -> Untold {
        let world = World::new(seed);
        let server = world.node(1, "here");
        server::start(&world, server, "here.test", &["alice", "bob"]);
        let story = Story {
            world: world.nodes(),
            env: world.client(),
            server,
            seed,
        };
        Untold { world, story }
    }

    /// A connection to a port of the server, as soon as it listens.
    pub(crate) async fn connect(&self, port: u16) -> Stream {
        server::connect(&self.env, SocketAddr::new(self.server, port)).await
    }

    /// A session that is logged in, in the clear.
    #[allow(dead_code)]
    pub(crate) async fn imap(&self, user: &str) -> Imap<Stream> {
        let stream = self.connect(143).await;
        Imap::login(stream, &format!("{user}@here.test"), PASSWORD)
            .await
            .expect("a session")
    }

    /// Lets time pass.
    #[allow(dead_code)]
    pub(crate) async fn sleep(&self, time: Duration) {
        self.env.sleep_until(self.env.now().instant.after(time)).await;
    }

    /// The files of messages that are too large for the journal: coming in, and stored.
    #[allow(dead_code)]
    pub(crate) fn large_files(&self) -> Vec<String> {
        let paths = self.world.disk(self.server, |disk| disk.paths());
        let large = |path: &String| path.starts_with("tmp/") || path.contains("/big/");
        paths.into_iter().map(|path| path.0).filter(large).collect()
    }
}

/// A story that is still to be told.
pub(crate) struct Untold {
    world: World,
    story: Story,
}

impl Untold {
    /// Runs it; no task of the server may panic in it.
    pub(crate) fn tell<F: Future<Output = ()> + Send + 'static>(mut self, tell: impl FnOnce(Story) -> F) {
        let (server, seed) = (self.story.server, self.story.seed);
        self.world.run(tell(self.story));
        assert_eq!(self.world.panics(server), Vec::<String>::new(), "seed {seed}");
    }
}

/// All messages of a user's INBOX.
#[allow(dead_code)]
pub(crate) async fn inbox(story: &Story, user: &str) -> Vec<Vec<u8>> {
    story.imap(user).await.messages("INBOX").await.expect("messages")
}
