//! The fields of a flow record, and how each is laid out in a batch.
//!
//! Where it sits: under `flow`.
//! What it does not do: it does not know what AWS calls the fields; `read` does.

use arrow_schema::DataType;

use super::ADDRESS_BYTES;

/// One column of a [`FlowBatch`](super::FlowBatch).
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
    /// `action`: `ACCEPT` or `REJECT`.
    Action,
    /// `pkt-srcaddr`
    PktSrc,
    /// `pkt-dstaddr`
    PktDst,
    /// `tcp-flags`, OR-ed over the capture window; 0 where the log says `-`.
    TcpFlags,
    /// `flow-direction`: `INGRESS`, `EGRESS` or `DIRECTION_UNKNOWN`.
    Direction,
    /// `pkt-dst-aws-service`
    AwsService,
    /// `account-id`
    Account,
    /// `region`
    Region,
    /// `vpc-id`
    Vpc,
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
    pub const COUNT: usize = 19;

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
        Self::AwsService,
        Self::Account,
        Self::Region,
        Self::Vpc,
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
            Self::AwsService => "aws_service",
            Self::Account => "account",
            Self::Region => "region",
            Self::Vpc => "vpc",
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
            Self::Protocol | Self::Action | Self::TcpFlags | Self::Direction => Layout::U8,
            Self::Packets | Self::Bytes => Layout::U64,
            Self::Start | Self::End => Layout::I64,
            Self::Interface | Self::AwsService | Self::Account | Self::Region | Self::Vpc => Layout::Text,
        }
    }

    /// The column's Arrow type.
    pub fn data_type(self) -> DataType {
        self.layout().data_type()
    }
}

impl Layout {
    /// Its Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
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
