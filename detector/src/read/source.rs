//! Text by blocks of whole lines, from plain or gzip objects.
//!
//! Where it sits: between an object's bytes and `text`.
//! What it does not do: it does not look into lines, and of what is not inflated whole it never holds more than two
//! blocks and one line.

use std::sync::Arc;

use crate::read::gzip::{Inflate, RANGE_BYTES};
use crate::read::{Error, Limits, Object};

/// How much text is inflated or given at a time: a block stays in the second-level cache while it is parsed.
const BLOCK_BYTES: usize = 256 << 10;

/// Lines to parse.
pub(super) struct Block<'a> {
    /// Whole lines; the last of the object may lack its line end.
    pub(super) lines: &'a [u8],
    /// The offset of the first byte in the (inflated) text.
    pub(super) position: u64,
    /// Whether this is the beginning of one line that is too long; the rest of it is skipped.
    pub(super) is_too_long: bool,
}

/// Takes blocks, one after the other, on whatever thread is free.
type EachBlock<'a> = &'a mut (dyn FnMut(Block<'_>) -> Result<(), Error> + Send);

/// The lines of an object, or of a unit of it.
pub(super) struct Source {
    bytes: Bytes,
    lines: Lines,
}

/// Where text comes from.
enum Bytes {
    /// Everything is there already.
    Whole(Vec<u8>),
    /// A plain object, read from `offset` to `end`.
    Plain {
        name: Arc<str>,
        object: Arc<dyn Object>,
        offset: u64,
        end: u64,
    },
    Gzip(Box<Inflate>),
}

impl Source {
    /// The lines of a plain object that start in a span of it. The first line is left out: it is the header, or belongs
    /// to the unit before.
    pub(super) fn plain(name: &Arc<str>, object: Arc<dyn Object>, from: u64, until: u64, limits: &Limits) -> Self {
        // A line that starts exactly at `from` is this unit's: the byte before it is the line end to skip to.
        let offset = from.saturating_sub(1);
        // And where its last line ends, or is too long: reading ahead goes no further.
        let end = until.saturating_add(limits.max_line_bytes as u64).min(object.size());
        let bytes = Bytes::Plain { name: Arc::clone(name), object, offset, end };
        Self { bytes, lines: Lines::new(offset, until, limits) }
    }

    /// All lines of a gzip object but the header.
    pub(super) fn gzip(name: &Arc<str>, object: Arc<dyn Object>, limits: &Limits) -> Self {
        let inflate = Inflate::new(name, object, limits);
        Self { bytes: Bytes::Gzip(Box::new(inflate)), lines: Lines::new(0, u64::MAX, limits) }
    }

    /// All lines of text but the header.
    pub(super) fn whole(text: Vec<u8>, limits: &Limits) -> Self {
        Self { bytes: Bytes::Whole(text), lines: Lines::new(0, u64::MAX, limits) }
    }

    /// Gives all lines to `each`, block by block. Where a thread is free, it reads and inflates ahead meanwhile.
    ///
    /// # Errors
    /// Those of reading, and those of `each`.
    pub(super) fn read(self, each: EachBlock<'_>) -> Result<(), Error> {
        let Self { mut bytes, mut lines } = self;
        let (mut text, mut ahead) = (Vec::new(), Vec::new());
        bytes.read(&mut text)?;
        while !text.is_empty() && !lines.is_done() {
            let take = || text.chunks(BLOCK_BYTES).try_for_each(|piece| lines.take(piece, each));
            let (taken, read) = rayon::join(take, || bytes.read(&mut ahead));
            taken?;
            read?;
            std::mem::swap(&mut text, &mut ahead);
        }
        // The last one may lack its line end.
        lines.give_begun(each)
    }
}

impl Bytes {
    /// Replaces what is there by the next bytes; by none at the end.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Whole(text) => *into = std::mem::take(text),
            Self::Gzip(inflate) => {
                into.resize(BLOCK_BYTES, 0);
                let n = inflate.read(into)?;
                into.truncate(n);
            }
            Self::Plain { name, object, offset, end } => {
                let n = end.saturating_sub(*offset).min(RANGE_BYTES as u64) as usize;
                let read = object.read_at(*offset, n);
                let read = read.map_err(|source| Error::Io { object: Arc::clone(name), source })?;
                *offset += read.len() as u64;
                into.clear();
                into.extend_from_slice(&read);
            }
        }
        Ok(())
    }
}

