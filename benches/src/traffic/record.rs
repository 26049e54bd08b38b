//! The flow record, as the capture knows it; `write` decides which fields of it are kept.

use std::net::IpAddr;

use crate::calendar::Secs;

/// The `log-status` of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Ok,
    NoData,
    SkipData,
}

/// One aggregation of one 5-tuple in one direction.
///
/// # Units
/// Bytes with headers, as AWS reports them; times in UTC seconds.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Number of the capturing interface in the fleet's table.
    pub(crate) interface: u32,
    pub(crate) status: Status,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) pkt_src: IpAddr,
    pub(crate) pkt_dst: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) protocol: u8,
    pub(crate) accept: bool,
    pub(crate) egress: bool,
    pub(crate) tcp_flags: u8,
    /// 0 stands for none.
    pub(crate) traffic_path: u8,
    pub(crate) src_service: Option<&'static str>,
    pub(crate) dst_service: Option<&'static str>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) start: Secs,
    pub(crate) end: Secs,
}

impl Record {
    /// An order that is total up to records that are equal in all that matters.
    pub(crate) fn sort_key(&self) -> impl Ord + use<> {
        (
            (self.end, self.interface, self.status, self.start),
            (self.src, self.dst, self.src_port, self.dst_port, self.protocol),
            (self.egress, self.accept, self.tcp_flags, self.packets, self.bytes),
        )
    }
}
