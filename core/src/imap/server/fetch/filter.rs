//! What turns the octets of a body into those of an answer: HEADER.FIELDS and BINARY.

use alloc::string::String;
use alloc::vec::Vec;

use crate::message::header_filter::HeaderFilter;
use crate::message::transfer::{Decoder, Encoding, LineEnds};

/// The fold.
#[derive(Debug)]
pub(super) enum Filter {
    Header(HeaderFilter),
    Binary {
        decoder: Decoder,
        /// Text has CRLF line ends, whatever was encoded.
        lines: Option<LineEnds>,
    },
}

impl Filter {
    /// Of HEADER.FIELDS, with `not` of HEADER.FIELDS.NOT.
    pub(super) fn header(names: &[String], not: bool) -> Filter {
        Filter::Header(HeaderFilter::new(names.to_vec(), not))
    }

    /// Of BINARY.
    pub(super) fn decoder(encoding: Encoding, text: bool) -> Filter {
        Filter::Binary {
            decoder: encoding.decoder(),
            lines: text.then(LineEnds::default),
        }
    }

    /// Takes more octets and appends what comes of them.
    pub(super) fn update(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self {
            Filter::Header(filter) => filter.update(octets, out),
            Filter::Binary { decoder, lines: None } => decoder.update(octets, out),
            Filter::Binary {
                decoder,
                lines: Some(lines),
            } => {
                let mut decoded = Vec::new();
                decoder.update(octets, &mut decoded);
                lines.update(&decoded, out);
            }
        }
    }

    /// The end: appends what was held back.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        match self {
            Filter::Header(filter) => filter.finish(out),
            Filter::Binary { mut decoder, lines } => {
                let mut decoded = Vec::new();
                decoder.finish(&mut decoded);
                lines.unwrap_or_default().update(&decoded, out);
            }
        }
    }
}
