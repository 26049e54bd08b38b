//! The capture: from connections to flow records.
//!
//! Takes a connection, gives a record for each direction and aggregation window ([`wire`] says what passed in it), on
//! our interface and on every other logged interface the packets pass: the NAT gateway's, the database's, the
//! endpoint's.
//!
//! In the one delivery by AWS that could be examined all records of an interface share the bounds of its window, so
//! here they do, except where a record's own packets lie outside: `start` and `end` say little about when the packets
//! passed.

use std::net::IpAddr;

use detector::drill::wire::{self, Totals};

use super::{Connection, Ending, Record, Status, ephemeral_port};
use crate::{
    calendar::Secs,
    dice::{Dice, mix},
    fleet::{
        Fleet,
        destination::{ICMP, TCP},
    },
};

/// Turns connections into flow records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capture<'a> {
    pub(crate) fleet: &'a Fleet,
    /// The aggregation interval, 60 or 600 s.
    pub(crate) interval_secs: Secs,
}

/// One place where the packets are captured: who is "we" there and how it names both ends.
struct View {
    interface: usize,
    near: (IpAddr, u16),
    far: (IpAddr, u16),
    pkt_near: IpAddr,
    pkt_far: IpAddr,
    /// Path of the packets that leave this interface.
    path: u8,
    /// What flows out of our interface flows out of this one too; otherwise directions are swapped.
    same_way: bool,
}

impl Capture<'_> {
    /// Number of the aggregation window of an interface that holds a moment.
    pub(crate) fn window(&self, interface: usize, at: Secs) -> i64 {
        (at - self.fleet.place.interfaces[interface].phase_secs).div_euclid(self.interval_secs)
    }

    /// Bounds of an aggregation window: the grid shifted by the interface's phase, each end short by some seconds.
    pub(crate) fn bounds(&self, interface: usize, window: i64) -> (Secs, Secs) {
        let start = self.fleet.place.interfaces[interface].phase_secs + window * self.interval_secs;
        let jitter = mix(mix(self.fleet.dice.key(), interface as u64), window as u64);
        let short = |word: u64| (word % 10) as Secs;
        (start + short(jitter), start + self.interval_secs - 1 - short(jitter >> 32))
    }

    /// Appends all records of a connection.
    pub(crate) fn record(&self, connection: &Connection, dice: &mut Dice, records: &mut Vec<Record>) {
        let views = self.views(connection, dice);
        for view in &views {
            for (window, passed) in wire::windows(connection, self.interval_secs, |at| self.window(view.interface, at))
            {
                let (start, end) = self.bounds(view.interface, window);
                let bounds = (start.min(passed.first), end.max(passed.last));
                for (totals, ours) in [(passed.out, true), (passed.into, false)] {
                    if totals.packets > 0 {
                        records.push(record(connection, view, bounds, totals, ours == view.same_way));
                    }
                }
            }
        }
    }

    /// Where the packets of a connection are seen.
    fn views(&self, c: &Connection, dice: &mut Dice) -> Vec<View> {
        let place = &self.fleet.place;
        let interface = &place.interfaces[c.interface];
        let own = match (c.peer, interface.address6) {
            (IpAddr::V6(_), Some(address6)) => address6,
            _ => interface.address,
        };
        let private = is_private(c.peer);
        let gateway_endpoint = matches!(c.aws_service, Some("S3" | "DYNAMODB"));
        let lambda = interface.kind == crate::fleet::InterfaceKind::Lambda;
        let path = match c.peer {
            _ if private => 1,
            _ if gateway_endpoint => 7,
            // To the NAT gateway, which is a resource of the same VPC.
            IpAddr::V4(_) if lambda => 1,
            _ => 8,
        };
        let (near, far) = ((own, c.local_port), (c.peer, c.peer_port));
        let mut views =
            vec![View { interface: c.interface, near, far, pkt_near: own, pkt_far: c.peer, path, same_way: true }];
        if c.ending == Ending::Refused {
            return views;
        }
        if let Some(other) = self.fleet.interface_at(c.peer, c.opens()) {
            let (pkt_near, pkt_far) = (c.peer, own);
            views.push(View { interface: other, near: far, far: near, pkt_near, pkt_far, path: 1, same_way: false });
        }
        let nat = place.subnets[interface.subnet].logged_nat.filter(|_| lambda && !private && !gateway_endpoint);
        if let (Some(nat), IpAddr::V4(_)) = (nat, c.peer) {
            let gateway = place.interfaces[nat].address;
            // Towards the function, then towards the internet: four records for each window.
            let inner = (gateway, c.peer_port);
            views.push(View {
                interface: nat,
                near: inner,
                far: near,
                pkt_near: c.peer,
                pkt_far: own,
                path: 1,
                same_way: false,
            });
            let outer = (gateway, ephemeral_port(dice));
            views.push(View {
                interface: nat,
                near: outer,
                far,
                pkt_near: gateway,
                pkt_far: c.peer,
                path: 8,
                same_way: true,
            });
        }
        views
    }
}

fn record(c: &Connection, view: &View, (start, end): (Secs, Secs), totals: Totals, egress: bool) -> Record {
    let (src, dst) = if egress { (view.near, view.far) } else { (view.far, view.near) };
    let (pkt_src, pkt_dst) = if egress { (view.pkt_near, view.pkt_far) } else { (view.pkt_far, view.pkt_near) };
    let service = |address: IpAddr| c.aws_service.filter(|_| address == c.peer);
    Record {
        interface: view.interface as u32,
        status: Status::Ok,
        src: src.0,
        dst: dst.0,
        pkt_src,
        pkt_dst,
        src_port: if c.protocol == ICMP { 0 } else { src.1 },
        dst_port: if c.protocol == ICMP { 0 } else { dst.1 },
        protocol: c.protocol,
        accept: c.ending != Ending::Refused,
        egress,
        tcp_flags: if c.protocol == TCP { totals.flags } else { 0 },
        traffic_path: if egress { view.path } else { 0 },
        src_service: service(pkt_src),
        dst_service: service(pkt_dst),
        packets: totals.packets,
        bytes: totals.bytes,
        start,
        end,
    }
}

/// Whether an address is inside the VPC: the only private space a fleet uses.
pub(super) fn is_private(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_private())
}
