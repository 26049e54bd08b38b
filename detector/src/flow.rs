//! Flow records: the batch of columns every stage after `read` works on.
//!
//! Where it sits: a noun on the lowest floor. `read` builds batches, `rollup` takes them.
//! What it does not do: it knows no file format, and it never holds a record that is not traffic (`NODATA`, `SKIPDATA`)
//! or that failed validation.

mod field;

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, FixedSizeBinaryArray, StringArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

pub use self::field::{Field, Layout};

/// The width of an address: IPv6 form, IPv4 as `::ffff:a.b.c.d`.
pub const ADDRESS_BYTES: usize = 16;

/// `action` of a flow the security groups and network ACLs let through.
pub const ACCEPT: u8 = 0;
/// `action` of a flow that was refused.
pub const REJECT: u8 = 1;

/// `direction` of a record that does not say.
pub const DIRECTION_UNKNOWN: u8 = 0;
/// `direction` of traffic towards the interface.
pub const INGRESS: u8 = 1;
/// `direction` of traffic sent by the interface.
pub const EGRESS: u8 = 2;

/// Why columns are no [`FlowBatch`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// A column every batch has is absent.
    #[error("column `{column}` is missing")]
    MissingColumn {
        /// Its name.
        column: &'static str,
    },
    /// A column has another type than declared.
    #[error("column `{column}` is {found}; it must be {expected}")]
    WrongType {
        /// Its name.
        column: &'static str,
        /// The type it has.
        found: Box<DataType>,
        /// The type it must have.
        expected: Box<DataType>,
    },
    /// A column that is never null holds nulls, or a dictionary has a null entry (nulls belong to the codes).
    #[error("column `{column}` holds nulls; it must not")]
    HasNulls {
        /// Its name.
        column: &'static str,
    },
    /// A column has more or fewer rows than the others.
    #[error("column `{column}` has {found} rows; the batch has {expected}")]
    WrongLength {
        /// Its name.
        column: &'static str,
        /// The rows it has.
        found: usize,
        /// The rows it must have.
        expected: usize,
    },
    /// A code points past its dictionary's end.
    #[error("column `{column}` has a code past the end of its dictionary")]
    WrongCode {
        /// Its name.
        column: &'static str,
    },
}

/// A column of a batch, in the layout its field declares.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Codes {
        /// One per row; any entry's where the row is null.
        codes: ScalarBuffer<i32>,
        nulls: Option<NullBuffer>,
        /// Strings or addresses; never empty when there are rows.
        values: ArrayRef,
    },
    U8(ScalarBuffer<u8>),
    U16(ScalarBuffer<u16>),
    U64(ScalarBuffer<u64>),
    I64(ScalarBuffer<i64>),
}

impl Column {
    fn check(&self, field: Field, n_rows: usize) -> Result<(), SchemaError> {
        let column = field.column();
        let (layout, found) = match self {
            Self::Codes { codes, nulls, values } => {
                let layout = if *values.data_type() == DataType::Utf8 { Layout::Text } else { Layout::Address };
                if values.null_count() > 0 || (nulls.is_some() && !field.is_nullable()) {
                    return Err(SchemaError::HasNulls { column });
                }
                if n_rows > 0 && !are_below(codes, values.len()) {
                    return Err(SchemaError::WrongCode { column });
                }
                (layout, codes.len())
            }
            Self::U8(values) => (Layout::U8, values.len()),
            Self::U16(values) => (Layout::U16, values.len()),
            Self::U64(values) => (Layout::U64, values.len()),
            Self::I64(values) => (Layout::I64, values.len()),
        };
        if layout != field.layout() {
            let [found, expected] = [layout.data_type(), field.data_type()].map(Box::new);
            return Err(SchemaError::WrongType { column, found, expected });
        }
        if found != n_rows {
            return Err(SchemaError::WrongLength { column, found, expected: n_rows });
        }
        Ok(())
    }
}

/// Whether all codes point into a dictionary of so many entries.
///
/// Arrow's own check of a dictionary array goes row by row and would cost a tenth of reading; this one vectorises.
fn are_below(codes: &[i32], n_entries: usize) -> bool {
    let Ok(n_entries) = i32::try_from(n_entries) else { return codes.iter().all(|code| *code >= 0) };
    // The sign of a code below 0, or of what is left above one too high.
    let signs = codes.iter().fold(0, |signs, code| signs | code | (n_entries - 1).wrapping_sub(*code));
    signs >= 0
}

