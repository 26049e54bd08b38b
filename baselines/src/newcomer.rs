//! Newcomers: destinations an owner met lately or rarely, and what they did since. The file an analyst would open.
//!
//! What is met for the first time is not known on the second contact: it is watched until it has aged unremarkably
//! ([`Newcomer::has_settled`]). Until then its contacts, amounts and held connections are kept, so that rhythm, slow
//! drips and sleepers can be judged from what was stored, across objects.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::known::Known;
use crate::observation::Observation;
use crate::window::{WINDOW_MINUTES, Window};

/// Contacts kept of a newcomer. A beacon shows after four; enough for two days of an hourly one.
const MAX_CONTACTS: usize = 64;

/// Windows whose flow records are counted one by one: four hours, in which a steady poll shows.
const MAX_COUNTS: usize = 24;

/// Destinations kept of a newcomer by name.
const MAX_DESTINATIONS: usize = 24;

/// Days on which something must have been met before it is known. Three: an attack of one night reaches two.
pub(crate) const SETTLED_DAYS: u32 = 3;

/// A rung of the ladder at which something is new. Numbers are those of [`crate::ladder::Ladder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A network owner.
    Network(u32),
    /// A port and protocol of a known network owner.
    Service(u32, u16, u8),
    /// A prefix of a known network owner.
    Prefix(u32),
}

impl Subject {
    /// All of it in one number, which is compared and hashed at once.
    pub(crate) fn packed(self) -> u64 {
        match self {
            Self::Network(network) => u64::from(network) << 24,
            Self::Service(network, port, protocol) => {
                1 << 56 | u64::from(network) << 24 | u64::from(port) << 8 | u64::from(protocol)
            }
            Self::Prefix(prefix) => 2 << 56 | u64::from(prefix) << 24,
        }
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Self) -> Ordering {
        self.packed().cmp(&other.packed())
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Subject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.packed());
    }
}

/// What was known at the moment of the first contact: the facts novelty is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Circumstances {
    /// Days the owner had been active before.
    pub n_days: u32,
    /// Like things met for the first time in the days before, recent days counting more.
    pub n_new: f64,
    /// Days of activity over which `n_new` was counted, recent days counting more.
    pub exposure: f64,
    /// Owners of the fleet that knew the network; of a prefix, those that knew the prefix.
    pub n_owners_knowing: u32,
    /// Owners of the fleet.
    pub n_owners: u32,
    /// Whether the owner had used the port with any network before.
    pub port_known: bool,
    /// Days that brought a new network, recent days counting more, and the days of activity.
    pub n_new_networks: f64,
    /// See `n_new_networks`.
    pub network_exposure: f64,
    /// Ports never used before, recent ones counting more, and the occasions for one: each new network, one a day at
    /// least.
    pub n_new_ports: f64,
    /// See `n_new_ports`.
    pub port_exposure: f64,
    /// Windows since the owner had been first seen.
    pub age: u32,
}

/// One destination, with what was exchanged with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contacted {
    /// Number of the address in [`crate::ladder::Ladder`].
    pub peer: u32,
    /// Its port.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Flow records sent, refused ones too.
    pub n_flows: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// First second of the first record.
    pub first: i64,
    /// Last second of the last.
    pub last: i64,
}

impl Contacted {
    /// What one observation exchanged.
    pub fn of(row: &Observation) -> Self {
        Self {
            peer: row.peer,
            port: row.port,
            protocol: row.protocol,
            n_flows: u64::from(row.n_flows) + u64::from(row.n_rejected),
            bytes_out: row.bytes_out,
            bytes_in: row.bytes_in,
            first: row.first,
            last: row.last,
        }
    }

    /// The destination.
    pub fn key(&self) -> (u32, u16, u8) {
        (self.peer, self.port, self.protocol)
    }

