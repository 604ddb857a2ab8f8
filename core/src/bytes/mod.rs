//! Byte-level syntax: base64, CRLF lines, modified UTF-7.
