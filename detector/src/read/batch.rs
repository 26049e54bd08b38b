//! Columns on their way into a batch: what both formats fill, drop rows from, and turn into Arrow arrays.
//!
//! Where it sits: after `text` and `parquet`; gives a [`FlowBatch`].
//! What it does not do: it parses nothing.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int64Array, PrimitiveArray, RecordBatch, StringArray, UInt8Array,
    UInt16Array, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, Field as ArrowField, Schema, SchemaRef};

use crate::flow::{ACCEPT, ADDRESS_BYTES, Field, FlowBatch};
use crate::read::field::Places;

/// The code of a null row until the column becomes an array.
pub(super) const NULL: i32 = -1;

/// One column being filled.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// Dictionary codes, [`NULL`] where a row is null.
    Codes {
        /// One per row.
        codes: Vec<i32>,
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

    fn into_array(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Codes { codes, values } => Arc::new(dictionary(codes, values)?),
            Self::U8(values) => Arc::new(UInt8Array::from(values)),
            Self::U16(values) => Arc::new(UInt16Array::from(values)),
            Self::U64(values) => Arc::new(UInt64Array::from(values)),
            Self::I64(values) => Arc::new(Int64Array::from(values)),
        })
    }
}

fn dictionary(mut codes: Vec<i32>, values: ArrayRef) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    // One pass that vectorises: most columns have no null, and this is all they pay.
    let lowest = codes.iter().copied().fold(0, i32::min);
    let nulls = (lowest < 0).then(|| {
        let nulls = NullBuffer::new(codes.iter().map(|code| *code >= 0).collect::<BooleanBuffer>());
        for code in &mut codes {
            *code = (*code).max(0);
        }
        nulls
    });
    DictionaryArray::try_new(PrimitiveArray::try_new(codes.into(), nulls)?, values)
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

/// The columns the batches of one object have.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    schema: SchemaRef,
}

impl Shape {
    /// The shape for an object with its fields at these places.
    pub(super) fn new(places: &Places) -> Self {
        let fields: Vec<_> = places
            .in_batch()
            .map(|field| ArrowField::new(field.column(), field.data_type(), field.is_nullable()))
            .collect();
        Self { schema: Arc::new(Schema::new(fields)) }
    }

    /// Makes the batch from columns in the order of [`Field::ALL`], `end` and `action` made up where the object lacks
    /// them.
    pub(super) fn batch(&self, n_rows: usize, columns: Vec<(Field, Column)>) -> Result<FlowBatch, ArrowError> {
        let mut arrays: Vec<(Field, ArrayRef)> = Vec::with_capacity(Field::COUNT);
        for (field, column) in columns {
            arrays.push((field, column.into_array()?));
        }
        let has = |arrays: &[(Field, ArrayRef)], field| arrays.iter().any(|(other, _)| *other == field);
        if !has(&arrays, Field::End) {
            let start = arrays.iter().find(|(field, _)| *field == Field::Start).map(|(_, start)| Arc::clone(start));
            arrays.extend(start.map(|start| (Field::End, start)));
        }
        if !has(&arrays, Field::Action) {
            arrays.push((Field::Action, Arc::new(UInt8Array::from(vec![ACCEPT; n_rows]))));
        }
        arrays.sort_by_key(|(field, _)| *field);
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        FlowBatch::try_new(batch).map_err(|error| ArrowError::SchemaError(error.to_string()))
    }
}
