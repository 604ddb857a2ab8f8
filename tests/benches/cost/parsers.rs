//! The parsers and folds alone.

use std::hint::black_box;
use std::sync::Arc;

use pillarbox_core::address::{Domain, Mailbox, ReversePath};
use pillarbox_core::bytes::crc::crc32c;
use pillarbox_core::bytes::utf8::Utf8Check;
use pillarbox_core::bytes::{base64, utf7};
use pillarbox_core::dns::{Code, Data, Event, Kind, Lookup, Message, Name, Query, Record as DnsRecord, Step};
use pillarbox_core::imap::command::{Command, SearchKey, parse as parse_imap};
use pillarbox_core::imap::frame::{Event as Framed, Framer};
use pillarbox_core::imap::search::{Candidate, Context, Matcher, Program};
use pillarbox_core::imap::sequence::Intervals;
use pillarbox_core::limits;
use pillarbox_core::message::charset::Charset;
use pillarbox_core::message::content::Content;
use pillarbox_core::message::header::{HeaderEnd, fields};
use pillarbox_core::message::header_filter::HeaderFilter;
use pillarbox_core::message::intake::Intake;
use pillarbox_core::message::transfer::Encoding;
use pillarbox_core::message::{address_list, date, encoded_word};
use pillarbox_core::record::Record;
use pillarbox_core::sasl::{Exchange, Mechanism};
use pillarbox_core::setup::autodiscover;
use pillarbox_core::smtp::client::reply::Reader;
use pillarbox_core::smtp::command::parse as parse_smtp;
use pillarbox_core::smtp::dot::DotDecoder;
use pillarbox_core::store::frame::parse_line;
use pillarbox_core::store::journal::record::{Place, encode};
use pillarbox_core::store::journal::scan::Scan;
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{EmailId, Flags, KeywordBits, Location, Lsn, ModSeq, Uid};
use pillarbox_core::time::{Instant, UnixTime};

use super::Run;

/// A case over octets.
fn over<T>(input: impl Into<Vec<u8>>, run: impl Fn(&[u8]) -> T + 'static) -> Run {
    let input = input.into();
    Box::new(move || {
        black_box(run(black_box(&input)));
    })
}

pub(super) fn base64(n: usize) -> Run {
    over("QUJD".repeat(n / 4), base64::decode)
}

pub(super) fn utf7(n: usize) -> Run {
    over(utf7::encode(&"\u{65e5}a".repeat(n / 8)), utf7::decode)
}

pub(super) fn utf7_ampersands(n: usize) -> Run {
    over("&".repeat(n), utf7::decode)
}

pub(super) fn utf8(n: usize) -> Run {
    over("\u{65e5}".repeat(n / 3), |text| {
        let mut check = Utf8Check::default();
        text.chunks(1).for_each(|octet| check.update(octet));
        check.holds()
    })
}

pub(super) fn crc(n: usize) -> Run {
    over(vec![7; n], crc32c)
}

pub(super) fn address_quoted(n: usize) -> Run {
    let text = format!("\"{}\"@one.test", "\\a".repeat(n / 2));
    Box::new(move || _ = black_box(Mailbox::parse(&text, true)))
}

pub(super) fn address_labels(n: usize) -> Run {
    let text = "a.".repeat(n / 2);
    Box::new(move || _ = black_box((Domain::parse(&text, true), Mailbox::parse(&text, true))))
}

pub(super) fn path_brackets(n: usize) -> Run {
    over(format!("<\"{}", "<\\>".repeat(n / 3)), |text| {
        ReversePath::parse_prefix(text, true).is_ok()
    })
}

pub(super) fn date_comment(n: usize) -> Run {
    over(
        format!("Wed, 17 Jul {}1996 02:23:25 -0700", "(".repeat(n)),
        date::parse_rfc5322,
    )
}

pub(super) fn address_list(n: usize) -> Run {
    over("A B <@c:a.b@c.test>, g: x@y.test;".repeat(n / 3), address_list::parse)
}

pub(super) fn address_comments(n: usize) -> Run {
    over("(\\)".repeat(n / 3), address_list::parse)
}

