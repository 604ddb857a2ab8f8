//! Every bound in one table, with its reason and source. A number with a meaning lives here and nowhere else.
//!
//! Sections: one per protocol or part, in the order of [`crate`]'s reading order.

use core::time::Duration;

// --- machines -------------------------------------------------------------------------------------------------------------

/// Questions an SMTP session may have open: pipelined RCPTs are looked up side by side.
pub const SMTP_ASKS: usize = 16;
/// How long a closed session is drained, so that the kernel's RST does not destroy the last reply.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a TLS handshake may take.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(30);

// --- decisions ------------------------------------------------------------------------------------------------------------

/// Rounds of one decision; more is a temporary error.
pub const DECISION_ROUNDS: usize = 64;
/// Facts of one decision.
pub const DECISION_FACTS: usize = 500;
/// Time of one decision in all (RFC 7208 §4.6.4).
pub const DECISION_TIME: Duration = Duration::from_secs(20);

// --- addresses ------------------------------------------------------------------------------------------------------------

/// Octets of a local part (RFC 5321 §4.5.3.1.1).
pub const LOCAL_PART: usize = 64;
/// Octets of a domain (RFC 5321 §4.5.3.1.2).
pub const DOMAIN: usize = 255;
/// Octets of a label of a domain (RFC 1035 §2.3.4).
pub const LABEL: usize = 63;
/// Octets of a path, with its angle brackets (RFC 5321 §4.5.3.1.3).
pub const PATH: usize = 256;

// --- SMTP -----------------------------------------------------------------------------------------------------------------

/// Octets of a command line with CRLF: 512 and every extension's addition (RFC 5321 §4.5.3.1.4, `rules.md`: cap 4 096).
pub const SMTP_COMMAND: usize = 4096;
/// Octets of an AUTH command or continuation line (RFC 4954 §4).
pub const SMTP_AUTH_LINE: usize = 12_288;
/// Octets of a client's nonce of SCRAM: it comes back in a reply line.
pub const SCRAM_NONCE: usize = 192;
/// Octets of a message of SCRAM, which carries two nonces and a proof.
pub const SCRAM_MESSAGE: usize = 4096;
/// Recipients of one transaction (RFC 5321 §4.5.3.1.8 asks for at least 100).
pub const SMTP_RECIPIENTS: usize = 1000;
/// Parameters of one MAIL or RCPT: there are fewer different ones.
pub const SMTP_PARAMETERS: usize = 16;
/// Characters of ENVID's value (RFC 3461 §4.4).
pub const ENVID: usize = 100;
/// Characters of ORCPT's value (RFC 3461 §4.2).
pub const ORCPT: usize = 500;
/// Waiting for the next command (RFC 5321 §4.5.3.2.7).
pub const SMTP_COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// Waiting for the next piece of a message (RFC 5321 §4.5.3.2.5).
pub const SMTP_DATA_TIMEOUT: Duration = Duration::from_secs(180);
/// Octets of a message that must come within [`SMTP_DATA_TIMEOUT`] (S09).
pub const SMTP_DATA_PROGRESS: u64 = 1024;
/// Pipelined input that is kept while a command is worked on.
pub const SMTP_BACKLOG: usize = 64 * 1024;
/// How long a closing session waits for its last reply to be taken.
pub const SMTP_LAST_WORDS: Duration = Duration::from_secs(30);
/// How long a session waits for its host's answer (RFC 5321 §4.5.3.2.6 gives the client 10 minutes of patience).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(540);
/// Protocol errors after which the session is closed (S64 asks for 3 in a row; mixed with good commands, Postfix's hard limit).
pub const SMTP_ERRORS_IN_A_ROW: u32 = 3;
/// Protocol errors in all.
pub const SMTP_ERRORS: u32 = 20;
/// Failed logins in one session.
pub const LOGIN_FAILURES: u32 = 3;
/// Octets of a line of a message, without its line end (RFC 5321 §4.5.3.1.6).
pub const TEXT_LINE: u64 = 998;
/// Octets of a submission's header block, which is held whole to be rewritten once (`rules.md`).
pub const SUBMISSION_HEADER: usize = 256 * 1024;
/// `Received` fields above which a message loops (RFC 5321 §6.3; `rules.md`).
pub const RECEIVED_FIELDS: u32 = 100;

