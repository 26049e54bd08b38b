//! The pages of one column chunk, one after the other: read by ranges, inflated into one buffer that is used again.
//!
//! Where it sits: between the object and `page`.
//! What it does not do: it never holds more of a chunk than a range and a page.

use std::io::Read;
use std::sync::Arc;

use ::parquet::basic::CompressionCodec;
use ::parquet::file::metadata::ColumnChunkMetaData;
use baselines::thrift::Stop;
use bytes::{Buf, Bytes, BytesMut};
use libdeflater::Decompressor;

use crate::read::Object;
use crate::read::gzip::RANGE_BYTES;
use crate::read::parquet::Fault;
use crate::read::parquet::header::{self, Header, Kind};
use crate::read::parquet::room::{Room, Share};

/// Deflate cannot do better than 1032 to 1: a page that claims more is corrupt, and needs no memory to find out.
const MAX_DEFLATE_RATIO: usize = 1032;

/// What an entry of a dictionary takes at most, beside its text: it is kept in its converted form.
const ENTRY_BYTES: usize = 48;

/// How the pages of a chunk are compressed.
enum Codec {
    None,
    Gzip(Decompressor),
    Snappy(snap::raw::Decoder),
    Zstd(zstd::bulk::Decompressor<'static>),
}

/// The pages of one column chunk.
pub(super) struct Pages {
    object: Arc<dyn Object>,
    /// The next byte to fetch, and the chunk's end.
    offset: u64,
    end: u64,
    /// Fetched and not used yet.
    range: Bytes,
    codec: Codec,
    /// What a page takes, and what the dictionary does.
    page: Share,
    dictionary: Share,
}

impl Pages {
    /// Goes to the first page of a chunk.
    pub(super) fn open(object: &Arc<dyn Object>, chunk: &ColumnChunkMetaData, room: &Room) -> Result<Self, Fault> {
        let codec = match chunk.compression_codec() {
            CompressionCodec::UNCOMPRESSED => Codec::None,
            CompressionCodec::GZIP => Codec::Gzip(Decompressor::new()),
            CompressionCodec::SNAPPY => Codec::Snappy(snap::raw::Decoder::new()),
            CompressionCodec::ZSTD => Codec::Zstd(zstd::bulk::Decompressor::new()?),
            other => return Err(Fault::Unsupported(format!("Parquet compressed with {other:?}"))),
        };
        // Some writers say 0 where there is no dictionary.
        let start = chunk.dictionary_page_offset().filter(|start| *start > 0).unwrap_or(chunk.data_page_offset());
        let (start, size) = (u64::try_from(start), u64::try_from(chunk.compressed_size()));
        let (Ok(offset), Ok(size)) = (start, size) else {
            return Err(Fault::Corrupt("a column chunk has no place".to_owned()));
        };
        let end = offset.saturating_add(size);
        if end > object.size() {
            return Err(Fault::Corrupt("a column chunk reaches past the end of the object".to_owned()));
        }
        let (page, dictionary) = (room.share(), room.share());
        Ok(Self { object: Arc::clone(object), offset, end, range: Bytes::new(), codec, page, dictionary })
    }

    /// The next page's header; `None` at the chunk's end. Its body has to be taken or skipped.
    pub(super) fn header(&mut self) -> Result<Option<Header>, Fault> {
        loop {
            if self.range.is_empty() && self.offset == self.end {
                return Ok(None);
            }
            match header::parse(&self.range) {
                Ok(header) => {
                    let n_bytes = header.stored_bytes.saturating_add(header.inflated_bytes);
                    match header.kind {
                        Kind::Dictionary => {
                            let n_kept = header.n_values.saturating_mul(ENTRY_BYTES);
                            self.dictionary.reach(n_bytes.saturating_add(n_kept))?;
                        }
                        Kind::DataV1 { .. } | Kind::DataV2 { .. } => self.page.reach(n_bytes)?,
                        // Skipped.
                        Kind::Other => {}
                    }
                    self.range.advance(header.own_bytes);
                    return Ok(Some(header));
                }
                Err(Stop::NeedsMore) if self.offset < self.end => {
                    let more = self.fetch(RANGE_BYTES)?;
                    self.range = joined(&self.range, more);
                }
                Err(_) => return Err(Fault::Corrupt("a page header is damaged".to_owned())),
            }
        }
    }

    /// Sees to it that there is room for a page that was rewritten to so many bytes.
    pub(super) fn holds(&mut self, n_bytes: usize) -> Result<(), Fault> {
        self.page.reach(n_bytes)
    }

    /// Leaves a page's body out.
    pub(super) fn skip(&mut self, header: &Header) -> Result<(), Fault> {
        let n = header.stored_bytes;
        if n <= self.range.len() {
            self.range.advance(n);
            return Ok(());
        }
        let n_unfetched = (n - self.range.len()) as u64;
        if n_unfetched > self.end - self.offset {
            return Err(ends_early());
        }
        self.offset += n_unfetched;
        self.range = Bytes::new();
        Ok(())
    }

