//! The capture: from connections to flow records.
//!
//! Takes a connection, gives a record for each direction and aggregation window, on our interface and on every other
//! logged interface the packets pass: the NAT gateway's, the database's, the endpoint's.
//!
//! In the one delivery by AWS that could be examined all records of an interface share the bounds of its window, so here
//! they do, except where a record's own packets lie outside: `start` and `end` say little about when the packets passed.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Connection, Ending, Record, Status, ephemeral_port};
use crate::{
    calendar::Secs,
    dice::{Dice, mix},
    fleet::{
        Fleet,
        destination::{ICMP, TCP},
    },
};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const SYN_ACK: u8 = 18;

/// Payload of a full packet on a path with an MTU of 1500, and the headers of TCP over IPv4 with timestamps.
const SEGMENT_BYTES: u64 = 1448;
const HEADER_BYTES: u64 = 52;
/// A TLS 1.3 handshake as seen on the wire: client hello and finished; server hello and a certificate chain of two.
const TLS_OUT_BYTES: u64 = 720;
const TLS_IN_BYTES: u64 = 4300;
/// Ports on which a handshake is assumed.
const TLS_PORTS: [u16; 4] = [443, 8443, 853, 5432];

/// Turns connections into flow records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capture<'a> {
    pub(crate) fleet: &'a Fleet,
    /// The aggregation interval, 60 or 600 s.
    pub(crate) interval_secs: Secs,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    packets: u64,
    bytes: u64,
    flags: u8,
}

impl Totals {
    fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }

    /// Payload and the acknowledgements of what came the other way (one for two segments).
    fn add_payload(&mut self, payload: u64, other_way: u64) {
        let packets = payload.div_ceil(SEGMENT_BYTES) + other_way.div_ceil(2 * SEGMENT_BYTES);
        self.add(packets, payload + packets * HEADER_BYTES);
    }
}

/// What passed in one aggregation window: out of our interface, and into it, between two moments.
#[derive(Clone, Copy, Debug)]
struct Passed {
    out: Totals,
    into: Totals,
    first: Secs,
    last: Secs,
}

/// Aggregation windows of one interface, by number.
#[derive(Debug)]
struct Windows<'a> {
    capture: Capture<'a>,
    interface: usize,
    passed: BTreeMap<i64, Passed>,
}

impl Windows<'_> {
    /// The window that holds `at`, which a packet passed.
    fn at(&mut self, at: Secs) -> &mut Passed {
        let window = self.capture.window(self.interface, at);
        let none = Passed { out: Totals::default(), into: Totals::default(), first: at, last: at };
        let passed = self.passed.entry(window).or_insert(none);
        passed.first = passed.first.min(at);
        passed.last = passed.last.max(at);
        passed
    }
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
            for (window, passed) in self.windows(connection, view.interface) {
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

    /// Spreads packets over the aggregation windows of an interface.
    fn windows(&self, c: &Connection, interface: usize) -> BTreeMap<i64, Passed> {
        let mut windows = Windows { capture: *self, interface, passed: BTreeMap::new() };
        if matches!(c.ending, Ending::NoAnswer | Ending::Refused) {
            // A SYN, and another each time the wait doubles.
            for n in 0..=(c.closes - c.opens() + 1).ilog2() {
                let passed = windows.at(c.opens() + (1 << n) - 1);
                let attempts = if c.inbound { &mut passed.into } else { &mut passed.out };
                attempts.add(1, 60);
                attempts.flags = SYN;
            }
            return windows.passed;
        }
        for e in &c.exchanges {
            let n = 1 + e.lasts / self.interval_secs;
            for i in 0..n {
                // Whole bytes are spread evenly; what is left over goes into the first window.
                let part = |bytes: u64| bytes / n as u64 + if i == 0 { bytes % n as u64 } else { 0 };
                let (out_bytes, in_bytes) = (part(e.out_bytes), part(e.in_bytes));
                windows.at(e.at + e.lasts * i / n);
                let passed = windows.at(e.at + e.lasts * (i + 1) / n);
                if c.protocol == TCP {
                    passed.out.add_payload(out_bytes, in_bytes);
                    passed.into.add_payload(in_bytes, out_bytes);
                } else {
                    datagrams(&mut passed.out, out_bytes);
                    datagrams(&mut passed.into, in_bytes);
                }
            }
        }
        if c.protocol == TCP {
            handshake(c, windows.at(c.opens()));
            farewell(c, windows.at(c.closes));
        }
        windows.passed
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

/// Adds the packets and flags of the opening.
fn handshake(c: &Connection, passed: &mut Passed) {
    let Passed { out, into, .. } = passed;
    out.add(2, 60 + HEADER_BYTES);
    into.add(1, 60);
    if TLS_PORTS.contains(&c.peer_port) && !c.inbound && c.exchanges.iter().any(|e| e.in_bytes > 0) {
        out.add_payload(TLS_OUT_BYTES, TLS_IN_BYTES);
        into.add_payload(TLS_IN_BYTES, TLS_OUT_BYTES);
    }
    let (opener, answerer) = if c.inbound { (into, out) } else { (out, into) };
    opener.flags |= SYN;
    // A closed port answers a stranger's SYN with RST.
    answerer.flags |= if c.inbound && c.ending == Ending::Left { RST } else { SYN_ACK };
}

/// Adds the packets and flags of the end.
fn farewell(c: &Connection, Passed { out, into, .. }: &mut Passed) {
    match c.ending {
        Ending::Closed => {
            for way in [out, into] {
                way.add(2, 2 * HEADER_BYTES);
                way.flags |= FIN;
            }
        }
        Ending::Reset => {
            into.add(1, 40);
            into.flags |= RST;
        }
        Ending::Left | Ending::NoAnswer | Ending::Refused => {}
    }
}

/// Datagrams of at most 512 bytes, the size DNS and most small protocols stay below.
fn datagrams(totals: &mut Totals, payload: u64) {
    if payload > 0 {
        let packets = payload.div_ceil(512);
        totals.add(packets, payload + 28 * packets);
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