// --- messages -------------------------------------------------------------------------------------------------------------

/// Octets of a message by default (`limits.message`).
pub const MESSAGE: u64 = 50 * 1024 * 1024;

/// Entries of an address list, and of all lists in one ENVELOPE or BODYSTRUCTURE (S36, Dovecot CVE-2024-23184).
pub const ADDRESSES: usize = 10_240;
/// Parameters of a MIME field (S36, Dovecot CVE-2026-27859).
pub const PARAMETERS: usize = 1000;
/// Depth of MIME parts; deeper ones are octets (S35).
pub const MIME_DEPTH: usize = 100;
/// MIME parts; further ones are octets (S35).
pub const MIME_PARTS: usize = 10_000;
/// Octets kept of one header field.
pub const HEADER_KEPT: usize = 64 * 1024;
/// Octets kept of all MIME fields of a message's parts; beyond it parts are text/plain.
pub const HEADERS_KEPT: usize = 1024 * 1024;
/// Octets kept of all envelope fields of a message and the messages in it.
pub const ENVELOPES_KEPT: usize = 256 * 1024;
/// Octets of a field's name; a longer one matches nothing (RFC 5322 §2.1.1: a line has 998).
pub const FIELD_NAME: usize = 998;

// --- DNS ------------------------------------------------------------------------------------------------------------------

/// Octets of a name as text, without the final dot (RFC 1035 §2.3.4: 255 on the wire).
pub const DNS_NAME: usize = 253;
/// Servers that are asked in turn.
pub const DNS_SERVERS: usize = 4;
/// How long a server is waited for, by round: all are asked in each.
pub const DNS_PATIENCE: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];
/// Time of one look-up in all, aliases included: below [`DECISION_TIME`].
pub const DNS_TIME: Duration = Duration::from_secs(16);
/// How long a silent server is asked last.
pub const DNS_SILENT: Duration = Duration::from_secs(60);
/// Datagrams that are not the answer, after which TCP is used: somebody guesses (S54).
pub const DNS_WRONG: usize = 16;
/// Unpredictable octets of one question: id 2, port 4, one bit for each octet of the name (S54).
pub const DNS_RANDOMNESS: usize = 6 + DNS_NAME.div_ceil(8);
/// The lowest port that is asked from: those below have their services.
pub const DNS_PORT_MIN: u16 = 1024;
/// Octets of a datagram that we take (RFC 6891 §6.2.5; what passes everywhere without fragments).
pub const DNS_PAYLOAD: u16 = 1232;
/// Aliases that lead from a name to its records.
pub const DNS_ALIASES: usize = 8;
/// Records of one answer that are kept.
pub const DNS_RECORDS: usize = 100;
/// Seconds that an answer is kept at most: an operator's mistake heals in a day.
pub const DNS_TTL_MAX: u32 = 24 * 60 * 60;
/// Seconds that "there is none" is kept at most (RFC 2308 §5: one to three hours).
pub const DNS_NEGATIVE_TTL_MAX: u32 = 3 * 60 * 60;
/// Seconds that a failure is kept (RFC 9520 §3.2: 1 second to 5 minutes).
pub const DNS_FAILURE_TTL: u32 = 5;
/// Facts in the cache: some 300 octets each.
pub const DNS_CACHE: usize = 10_000;
/// Look-ups that run at once: a socket each.
pub const DNS_LOOKUPS: usize = 200;
/// Look-ups that wait to run; more are temporary failures.
pub const DNS_QUEUE: usize = 5000;

// --- delivery ---------------------------------------------------------------------------------------------------------------

