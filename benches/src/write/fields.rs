//! The fields of a flow record: names, types and values.

use std::fmt::Write as _;

use super::Fields;
use crate::{
    fleet::Fleet,
    traffic::{Record, Status},
};

/// A field, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Version,
    AccountId,
    InterfaceId,
    SrcAddr,
    DstAddr,
    SrcPort,
    DstPort,
    Protocol,
    Packets,
    Bytes,
    Start,
    End,
    Action,
    LogStatus,
    VpcId,
    SubnetId,
    TcpFlags,
    Type,
    PktSrcAddr,
    PktDstAddr,
    Region,
    AzId,
    PktSrcAwsService,
    PktDstAwsService,
    FlowDirection,
    TrafficPath,
}

use Field as F;

/// The default fields, then the rest of the recommended ones.
const ALL: [Field; 26] = [
    F::Version,
    F::AccountId,
    F::InterfaceId,
    F::SrcAddr,
    F::DstAddr,
    F::SrcPort,
    F::DstPort,
    F::Protocol,
    F::Packets,
    F::Bytes,
    F::Start,
    F::End,
    F::Action,
    F::LogStatus,
    F::VpcId,
    F::SubnetId,
    F::TcpFlags,
    F::Type,
    F::PktSrcAddr,
    F::PktDstAddr,
    F::Region,
    F::AzId,
    F::PktSrcAwsService,
    F::PktDstAwsService,
    F::FlowDirection,
    F::TrafficPath,
];

/// Number of fields of the default format.
const N_DEFAULT: usize = 14;

/// The fields of a format in file order.
pub(super) fn columns(fields: Fields) -> &'static [Field] {
    match fields {
        Fields::Default => &ALL[..N_DEFAULT],
        Fields::Recommended => &ALL,
    }
}

/// How Parquet stores a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    Int32,
    Int64,
    Text,
}

impl Field {
    /// The name as the header line of a text object spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            F::Version => "version",
            F::AccountId => "account-id",
            F::InterfaceId => "interface-id",
            F::SrcAddr => "srcaddr",
            F::DstAddr => "dstaddr",
            F::SrcPort => "srcport",
            F::DstPort => "dstport",
            F::Protocol => "protocol",
            F::Packets => "packets",
            F::Bytes => "bytes",
            F::Start => "start",
            F::End => "end",
            F::Action => "action",
            F::LogStatus => "log-status",
            F::VpcId => "vpc-id",
            F::SubnetId => "subnet-id",
            F::TcpFlags => "tcp-flags",
            F::Type => "type",
            F::PktSrcAddr => "pkt-srcaddr",
            F::PktDstAddr => "pkt-dstaddr",
            F::Region => "region",
            F::AzId => "az-id",
            F::PktSrcAwsService => "pkt-src-aws-service",
            F::PktDstAwsService => "pkt-dst-aws-service",
            F::FlowDirection => "flow-direction",
            F::TrafficPath => "traffic-path",
        }
    }

    pub(super) fn storage(self) -> Storage {
        match self {
            F::Version | F::SrcPort | F::DstPort | F::Protocol | F::TcpFlags | F::TrafficPath => Storage::Int32,
            F::Packets | F::Bytes | F::Start | F::End => Storage::Int64,
            _ => Storage::Text,
        }
    }

    /// The value of a number field; `None` is written as NULL or `-`.
    pub(super) fn number(self, r: &Record, version: i64) -> Option<i64> {
        let traffic = r.status == Status::Ok;
        match self {
            F::Version => Some(version),
            F::Start => Some(r.start),
            F::End => Some(r.end),
            F::SrcPort => traffic.then_some(r.src_port.into()),
            F::DstPort => traffic.then_some(r.dst_port.into()),
            F::Protocol => traffic.then_some(r.protocol.into()),
            F::TcpFlags => traffic.then_some(r.tcp_flags.into()),
            F::Packets => traffic.then_some(r.packets as i64),
            F::Bytes => traffic.then_some(r.bytes as i64),
            F::TrafficPath => (traffic && r.traffic_path > 0).then_some(r.traffic_path.into()),
            _ => None,
        }
    }

    /// Appends the value of a text field; `-` when there is none.
    pub(super) fn text(self, r: &Record, labels: &Labels, out: &mut String) {
        let interface = &labels.interfaces[r.interface as usize];
        let always = match self {
            F::AccountId => Some(labels.account.as_str()),
            F::InterfaceId => Some(interface.id.as_str()),
            F::LogStatus => Some(match r.status {
                Status::Ok => "OK",
                Status::NoData => "NODATA",
                Status::SkipData => "SKIPDATA",
            }),
            _ => None,
        };
        if let Some(text) = always {
            out.push_str(text);
            return;
        }
        if r.status != Status::Ok {
            out.push('-');
            return;
        }
        let address = match self {
            F::SrcAddr => Some(r.src),
            F::DstAddr => Some(r.dst),
            F::PktSrcAddr => Some(r.pkt_src),
            F::PktDstAddr => Some(r.pkt_dst),
            _ => None,
        };
        if let Some(address) = address {
            // Writing to a String cannot fail.
            write!(out, "{address}").ok();
            return;
        }
        out.push_str(match self {
            F::Action if r.accept => "ACCEPT",
            F::Action => "REJECT",
            F::VpcId => &interface.vpc_id,
            F::SubnetId => &interface.subnet_id,
            F::Type if r.src.is_ipv6() => "IPv6",
            F::Type => "IPv4",
            F::Region => &labels.region,
            F::AzId => &interface.az_id,
            F::PktSrcAwsService => r.src_service.unwrap_or("-"),
            F::PktDstAwsService => r.dst_service.unwrap_or("-"),
            F::FlowDirection if r.egress => "egress",
            F::FlowDirection => "ingress",
            _ => "-",
        });
    }
}

/// What every record repeats about its account and its interface.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) interfaces: Vec<InterfaceLabels>,
}

/// What every record of one interface repeats.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceLabels {
    id: String,
    vpc_id: String,
    subnet_id: String,
    az_id: String,
}

impl Labels {
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let interfaces = fleet.place.interfaces.iter().map(|i| {
            let subnet = &fleet.place.subnets[i.subnet];
            InterfaceLabels {
                id: i.id.clone(),
                vpc_id: subnet.vpc_id.clone(),
                subnet_id: subnet.id.clone(),
                az_id: subnet.az_id.to_owned(),
            }
        });
        Self { account: fleet.account.clone(), region: fleet.region.to_owned(), interfaces: interfaces.collect() }
    }
}

/// The `version` every record of a format carries: the highest version among its fields.
pub(super) fn version(columns: &[Field]) -> i64 {
    if columns.len() > N_DEFAULT { 5 } else { 2 }
}
