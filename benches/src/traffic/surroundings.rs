//! What else a VPC's flow log shows: scans from the internet and their replies, pings, an internal scanner, silence.

use std::collections::BTreeSet;

use super::{Capture, Connection, Ending, Exchange, Record, Status};
use crate::{
    calendar::{DAY, HOUR, Secs, weekday},
    dice::mix,
    fleet::{
        Fleet, InterfaceKind,
        destination::{ICMP, TCP, UDP},
    },
    internet::Class,
};

/// Internet background noise reaching one address in an hour; darknet studies see one packet every few seconds to
/// minutes.
const SCANS_PER_HOUR: f64 = 35.0;
/// Ports strangers knock at most.
const SCANNED_PORTS: [u16; 14] = [22, 23, 80, 443, 445, 1433, 2323, 3306, 3389, 5900, 6379, 8080, 8443, 9200];
/// Ports the scanned instance answers on; on `CLOSED_PORT` its group lets packets in but nobody listens.
const OPEN_PORTS: [u16; 2] = [443, 80];
const CLOSED_PORT: u16 = 8080;

/// Connections strangers open to our internet-facing instances, and the internal scanner's weekly round.
pub(super) fn connections(fleet: &Fleet, midnight: Secs) -> Vec<Connection> {
    let mut dice = fleet.dice.fork("surroundings", midnight as u64);
    let mut all = Vec::new();
    for &interface in &fleet.scanned {
        for _ in 0..dice.poisson(24.0 * SCANS_PER_HOUR) {
            let at = midnight + dice.between(0, DAY - 1);
            let class = if dice.chance(0.5) { Class::Access } else { Class::Hosting };
            let stranger = fleet.internet.pick(class, &mut dice).address(&mut dice);
            let port = if dice.chance(0.7) { *dice.pick(&SCANNED_PORTS) } else { dice.between(1, 65_535) as u16 };
            let protocol = *dice.pick(&[TCP, TCP, TCP, TCP, TCP, TCP, TCP, TCP, UDP, ICMP]);
            let visitor = OPEN_PORTS.contains(&port) && dice.chance(0.5);
            let payload = if visitor { 40.0 } else { 0.0 };
            let exchange = Exchange {
                at,
                lasts: if visitor { dice.exponential(4.0) as Secs } else { 0 },
                // Seen from our side: a visitor's request comes in, the page goes out.
                out_bytes: dice.log_normal(payload * 300.0, 1.0) as u64,
                in_bytes: dice.log_normal(payload * 15.0, 0.6) as u64,
            };
            let mut c = Connection::single(interface, stranger, (0, protocol), exchange, &mut dice);
            c.inbound = true;
            c.peer_port = c.local_port;
            c.local_port = port;
            c.ending = match protocol {
                ICMP => {
                    c.exchanges = vec![Exchange { out_bytes: 56, in_bytes: 56, ..exchange }];
                    Ending::Left
                }
                TCP if visitor => Ending::Closed,
                // A half-open scan: our SYN-ACK, their RST.
                TCP if OPEN_PORTS.contains(&port) => Ending::Reset,
                TCP if port == CLOSED_PORT => Ending::Left,
                _ => Ending::Refused,
            };
            all.push(c);
        }
    }
    if weekday(midnight) == 2
        && let Some(&scanner) = fleet.scanned.first()
    {
        // The security team's scanner tries a few ports of every interface, and every group refuses.
        let from = fleet.place.interfaces[scanner].address;
        let at = midnight + 3 * HOUR;
        for (i, _) in fleet.place.interfaces.iter().enumerate().filter(|(_, i)| {
            i.kind == InterfaceKind::Lambda
                && i.life.contains(at)
                && fleet.place.vpc_of(scanner) == fleet.place.subnets[i.subnet].vpc_id
        }) {
            for port in [22, 80, 443, 8080] {
                let mut c = Connection::failed(i, from, port, at + dice.between(0, 1200), Ending::Refused, &mut dice);
                c.inbound = true;
                c.peer_port = c.local_port;
                c.local_port = port;
                all.push(c);
            }
        }
    }
    all
}

/// Adds NODATA for the silent windows of some interfaces, and a little SKIPDATA.
///
/// AWS writes NODATA for every silent window of every interface; here one interface in sixteen keeps the volume low.
pub(super) fn silence(capture: &Capture<'_>, midnight: Secs, records: &mut Vec<Record>) {
    let fleet = capture.fleet;
    let mut dice = fleet.dice.fork("silence", midnight as u64);
    let listed = |i: usize| mix(fleet.dice.key(), i as u64).is_multiple_of(16);
    let busy: BTreeSet<(u32, Secs)> =
        records.iter().filter(|r| listed(r.interface as usize)).map(|r| (r.interface, r.start)).collect();
    for (i, interface) in fleet.place.interfaces.iter().enumerate() {
        let (first, last) = (capture.window(i, midnight), capture.window(i, midnight + DAY - 1));
        for window in first..=last {
            let (start, end) = capture.bounds(i, window);
            if start < midnight || !interface.life.contains(start) {
                continue;
            }
            let status = if dice.chance(2e-5) {
                Status::SkipData
            } else if listed(i) && !busy.contains(&(i as u32, start)) {
                Status::NoData
            } else {
                continue;
            };
            let address = interface.address;
            records.push(Record {
                interface: i as u32,
                status,
                src: address,
                dst: address,
                pkt_src: address,
                pkt_dst: address,
                src_port: 0,
                dst_port: 0,
                protocol: 0,
                accept: false,
                egress: false,
                tcp_flags: 0,
                traffic_path: 0,
                src_service: None,
                dst_service: None,
                packets: 0,
                bytes: 0,
                start,
                end,
            });
        }
    }
}
