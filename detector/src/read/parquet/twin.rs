//! Twins: column chunks that hold the same bytes, of which one is read.
//!
//! Where it sits: beside `chunk`. Pages that are equal as they are stored are not inflated twice: see
//! [`crate::read::batch::original`].
//! What it does not do: it decodes nothing; where two chunks differ, the second has a reader of its own from there on.

use ::parquet::file::metadata::ColumnChunkMetaData;
use bytes::Bytes;

use crate::read::parquet::chunk::physical;
use crate::read::parquet::header::Header;
use crate::read::parquet::pages::Pages;
use crate::read::parquet::room::Room;
use crate::read::parquet::{File, Unit};

/// A page a column went through: its header, and its body as it is stored unless nothing of it was needed.
pub(super) struct Passed {
    pub(super) header: Header,
    pub(super) stored: Option<Bytes>,
}

/// A column chunk that has been the same as another one so far, byte for byte.
pub(super) struct Twin(Pages);

impl Twin {
    /// Goes to a chunk's first page, if it may be the same as the other one.
    pub(super) fn open(file: &File, unit: Unit, at: usize, other: usize, room: &Room) -> Option<Self> {
        let group = file.metadata.row_group(unit.row_group);
        let (chunk, other) = (group.column(at), group.column(other));
        let stored = |chunk: &ColumnChunkMetaData| {
            let levels = chunk.column_descr().max_def_level();
            (physical(chunk), levels, chunk.compression_codec(), chunk.compressed_size(), chunk.uncompressed_size())
        };
        let pages = (stored(chunk) == stored(other)).then(|| Pages::open(&file.object, chunk, room));
        pages?.ok().map(Self)
    }

    /// Goes on past the same pages as the other chunk; false where they differ or cannot be read, which is then for the
    /// chunk's own reader to say.
    pub(super) fn passes(&mut self, pages: &[Passed]) -> bool {
        pages.iter().all(|Passed { header, stored }| {
            matches!(self.0.header(), Ok(Some(own)) if own == *header)
                && match stored {
                    Some(stored) => self.0.stored(stored.len()).is_ok_and(|own| own == *stored),
                    None => self.0.skip(header).is_ok(),
                }
        })
    }
}
