//! What is counted: every parser and every command, over input whose size is given; hostile where hostile input costs most.
//!
//! Law 3: twice as much costs less than 2.5 times (instructions: `cost.py`; allocations, and 64 KiB of stack: `tests/tests/cost`).

#[path = "imap.rs"]
pub(crate) mod imap;
#[path = "parsers.rs"]
mod parsers;
#[path = "smtp.rs"]
pub(crate) mod smtp;

/// A case that has been prepared.
pub(crate) type Run = Box<dyn FnMut()>;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// A size at which what is constant no longer counts; twice of it stays within all limits.
    pub(crate) size: usize,
    pub(crate) prepare: fn(usize) -> Run,
}

macro_rules! cases {
    ($($module:ident::$name:ident($size:expr)),* $(,)?) => {
        /// All of them.
        pub(crate) const CASES: &[Case] = &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            size: $size,
            prepare: $module::$name,
        }),*];
    };
}

cases! {
    parsers::base64(20_000), parsers::utf7(20_000), parsers::utf7_ampersands(20_000), parsers::utf8(20_000), parsers::crc(50_000),
    parsers::address_quoted(20_000), parsers::address_labels(20_000), parsers::path_brackets(20_000),
    parsers::date_comment(20_000), parsers::address_list(3000), parsers::address_comments(20_000), parsers::address_dots(20_000),
    parsers::content_parameters(400), parsers::content_pieces(400), parsers::content_quoted(20_000),
    parsers::encoded_words(1000), parsers::encoded_word_starts(20_000), parsers::encoded_word_open(1000),
    parsers::charset(20_000), parsers::transfer_base64(20_000), parsers::transfer_quoted(20_000), parsers::transfer_blanks(20_000),
    parsers::header_fields(2000), parsers::header_octets(20_000), parsers::header_filter(2000),
    parsers::intake_text(100_000), parsers::intake_octets(20_000), parsers::intake_parts(2000), parsers::intake_nested(3000),
    parsers::intake_boundaries(5000), parsers::intake_folded(10_000), parsers::intake_addresses(3000), parsers::intake_line(100_000),
    parsers::smtp_command(1000), parsers::smtp_parameters(1000), parsers::smtp_xtext(10_000),
    parsers::dot_dots(20_000), parsers::dot_octets(20_000), parsers::smtp_reply(4000),
    parsers::imap_line_in_octets(20_000), parsers::imap_literals(500), parsers::imap_literal_octets(20_000),
    parsers::imap_parentheses(20_000), parsers::imap_or(400), parsers::imap_not(400), parsers::imap_set(10_000),
    parsers::imap_set_overlapping(10_000), parsers::imap_fetch_items(60), parsers::imap_header_list(500),
    parsers::imap_flags(2000), parsers::imap_list_patterns(30), parsers::imap_quoted(20_000), parsers::imap_id(14),
    parsers::search_texts(50_000), parsers::search_needle(50_000), parsers::search_words(60),
    parsers::journal(500), parsers::journal_false_starts(20_000), parsers::record_list(5000), parsers::frame_line(5000),
    parsers::sasl_plain(500), parsers::sasl_scram(1500), parsers::xml_elements(2000), parsers::xml_attributes(30),
    parsers::xml_text(20_000), parsers::xml_references(5000), parsers::dns_records(40),

    smtp::transactions(20), smtp::data(200_000), smtp::data_octets(20_000), smtp::data_lines(5000), smtp::recipients(400),
    smtp::noops(2000), smtp::noops_in_octets(1000), smtp::chunks(1000), smtp::submission_header(1000), smtp::endless_line(50_000),

    imap::noops(2000), imap::select(4000), imap::fetch_flags(4000), imap::fetch_envelope(2000), imap::fetch_structure(2000),
    imap::fetch_bodies(1000), imap::fetch_body(200_000), imap::fetch_headers(1000), imap::fetch_ranges(2000),
    imap::search_rows(10_000), imap::search_texts(1000), imap::search_or(100), imap::store(2000), imap::expunge(2000),
    imap::append(200_000), imap::list(1000), imap::list_stars(500), imap::status(2000), imap::copy(2000), imap::changes(500),
    imap::enable(30), imap::login_literals(1000),
}
