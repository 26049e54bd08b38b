//! A group: what one client exchanged with one server on one interface in one window, and the key it is found by.

use baselines::observation::Observation;
use baselines::window::{WINDOW_SECS, Window};

use super::Flow;
use super::initiator::Sense;

/// What a group is of, packed: interface 20 bits, client and server address 26 each, port 16, protocol 8, window 24.
///
/// An object with more than a million interfaces or 64 million addresses would need wider fields; numbering stops
/// there, and the object is refused: see [`super::Rollup::is_full`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    /// Interface, client and port.
    client: u64,
    /// Server, protocol and window.
    server: u64,
}

pub(super) const MAX_INTERFACES: u32 = 1 << 20;
pub(super) const MAX_ADDRESSES: u32 = 1 << 26;
/// The year 2288.
const MAX_WINDOWS: u32 = 1 << 24;

impl Key {
    #[inline]
    pub(super) fn new(interface: u32, client: u32, server: u32, port: u16, protocol: u8, window: Window) -> Self {
        let window = window.0.min(MAX_WINDOWS - 1);
        Self {
            client: u64::from(interface) << 42 | u64::from(client) << 16 | u64::from(port),
            server: u64::from(server) << 32 | u64::from(protocol) << 24 | u64::from(window),
        }
    }

    pub(super) fn interface(self) -> u32 {
        (self.client >> 42) as u32
    }

    pub(super) fn client(self) -> u32 {
        (self.client >> 16) as u32 & (MAX_ADDRESSES - 1)
    }

    pub(super) fn server(self) -> u32 {
        (self.server >> 32) as u32
    }

    pub(super) fn port(self) -> u16 {
        self.client as u16
    }

    pub(super) fn protocol(self) -> u8 {
        (self.server >> 24) as u8
    }

    #[inline]
    pub(super) fn window(self) -> Window {
        Window(self.server as u32 & (MAX_WINDOWS - 1))
    }

    /// A hash whose low bits are as good as its high ones.
    #[inline]
    pub(super) fn hash(self) -> u64 {
        fold(self.client ^ A, self.server ^ B)
    }
}

/// Totals of one client × server × port × protocol × window on one interface.
///
/// Two cache lines, and no more than two: what a record costs is mostly waiting for its group.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Group {
    pub(super) key: Key,
    /// Of accepted records, by [`Sense`].
    amounts: [Amounts; 2],
    pub(super) first: i64,
    last: i64,
    ports_early: u64,
    ports_late: u64,
    digest: u64,
    /// How many records asked, were refused to ask, and answered.
    n_records: [u64; 3],
    pub(super) minutes: u16,
}

const ASKED: usize = 0;
const REFUSED: usize = 1;
const ANSWERED: usize = 2;

/// What records amount to, at most [`u64::MAX`] of each.
#[derive(Clone, Copy, Debug, Default)]
struct Amounts {
    packets: u64,
    bytes: u64,
}

impl Amounts {
    #[inline]
    fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Group {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            amounts: [Amounts::default(); 2],
            first: i64::MAX,
            last: i64::MIN,
            ports_early: 0,
            ports_late: 0,
            digest: 0,
            n_records: [0; 3],
            minutes: 0,
        }
    }

    /// All records.
    pub(super) fn n_rows(&self) -> u64 {
        self.n_records.iter().sum()
    }

    /// The group with what another one of the same two sent, where both directions have groups of their own.
    pub(super) fn answered_by(&self, other: &Self) -> Self {
        let mut whole = *self;
        let [asked, _] = other.amounts;
        whole.amounts[1].add(asked);
        whole
    }

    /// Records from the client to the server, refused ones too.
    pub(super) fn n_sent(&self) -> u64 {
        self.n_records[ASKED] + self.n_records[REFUSED]
    }

    /// Bytes from the client to the server.
    pub(super) fn bytes_sent(&self) -> u64 {
        let [asked, _] = self.amounts;
        asked.bytes
    }

    /// Whether it holds answers only. What asked for them may be told by another object.
    pub(super) fn is_answer(&self) -> bool {
        let [_, answered] = self.amounts;
        self.n_sent() == 0 && answered.packets > 0
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "there are three kinds of records, and two senses")]
    pub(super) fn add(&mut self, record: &Flow, sense: Sense) {
        let asks = u64::from(sense == Sense::Asks);
        let is_accepted = u64::from(!record.rejected);
        let window = self.key.window().start();
        self.n_records[if sense == Sense::Asks { usize::from(record.rejected) } else { ANSWERED }] += 1;
        // What was refused never left.
        let accepted = is_accepted.wrapping_neg();
        self.amounts[sense as usize]
            .add(Amounts { packets: record.packets & accepted, bytes: record.bytes & accepted });
        self.first = self.first.min(record.start);
        self.last = self.last.max(record.end);
        let within = record.start - window;
        self.minutes |= (asks as u16) << (within.clamp(0, WINDOW_SECS - 1) as u32 / 60);
        let port = is_accepted << (record.client_port(sense) & 63);
        self.ports_early |= if within < WINDOW_SECS / 2 { port } else { 0 };
        self.ports_late |= if record.end - window >= WINDOW_SECS / 2 { port } else { 0 };
        self.digest = self.digest.wrapping_add(digest(record, sense));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (n, other) in self.n_records.iter_mut().zip(other.n_records) {
            *n += other;
        }
        for (amounts, other) in self.amounts.iter_mut().zip(other.amounts) {
            amounts.add(other);
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.minutes |= other.minutes;
        self.ports_early |= other.ports_early;
        self.ports_late |= other.ports_late;
        self.digest = self.digest.wrapping_add(other.digest);
    }

    /// The observation of a group whose client is the interface's own side; owner, interface and peer are the caller's.
    pub(super) fn observation(&self) -> Observation {
        let [asked, answered] = self.amounts;
        Observation {
            port: self.key.port(),
            protocol: self.key.protocol(),
            window: self.key.window(),
            n_flows: count(self.n_records[ASKED]),
            n_rejected: count(self.n_records[REFUSED]),
            bytes_out: asked.bytes,
            packets_in: answered.packets,
            bytes_in: answered.bytes,
            first: self.first,
            last: self.last,
            minutes: self.minutes,
            ports_early: self.ports_early,
            ports_late: self.ports_late,
            digest: self.digest,
            ..Observation::default()
        }
    }
}

/// A count in fewer bits, at most [`u32::MAX`].
fn count(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

// Odd constants, the first from the golden ratio, the other one any: multiply and fold, as foldhash does. Digests are
// stored, so they stay.
const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0x2436_7a5c_0e1f_3d4b;

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// A hash of what makes a record one record within its group. Added up over a group: two tellings of the same records
/// have the same sum, whatever their order.
#[inline]
fn digest(record: &Flow, sense: Sense) -> u64 {
    let times = (record.start as u64) << 32 ^ record.end as u64;
    let side =
        u64::from(record.client_port(sense)) << 8 | u64::from(record.rejected) << 1 | u64::from(sense == Sense::Asks);
    fold(fold(times ^ A, record.bytes ^ B).wrapping_add(record.packets), side ^ A)
}