/// Puts lines together that begin in one piece of text and end in a later one.
struct Lines {
    /// A line begun.
    begun: Vec<u8>,
    /// The offset in the text of the line begun, or of the next one.
    position: u64,
    /// Lines that start here or later belong to the next unit.
    until: u64,
    max_line_bytes: usize,
    /// The rest of a line is to be skipped: a line too long, or one that belongs to the unit before.
    skips_line: bool,
}

impl Lines {
    fn new(position: u64, until: u64, limits: &Limits) -> Self {
        let max_line_bytes = limits.max_line_bytes;
        Self { begun: Vec::new(), position, until, max_line_bytes, skips_line: true }
    }

    /// Takes the next piece of the text.
    fn take(&mut self, text: &[u8], each: EachBlock<'_>) -> Result<(), Error> {
        let mut rest = text;
        if self.skips_line || !self.begun.is_empty() {
            let end = memchr::memchr(b'\n', text).map(|at| at + 1);
            let (head, after) = text.split_at(end.unwrap_or(text.len()));
            rest = after;
            if self.skips_line {
                self.position += head.len() as u64;
                self.skips_line = end.is_none();
            } else {
                self.begun.extend_from_slice(head);
                if end.is_some() {
                    self.give_begun(each)?;
                }
            }
        }
        let (lines, begun) = rest.split_at(memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1));
        self.give(lines, each)?;
        self.begun.extend_from_slice(begun);
        if self.begun.len() > self.max_line_bytes && !self.is_done() {
            each(Block { lines: &self.begun, position: self.position, is_too_long: true })?;
            self.position += self.begun.len() as u64;
            self.begun.clear();
            self.skips_line = true;
        }
        Ok(())
    }

    fn give_begun(&mut self, each: EachBlock<'_>) -> Result<(), Error> {
        let begun = std::mem::take(&mut self.begun);
        self.give(&begun, each)
    }

    /// Gives those of some whole lines that are this unit's.
    fn give(&mut self, mut lines: &[u8], each: EachBlock<'_>) -> Result<(), Error> {
        if lines.is_empty() || self.is_done() {
            return Ok(());
        }
        let n_left = self.until - self.position;
        if lines.len() as u64 > n_left {
            // The last line of this unit starts before `until` and may end after it.
            let last = n_left as usize - 1;
            let end =
                memchr::memchr(b'\n', lines.get(last..).unwrap_or_default()).map_or(lines.len(), |at| last + at + 1);
            lines = lines.get(..end).unwrap_or_default();
        }
        let position = self.position;
        self.position += lines.len() as u64;
        each(Block { lines, position, is_too_long: false })
    }

    /// Whether the line begun, or the next one, belongs to the next unit.
    fn is_done(&self) -> bool {
        self.position >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX_LINE_BYTES: usize = 20;

    /// The lines a unit gives, each with its position, of a text that comes in pieces; of one too long, nothing but
    /// that.
    fn lines(text: &str, from: usize, until: usize, piece_bytes: usize) -> Vec<(usize, String)> {
        let limits = Limits { max_line_bytes: MAX_LINE_BYTES, ..Limits::DEFAULT };
        let offset = from.saturating_sub(1);
        let (mut unit, mut given) = (Lines::new(offset as u64, until as u64, &limits), Vec::new());
        let mut each = |block: Block<'_>| {
            let mut position = block.position as usize;
            for line in std::str::from_utf8(block.lines).unwrap().split_inclusive('\n') {
                let is_too_long = block.is_too_long || line.len() > MAX_LINE_BYTES;
                given.push((position, if is_too_long { "too long".to_owned() } else { line.to_owned() }));
                position += line.len();
            }
            Ok(())
        };
        let end = text.len().min(until + MAX_LINE_BYTES);
        for piece in text.as_bytes()[offset..end].chunks(piece_bytes) {
            unit.take(piece, &mut each).unwrap();
        }
        unit.give_begun(&mut each).unwrap();
        given
    }

    proptest! {
        #[test]
        fn every_line_but_the_first_is_given_once_however_the_text_comes(
            text in "([a-z ]{0,12}\n|[a-z]{15,50}\n){0,12}[a-z]{0,30}",
            unit_bytes in 1..60_usize,
            piece_bytes in 1..60_usize,
        ) {
            let mut position = 0;
            let mut expected = Vec::new();
            for line in text.split_inclusive('\n') {
                let said = if line.len() > MAX_LINE_BYTES { "too long" } else { line };
                expected.push((position, said.to_owned()));
                position += line.len();
            }
            let units = (0..text.len()).step_by(unit_bytes);
            let given: Vec<_> = units.flat_map(|from| lines(&text, from, from + unit_bytes, piece_bytes)).collect();
            prop_assert_eq!(given, expected.get(1..).unwrap_or_default());
        }
    }
}
