//! Bytes out of gzip: capped, whole when small, streamed when large.
//!
//! Where it sits: between a door's object and `text` or `parquet`.
//! What it does not do: it never truncates silently; a cap, a cut and garbage are errors.

use std::io::{BufRead, Read};
use std::sync::Arc;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use libdeflater::Decompressor;

use crate::read::{Error, Limits, Object};

/// What every gzip member starts with: the magic, and deflate as the method.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// How much of an object is read at a time. S3 answers a range of this size in tens of milliseconds, and two of them
/// are far below every memory goal.
pub(super) const RANGE_BYTES: usize = 1 << 20;

/// The largest object inflated whole. Below, `libdeflate` is about twice as fast as streaming; above, the memory goal
/// counts for more.
const MAX_WHOLE_BYTES: u64 = 32 << 20;

/// Small objects may inflate at any ratio: a few rows of one repeated interface compress without bound.
const RATIO_FREE_BYTES: u64 = 16 << 20;

/// An object read from one end to the other.
pub(super) struct Sequential {
    object: Arc<dyn Object>,
    offset: u64,
    range: Bytes,
}

impl Sequential {
    pub(super) fn new(object: Arc<dyn Object>) -> Self {
        Self { object, offset: 0, range: Bytes::new() }
    }

    /// Skips zeros; gives whether anything follows.
    fn skip_zeros(&mut self) -> std::io::Result<bool> {
        loop {
            let bytes = self.fill_buf()?;
            let n_zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let (is_end, is_more) = (bytes.is_empty(), n_zeros < bytes.len());
            self.consume(n_zeros);
            if is_end || is_more {
                return Ok(is_more);
            }
        }
    }
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut from = self.fill_buf()?;
        let n = from.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Sequential {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.range.is_empty() {
            let left = self.object.size().saturating_sub(self.offset);
            let n = left.min(RANGE_BYTES as u64) as usize;
            if n > 0 {
                self.range = self.object.read_at(self.offset, n)?;
                self.offset += self.range.len() as u64;
            }
        }
        Ok(&self.range)
    }

    fn consume(&mut self, n: usize) {
        let n = n.min(self.range.len());
        bytes::Buf::advance(&mut self.range, n);
    }
}

/// An object being inflated.
pub(super) struct Inflate {
    name: Arc<str>,
    /// The member being inflated; `None` after the last one.
    member: Option<GzDecoder<Sequential>>,
    compressed_bytes: u64,
    inflated_bytes: u64,
    limit_bytes: u64,
}

impl Inflate {
    /// Starts at the object's beginning; more than `limits` allow will be an error.
    pub(super) fn new(name: &Arc<str>, object: Arc<dyn Object>, limits: &Limits) -> Self {
        let compressed_bytes = object.size();
        let limit_bytes = limit_bytes(compressed_bytes, limits);
        let member = Some(GzDecoder::new(Sequential::new(object)));
        Self { name: Arc::clone(name), member, compressed_bytes, inflated_bytes: 0, limit_bytes }
    }

    /// Reads the next bytes until `into` is full; less than that only at the end.
    ///
    /// # Errors
    /// [`Error::CutOff`], [`Error::Corrupt`], [`Error::Bomb`], [`Error::Io`].
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let mut n = 0;
        while let Some(rest) = into.get_mut(n..).filter(|rest| !rest.is_empty()) {
            let Some(member) = &mut self.member else { break };
            match member.read(rest) {
                Ok(0) => self.next_member().map_err(|source| self.explain(source))?,
                Ok(read) => n += read,
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.explain(source)),
            }
        }
        self.inflated_bytes += n as u64;
        if self.inflated_bytes > self.limit_bytes {
            return Err(self.bomb());
        }
        Ok(n)
    }

    /// Appends the next bytes, at most `n`; appends nothing only at the end.
    ///
    /// # Errors
    /// As [`Inflate::read`].
    pub(super) fn append(&mut self, into: &mut Vec<u8>, n: usize) -> Result<usize, Error> {
        let before = into.len();
        into.resize(before + n, 0);
        let n = self.read(into.get_mut(before..).unwrap_or_default())?;
        into.truncate(before + n);
        Ok(n)
    }

    /// Goes on to the next member. Zeros between members and after them are padding, as they are to gzip.
    fn next_member(&mut self) -> std::io::Result<()> {
        let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { return Ok(()) };
        self.member = rest.skip_zeros()?.then(|| GzDecoder::new(rest));
        Ok(())
    }

    fn bomb(&self) -> Error {
        Error::Bomb {
            object: Arc::clone(&self.name),
            compressed_bytes: self.compressed_bytes,
            limit_bytes: self.limit_bytes,
        }
    }

    fn explain(&self, source: std::io::Error) -> Error {
        let object = Arc::clone(&self.name);
        match source.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::CutOff { object, format: "gzip" },
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                Error::Corrupt { object, format: "gzip", what: source.to_string() }
            }
            _ => Error::Io { object, source },
        }
    }
}

