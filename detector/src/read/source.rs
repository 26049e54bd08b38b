//! Text by blocks of whole lines, from plain or gzip objects.
//!
//! Where it sits: between an object's bytes and `text`.
//! What it does not do: it does not look into lines, and it never holds more than a block and one line.

use std::sync::Arc;

use crate::read::gzip::{Inflate, RANGE_BYTES};
use crate::read::{Error, Limits, Object};

/// How much text is inflated at a time: a block stays in the second-level cache while it is parsed.
const BLOCK_BYTES: usize = 256 << 10;

/// Lines to parse.
pub(super) struct Block<'a> {
    /// Whole lines; the last of the object may lack its line end.
    pub(super) lines: &'a [u8],
    /// The offset of the first byte in the (inflated) text.
    pub(super) position: u64,
    /// Set when `lines` is the beginning of one line that is too long; the rest of it is skipped.
    pub(super) long_line: Option<u64>,
}

enum Bytes {
    /// Everything is in the buffer already.
    Whole,
    /// A plain object, read from `offset` on.
    Plain {
        object: Arc<dyn Object>,
        offset: u64,
    },
    Gzip(Box<Inflate>),
}

/// Text by blocks of whole lines.
pub(super) struct Source {
    name: Arc<str>,
    bytes: Bytes,
    buffer: Vec<u8>,
    /// How much of the buffer is text.
    filled: usize,
    /// How much of it was given out.
    used: usize,
    /// The offset of the buffer's first byte in the text.
    position: u64,
    /// Lines that start here or later belong to the next unit.
    until: u64,
    max_line_bytes: usize,
    /// The rest of a line is to be skipped: a line too long, or one that belongs to the unit before.
    skips_line: bool,
    is_at_end: bool,
}

impl Source {
    /// The lines of a plain object that start in a span of it. The first line is left out: it is the header, or belongs to
    /// the unit before.
    pub(super) fn plain(name: &Arc<str>, object: Arc<dyn Object>, from: u64, until: u64, limits: &Limits) -> Self {
        // A line that starts exactly at `from` is this unit's: the byte before it is the line end to skip to.
        let offset = from.saturating_sub(1);
        Self::new(name, Bytes::Plain { object, offset }, Vec::new(), offset, until, limits)
    }

    /// All lines of a gzip object but the header.
    pub(super) fn gzip(name: &Arc<str>, object: Arc<dyn Object>, limits: &Limits) -> Self {
        let inflate = Inflate::new(name, object, limits);
        Self::new(name, Bytes::Gzip(Box::new(inflate)), Vec::new(), 0, u64::MAX, limits)
    }

    /// All lines of text but the header.
    pub(super) fn whole(name: &Arc<str>, text: Vec<u8>, limits: &Limits) -> Self {
        Self::new(name, Bytes::Whole, text, 0, u64::MAX, limits)
    }

    fn new(name: &Arc<str>, bytes: Bytes, buffer: Vec<u8>, position: u64, until: u64, limits: &Limits) -> Self {
        Self {
            name: Arc::clone(name),
            bytes,
            filled: buffer.len(),
            buffer,
            used: 0,
            position,
            until,
            max_line_bytes: limits.max_line_bytes,
            skips_line: true,
            is_at_end: false,
        }
    }

    /// The next lines; `None` at the end.
    pub(super) fn next_block(&mut self) -> Result<Option<Block<'_>>, Error> {
        loop {
            let mut from = self.used;
            let unused = self.buffer.get(from..self.filled).unwrap_or_default();
            let to = match memchr::memrchr(b'\n', unused) {
                Some(at) => from + at + 1,
                // The last line of the object may lack its line end.
                None if self.is_at_end => from + unused.len(),
                None => from,
            };
            if self.skips_line && to > from {
                let lines = self.buffer.get(from..to).unwrap_or_default();
                from = memchr::memchr(b'\n', lines).map_or(to, |at| from + at + 1);
                self.skips_line = false;
                self.used = from;
            }
            let position = self.position + from as u64;
            let from_until = self.until.saturating_sub(position);
            if from_until == 0 {
                return Ok(None);
            }
            if to > from {
                let mut to = to;
                if ((to - from) as u64) > from_until {
                    // The last line of this unit starts before `until` and may end after it.
                    let last = from + from_until as usize - 1;
                    let rest = self.buffer.get(last..to).unwrap_or_default();
                    to = memchr::memchr(b'\n', rest).map_or(to, |at| last + at + 1);
                }
                self.used = to;
                let lines = self.buffer.get(from..to).unwrap_or_default();
                return Ok(Some(Block { lines, position, long_line: None }));
            }
            if self.is_at_end {
                return Ok(None);
            }
            if self.skips_line {
                self.used = self.filled;
            } else if self.filled - from > self.max_line_bytes {
                self.skips_line = true;
                self.used = self.filled;
                let lines = self.buffer.get(from..self.filled).unwrap_or_default();
                return Ok(Some(Block { lines, position, long_line: Some(position) }));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.position += self.used as u64;
        self.used = 0;
        let n = match &mut self.bytes {
            Bytes::Whole => 0,
            Bytes::Gzip(inflate) => {
                let end = self.filled + BLOCK_BYTES;
                self.buffer.resize(self.buffer.len().max(end), 0);
                inflate.read(self.buffer.get_mut(self.filled..end).unwrap_or_default())?
            }
            Bytes::Plain { object, offset } => {
                let n = object.size().saturating_sub(*offset).min(RANGE_BYTES as u64) as usize;
                let read = object.read_at(*offset, n);
                let read = read.map_err(|source| Error::Io { object: Arc::clone(&self.name), source })?;
                self.buffer.truncate(self.filled);
                self.buffer.extend_from_slice(&read);
                *offset += read.len() as u64;
                read.len()
            }
        };
        self.filled += n;
        self.is_at_end = n == 0;
        Ok(())
    }
}