/// How long a message is tried by default (`delivery.max_age`; RFC 5321 §4.5.4.1: at least 4 to 5 days).
pub const QUEUE_AGE: Duration = Duration::from_secs(5 * 86_400);
/// How long a message without a reverse path is tried: nobody learns of its failure, and nobody reads a report that late.
pub const QUEUE_AGE_NULL: Duration = Duration::from_secs(2 * 86_400);
/// Recipients of one transaction with another server (RFC 5321 §4.5.3.1.8: every server takes 100).
pub const CLIENT_RECIPIENTS: usize = 100;
/// Octets of one reply of a server: an EHLO reply has some 30 lines, and a line 512 octets (RFC 5321 §4.5.3.1.5).
pub const CLIENT_REPLY: usize = 16 * 1024;
/// Octets kept of what a server said, for the queue, the log and reports (S69).
pub const SAID_TEXT: usize = 500;
/// Waiting for the greeting (RFC 5321 §4.5.3.2.1).
pub const CLIENT_GREETING_TIMEOUT: Duration = Duration::from_secs(300);
/// Waiting for the reply to a command that no line below names (RFC 5321 §4.5.3.2.2, §4.5.3.2.3).
pub const CLIENT_COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// Waiting for the reply to DATA (RFC 5321 §4.5.3.2.4).
pub const CLIENT_DATA_TIMEOUT: Duration = Duration::from_secs(120);
/// Waiting for the server to take [`SMTP_DATA_PROGRESS`] octets of what is sent (RFC 5321 §4.5.3.2.5).
pub const CLIENT_BLOCK_TIMEOUT: Duration = Duration::from_secs(180);
/// Waiting for the reply to the final dot (RFC 5321 §4.5.3.2.6): a shorter one makes copies.
pub const CLIENT_FINAL_DOT_TIMEOUT: Duration = Duration::from_secs(600);
/// Waiting for the reply to QUIT: nothing hangs on it.
pub const CLIENT_QUIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Waiting for the next octets of a message from our own store.
pub const CLIENT_BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Octets of an AUTH command with its first response; a longer response waits for the challenge (RFC 4954 §4: 512 with CRLF).
pub const CLIENT_AUTH_LINE: usize = 510;
/// Addresses that are tried for one delivery (RFC 5321 §5.1 asks for at least two).
pub const DELIVERY_ADDRESSES: usize = 5;
/// Servers that greeted and then could not be used, after which one delivery ends.
pub const DELIVERY_SESSIONS: usize = 2;
/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Mail exchangers of a domain that are looked up; each costs four questions.
pub const ROUTE_EXCHANGERS: usize = 20;
/// Servers of one plan.
pub const ROUTE_HOPS: usize = 10;
/// Addresses of one server that are tried (RFC 5321 §5.1 asks for at least two in all).
pub const ROUTE_ADDRESSES: usize = 5;
/// How long a row waits after its first, second, ... attempt by default (`delivery.retry`); the last repeats.
pub const RETRY: [Duration; 7] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(40 * 60),
    Duration::from_secs(90 * 60),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(4 * 3600),
];
/// Hundredths by which a wait is lengthened or shortened at random, so that what failed together does not come again together.
pub const RETRY_JITTER: u64 = 20;
/// The first wait after a refusal that looks like greylisting: most lists ask for five minutes (RFC 6647 §3).
pub const RETRY_GREYLIST: Duration = Duration::from_secs(6 * 60);
/// When a delay is reported by default (`delivery.delay_notice`).
pub const DELAY_NOTICE: Duration = Duration::from_secs(4 * 3600);
/// Octets of the original that a report returns (S17).
pub const REPORT_RETURNED: usize = 50_000;
/// Connections to other servers, over all.
pub const CLIENT_CONNECTIONS: usize = 100;
/// Connections to one destination at first (Postfix: `initial_destination_concurrency`).
pub const CONCURRENCY_START: u32 = 5;
/// Connections to one destination at most (Postfix: `default_destination_concurrency_limit`).
pub const CONCURRENCY_MAX: u32 = 20;
/// Messages that one connection carries: servers like an end to it.
pub const CONNECTION_MESSAGES: u32 = 100;
/// How long a destination rests when as many connections in a row failed as it may have.
pub const DEAD_REST: Duration = Duration::from_secs(60);
/// How long it rests after the first probe that fails; doubled with each further one.
pub const DEAD_BACK_OFF: Duration = Duration::from_secs(5 * 60);
/// How long it rests at most.
pub const DEAD_BACK_OFF_MAX: Duration = Duration::from_secs(3600);
/// Turns of interactive submission, other mail, and reports at one destination.
pub const CLASS_TURNS: [i32; 3] = [8, 4, 1];
/// Commits of the scheduler that are open at once; the store batches them.
pub const SCHEDULER_COMMITS: usize = 64;
/// When a commit that the store refused (a full disk) is tried again.
pub const COMMIT_RETRY: Duration = Duration::from_secs(10);
/// Characters of one text (a reply, an address) in a report.
pub const REPORT_TEXT: usize = 400;
/// Octets of an address in a report (RFC 3461 §4.2: ORCPT has at most 500).
pub const REPORT_ADDRESS: usize = 500;
/// Octets of a report's words for people; who has no room there stands in the technical part. With [`CLIENT_RECIPIENTS`] recipients
/// a report stays below [`INLINE_BODY`].
pub const REPORT_WORDS: usize = 32 * 1024;

