//! Finding a section of a message (RFC 9051 §6.4.5.1): part numbers and what of the part -> a range of octets.

use super::digest::{Digest, Part, PartKind};

/// What of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// All of it: the message, or a part's body.
    Whole,
    /// The header of a message, with its empty line.
    Header,
    /// The body of a message.
    Text,
    /// A part's own header, with its empty line.
    Mime,
}

impl Digest {
    /// The octets of a section, counted from the digested bytes; `None` when there is no such part.
    pub fn section(&self, path: &[u32], kind: SectionKind) -> Option<core::ops::Range<u64>> {
        let Some(part) = self.part(path)? else {
            return match kind {
                SectionKind::Whole => Some(0..self.size),
                SectionKind::Header => Some(0..self.parts[0].body_start),
                SectionKind::Text => Some(self.parts[0].body_start..self.size),
                SectionKind::Mime => None,
            };
        };
        let index = self.parts.iter().position(|known| core::ptr::eq(known, part))?;
        match kind {
            // A message that is not multipart has one part: its text.
            SectionKind::Whole => Some(part.body_start..part.body_end),
            SectionKind::Mime => Some(part.header_start..part.body_start),
            SectionKind::Header | SectionKind::Text => {
                let inner = self.child(index, 1).filter(|_| part.kind == PartKind::Message)?;
                let inner = &self.parts[inner];
                let header = kind == SectionKind::Header;
                Some(if header {
                    inner.header_start..inner.body_start
                } else {
                    inner.body_start..inner.body_end
                })
            }
        }
    }

    /// The part whose body a path names; `None`: there is none, or the path is empty and names the message.
    pub fn body_of(&self, path: &[u32]) -> Option<&Part> {
        self.part(path).flatten()
    }

    /// The part of a path; `Some(None)` for the message itself.
    fn part(&self, path: &[u32]) -> Option<Option<&Part>> {
        let Some((first, rest)) = path.split_first() else {
            return Some(None);
        };
        let mut at = self.within(0, *first)?;
        for number in rest {
            at = match self.parts[at].kind {
                PartKind::Multipart => self.child(at, *number)?,
                PartKind::Message => self.within(self.child(at, 1)?, *number)?,
                PartKind::Leaf => return None,
            };
        }
        Some(Some(&self.parts[at]))
    }

    /// Part `number` of a message (entry 0, or the one inside a message/rfc822 part).
    fn within(&self, message: usize, number: u32) -> Option<usize> {
        match self.parts[message].kind {
            PartKind::Multipart => self.child(message, number),
            PartKind::Leaf | PartKind::Message => (number == 1).then_some(message),
        }
    }

    fn child(&self, parent: usize, number: u32) -> Option<usize> {
        let wanted = |part: &Part| part.parent as usize == parent && part.number == number;
        let behind = self.parts.iter().enumerate().skip(parent + 1);
        behind
            .take_while(|(_, part)| part.parent as usize >= parent)
            .find(|(_, part)| wanted(part))
            .map(|(index, _)| index)
    }
}
