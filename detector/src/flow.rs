//! Flow records: the batch of columns every stage after `read` works on.
//!
//! Where it sits: a noun on the lowest floor. `read` builds batches, `resolve` and `rollup` take them.
//! What it does not do: it knows no file format, and it never holds a record that is not traffic (`NODATA`, `SKIPDATA`)
//! or that failed validation.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt64Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, SchemaRef};

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

/// One column of a [`FlowBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// `interface-id`; null for `-` (a regional NAT gateway).
    Interface,
    /// `srcaddr`
    Src,
    /// `dstaddr`
    Dst,
    /// `srcport`; 0 for ICMP.
    SrcPort,
    /// `dstport`; 0 for ICMP.
    DstPort,
    /// `protocol`, the IANA number.
    Protocol,
    /// `packets`
    Packets,
    /// `bytes`
    Bytes,
    /// `start`, Unix seconds.
    Start,
    /// `end`, Unix seconds.
    End,
    /// `action`: [`ACCEPT`] or [`REJECT`].
    Action,
    /// `pkt-srcaddr`
    PktSrc,
    /// `pkt-dstaddr`
    PktDst,
    /// `tcp-flags`, OR-ed over the capture window; 0 where the log says `-`.
    TcpFlags,
    /// `flow-direction`: [`INGRESS`], [`EGRESS`] or [`DIRECTION_UNKNOWN`].
    Direction,
    /// `traffic-path`; 0 where the log says `-`.
    TrafficPath,
    /// `pkt-dst-aws-service`
    AwsService,
    /// `next-hop-interface-type`
    NextHopType,
    /// `account-id`
    Account,
    /// `region`
    Region,
    /// `vpc-id`
    Vpc,
    /// `subnet-id`
    Subnet,
}

/// How a column is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `Dictionary<Int32, Utf8>`
    Text,
    /// `Dictionary<Int32, FixedSizeBinary(16)>`
    Address,
    /// `UInt8`
    U8,
    /// `UInt16`
    U16,
    /// `UInt64`
    U64,
    /// `Int64`
    I64,
}

impl Field {
    /// How many fields there are.
    pub const COUNT: usize = 22;

    /// Every field, in the order of the columns of a batch.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Interface,
        Self::Src,
        Self::Dst,
        Self::SrcPort,
        Self::DstPort,
        Self::Protocol,
        Self::Packets,
        Self::Bytes,
        Self::Start,
        Self::End,
        Self::Action,
        Self::PktSrc,
        Self::PktDst,
        Self::TcpFlags,
        Self::Direction,
        Self::TrafficPath,
        Self::AwsService,
        Self::NextHopType,
        Self::Account,
        Self::Region,
        Self::Vpc,
        Self::Subnet,
    ];

    /// The column's name in the batch.
    pub fn column(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Src => "src",
            Self::Dst => "dst",
            Self::SrcPort => "src_port",
            Self::DstPort => "dst_port",
            Self::Protocol => "protocol",
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::Start => "start",
            Self::End => "end",
            Self::Action => "action",
            Self::PktSrc => "pkt_src",
            Self::PktDst => "pkt_dst",
            Self::TcpFlags => "tcp_flags",
            Self::Direction => "direction",
            Self::TrafficPath => "traffic_path",
            Self::AwsService => "aws_service",
            Self::NextHopType => "next_hop_type",
            Self::Account => "account",
            Self::Region => "region",
            Self::Vpc => "vpc",
            Self::Subnet => "subnet",
        }
    }

    /// Whether every batch has the column.
    pub fn is_required(self) -> bool {
        self <= Self::Action
    }

    /// Whether the column may hold nulls.
    pub fn is_nullable(self) -> bool {
        matches!(self, Self::Interface | Self::PktSrc | Self::PktDst) || self.layout() == Layout::Text
    }

    /// How the column is laid out.
    pub fn layout(self) -> Layout {
        match self {
            Self::Src | Self::Dst | Self::PktSrc | Self::PktDst => Layout::Address,
            Self::SrcPort | Self::DstPort => Layout::U16,
            Self::Protocol | Self::Action | Self::TcpFlags | Self::Direction | Self::TrafficPath => Layout::U8,
            Self::Packets | Self::Bytes => Layout::U64,
            Self::Start | Self::End => Layout::I64,
            Self::Interface
            | Self::AwsService
            | Self::NextHopType
            | Self::Account
            | Self::Region
            | Self::Vpc
            | Self::Subnet => Layout::Text,
        }
    }

    /// The column's Arrow type.
    pub fn data_type(self) -> DataType {
        match self.layout() {
            Layout::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Layout::Address => DataType::Dictionary(
                Box::new(DataType::Int32),
                Box::new(DataType::FixedSizeBinary(ADDRESS_BYTES as i32)),
            ),
            Layout::U8 => DataType::UInt8,
            Layout::U16 => DataType::UInt16,
            Layout::U64 => DataType::UInt64,
            Layout::I64 => DataType::Int64,
        }
    }
}

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
}

