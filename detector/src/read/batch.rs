//! Columns on their way into a batch: what both formats fill, drop rows from, and turn into Arrow arrays.
//!
//! Where it sits: after `text` and `parquet`; gives a [`FlowBatch`].
//! What it does not do: it parses nothing.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::ArrowError;
use wide::i32x4;

use crate::flow::{self, ACCEPT, ADDRESS_BYTES, Field, FlowBatch, SchemaError};

/// The code of a null row until the column becomes an array.
pub(super) const NULL: i32 = -1;

/// One column being filled.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// Dictionary codes, [`NULL`] where a row is null.
    Codes {
        /// One per row.
        codes: Vec<i32>,
        /// Whether there may be nulls among them. Saying no saves a pass.
        has_nulls: bool,
        /// What they point into; never empty.
        values: ArrayRef,
    },
    U8(Vec<u8>),
    U16(Vec<u16>),
    U64(Vec<u64>),
    I64(Vec<i64>),
}

impl Column {
    /// Keeps the rows whose mark is 0.
    pub(super) fn keep_unmarked(&mut self, marks: &[u8]) {
        fn keep<T>(values: &mut Vec<T>, marks: &[u8]) {
            let mut marks = marks.iter();
            values.retain(|_| marks.next() == Some(&0));
        }
        match self {
            Self::Codes { codes, .. } => keep(codes, marks),
            Self::U8(values) => keep(values, marks),
            Self::U16(values) => keep(values, marks),
            Self::U64(values) => keep(values, marks),
            Self::I64(values) => keep(values, marks),
        }
    }

    fn finish(self) -> flow::Column {
        match self {
            Self::Codes { mut codes, has_nulls, values } => {
                let nulls = has_nulls.then(|| {
                    let words = codes.chunks(64).map(|codes| (!signs(codes)).to_le());
                    let bits = Buffer::from_vec(words.collect::<Vec<u64>>());
                    let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, codes.len()));
                    for code in &mut codes {
                        *code = (*code).max(0);
                    }
                    nulls
                });
                let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
                flow::Column::Codes { codes: codes.into(), nulls, values }
            }
            Self::U8(values) => flow::Column::U8(values.into()),
            Self::U16(values) => flow::Column::U16(values.into()),
            Self::U64(values) => flow::Column::U64(values.into()),
            Self::I64(values) => flow::Column::I64(values.into()),
        }
    }
}

/// The signs of up to 64 codes, bit by bit.
fn signs(codes: &[i32]) -> u64 {
    let (fours, rest) = codes.as_chunks::<4>();
    let of_rest = rest.iter().rev().fold(0, |bits, code| bits << 1 | u64::from(*code < 0));
    let with = |bits, four: &[i32; 4]| bits << 4 | u64::from(i32x4::from(*four).to_bitmask());
    fours.iter().rev().fold(of_rest, with)
}

/// The field whose column another field's may repeat: a log writes an interface's own addresses twice, on the wire and
/// as those of the packet, and they differ only behind middleboxes.
pub(super) fn original(field: Field) -> Option<Field> {
    match field {
        Field::PktSrc => Some(Field::Src),
        Field::PktDst => Some(Field::Dst),
        _ => None,
    }
}

/// Takes out the columns that repeat their original's, code by code of the same dictionary; gives both fields of each.
pub(super) fn take_twins(columns: &mut Vec<(Field, Column)>) -> Vec<(Field, Field)> {
    let repeats = |field: Field, column: &Column| {
        let original = original(field)?;
        let (_, of_original) = columns.iter().find(|(other, _)| *other == original)?;
        let is_same = match (column, of_original) {
            (Column::Codes { codes, values, .. }, Column::Codes { codes: others, values: other, .. }) => {
                codes == others && Arc::ptr_eq(values, other)
            }
            _ => false,
        };
        is_same.then_some((field, original))
    };
    let twins: Vec<_> = columns.iter().filter_map(|(field, column)| repeats(*field, column)).collect();
    columns.retain(|(field, _)| !twins.iter().any(|(twin, _)| twin == field));
    twins
}

/// A dictionary of addresses; `::` stands in when there is none, so that every code points somewhere.
pub(super) fn address_values(addresses: &[[u8; ADDRESS_BYTES]]) -> Result<ArrayRef, ArrowError> {
    let bytes = if addresses.is_empty() { vec![0; ADDRESS_BYTES] } else { addresses.as_flattened().to_vec() };
    Ok(Arc::new(FixedSizeBinaryArray::try_new(ADDRESS_BYTES as i32, Buffer::from_vec(bytes), None)?))
}

/// A dictionary of text, given as all texts one after the other and the end of each; the empty text stands in when
/// there is none.
pub(super) fn text_values(bytes: &[u8], ends: &[u32]) -> Result<ArrayRef, ArrowError> {
    let ends = if ends.is_empty() { &[0] } else { ends };
    let offsets: Vec<i32> = std::iter::once(0).chain(ends.iter().map(|end| *end as i32)).collect();
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_slice_ref(bytes), None)?))
}

/// Makes the batch, `end` and `action` made up where the object lacks them. `twins` are fields whose column is
/// another's.
pub(super) fn finish(
    n_rows: usize,
    columns: Vec<(Field, Column)>,
    twins: &[(Field, Field)],
) -> Result<FlowBatch, SchemaError> {
    let mut finished = [const { None }; Field::COUNT];
    for (field, column) in columns {
        if let Some(to) = finished.get_mut(field as usize) {
            *to = Some(column.finish());
        }
    }
    for &(field, original) in twins {
        let column = finished.get(original as usize).cloned().flatten();
        if let Some(to) = finished.get_mut(field as usize) {
            *to = column;
        }
    }
    let [.., start, end, action] = finished.get_mut(..=Field::Action as usize).unwrap_or_default() else {
        return Err(SchemaError::MissingColumn { column: Field::Start.column() });
    };
    if end.is_none() {
        end.clone_from(start);
    }
    if action.is_none() {
        *action = Some(flow::Column::U8(vec![ACCEPT; n_rows].into()));
    }
    FlowBatch::from_columns(n_rows, finished)
}

#[cfg(test)]
mod tests {
    use super::signs;

    #[test]
    fn a_sign_is_a_bit_however_many_there_are() {
        for n in 0..=64 {
            let codes: Vec<i32> = (0..n).map(|at| if at % 3 == 0 || at == 62 { -1 } else { at }).collect();
            for (at, code) in codes.iter().enumerate() {
                assert_eq!(signs(&codes) >> at & 1 == 1, *code < 0, "{at} of {n}");
            }
        }
    }
}