/// Flow records of traffic (log status `OK`), column by column, all of them valid.
///
/// # Columns
/// always: `interface` (dictionary of text, nullable), `src`, `dst` (dictionary of addresses), `src_port`, `dst_port`,
/// `protocol`, `packets`, `bytes`, `start`, `end`, `action`.
/// where the object has the field: `pkt_src`, `pkt_dst` (dictionary of addresses, nullable), `tcp_flags`, `direction`,
/// `aws_service`, `account`, `region`, `vpc` (dictionary of text, nullable).
/// Rows in the order of the object; `-` in the log is null in a nullable column and 0 in `tcp_flags` and `direction`.
/// As Arrow types: [`Field::data_type`].
///
/// # Units
/// `bytes` as AWS reports them per capture window, `start` and `end` Unix seconds UTC, ports 0 for ICMP.
///
/// # Guarantees
/// Every code points into its dictionary, at null rows too. Consecutive batches of a unit share a dictionary (the same
/// `Arc`) wherever it did not change, so what was derived from its entries can be kept; see [`Coded::values`]. A
/// dictionary may hold entries that no row uses, and the same value twice.
#[derive(Clone, Debug)]
pub struct FlowBatch {
    n_rows: usize,
    /// By `Field as usize`.
    columns: [Option<Column>; Field::COUNT],
}

impl FlowBatch {
    /// Checks that columns, by `Field as usize`, are what this type promises.
    ///
    /// # Errors
    /// [`SchemaError`] names the first column that is not as declared.
    pub(crate) fn from_columns(n_rows: usize, columns: [Option<Column>; Field::COUNT]) -> Result<Self, SchemaError> {
        for (field, column) in Field::ALL.into_iter().zip(&columns) {
            match column {
                Some(column) => column.check(field, n_rows)?,
                None if field.is_required() => return Err(SchemaError::MissingColumn { column: field.column() }),
                None => {}
            }
        }
        Ok(Self { n_rows, columns })
    }

    /// The number of records.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The interface that recorded the flow.
    pub fn interface(&self) -> Coded<'_> {
        self.required(Field::Interface, Self::coded)
    }

    /// The sender as the interface saw it; for egress the interface's primary private address.
    pub fn src(&self) -> Coded<'_> {
        self.required(Field::Src, Self::coded)
    }

    /// The receiver as the interface saw it.
    pub fn dst(&self) -> Coded<'_> {
        self.required(Field::Dst, Self::coded)
    }

    /// The sender's port.
    pub fn src_port(&self) -> &[u16] {
        self.required(Field::SrcPort, Self::u16s)
    }

    /// The receiver's port.
    pub fn dst_port(&self) -> &[u16] {
        self.required(Field::DstPort, Self::u16s)
    }

    /// The IANA protocol number.
    pub fn protocol(&self) -> &[u8] {
        self.required(Field::Protocol, Self::u8s)
    }

    /// Packets in the capture window.
    pub fn packets(&self) -> &[u64] {
        self.required(Field::Packets, Self::u64s)
    }

    /// Bytes in the capture window.
    pub fn bytes(&self) -> &[u64] {
        self.required(Field::Bytes, Self::u64s)
    }

    /// First second of the capture window.
    pub fn start(&self) -> &[i64] {
        self.required(Field::Start, Self::i64s)
    }

    /// Last second of the capture window, never before `start`.
    pub fn end(&self) -> &[i64] {
        self.required(Field::End, Self::i64s)
    }

    /// [`ACCEPT`] or [`REJECT`].
    pub fn action(&self) -> &[u8] {
        self.required(Field::Action, Self::u8s)
    }

    /// The packet's own sender, where the object says it.
    pub fn pkt_src(&self) -> Option<Coded<'_>> {
        self.coded(Field::PktSrc)
    }

    /// The packet's own receiver, where the object says it.
    pub fn pkt_dst(&self) -> Option<Coded<'_>> {
        self.coded(Field::PktDst)
    }

    /// TCP flags OR-ed over the capture window.
    pub fn tcp_flags(&self) -> Option<&[u8]> {
        self.u8s(Field::TcpFlags)
    }

    /// [`INGRESS`], [`EGRESS`] or [`DIRECTION_UNKNOWN`].
    pub fn direction(&self) -> Option<&[u8]> {
        self.u8s(Field::Direction)
    }

    /// The AWS service `pkt_dst` belongs to.
    pub fn aws_service(&self) -> Option<Coded<'_>> {
        self.coded(Field::AwsService)
    }

    /// The account that owns the interface.
    pub fn account(&self) -> Option<Coded<'_>> {
        self.coded(Field::Account)
    }

    /// The interface's region.
    pub fn region(&self) -> Option<Coded<'_>> {
        self.coded(Field::Region)
    }

    /// The interface's VPC.
    pub fn vpc(&self) -> Option<Coded<'_>> {
        self.coded(Field::Vpc)
    }

    fn column(&self, field: Field) -> Option<&Column> {
        self.columns.get(field as usize)?.as_ref()
    }

    fn coded(&self, field: Field) -> Option<Coded<'_>> {
        match self.column(field)? {
            Column::Codes { codes, nulls, values } => Some(Coded { codes, nulls: nulls.as_ref(), values }),
            _ => None,
        }
    }

    fn u8s(&self, field: Field) -> Option<&[u8]> {
        if let Column::U8(values) = self.column(field)? { Some(values) } else { None }
    }

    fn u16s(&self, field: Field) -> Option<&[u16]> {
        if let Column::U16(values) = self.column(field)? { Some(values) } else { None }
    }

    fn u64s(&self, field: Field) -> Option<&[u64]> {
        if let Column::U64(values) = self.column(field)? { Some(values) } else { None }
    }

    fn i64s(&self, field: Field) -> Option<&[i64]> {
        if let Column::I64(values) = self.column(field)? { Some(values) } else { None }
    }

    fn required<'a, T>(&'a self, field: Field, get: impl FnOnce(&'a Self, Field) -> Option<T>) -> T {
        get(self, field)
            .expect("`from_columns` is the only way in and checked that the column is there with its layout")
    }
}