    /// Adds what was exchanged with the same destination at another time.
    pub fn add(&mut self, other: &Self) {
        self.n_flows = self.n_flows.saturating_add(other.n_flows);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// A destination under watch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Newcomer {
    /// When it was met.
    pub known: Known,
    /// What was known then.
    pub met: Circumstances,
    /// Minutes since the epoch in which contact was made, the latest [`MAX_CONTACTS`], in order.
    pub contacts: Vec<u32>,
    /// Flow records sent in each of the latest windows with contact, at most [`MAX_COUNTS`], in order.
    pub counts: Vec<(Window, u32)>,
    /// Amounts since the first contact.
    pub n_flows: u64,
    /// See `n_flows`.
    pub n_rejected: u64,
    /// See `n_flows`.
    pub bytes_out: u64,
    /// See `n_flows`.
    pub bytes_in: u64,
    /// Bytes sent in the window of the latest contact.
    pub latest_bytes_out: u64,
    /// The contact before the latest window with one; the same window at first.
    pub before: Window,
    /// Destinations with what was exchanged since, in order of first contact; at most [`MAX_DESTINATIONS`].
    pub destinations: Vec<Contacted>,
    /// Connections held since: port bits still alive, the window they began in, and how many bits of chance they beat.
    pub held: Held,
    /// The finding it is under, 0 for none.
    pub finding: u128,
}

/// Evidence a run starts with, in bits: −6 = −log2 64. Any of the 64 port bits could be the one that survives by
/// chance, so six bits are taken off in advance.
const AGAINST_CHANCE_AT_FIRST: f64 = -6.0;

/// Bits by which a run must beat chance to be one connection.
const MIN_AGAINST_CHANCE: f64 = 20.0;

/// Connections that were alive in every half window so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Local port bits alive in each half window of the run.
    pub bits: u64,
    /// First window of the run.
    pub since: Window,
    /// Last window of the run.
    pub until: Window,
    /// −log2 of the chance that some bit survives so long by other connections alone.
    pub against_chance: f64,
}

impl Held {
    /// Continues the run with a window's port bits, or starts anew. A window before the run's last is told late, of a
    /// few records: it ends nothing.
    pub fn extend(&mut self, window: Window, early: u64, late: u64) {
        if window < self.until {
            return;
        }
        let halves = [early, late].into_iter().filter(|&half| half != 0);
        let continued = window.0 == self.until.0 + 1 || window == self.until;
        let alive = halves.clone().fold(if continued { self.bits } else { u64::MAX }, |bits, half| bits & half);
        if continued && alive != 0 {
            self.bits = alive;
            self.until = window;
        } else {
            let bits = if early & late != 0 { early & late } else { late | early };
            *self = Self { bits, since: window, until: window, against_chance: AGAINST_CHANCE_AT_FIRST };
        }
        for half in halves {
            // One of 64 bits survives by chance with the share of bits set; full halves tell nothing.
            self.against_chance -= (f64::from(half.count_ones()) / 64.0).log2();
        }
    }

    /// Goes on with a later run: both are one when it began where this one ended and some bit was alive throughout.
    fn follow(&mut self, later: &Self) {
        let alive = self.bits & later.bits;
        if later.since.0 == self.until.0 + 1 && alive != 0 {
            let against_chance = self.against_chance + later.against_chance - AGAINST_CHANCE_AT_FIRST;
            *self = Self { bits: alive, since: self.since, until: later.until, against_chance };
        } else if *later != Self::default() {
            *self = *later;
        }
    }

    /// Connections in a half window of the run, on average: how many local ports it takes to set as many bits as were
    /// set, by the geometric mean. Infinite where the ports say nothing: every bit was set, or none was told.
    pub fn n_connections(&self) -> f64 {
        let n_halves = f64::from(2 * (self.until.0.saturating_sub(self.since.0) + 1));
        let share = 2f64.powf((AGAINST_CHANCE_AT_FIRST - self.against_chance) / n_halves);
        // Of n ports at random each of 64 bits is missed by all with a chance of (1 − 1/64)^n.
        (1.0 - share).max(0.0).ln() / (1.0f64 - 1.0 / 64.0).ln()
    }

    /// Whether the run is one connection, beyond what others could make of it by chance.
    pub fn is_one_connection(&self) -> bool {
        self.against_chance >= MIN_AGAINST_CHANCE
    }