pub(super) fn address_dots(n: usize) -> Run {
    over("a . ".repeat(n / 4), address_list::parse)
}

pub(super) fn content_parameters(n: usize) -> Run {
    over(format!("text/plain{}", "; a=\"b\"".repeat(n)), Content::parse_type)
}

pub(super) fn content_pieces(n: usize) -> Run {
    let pieces: String = (0..n).rev().map(|number| format!("; a*{number}*=%41")).collect();
    over(format!("text/plain{pieces}"), Content::parse_type)
}

pub(super) fn content_quoted(n: usize) -> Run {
    over(format!("text/plain; a=\"{}", "\\\"".repeat(n / 2)), Content::parse_type)
}

pub(super) fn encoded_words(n: usize) -> Run {
    over("=?utf-8?q?=41b?= ".repeat(n), encoded_word::decode)
}

pub(super) fn encoded_word_starts(n: usize) -> Run {
    over("=?".repeat(n / 2), encoded_word::decode)
}

pub(super) fn encoded_word_open(n: usize) -> Run {
    over("=?utf-8?q?abc ".repeat(n), encoded_word::decode)
}

pub(super) fn charset(n: usize) -> Run {
    let charset = Charset::of(b"iso-2022-jp").expect("known");
    over("\x1b$B4A\x1b(B".repeat(n / 8), move |text| {
        let (mut decoder, mut out) = (charset.decoder(), String::new());
        text.chunks(1).for_each(|octet| decoder.update(octet, &mut out));
        decoder.finish(&mut out);
        out
    })
}

fn transfer(encoding: Encoding, text: String) -> Run {
    over(text, move |text| {
        let (mut decoder, mut out) = (encoding.decoder(), Vec::new());
        text.chunks(7).for_each(|octets| decoder.update(octets, &mut out));
        decoder.finish(&mut out);
        out
    })
}

pub(super) fn transfer_base64(n: usize) -> Run {
    transfer(Encoding::Base64, "QUJD\r\n".repeat(n / 6))
}

pub(super) fn transfer_quoted(n: usize) -> Run {
    transfer(Encoding::QuotedPrintable, "=41=4=\r\n".repeat(n / 8))
}

pub(super) fn transfer_blanks(n: usize) -> Run {
    transfer(Encoding::QuotedPrintable, " ".repeat(n))
}

pub(super) fn header_fields(n: usize) -> Run {
    over("Subject: a\r\n b\r\n".repeat(n), |block| {
        fields(block).map(|field| field.unfolded().len()).sum::<usize>()
    })
}

pub(super) fn header_octets(n: usize) -> Run {
    over("a\r\n".repeat(n / 3), |block| {
        let mut end = HeaderEnd::default();
        block.chunks(1).map(|octet| end.update(octet)).sum::<usize>()
    })
}

pub(super) fn header_filter(n: usize) -> Run {
    over("Subject: a\r\nX-Long-Name: b\r\n".repeat(n), |block| {
        let mut filter = HeaderFilter::new(vec!["From".into(), "X-Long-Name".into()], false);
        let mut out = Vec::new();
        block.chunks(5).for_each(|octets| filter.update(octets, &mut out));
        filter.finish(&mut out);
        out
    })
}

fn intake(message: String, piece: usize) -> Run {
    over(message, move |message| {
        let mut intake = Intake::new();
        message.chunks(piece).for_each(|piece| intake.update(piece));
        intake.finish()
    })
}

pub(super) fn intake_text(n: usize) -> Run {
    intake(format!("Subject: x\r\n\r\n{}", "a line of text\r\n".repeat(n / 16)), 4096)
}

pub(super) fn intake_octets(n: usize) -> Run {
    intake(format!("Subject: x\r\n\r\n{}", "a line of text\r\n".repeat(n / 16)), 1)
}

pub(super) fn intake_parts(n: usize) -> Run {
    let part = "--b\r\nContent-Type: text/plain; name=x\r\n\r\nx\r\n";
    intake(
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(n)),
        4096,
    )
}