fn addresses_of(values: &ArrayRef) -> &[[u8; ADDRESS_BYTES]] {
    let values = values.as_any().downcast_ref::<FixedSizeBinaryArray>();
    values.map_or(&[], |values| values.value_data().as_chunks().0)
}

/// A column of dictionary codes.
///
/// Work that depends on the value only (a lookup, an attribution) is done once per entry of the dictionary and applied
/// by code.
#[derive(Clone, Copy, Debug)]
pub struct Coded<'a> {
    codes: &'a [i32],
    nulls: Option<&'a NullBuffer>,
    values: &'a ArrayRef,
}

impl<'a> Coded<'a> {
    /// One code per row. At a null row the code points at some entry and means nothing.
    pub fn codes(self) -> &'a [i32] {
        self.codes
    }

    /// Which rows are null; `None` when none is.
    pub fn nulls(self) -> Option<&'a NullBuffer> {
        self.nulls
    }

    /// The dictionary. Keep a clone of the `Arc` and compare with [`Coded::has_dictionary`] to know whether what was
    /// derived from its entries still holds.
    pub fn values(self) -> &'a ArrayRef {
        self.values
    }

    /// Whether another column is this very one: its rows are known to have the same values without looking.
    pub fn is_same(self, other: Self) -> bool {
        std::ptr::eq(self.codes, other.codes) && self.nulls.is_none() && self.has_dictionary(other.values)
    }

    /// Whether this column's dictionary is that very one.
    pub fn has_dictionary(self, values: &ArrayRef) -> bool {
        Arc::ptr_eq(self.values, values)
    }

    /// The length of `values` if this column's dictionary starts with all of it, so that what was derived from those
    /// entries still holds; 0 if it does not, and for text.
    pub fn extends(self, values: &ArrayRef) -> usize {
        let others = addresses_of(values);
        if self.addresses().starts_with(others) { others.len() } else { 0 }
    }

    /// The dictionary's entries as addresses; empty when they are text.
    pub fn addresses(self) -> &'a [[u8; ADDRESS_BYTES]] {
        addresses_of(self.values)
    }

    /// The dictionary's entries as text; `None` when they are addresses.
    pub fn texts(self) -> Option<&'a StringArray> {
        self.values.as_string_opt::<i32>()
    }

    /// The address at a row; `None` where it is null, or when the column holds text. For tests and single look-ups:
    /// whole columns go by [`Coded::codes`].
    pub fn address(self, row: usize) -> Option<[u8; ADDRESS_BYTES]> {
        self.addresses().get(self.code(row)?).copied()
    }

    /// The text at a row; `None` where it is null, or when the column holds addresses. For tests and single look-ups:
    /// whole columns go by [`Coded::codes`].
    pub fn text(self, row: usize) -> Option<&'a str> {
        let (code, texts) = (self.code(row)?, self.texts()?);
        (code < texts.len()).then(|| texts.value(code))
    }

    /// The code at a row; `None` where it is null.
    pub fn code(self, row: usize) -> Option<usize> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        usize::try_from(*self.codes.get(row)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::are_below;

    proptest! {
        #[test]
        fn codes_point_into_the_dictionary_or_are_refused(
            codes in prop::collection::vec(prop_oneof![0..40i32, -3..4i32, any::<i32>()], 0..40),
            n_entries in 1usize..44,
        ) {
            let is_below = |code: &i32| usize::try_from(*code).is_ok_and(|code| code < n_entries);
            prop_assert_eq!(are_below(&codes, n_entries), codes.iter().all(is_below));
        }
    }

    #[test]
    fn the_last_and_the_first_too_high() {
        assert!(are_below(&[0, 2], 3) && !are_below(&[0, 3], 3) && !are_below(&[-1, 2], 3));
        assert!(!are_below(&[0], 0));
        assert!(are_below(&[i32::MAX, 0], usize::MAX) && !are_below(&[i32::MIN], usize::MAX));
        assert!(!are_below(&[i32::MAX], i32::MAX as usize));
    }
}