// --- IMAP -----------------------------------------------------------------------------------------------------------------

/// Octets of one command before login, over all its lines and literals (S30; `rules.md`).
pub const IMAP_COMMAND_BEFORE_LOGIN: usize = 16 * 1024;
/// Octets of one command after login, APPEND's message apart (S30).
pub const IMAP_COMMAND: usize = 1024 * 1024;
/// A non-synchronising literal before login (RFC 7888 §5, LITERAL-).
pub const IMAP_LITERAL_MINUS: u64 = 4096;
/// Literals of one command: a login has two, a header list a few; each costs a mark (S30).
pub const IMAP_LITERALS: usize = 1024;
/// Octets of a tag: it is echoed, and no client needs more than a counter.
pub const IMAP_TAG: usize = 128;
/// Ranges of one sequence set: 16 octets each (S33).
pub const IMAP_SET_RANGES: usize = 100_000;
/// Different items of one FETCH: each may be a body (S34).
pub const IMAP_FETCH_ITEMS: usize = 128;
/// Names of one HEADER.FIELDS list.
pub const IMAP_HEADER_FIELDS: usize = 1024;
/// Octets of a mailbox name in UTF-8 (S42).
pub const IMAP_MAILBOX_NAME: usize = 1024;
/// Levels of a mailbox name (S42).
pub const IMAP_MAILBOX_DEPTH: usize = 32;
/// Patterns of one extended LIST.
pub const IMAP_LIST_PATTERNS: usize = 64;
/// Names and values of one ID (RFC 2971 §3.3).
pub const IMAP_ID_PAIRS: usize = 30;
/// Capabilities of one ENABLE.
pub const IMAP_ENABLE: usize = 64;
/// Octets of a keyword.
pub const IMAP_KEYWORD: usize = 128;
/// Octets up to which a string is sent quoted; longer ones go as literals.
pub const IMAP_QUOTED: usize = 1024;
/// Autologout after login: at least 30 minutes (RFC 9051 §5.4; `rules.md`: 35).
pub const IMAP_AUTOLOGOUT: Duration = Duration::from_secs(35 * 60);
/// Autologout before login (`rules.md`).
pub const IMAP_LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// `* OK Still here` in IDLE (`conventions.md` §10: NAT, mobile networks).
pub const IMAP_STILL_HERE: Duration = Duration::from_secs(120);
/// Protocol errors in a row after which the session of a stranger is closed (S64).
pub const IMAP_ERRORS_IN_A_ROW: u32 = 3;
/// The same after login: clients try extensions that we do not have, but a client that says nothing else is broken.
pub const IMAP_ERRORS_LOGGED_IN: u32 = 20;
/// Time for the last words to a client before its session ends; a client that reads takes them at once.
pub const IMAP_LAST_WORDS: Duration = Duration::from_secs(10);
/// Octets of further commands that are read while one is being executed (pipelining).
pub const IMAP_READ_AHEAD: usize = 16 * 1024;
/// Ranges of `\Recent` UIDs that a session keeps apart.
pub const RECENT_RANGES: usize = 64;
/// Messages of a FETCH whose digests are held at a time (S34).
pub const FETCH_BATCH: usize = 64;
/// Octets of a header that are held to be filtered; a longer one is read twice (S34).
pub const FILTERED: u64 = 64 * 1024;
/// Octets of a message handed to a sink at a time.
pub const SINK_CHUNK: usize = 64 * 1024;
/// Octets of mailbox names times octets of the pattern that one LIST may cost (S38).
pub const LIST_COST: usize = 100_000_000;
/// Keys and operators of one SEARCH: each is looked at for each message (S38).
pub const SEARCH_KEYS: usize = 4096;
/// Operators and parentheses of a SEARCH within each other: clients write `OR a OR b OR c …` for as many words (S31).
pub const SEARCH_DEPTH: usize = 1000;
/// Keys of a SEARCH for which messages are read: each octet may be compared with each (S38).
pub const SEARCH_TEXTS: usize = 128;
/// Keys times messages that a session looks at before it lets others run (S38).
pub const SEARCH_SLICE: usize = 1024 * 1024;
/// Messages that a search holds while those before them are read.
pub const SEARCH_HELD: usize = 4096;
/// Octets of the messages in one run (`Ask::Match`), unless one message alone is larger.
pub const SEARCH_RUN: u64 = 16 * 1024 * 1024;
/// Body ranges in one run (`Ask::OpenBodies`).
pub const RUN_PARTS: usize = 256;
/// Octets in one run, unless one part alone is larger.
pub const RUN_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes waiting to be sent above which nothing more is generated (S34).
pub const SEND_HIGH_WATER: usize = 256 * 1024;

