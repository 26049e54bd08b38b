//! The wire: what packets a connection makes, and in which aggregation windows of the capture they pass.

use std::collections::BTreeMap;

use super::connection::{Connection, Ending, TCP};

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

/// What a flow record counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire, headers included.
    pub bytes: u64,
    /// TCP flags seen, as flow logs tell them.
    pub flags: u8,
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
pub struct Passed {
    /// Sent.
    pub out: Totals,
    /// Received.
    pub into: Totals,
    /// First second of a packet.
    pub first: i64,
    /// Last second of one.
    pub last: i64,
}

/// Spreads a connection's packets over aggregation windows: `interval_secs` long, the one of a moment numbered by
/// `window_of`.
pub fn windows(c: &Connection, interval_secs: i64, window_of: impl Fn(i64) -> i64) -> BTreeMap<i64, Passed> {
    let mut windows = Windows { window_of, passed: BTreeMap::new() };
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
        let n = 1 + e.lasts / interval_secs;
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

/// Aggregation windows of one interface, by number.
struct Windows<F> {
    window_of: F,
    passed: BTreeMap<i64, Passed>,
}

impl<F: Fn(i64) -> i64> Windows<F> {
    /// The window that holds `at`, which a packet passed.
    fn at(&mut self, at: i64) -> &mut Passed {
        let none = Passed { out: Totals::default(), into: Totals::default(), first: at, last: at };
        let passed = self.passed.entry((self.window_of)(at)).or_insert(none);
        passed.first = passed.first.min(at);
        passed.last = passed.last.max(at);
        passed
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