/// What an object of this size may inflate to.
fn limit_bytes(compressed_bytes: u64, limits: &Limits) -> u64 {
    let by_ratio = compressed_bytes.saturating_mul(limits.max_inflated_ratio).max(RATIO_FREE_BYTES);
    by_ratio.min(limits.max_inflated_bytes)
}

/// Inflates a small object of one gzip member in one go; `None` says that streaming must do it (and find the error, if
/// there is one).
pub(super) fn inflate_whole(name: &Arc<str>, object: &dyn Object, limits: &Limits) -> Result<Option<Vec<u8>>, Error> {
    let size = object.size();
    let io = |source| Error::Io { object: Arc::clone(name), source };
    if size > MAX_WHOLE_BYTES {
        return Ok(None);
    }
    let tail = object.read_at(size.saturating_sub(8), size.min(8) as usize).map_err(io)?;
    let Some((crc, n_inflated)) = tail
        .split_first_chunk::<4>()
        .and_then(|(crc, rest)| Some((u32::from_le_bytes(*crc), u32::from_le_bytes(*rest.first_chunk::<4>()?))))
    else {
        return Ok(None);
    };
    if u64::from(n_inflated) > MAX_WHOLE_BYTES.min(limit_bytes(size, limits)) {
        return Ok(None);
    }
    let gzip = object.read_at(0, size as usize).map_err(io)?;
    // A second member would be silently left out below, so whatever could start one goes the streaming way. Its fourth
    // byte has none of the bits that RFC 1952 reserves.
    let after = gzip.get(1..).unwrap_or_default();
    let is_start = |at: usize| after.get(at + MAGIC.len()).is_some_and(|flags| flags & 0xe0 == 0);
    if memchr::memmem::find_iter(after, &MAGIC).any(is_start) {
        return Ok(None);
    }
    let mut inflated = vec![0; n_inflated as usize];
    let whole = Decompressor::new().gzip_decompress(&gzip, &mut inflated) == Ok(inflated.len());
    Ok((whole && libdeflater::crc32(&inflated) == crc).then_some(inflated))
}

/// Inflates an object that has to be held as a whole, up to the limits.
pub(super) fn inflate_all(name: &Arc<str>, object: Arc<dyn Object>, limits: &Limits) -> Result<Vec<u8>, Error> {
    if let Some(whole) = inflate_whole(name, &*object, limits)? {
        return Ok(whole);
    }
    let mut inflate = Inflate::new(name, object, limits);
    let mut inflated = Vec::new();
    while inflate.append(&mut inflated, RANGE_BYTES)? > 0 {}
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use libdeflater::{CompressionLvl, Compressor};

    use super::*;
    use crate::read::InMemory;

    #[test]
    fn only_what_can_start_a_member_is_taken_for_one() {
        let whole = |text: &[u8]| {
            let mut gzip = vec![0; text.len() + 100];
            // Stored as it is.
            let level = CompressionLvl::new(0).unwrap();
            let n = Compressor::new(level).gzip_compress(text, &mut gzip).unwrap();
            gzip.truncate(n);
            inflate_whole(&"o".into(), &InMemory::new("o", gzip), &Limits::DEFAULT).unwrap()
        };
        let text = |flags| [&MAGIC[..], &[flags], b" eni-1"].concat();
        assert_eq!(whole(&text(0x20)), Some(text(0x20)));
        assert_eq!(whole(&text(0x08)), None);
    }
}