    /// Takes a page's body and inflates it into the buffer, whose old content goes. Gives the body as it is stored.
    pub(super) fn take(&mut self, header: &Header, into: &mut Vec<u8>) -> Result<Bytes, Fault> {
        let stored = self.stored(header.stored_bytes)?;
        if header.checksum.is_some_and(|checksum| libdeflater::crc32(&stored) != checksum) {
            return Err(Fault::Corrupt("a page does not match its checksum".to_owned()));
        }
        let (plain_bytes, is_compressed) = match header.kind {
            Kind::DataV2 { level_bytes, repetition_bytes, is_compressed, .. } => {
                let n = usize::try_from(level_bytes).ok().zip(usize::try_from(repetition_bytes).ok());
                (n.map_or(usize::MAX, |(levels, repetitions)| levels.saturating_add(repetitions)), is_compressed)
            }
            _ => (0, true),
        };
        let Some((plain, packed)) = stored.split_at_checked(plain_bytes) else { return Err(ends_early()) };
        let n_inflated = header.inflated_bytes.checked_sub(plain_bytes).ok_or_else(ends_early)?;
        if matches!(self.codec, Codec::None) || !is_compressed {
            into.clear();
            into.extend_from_slice(&stored);
            return if into.len() == header.inflated_bytes { Ok(stored) } else { Err(ends_early()) };
        }
        if matches!(self.codec, Codec::Gzip(_)) && n_inflated > packed.len().saturating_mul(MAX_DEFLATE_RATIO) {
            return Err(broken("gzip"));
        }
        // What is there is overwritten, so that only what grows has to be cleared.
        into.resize(header.inflated_bytes, 0);
        let Some((levels, to)) = into.split_at_mut_checked(plain_bytes) else { return Err(ends_early()) };
        levels.copy_from_slice(plain);
        match &mut self.codec {
            // A page of nulls only may have no data at all.
            Codec::Snappy(_) | Codec::Zstd(_) if n_inflated == 0 => {}
            Codec::None => {}
            Codec::Gzip(decompressor) => {
                if decompressor.gzip_decompress(packed, to) != Ok(n_inflated) {
                    // Several gzip members in a page are legal and very rare.
                    let mut stream = flate2::read::MultiGzDecoder::new(packed);
                    stream.read_exact(to).map_err(|_| broken("gzip"))?;
                    // The checksum is looked at where the stream ends.
                    if !matches!(stream.read(&mut [0]), Ok(0)) {
                        return Err(broken("gzip"));
                    }
                }
            }
            Codec::Snappy(decoder) => {
                if snap::raw::decompress_len(packed).ok() != Some(n_inflated) {
                    return Err(broken("snappy"));
                }
                decoder.decompress(packed, to).map_err(|_| broken("snappy"))?;
            }
            Codec::Zstd(decompressor) => {
                let n = decompressor.decompress_to_buffer(packed, to).map_err(|_| broken("zstd"))?;
                if n != n_inflated {
                    return Err(broken("zstd"));
                }
            }
        }
        Ok(stored)
    }

    /// A page's body as it is stored, without copying unless it lies across two ranges.
    pub(super) fn stored(&mut self, n: usize) -> Result<Bytes, Fault> {
        if let Some(n_missing) = n.checked_sub(self.range.len()).filter(|missing| *missing > 0) {
            if n_missing as u64 > self.end - self.offset {
                return Err(ends_early());
            }
            let mut more = self.fetch(RANGE_BYTES.max(n_missing))?;
            if more.len() < n_missing {
                return Err(ends_early());
            }
            let stored = joined(&self.range, more.split_to(n_missing));
            self.range = more;
            return Ok(stored);
        }
        Ok(self.range.split_to(n))
    }

    fn fetch(&mut self, n: usize) -> Result<Bytes, Fault> {
        let n = (self.end - self.offset).min(n as u64);
        let bytes = self.object.read_at(self.offset, n as usize)?;
        if bytes.is_empty() {
            return Err(Fault::CutOff);
        }
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}

fn joined(first: &Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(first);
    both.extend_from_slice(&second);
    both.freeze()
}

fn ends_early() -> Fault {
    Fault::Corrupt("a column chunk ends early".to_owned())
}

fn broken(codec: &str) -> Fault {
    Fault::Corrupt(format!("a page is no {codec} data of the size it claims"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::InMemory;

    #[test]
    fn a_page_is_held_to_its_checksum() {
        let body = b"what a page says";
        let take = |checksum| {
            let object: Arc<dyn Object> = Arc::new(InMemory::new("o", &body[..]));
            let mut pages = Pages {
                object,
                offset: 0,
                end: body.len() as u64,
                range: Bytes::new(),
                codec: Codec::None,
                page: Room::new(1 << 20).share(),
                dictionary: Room::new(0).share(),
            };
            let header = Header {
                kind: Kind::DataV1 { level_encoding: 3 },
                n_values: 1,
                encoding: 0,
                inflated_bytes: body.len(),
                stored_bytes: body.len(),
                checksum,
                own_bytes: 0,
            };
            pages.take(&header, &mut Vec::new()).is_ok()
        };
        // CRC-32 as zlib computes it.
        assert_eq!([None, Some(0xd25f_8cea), Some(0xd25f_8ceb)].map(take), [true, true, false]);
    }
}