    /// Seconds the run has lasted.
    pub fn secs(&self) -> i64 {
        self.until.end() - self.since.start()
    }
}

impl Newcomer {
    /// Met for the first time.
    pub fn new(window: Window, met: Circumstances) -> Self {
        let mut newcomer = Self::default();
        newcomer.begin(window, met);
        newcomer
    }

    /// Makes it one that is met for the first time, in the memory that it has.
    pub(crate) fn begin(&mut self, window: Window, met: Circumstances) {
        let Self { mut contacts, mut counts, mut destinations, .. } = std::mem::take(self);
        contacts.clear();
        counts.clear();
        destinations.clear();
        let known = Known::new(window);
        *self = Self { known, met, contacts, counts, before: window, destinations, ..Self::default() };
    }

    /// Adds an observation of it. What connections were held is told apart, once a window: see [`Held::extend`].
    pub fn add(&mut self, row: &Observation) {
        if row.window > self.known.last {
            self.before = self.known.last;
            self.latest_bytes_out = 0;
        }
        self.known.touch(row.window);
        self.latest_bytes_out = self.latest_bytes_out.saturating_add(row.bytes_out);
        self.n_flows = self.n_flows.saturating_add(row.n_flows.into());
        self.n_rejected = self.n_rejected.saturating_add(row.n_rejected.into());
        self.bytes_out = self.bytes_out.saturating_add(row.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(row.bytes_in);
        match self.counts.last_mut() {
            Some((window, n)) if *window == row.window => *n = n.saturating_add(row.n_flows),
            Some((window, _)) if *window > row.window => {}
            _ => self.counts.push((row.window, row.n_flows)),
        }
        let surplus = self.counts.len().saturating_sub(MAX_COUNTS);
        self.counts.drain(..surplus);
        self.contact(row.window, row.minutes);
        let contacted = Contacted::of(row);
        if let Some(known) = self.destinations.iter_mut().find(|known| known.key() == contacted.key()) {
            known.add(&contacted);
        } else if self.destinations.len() < MAX_DESTINATIONS {
            self.destinations.push(contacted);
        }
    }

    /// Notes in which minutes of a window there was contact.
    fn contact(&mut self, window: Window, minutes: u16) {
        let base = (window.start() / 60) as u32;
        // Several destinations tell of the same minutes, and hardly any comes before others.
        let latest = self.contacts.iter().rev().take_while(|&&minute| minute >= base);
        let known = latest.fold(0, |known, minute| known | 1u32.checked_shl(minute - base).unwrap_or(0));
        let mut new = u32::from(minutes) & ((1 << WINDOW_MINUTES) - 1) & !known;
        while new != 0 {
            let minute = base + new.trailing_zeros();
            let at = self.contacts.iter().rposition(|&before| before < minute).map_or(0, |at| at + 1);
            self.contacts.insert(at, minute);
            new &= new - 1;
        }
        let surplus = self.contacts.len().saturating_sub(MAX_CONTACTS);
        self.contacts.drain(..surplus);
    }

    /// Adds what another learner saw of it later.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.before = if later.known.n_windows > 1 { later.before } else { self.known.last };
        self.latest_bytes_out = later.latest_bytes_out;
        self.held.follow(&later.held);
        self.known.merge(&later.known);
        self.n_flows = self.n_flows.saturating_add(later.n_flows);
        self.n_rejected = self.n_rejected.saturating_add(later.n_rejected);
        self.bytes_out = self.bytes_out.saturating_add(later.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(later.bytes_in);
        self.counts.extend_from_slice(&later.counts);
        self.counts.sort_by_key(|&(window, _)| window);
        self.counts.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            is_same
        });
        self.counts.drain(..self.counts.len().saturating_sub(MAX_COUNTS));
        self.contacts.extend_from_slice(&later.contacts);
        self.contacts.sort_unstable();
        self.contacts.dedup();
        self.contacts.drain(..self.contacts.len().saturating_sub(MAX_CONTACTS));
        for contacted in &later.destinations {
            if let Some(known) = self.destinations.iter_mut().find(|known| known.key() == contacted.key()) {
                known.add(contacted);
            } else if self.destinations.len() < MAX_DESTINATIONS {
                self.destinations.push(*contacted);
            }
        }
        if self.finding == 0 {
            self.finding = later.finding;
        }
    }

    /// Whether it has aged unremarkably: met on several days, under no finding.
    pub fn has_settled(&self) -> bool {
        Self::settles(&self.known, self.finding)
    }

    /// See [`Newcomer::has_settled`].
    pub(crate) fn settles(known: &Known, finding: u128) -> bool {
        finding == 0 && known.n_days >= SETTLED_DAYS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_held_connection_keeps_its_bit_among_short_ones() {
        let mut held = Held::default();
        for window in 100..112 {
            let short = 1u64 << (window * 7 % 64);
            held.extend(Window(window), 1 << 9 | short, 1 << 9 | short.rotate_left(11));
        }
        assert_eq!((held.bits, held.since, held.secs()), (1 << 9, Window(100), 7200));
        assert!(held.against_chance > 100.0);
    }

    #[test]
    fn a_record_told_late_ends_no_connection() {
        let mut held = Held::default();
        for window in [100, 101, 102, 103, 101, 104, 99, 105] {
            held.extend(Window(window), 1 << 9, 1 << 9);
        }
        assert_eq!((held.since, held.until), (Window(100), Window(105)));
    }

    #[test]
    fn short_connections_hold_nothing() {
        let mut held = Held::default();
        for window in 100u32..112 {
            held.extend(Window(window), 1 << (window * 5 % 64), 1 << ((window * 5 + 31) % 64));
        }
        assert_eq!(held.since, Window(111), "each window starts anew");
        held.extend(Window(113), u64::MAX, u64::MAX);
        assert!(held.against_chance <= 0.0, "a half with every bit set tells nothing");
    }

    #[test]
    fn ports_tell_how_many_connections_there_were() {
        let of = |halves: &[u64]| {
            let mut held = Held::default();
            halves.chunks(2).zip(100..).for_each(|(half, window)| held.extend(Window(window), half[0], half[1]));
            held.n_connections()
        };
        assert!((of(&[1 << 9; 12]) - 1.0).abs() < 1e-9, "one that is held");
        assert!((of(&[0b11; 12]) - 2.0).abs() < 0.05, "two that are held");
        assert!((of(&[0b1, 0b10]) - 1.0).abs() < 1e-9, "the first of a run");
        assert!((of(&[0b11111, 0b111_1100_0000]) - 5.0).abs() < 0.3, "five short ones in each half");
        assert!(of(&[u64::MAX; 4]).is_infinite(), "too many to tell");
        assert!(of(&[0, 0]).is_infinite(), "no ports told");
    }

    proptest! {
        #[test]
        fn contacts_are_the_latest_minutes(rows in prop::collection::vec((0..12u32, any::<u16>()), 0..30)) {
            let mut newcomer = Newcomer::new(Window(0), Circumstances::default());
            let mut minutes = BTreeSet::new();
            for (window, mask) in rows {
                newcomer.add(&Observation { window: Window(window), minutes: mask, ..Observation::default() });
                minutes.extend((0..10).filter(|minute| mask >> minute & 1 == 1).map(|minute| window * 10 + minute));
                while minutes.len() > MAX_CONTACTS {
                    minutes.pop_first();
                }
                prop_assert!(newcomer.contacts.iter().eq(&minutes));
            }
        }
    }

    #[test]
    fn contacts_are_bounded_and_sorted() {
        let mut newcomer = Newcomer::new(Window(0), Circumstances::default());
        for window in 0..40 {
            let row = Observation { window: Window(window), minutes: 0b10_0000_0011, ..Observation::default() };
            newcomer.add(&row);
            newcomer.add(&row);
        }
        assert_eq!(newcomer.contacts.len(), MAX_CONTACTS);
        assert!(newcomer.contacts.is_sorted());
        assert_eq!(newcomer.contacts.last(), Some(&399));
    }
}