/// Flow records of traffic (log status `OK`), column by column, all of them valid.
///
/// # Columns
/// always: `interface` (dictionary of text, nullable), `src`, `dst` (dictionary of addresses), `src_port`, `dst_port`,
/// `protocol`, `packets`, `bytes`, `start`, `end`, `action`.
/// where the object has the field: `pkt_src`, `pkt_dst` (dictionary of addresses, nullable), `tcp_flags`, `direction`,
/// `traffic_path`, `aws_service`, `next_hop_type`, `account`, `region`, `vpc`, `subnet` (dictionary of text, nullable).
/// Rows in the order of the object; `-` in the log is null in a nullable column and 0 in `tcp_flags`, `direction` and
/// `traffic_path`.
///
/// # Units
/// `bytes` as AWS reports them per capture window, `start` and `end` Unix seconds UTC, ports 0 for ICMP.
///
/// # Guarantees
/// Every code points into its dictionary. Consecutive batches of a unit share a dictionary (the same `Arc`) wherever it
/// did not change, so what was derived from its entries can be kept; see [`Coded::values`]. A dictionary may hold
/// entries that no row uses.
#[derive(Clone, Debug)]
pub struct FlowBatch {
    batch: RecordBatch,
    /// Where each field is among the columns, by `Field as usize`.
    place: [Option<usize>; Field::COUNT],
}

impl FlowBatch {
    /// Checks that a record batch is what this type promises.
    ///
    /// # Errors
    /// [`SchemaError`] names the first column that is not as declared. Columns of other names are ignored.
    pub fn try_new(batch: RecordBatch) -> Result<Self, SchemaError> {
        let mut place = [None; Field::COUNT];
        for (field, place) in Field::ALL.into_iter().zip(&mut place) {
            let column = field.column();
            let Some((at, _)) = batch.schema_ref().column_with_name(column) else {
                if field.is_required() {
                    return Err(SchemaError::MissingColumn { column });
                }
                continue;
            };
            let array = batch.column(at);
            let expected = field.data_type();
            if *array.data_type() != expected {
                let found = Box::new(array.data_type().clone());
                return Err(SchemaError::WrongType { column, found, expected: Box::new(expected) });
            }
            let entries = array.as_dictionary_opt::<Int32Type>().map_or(0, |coded| coded.values().null_count());
            if entries > 0 || (!field.is_nullable() && array.null_count() > 0) {
                return Err(SchemaError::HasNulls { column });
            }
            *place = Some(at);
        }
        Ok(Self { batch, place })
    }

    /// The number of records.
    pub fn n_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The columns as Arrow sees them.
    pub fn as_record_batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The schema; the same `Arc` for all batches of a unit.
    pub fn schema(&self) -> SchemaRef {
        self.batch.schema()
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
        self.required(Field::SrcPort, Self::numbers::<UInt16Type>)
    }

    /// The receiver's port.
    pub fn dst_port(&self) -> &[u16] {
        self.required(Field::DstPort, Self::numbers::<UInt16Type>)
    }

    /// The IANA protocol number.
    pub fn protocol(&self) -> &[u8] {
        self.required(Field::Protocol, Self::numbers::<UInt8Type>)
    }

    /// Packets in the capture window.
    pub fn packets(&self) -> &[u64] {
        self.required(Field::Packets, Self::numbers::<UInt64Type>)
    }

    /// Bytes in the capture window.
    pub fn bytes(&self) -> &[u64] {
        self.required(Field::Bytes, Self::numbers::<UInt64Type>)
    }

    /// First second of the capture window.
    pub fn start(&self) -> &[i64] {
        self.required(Field::Start, Self::numbers::<Int64Type>)
    }

    /// Last second of the capture window, never before `start`.
    pub fn end(&self) -> &[i64] {
        self.required(Field::End, Self::numbers::<Int64Type>)
    }

