//! One column chunk being read: rows come out in order, as the type the batch wants.
//!
//! Where it sits: under `parquet`, one for each column of a unit.
//! What it does not do: it knows no other column.

use crate::flow::Field;
use crate::read::batch::Column;
use crate::read::parquet::arrow::ArrowChunk;
use crate::read::parquet::marks::Marks;
use crate::read::parquet::{Fault, File, Unit};

/// A column chunk, at some row.
pub(super) enum Chunk {
    /// Decoded by the `parquet` crate.
    Arrow(ArrowChunk),
}

impl Chunk {
    /// Goes to the first row of the unit.
    pub(super) fn open(file: &File, unit: Unit, at: usize) -> Result<Self, Fault> {
        Ok(Self::Arrow(ArrowChunk::open(file, unit, at)?))
    }

    /// The next rows' log status.
    pub(super) fn status(&mut self, n_rows: usize, marks: &mut Marks<'_>) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Arrow(chunk) => chunk.status(n_rows, marks),
        }
    }

    /// The next rows of a field's column.
    pub(super) fn column(&mut self, field: Field, n_rows: usize, marks: &mut Marks<'_>) -> Result<Column, Fault> {
        match self {
            Self::Arrow(chunk) => chunk.column(field, n_rows, marks),
        }
    }
}