pub(super) fn intake_nested(n: usize) -> Run {
    let parts = (0..n).map(|number| format!("Content-Type: multipart/mixed; boundary=b{number}\r\n\r\n--b{number}\r\n"));
    intake(parts.collect(), 4096)
}

pub(super) fn intake_boundaries(n: usize) -> Run {
    let boundary = "b".repeat(70);
    let head = format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n");
    intake(format!("{head}{}", format!("--{}x\r\n", &boundary[1..]).repeat(n)), 4096)
}

pub(super) fn intake_folded(n: usize) -> Run {
    intake(format!("Subject: x\r\n{}\r\n", " y\r\n".repeat(n)), 4096)
}

pub(super) fn intake_addresses(n: usize) -> Run {
    intake(format!("To: {}\r\n\r\n", "a@b.test,\r\n ".repeat(n)), 4096)
}

pub(super) fn intake_line(n: usize) -> Run {
    intake(format!("X: {}", "x".repeat(n)), 4096)
}

pub(super) fn smtp_command(n: usize) -> Run {
    over("NOOP ".repeat(n), parse_smtp)
}

pub(super) fn smtp_parameters(n: usize) -> Run {
    over(format!("MAIL FROM:<a@b.test>{}", " SIZE=1".repeat(n)), parse_smtp)
}

pub(super) fn smtp_xtext(n: usize) -> Run {
    over(format!("MAIL FROM:<a@b.test> ENVID={}", "+2B".repeat(n / 3)), parse_smtp)
}

fn dots(text: String, piece: usize) -> Run {
    over(text, move |text| {
        let (mut decoder, mut octets) = (DotDecoder::new(), 0);
        for mut piece in text.chunks(piece) {
            while !piece.is_empty() {
                let step = decoder.step(piece);
                octets += step.body.len();
                piece = &piece[step.taken..];
            }
        }
        octets
    })
}

pub(super) fn dot_dots(n: usize) -> Run {
    dots("..\r\n".repeat(n / 4), 4096)
}

pub(super) fn dot_octets(n: usize) -> Run {
    dots("a\r\n.b\r".repeat(n / 6), 1)
}

pub(super) fn smtp_reply(n: usize) -> Run {
    over("250-x\r\n".repeat(n / 7), |text| {
        let mut reader = Reader::new();
        text.chunks(1).map(|octet| reader.step(octet).0).sum::<usize>()
    })
}

fn framed(text: String, piece: usize) -> Run {
    over(text, move |text| {
        let mut framer = Framer::new();
        framer.log_in();
        let mut commands = 0;
        for piece in text.chunks(piece) {
            framer.receive(piece);
            while let Some(event) = framer.poll() {
                if let Framed::Command(command) = event {
                    commands += usize::from(parse_imap(&command).is_ok());
                }
            }
        }
        commands
    })
}

pub(super) fn imap_line_in_octets(n: usize) -> Run {
    framed(format!("a LOGIN {}", "x".repeat(n)), 1)
}

pub(super) fn imap_literals(n: usize) -> Run {
    framed(format!("a ID ({})\r\n", "{1+}\r\nx ".repeat(n)), 4096)
}

pub(super) fn imap_literal_octets(n: usize) -> Run {
    framed(format!("a LOGIN {{{n}+}}\r\n{} b\r\n", "\n".repeat(n)), 1)
}

pub(super) fn imap_parentheses(n: usize) -> Run {
    framed(format!("a SEARCH {}\r\n", "(".repeat(n)), 4096)
}

pub(super) fn imap_or(n: usize) -> Run {
    framed(format!("a SEARCH {}SEEN\r\n", "OR SEEN ".repeat(n)), 4096)
}

pub(super) fn imap_not(n: usize) -> Run {
    framed(format!("a SEARCH {}SEEN\r\n", "NOT ".repeat(n)), 4096)
}

pub(super) fn imap_set(n: usize) -> Run {
    let set: Vec<String> = (0..n).map(|number| (2 * number + 1).to_string()).collect();
    framed(format!("a FETCH {} FLAGS\r\n", set.join(",")), 4096)
}