// --- client set-up --------------------------------------------------------------------------------------------------------

/// Levels of elements in an XML document that comes in (S60).
pub const XML_DEPTH: usize = 32;
/// Attributes of one element (S60).
pub const XML_ATTRIBUTES: usize = 64;
/// Namespaces in force at a time: each name is looked up among them.
pub const XML_NAMESPACES: usize = 16;
/// Octets of the head of an HTTP request.
pub const HTTP_HEAD: usize = 16 * 1024;
/// Fields of a head.
pub const HTTP_FIELDS: usize = 64;
/// Octets of the body of an HTTP request (S60).
pub const HTTP_BODY: usize = 64 * 1024;
/// Requests of one connection.
pub const HTTP_REQUESTS: usize = 100;
/// Waiting for the next request of a connection.
pub const HTTP_IDLE: Duration = Duration::from_secs(30);
/// From the first octet of a head to its last (S09).
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(20);
/// For a whole body (S09).
pub const HTTP_BODY_TIME: Duration = Duration::from_secs(30);
/// For a response, all of which fits into the system's buffers.
pub const HTTP_WRITE_TIME: Duration = Duration::from_secs(30);
/// Octets that are read and dropped behind a last answer.
pub const HTTP_DRAINED: usize = 256 * 1024;

// --- store ----------------------------------------------------------------------------------------------------------------

/// Bodies up to this size ride in the journal record and in packs; larger ones are files of their own.
pub const INLINE_BODY: u64 = 256 * 1024;
/// A record, its inline body apart (`store.md`, Chains).
pub const RECORD: usize = 1024 * 1024;
/// Keywords of a mailbox (S70).
pub const KEYWORDS: usize = 64;
/// Mailboxes of an account: a committed change of the tree writes all their names anew for its readers.
pub const MAILBOXES: usize = 8192;
/// Subscribed names of an account; they may name mailboxes that are gone.
pub const SUBSCRIPTIONS: usize = 16_384;
/// Messages of an account that COPY may make: rows are in memory, and a copy costs its owner nothing.
pub const COPIED_MESSAGES: u64 = 4_000_000;
/// Changes of a mailbox that are kept for sessions to pull; an older session compares versions instead.
pub const CHANGES_KEPT: usize = 1024;
/// UIDs in all changes kept of a mailbox.
pub const CHANGED_UIDS_KEPT: usize = 65_536;
/// Rows of the last chunk of a mailbox: a small tail makes an append cheap while a session holds the version before it.
pub const TAIL_ROWS: usize = 256;
/// Bytes of the journal ring by default (`store.ring`); what a start after a crash reads and replays at most.
pub const RING_BYTES: u64 = 64 * 1024 * 1024;
/// Hundredths of the disk below which no new mail is taken.
pub const FREE_PERCENT: u64 = 5;
/// Bytes written by one batch of the journal.
pub const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that are durable in the journal but not yet in packs; above this no new batch is begun.
pub const UNSETTLED_BYTES: u64 = 64 * 1024 * 1024;
/// A pack is sealed (the next one is begun) at this size.
pub const PACK_BYTES: u64 = 64 * 1024 * 1024;
/// Octets of a pack of the queue: one is removed as soon as none of its messages waits any more, so they are small.
pub const QUEUE_PACK_BYTES: u64 = 16 * 1024 * 1024;
/// How long settled writes wait for a checkpoint.
pub const CHECKPOINT_AGE: Duration = Duration::from_secs(10);
/// How long a durable record's frames and index entries wait for others beside them: many small writes become one. Nobody waits
/// for them, and until then reads are served from memory.
pub const SETTLE_DELAY: Duration = Duration::from_millis(50);
/// So many octets do not wait.
pub const SETTLE_OCTETS: u64 = 1024 * 1024;
/// A write that could not be settled is tried again after this time.
pub const SETTLE_RETRY: Duration = Duration::from_secs(1);
/// How often free space is looked at while messages come in.
pub const SPACE_AGE: Duration = Duration::from_secs(1);
/// An account's index log is replaced by a snapshot above this size, if it is four times the snapshot before it.
pub const INDEX_LOG_BYTES: u64 = 1024 * 1024;
/// Segments of the journal ring.
pub const RING_SEGMENTS: u32 = 8;
/// Octets of a message's prefix.
pub const PREFIX: usize = 65_535;
/// Waiting requests of the committer; more are refused (the sessions' own limits come first).
pub const WAITING: usize = 100_000;