    /// [`ACCEPT`] or [`REJECT`].
    pub fn action(&self) -> &[u8] {
        self.required(Field::Action, Self::numbers::<UInt8Type>)
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
        self.numbers::<UInt8Type>(Field::TcpFlags)
    }

    /// [`INGRESS`], [`EGRESS`] or [`DIRECTION_UNKNOWN`].
    pub fn direction(&self) -> Option<&[u8]> {
        self.numbers::<UInt8Type>(Field::Direction)
    }

    /// The way egress traffic left, 1 to 8 in AWS's numbering.
    pub fn traffic_path(&self) -> Option<&[u8]> {
        self.numbers::<UInt8Type>(Field::TrafficPath)
    }

    /// The AWS service `pkt_dst` belongs to.
    pub fn aws_service(&self) -> Option<Coded<'_>> {
        self.coded(Field::AwsService)
    }

    /// What kind of interface the next hop is.
    pub fn next_hop_type(&self) -> Option<Coded<'_>> {
        self.coded(Field::NextHopType)
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

    /// The interface's subnet.
    pub fn subnet(&self) -> Option<Coded<'_>> {
        self.coded(Field::Subnet)
    }

    fn column(&self, field: Field) -> Option<&ArrayRef> {
        let place = self.place.get(field as usize).copied().flatten()?;
        self.batch.columns().get(place)
    }

    fn coded(&self, field: Field) -> Option<Coded<'_>> {
        Some(Coded { array: self.column(field)?.as_dictionary_opt::<Int32Type>()? })
    }

    fn numbers<T: ArrowPrimitiveType>(&self, field: Field) -> Option<&[T::Native]> {
        Some(self.column(field)?.as_primitive_opt::<T>()?.values())
    }

    fn required<'a, T>(&'a self, field: Field, get: impl FnOnce(&'a Self, Field) -> Option<T>) -> T {
        get(self, field).expect("`try_new` is the only constructor and checked that the column is there with its type")
    }
}

/// A column of dictionary codes.
///
/// Work that depends on the value only (a lookup, an attribution) is done once per entry of the dictionary and applied
/// by code.
#[derive(Clone, Copy, Debug)]
pub struct Coded<'a> {
    array: &'a DictionaryArray<Int32Type>,
}

impl<'a> Coded<'a> {
    /// One code per row. At a null row the code points at some entry and means nothing.
    pub fn codes(self) -> &'a [i32] {
        self.array.keys().values()
    }

    /// Which rows are null; `None` when none is.
    pub fn nulls(self) -> Option<&'a NullBuffer> {
        self.array.nulls().filter(|nulls| nulls.null_count() > 0)
    }

    /// The dictionary. Keep a clone of the `Arc` and compare with [`Coded::has_dictionary`] to know whether what was
    /// derived from its entries still holds.
    pub fn values(self) -> &'a ArrayRef {
        self.array.values()
    }

    /// Whether this column's dictionary is that very one.
    pub fn has_dictionary(self, values: &ArrayRef) -> bool {
        Arc::ptr_eq(self.array.values(), values)
    }

    /// The dictionary's entries as addresses; empty when they are text.
    pub fn addresses(self) -> &'a [[u8; ADDRESS_BYTES]] {
        let values = self.array.values().as_any().downcast_ref::<FixedSizeBinaryArray>();
        values.map_or(&[], |values| values.value_data().as_chunks().0)
    }

    /// The dictionary's entries as text; `None` when they are addresses.
    pub fn texts(self) -> Option<&'a StringArray> {
        self.array.values().as_string_opt::<i32>()
    }

    /// The address at a row; `None` where it is null, or when the column holds text. For tests and single look-ups: whole
    /// columns go by [`Coded::codes`].
    pub fn address(self, row: usize) -> Option<[u8; ADDRESS_BYTES]> {
        self.addresses().get(self.code(row)?).copied()
    }

    /// The text at a row; `None` where it is null, or when the column holds addresses. For tests and single look-ups:
    /// whole columns go by [`Coded::codes`].
    pub fn text(self, row: usize) -> Option<&'a str> {
        let (code, texts) = (self.code(row)?, self.texts()?);
        (code < texts.len()).then(|| texts.value(code))
    }

    fn code(self, row: usize) -> Option<usize> {
        if self.nulls().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        usize::try_from(*self.codes().get(row)?).ok()
    }
}