pub(super) fn imap_set_overlapping(n: usize) -> Run {
    let set: Vec<String> = (0..n).rev().map(|number| format!("{}:{}", number + 1, number + 5)).collect();
    over(set.join(","), |text| {
        let set = pillarbox_core::imap::command::SequenceSet::parse(text);
        set.map(|set| set.resolve(1_000_000).as_slice().len())
    })
}

pub(super) fn imap_fetch_items(n: usize) -> Run {
    let items: Vec<String> = (0..n)
        .map(|number| format!("BODY.PEEK[{}.1.2.3]<0.{}>", number + 1, number + 1))
        .collect();
    framed(format!("a FETCH 1 ({})\r\n", items.join(" ")), 4096)
}

pub(super) fn imap_header_list(n: usize) -> Run {
    let names: Vec<String> = (0..n).map(|number| format!("X-{number}")).collect();
    framed(format!("a FETCH 1 BODY[HEADER.FIELDS ({})]\r\n", names.join(" ")), 4096)
}

pub(super) fn imap_flags(n: usize) -> Run {
    framed(format!("a STORE 1 FLAGS ({}\\Seen)\r\n", "$a ".repeat(n)), 4096)
}

pub(super) fn imap_list_patterns(n: usize) -> Run {
    framed(format!("a LIST \"\" ({}*)\r\n", "%*%* ".repeat(n)), 4096)
}

pub(super) fn imap_quoted(n: usize) -> Run {
    framed(format!("a LOGIN x \"{}\"\r\n", "\\\\".repeat(n / 2)), 4096)
}

pub(super) fn imap_id(n: usize) -> Run {
    let pairs: Vec<String> = (0..n)
        .map(|number| format!("\"name{number}\" \"{}\"", "v".repeat(100)))
        .collect();
    framed(format!("a ID ({})\r\n", pairs.join(" ")), 4096)
}

/// A message of so many octets, looked through with so many words.
fn searched(keys: &[SearchKey], message: String) -> Run {
    let context = Context {
        exists: 9,
        last_uid: 90,
        keywords: &[],
        saved: &Intervals::default(),
        now: UnixTime(0),
    };
    let program = Arc::new(Program::compile(keys, &context).expect("not too much"));
    over(message, move |message| {
        let mut matcher = Matcher::new(program.clone(), candidate());
        message.chunks(4096).for_each(|piece| matcher.update(piece));
        matcher.finish()
    })
}

fn candidate() -> Candidate {
    Candidate {
        row: Row {
            uid: Uid(20),
            size: 100,
            prefix: 0,
            internal_date: UnixTime(0),
            save_date: UnixTime(0),
            email_id: EmailId([0; 16]),
            location: Location::Pack { pack: 0, offset: 0 },
            crc: 0,
            flags: Flags::default(),
            keywords: KeywordBits(0),
            mod_seq: ModSeq(1),
        },
        number: 2,
        recent: false,
    }
}

fn keys(line: &str) -> Arc<[SearchKey]> {
    let text = format!("a SEARCH {line}\r\n");
    let mut framer = Framer::new();
    framer.log_in();
    framer.receive(text.as_bytes());
    let Some(Framed::Command(framed)) = framer.poll() else {
        panic!("a command")
    };
    match parse_imap(&framed) {
        Ok((_, Command::Search { keys: Some(keys), .. })) => keys,
        other => panic!("{other:?}"),
    }
}

pub(super) fn search_texts(n: usize) -> Run {
    searched(
        &keys("BODY zzz TEXT aab"),
        format!("Subject: x\r\n\r\n{}", "aaaaaaaa aaaa\r\n".repeat(n / 15)),
    )
}

pub(super) fn search_needle(n: usize) -> Run {
    let needle = "a".repeat(n / 50);
    searched(
        &keys(&format!("BODY {needle}b")),
        format!("Subject: x\r\n\r\n{}", "a".repeat(n)),
    )
}

