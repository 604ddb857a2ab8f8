//! Recording: every ask, value and notice can be written down and read back, byte for byte.
//!
//! Little endian, lengths as `u32`, one byte for a variant. Secrets are written as a placeholder (see [`crate::secret`]).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

/// A value that can be recorded. `decode(encode(x)) == x` (secrets apart).
pub trait Record: Sized {
    /// Appends the recorded form.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads it back.
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// The recorded form alone.
    fn to_record(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Reads a recorded form that must end where the value ends.
    fn from_record(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        if reader.rest().is_empty() {
            Ok(value)
        } else {
            Err(Malformed("bytes left over"))
        }
    }
}

/// The recorded form is not one of ours; the text says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "malformed record: {}", self.0)
    }
}

/// Reads a recorded form from its start.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    texts: Option<&'a Texts>,
}

/// Where the texts and strings of bytes lie in a recorded form, counted from its end: `(octets from its start to the end, length)`.
pub type Texts = RefCell<Vec<(usize, usize)>>;

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader {
            rest: bytes,
            texts: None,
        }
    }

    /// A reader that notes every text and string of bytes that it passes, whatever it belongs to.
    pub fn noting(bytes: &'a [u8], texts: &'a Texts) -> Self {
        Reader {
            rest: bytes,
            texts: Some(texts),
        }
    }

    /// What was taken last was a text of so many octets.
    fn note(&self, len: usize) {
        if let Some(texts) = self.texts {
            texts.borrow_mut().push((self.rest.len() + len, len));
        }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        if n > self.rest.len() {
            return Err(Malformed("cut short"));
        }
        let (head, rest) = self.rest.split_at(n);
        self.rest = rest;
        Ok(head)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    /// A length, and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let n = u32::decode(self)? as usize;
        let bytes = self.take(n)?;
        self.note(n);
        Ok(bytes)
    }
}

/// Writes a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let n = u32::try_from(bytes.len()).expect("a recorded value is below 4 GiB");
    n.encode(out);
    out.extend_from_slice(bytes);
}

macro_rules! record_integers {
    ($($t:ty),*) => {$(
        impl Record for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                let bytes = from.take(core::mem::size_of::<$t>())?;
                Ok(<$t>::from_le_bytes(bytes.try_into().expect("taken to size")))
            }
        }
    )*};
}
record_integers!(u8, u16, u32, u64, i32, i64);

/// As 64 bits on every machine.
impl Record for usize {
    fn encode(&self, out: &mut Vec<u8>) {
        (*self as u64).encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        usize::try_from(u64::decode(from)?).map_err(|_| Malformed("a number above this machine's"))
    }
}

/// Records a struct field by field: `record_struct!(Point { x, y });`.
#[macro_export]
macro_rules! record_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::record::Record for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                let $name { $($field),* } = self;
                $($crate::record::Record::encode($field, out);)*
            }
            fn decode(from: &mut $crate::record::Reader<'_>) -> Result<Self, $crate::record::Malformed> {
                $(let $field = $crate::record::Record::decode(from)?;)*
                Ok($name { $($field),* })
            }
        }
    };
}

/// Records an enum of unit, struct and one-field tuple variants, each with its number:
/// `record_enum!(Shape { 0 => Empty, 1 => Circle { radius }, 2 => Named(name) });`.
#[macro_export]
macro_rules! record_enum {
    ($name:ident { $($tag:literal => $variant:ident $({ $($field:ident),* $(,)? })? $(( $inner:ident ))?),* $(,)? }) => {
        impl $crate::record::Record for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $($name::$variant $({ $($field),* })? $(( $inner ))? => {
                        out.push($tag);
                        $($($crate::record::Record::encode($field, out);)*)?
                        $($crate::record::Record::encode($inner, out);)?
                    })*
                }
            }
            fn decode(from: &mut $crate::record::Reader<'_>) -> Result<Self, $crate::record::Malformed> {
                match from.byte()? {
                    $($tag => {
                        $($(let $field = $crate::record::Record::decode(from)?;)*)?
                        $(let $inner = $crate::record::Record::decode(from)?;)?
                        Ok($name::$variant $({ $($field),* })? $(( $inner ))?)
                    })*
                    _ => Err($crate::record::Malformed(concat!("unknown variant of ", stringify!($name)))),
                }
            }
        }
    };
}

impl Record for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("not a bool")),
        }
    }
}

/// In nanoseconds.
impl Record for core::time::Duration {
    fn encode(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        u64::decode(from).map(core::time::Duration::from_nanos)
    }
}

impl Record for () {
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(())
    }
}

impl Record for String {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = from.bytes()?;
        core::str::from_utf8(bytes)
            .map(Into::into)
            .map_err(|_| Malformed("not UTF-8"))
    }
}

impl<T: Record> Record for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        T::encode(self, out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::decode(from).map(Arc::new)
    }
}

impl Record for Arc<str> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        String::decode(from).map(Into::into)
    }
}

impl<T: Record + Copy + Default, const N: usize> Record for [T; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.encode(out));
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut items = [T::default(); N];
        for item in &mut items {
            *item = T::decode(from)?;
        }
        Ok(items)
    }
}

impl<T: Record> Record for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        bool::decode(from)?.then(|| T::decode(from)).transpose()
    }
}

impl<T: Record, E: Record> Record for Result<T, E> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_ok().encode(out);
        match self {
            Ok(value) => value.encode(out),
            Err(error) => error.encode(out),
        }
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        if bool::decode(from)? {
            T::decode(from).map(Ok)
        } else {
            E::decode(from).map(Err)
        }
    }
}

impl<T: Record> Record for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        let n = u32::try_from(self.len()).expect("a recorded list is below 4 G entries");
        n.encode(out);
        self.iter().for_each(|item| item.encode(out));
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let n = u32::decode(from)? as usize;
        // A hostile length must not allocate: each item that follows costs at least its own bytes, or nothing grows.
        let start = from.rest().len();
        let mut items = Vec::with_capacity(n.min(start));
        for _ in 0..n {
            let before = from.rest().len();
            items.push(T::decode(from)?);
            if from.rest().len() == before && n > 4096 {
                return Err(Malformed("a list of nothings"));
            }
        }
        if size_of::<T>() == 1 && start - from.rest().len() == n {
            from.note(n);
        }
        Ok(items)
    }
}

impl<T: Record> Record for Arc<[T]> {
    fn encode(&self, out: &mut Vec<u8>) {
        let n = u32::try_from(self.len()).expect("a recorded list is below 4 G entries");
        n.encode(out);
        self.iter().for_each(|item| item.encode(out));
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Vec::decode(from).map(Into::into)
    }
}

impl<A: Record, B: Record> Record for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok((A::decode(from)?, B::decode(from)?))
    }
}

impl Record for core::net::IpAddr {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            core::net::IpAddr::V4(ip) => (4u8, ip.octets()).encode(out),
            core::net::IpAddr::V6(ip) => (6u8, ip.octets()).encode(out),
        }
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.byte()? {
            4 => Ok(<[u8; 4]>::decode(from)?.into()),
            6 => Ok(<[u8; 16]>::decode(from)?.into()),
            _ => Err(Malformed("not an address family")),
        }
    }
}

/// Records a struct with one unnamed field.
#[macro_export]
macro_rules! record_struct_tuple {
    ($name:ident) => {
        impl $crate::record::Record for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                $crate::record::Record::encode(&self.0, out);
            }
            fn decode(from: &mut $crate::record::Reader<'_>) -> Result<Self, $crate::record::Malformed> {
                Ok($name($crate::record::Record::decode(from)?))
            }
        }
    };
}
