//! Vectors of both versions, at every split, and what is refused.

use futures_lite::future::block_on;
use futures_lite::io::Cursor;

use super::*;

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &len, rest].concat()
}

fn tcp4() -> Vec<u8> {
    vec![192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0, 25]
}

fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let mut tcp6 = vec![0; 36];
    tcp6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
    tcp6[32..].copy_from_slice(&[0, 80, 0, 25]);
    let mut mapped = vec![0; 36];
    mapped[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 9]);
    let with_extras = [tcp4(), vec![0x04, 0, 2, 9, 9, 0x05, 0, 0]].concat();
    vec![
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n".to_vec(),
            Some("192.0.2.1:56324"),
        ),
        (b"PROXY TCP6 2001:db8::7 ::1 80 25\r\n".to_vec(), Some("[2001:db8::7]:80")),
        (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 0 65535\r\n".to_vec(), Some("192.0.2.9:0")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff::1 whatever \xe2\x82\xac\r\n".to_vec(), None),
        (v2(0x21, 0x11, &tcp4()), Some("192.0.2.1:56324")),
        (v2(0x21, 0x11, &with_extras), Some("192.0.2.1:56324")),
        (v2(0x21, 0x21, &tcp6), Some("[2001:db8::7]:80")),
        (v2(0x21, 0x21, &mapped), Some("192.0.2.9:0")),
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, &tcp4()), None),
        (v2(0x21, 0x00, b"anything"), None),
        (v2(0x21, 0x31, &[0; 216]), None),
    ]
}

#[test]
fn headers_are_read_and_nothing_beyond_them() {
    for (header, peer) in good() {
        let mut stream = Cursor::new([&header[..], b"EHLO a.test\r\n"].concat());
        let read = block_on(read_header(&mut stream)).unwrap();
        assert_eq!(read, peer.map(|peer| peer.parse().unwrap()), "{}", header.escape_ascii());
        assert_eq!(stream.position(), header.len() as u64, "{}", header.escape_ascii());
    }
}

#[test]
fn a_part_of_a_header_is_never_more_nor_less() {
    for (header, _) in good() {
        for split in 0..header.len() {
            match parse(&header[..split]) {
                Ok(Parsed::Missing(count)) => assert!(split + count <= header.len(), "{split} of {}", header.escape_ascii()),
                other => panic!("{split} of {}: {other:?}", header.escape_ascii()),
            }
            let cut = block_on(read_header(&mut Cursor::new(&header[..split])));
            assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn malformed_headers_are_refused() {
    let mut cut = v2(0x21, 0x11, &tcp4()[..11]);
    let bad: Vec<Vec<u8>> = vec![
        b"EHLO a.test\r\n".to_vec(),
        b"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n".to_vec(),
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1\n198.51.100.2 1 2\r\n".to_vec(),
        b"PROXY \r\n".to_vec(),
        [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200], b"\r\n".to_vec()].concat(),
        v2(0x11, 0x11, &tcp4()),
        v2(0x22, 0x11, &tcp4()),
        v2(0x21, 0x12, &tcp4()),
        v2(0x21, 0x21, &tcp4()),
        v2(0x21, 0x11, &[tcp4(), vec![4, 0]].concat()),
        v2(0x21, 0x11, &[tcp4(), vec![4, 0, 9, 1]].concat()),
        v2(0x21, 0x00, &[0; 521]),
        core::mem::take(&mut cut),
    ];
    for header in bad {
        let read = block_on(read_header(&mut Cursor::new([&header[..], &[b' '; 600]].concat())));
        assert_eq!(
            read.unwrap_err().kind(),
            io::ErrorKind::InvalidData,
            "{}",
            header.escape_ascii()
        );
    }
}