// --- hosts ----------------------------------------------------------------------------------------------------------------

/// Password checks that run or wait; more are told to come back (S22).
pub const PASSWORD_QUEUE: usize = 256;
/// Rounds of PBKDF2 for SCRAM-SHA-256 (RFC 7677 §4 asks for at least 4096).
pub const SCRAM_ITERATIONS: u32 = 4096;
/// How long one write of a message to its sink may take; a stuck disk ends the message with 451.
pub const SINK_WRITE: Duration = Duration::from_secs(30);
/// Octets of all messages that are held in memory while they come in; beyond it they go to files.
pub const SINK_MEMORY: usize = 256 * 1024 * 1024;
/// Octets of digests that are kept.
pub const DIGEST_CACHE: usize = 32 * 1024 * 1024;
/// Octets of a piece in which large bodies are read and written.
pub const BODY_PIECE: usize = 256 * 1024;
/// Octets of one chunk of a run of small bodies.
pub const BODY_CHUNK: usize = 64 * 1024;
/// Directories of big bodies that are known to be durable; beyond it they are synced again.
pub const DURABLE_DIRECTORIES: usize = 4096;
/// How long a stopping server waits for its sessions.
pub const DRAIN: Duration = Duration::from_secs(30);

/// Addresses that one alias may lead to in all, through other aliases too: a list of people, not a mailing list.
pub const ALIAS_TARGETS: usize = 200;

// --- sockets and files ----------------------------------------------------------------------------------------------------

/// Connections that the kernel holds ready before we accept them.
pub const BACKLOG: i32 = 4096;
/// Silence after which the kernel asks whether the peer is still there.
pub const KEEPALIVE: Duration = Duration::from_secs(300);
/// How often it asks again.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// Octets that a TLS session holds in either direction.
pub const TLS_BUFFER: usize = 64 * 1024;
/// Threads for work that blocks: disks and password hashing.
pub const BLOCKING_THREADS: usize = 32;
/// Files of the store that are kept open.
pub const OPEN_FILES: usize = 512;
/// Descriptors that are kept back for listeners, pipes and look-ups.
pub const FILES_KEPT_BACK: usize = 64;
/// Connections in all, where the system allows that many: at some 10 KiB each while idle.
pub const CONNECTIONS: usize = 32_768;
/// Connections from one IPv4 address or IPv6 /64: a family's or an office's phones behind one address.
pub const CONNECTIONS_PER_NETWORK: usize = 256;
/// How long a listener rests when the system refuses a connection.
pub const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long a proxy may take to name its peer.
pub const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of one session's recording; beyond, the recording ends and the session goes on.
pub const TRACE_SESSION: usize = 16 * 1024 * 1024;
/// Octets of recordings that wait for the disk; beyond, recordings end and sessions go on.
pub const TRACE_QUEUED: u64 = 64 * 1024 * 1024;
/// Recordings that are kept, whatever their size.
pub const TRACES: usize = 20_000;