pub(super) fn search_words(n: usize) -> Run {
    let words: Vec<String> = (0..n).map(|number| format!("TEXT word{number}")).collect();
    searched(
        &keys(&words.join(" ")),
        format!("Subject: x\r\n\r\n{}", "words of text\r\n".repeat(400)),
    )
}

pub(super) fn journal(n: usize) -> Run {
    let mut segment = Vec::new();
    for lsn in 1..=n as u64 {
        let place = Place {
            lsn: Lsn(lsn),
            batch: Lsn(lsn),
            epoch: 1,
        };
        encode(place, b"a payload of some octets", None)
            .iter()
            .for_each(|part| segment.extend_from_slice(part));
    }
    scanned(segment)
}

pub(super) fn journal_false_starts(n: usize) -> Run {
    let place = Place {
        lsn: Lsn(1),
        batch: Lsn(1),
        epoch: 1,
    };
    let start: Vec<u8> = encode(place, b"x", None).concat();
    scanned(start[..start.len().min(8)].repeat(n / 8))
}

fn scanned(segment: Vec<u8>) -> Run {
    over(segment, |segment| {
        let mut scan = Scan::new(Lsn(0));
        scan.segment(0, segment);
        scan.finish().is_ok()
    })
}

pub(super) fn record_list(n: usize) -> Run {
    let list: Vec<(String, u64)> = (0..n as u64).map(|number| ("name".into(), number)).collect();
    over(list.to_record(), Vec::<(String, u64)>::from_record)
}

pub(super) fn frame_line(n: usize) -> Run {
    over(format!("@M1 {}1 2 3 a b c d 00", "0".repeat(n)), parse_line)
}

pub(super) fn sasl_plain(n: usize) -> Run {
    over(format!("\0tim\0{}", "x".repeat(n)), |text| {
        Exchange::begin(Mechanism::Plain, Some(text)).1
    })
}

pub(super) fn sasl_scram(n: usize) -> Run {
    over(format!("n,,n={},r=x", "=2C".repeat(n / 3)), |text| {
        Exchange::begin(Mechanism::ScramSha256, Some(text)).1
    })
}

pub(super) fn xml_elements(n: usize) -> Run {
    over(format!("<a>{}</a>", "<b></b>".repeat(n)), autodiscover::parse)
}

pub(super) fn xml_attributes(n: usize) -> Run {
    let attributes: String = (0..n).map(|number| format!(" a{number}=\"{}\"", "x".repeat(100))).collect();
    over(format!("<a{attributes}></a>"), autodiscover::parse)
}

pub(super) fn xml_text(n: usize) -> Run {
    over(format!("<a>{}</a>", "<![CDATA[x]]>y".repeat(n / 14)), autodiscover::parse)
}

pub(super) fn xml_references(n: usize) -> Run {
    over(format!("<a>{}</a>", "&#65;&amp;".repeat(n)), autodiscover::parse)
}

pub(super) fn dns_records(n: usize) -> Run {
    let name = Name::parse("one.test").expect("a name");
    let server = "192.0.2.53:53".parse().expect("an address");
    let records: Vec<DnsRecord> = (0..n)
        .map(|number| DnsRecord {
            owner: Some(name.clone()),
            ttl: 60,
            data: Data::Mx {
                preference: number as u16,
                exchange: Name::parse(&format!("mx{number}.one.test")),
            },
        })
        .collect();
    Box::new(move || {
        let query = Query {
            name: name.clone(),
            kind: Kind::Mx,
        };
        let random = [0x5a; limits::DNS_RANDOMNESS];
        let mut lookup = Lookup::new(Instant(0), query, vec![server], false);
        let Step::Udp(asked) = lookup.next(Instant(0), &random) else {
            panic!("it asks")
        };
        let message = Message {
            id: asked.id,
            answers: true,
            name: Some(asked.name.clone()),
            kind: Some(Kind::Mx),
            truncated: false,
            competent: true,
            authentic: false,
            code: Code::Fine,
            records: records.clone(),
            negative_ttl: None,
        };
        lookup.handle(Event::Datagram(server, Some(message)));
        black_box(lookup.next(Instant(1), &random));
    })
}
