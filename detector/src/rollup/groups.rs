//! The group table: integer keys to dense numbers, states in a vector, merged by renumbering.

use std::sync::Arc;

use arrow_array::Array;
use baselines::ladder::is_private;
use baselines::observation::Observation;
use baselines::window::{WINDOW_SECS, Window};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::initiator::{self, Sense};
use super::{Interface, OTHER, Record, UNKNOWN};
use crate::flow::{Coded, FlowBatch};

/// What a group is of, packed: interface 20 bits, client and server address 26 each, port 16, protocol 8, window 24.
///
/// An object with more than a million interfaces or 64 million addresses would need wider fields; `intern` stops
/// numbering there, and the surplus shares the last number rather than wrapping into another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u128);

const MAX_INTERFACES: u32 = 1 << 20;
const MAX_ADDRESSES: u32 = 1 << 26;
const MAX_WINDOWS: u32 = 1 << 24;

impl Key {
    #[inline]
    pub(super) fn new(interface: u32, client: u32, server: u32, port: u16, protocol: u8, window: Window) -> Self {
        let window = window.0.min(MAX_WINDOWS - 1);
        Self(
            u128::from(interface) << 100
                | u128::from(client) << 74
                | u128::from(server) << 48
                | u128::from(port) << 32
                | u128::from(protocol) << 24
                | u128::from(window),
        )
    }

    pub(super) fn interface(self) -> u32 {
        (self.0 >> 100) as u32
    }

    pub(super) fn client(self) -> u32 {
        (self.0 >> 74) as u32 & (MAX_ADDRESSES - 1)
    }

    pub(super) fn server(self) -> u32 {
        (self.0 >> 48) as u32 & (MAX_ADDRESSES - 1)
    }

    pub(super) fn port(self) -> u16 {
        (self.0 >> 32) as u16
    }

    pub(super) fn protocol(self) -> u8 {
        (self.0 >> 24) as u8
    }
}

/// Totals of one client × server × port × protocol × window on one interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) key: Key,
    pub(super) window: Window,
    pub(super) n_rows: u64,
    n_asked: u32,
    n_rejected: u32,
    n_opened: u32,
    packets_asked: u64,
    bytes_asked: u64,
    packets_answered: u64,
    bytes_answered: u64,
    pub(super) first: i64,
    last: i64,
    minutes: u16,
    ports_early: u64,
    ports_late: u64,
    digest: u64,
}

impl Group {
    fn new(key: Key, window: Window) -> Self {
        Self {
            key,
            window,
            n_rows: 0,
            n_asked: 0,
            n_rejected: 0,
            n_opened: 0,
            packets_asked: 0,
            bytes_asked: 0,
            packets_answered: 0,
            bytes_answered: 0,
            first: i64::MAX,
            last: i64::MIN,
            minutes: 0,
            ports_early: 0,
            ports_late: 0,
            digest: 0,
        }
    }

    /// Records from the client to the server, refused ones too.
    pub(super) fn n_sent(&self) -> u64 {
        u64::from(self.n_asked) + u64::from(self.n_rejected)
    }

    #[inline]
    fn add(&mut self, record: &Record, sense: Sense) {
        self.n_rows += 1;
        let within = record.start - self.window.start();
        self.first = self.first.min(record.start);
        self.last = self.last.max(record.end);
        match sense {
            Sense::Asks => {
                if record.rejected {
                    self.n_rejected = self.n_rejected.saturating_add(1);
                } else {
                    self.n_asked = self.n_asked.saturating_add(1);
                    self.packets_asked = self.packets_asked.saturating_add(record.packets);
                    self.bytes_asked = self.bytes_asked.saturating_add(record.bytes);
                }
                self.n_opened += u32::from(record.flags & initiator::SYN != 0);
                self.minutes |= 1 << (within / 60).clamp(0, 9);
            }
            Sense::Answers => {
                if !record.rejected {
                    self.packets_answered = self.packets_answered.saturating_add(record.packets);
                    self.bytes_answered = self.bytes_answered.saturating_add(record.bytes);
                }
            }
        }
        if !record.rejected {
            let bit = 1u64 << (record.client_port(sense) & 63);
            if within < WINDOW_SECS / 2 {
                self.ports_early |= bit;
            }
            if record.end - self.window.start() >= WINDOW_SECS / 2 {
                self.ports_late |= bit;
            }
        }
        self.digest = self.digest.wrapping_add(digest(record, sense));
    }

    fn merge(&mut self, other: &Self) {
        self.n_rows += other.n_rows;
        self.n_asked = self.n_asked.saturating_add(other.n_asked);
        self.n_rejected = self.n_rejected.saturating_add(other.n_rejected);
        self.n_opened = self.n_opened.saturating_add(other.n_opened);
        self.packets_asked = self.packets_asked.saturating_add(other.packets_asked);
        self.bytes_asked = self.bytes_asked.saturating_add(other.bytes_asked);
        self.packets_answered = self.packets_answered.saturating_add(other.packets_answered);
        self.bytes_answered = self.bytes_answered.saturating_add(other.bytes_answered);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.minutes |= other.minutes;
        self.ports_early |= other.ports_early;
        self.ports_late |= other.ports_late;
        self.digest = self.digest.wrapping_add(other.digest);
    }

    /// The observation of a group whose client is the interface's own side; owner, interface and peer are the caller's.
    pub(super) fn observation(&self) -> Observation {
        Observation {
            port: self.key.port(),
            protocol: self.key.protocol(),
            window: self.window,
            n_flows: self.n_asked,
            n_rejected: self.n_rejected,
            n_opened: self.n_opened,
            packets_out: self.packets_asked,
            bytes_out: self.bytes_asked,
            packets_in: self.packets_answered,
            bytes_in: self.bytes_answered,
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

/// A hash of what makes a record one record within its group. Added up over a group: two tellings of the same records
/// have the same sum, whatever their order.
#[inline]
fn digest(record: &Record, sense: Sense) -> u64 {
    // Odd constants from the fractional part of the golden ratio and of π: multiply and fold, as foldhash does.
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0x2436_7a5c_0e1f_3d4b;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product >> 64) as u64 ^ product as u64
    };
    let times = (record.start as u64) << 32 ^ record.end as u64;
    let side =
        u64::from(record.client_port(sense)) << 8 | u64::from(record.rejected) << 1 | u64::from(sense == Sense::Asks);
    fold(fold(times ^ A, record.bytes ^ B).wrapping_add(record.packets), side ^ A)
}

/// An interface of the object, with what the records say of it.
#[derive(Clone, Debug, Default)]
pub(super) struct InterfaceSeen {
    pub(super) id: Arc<str>,
    pub(super) account: Arc<str>,
    pub(super) region: Arc<str>,
    pub(super) vpc: Arc<str>,
    /// Passes on others' packets: a NAT gateway or another middlebox, whose copy would count everything twice.
    pub(super) forwards: bool,
    /// Addresses that the records' direction shows to be its own.
    pub(super) own: Vec<u32>,
}

/// All groups of an object, and the tables their keys point into.
#[derive(Debug, Default)]
pub(super) struct Groups {
    ids: HashMap<Key, u32, FixedState>,
    states: Vec<Group>,
    interface_ids: HashMap<Arc<str>, u32, FixedState>,
    interfaces: Vec<InterfaceSeen>,
    address_ids: HashMap<u128, u32, FixedState>,
    addresses: Vec<u128>,
    services: HashMap<u32, Arc<str>, FixedState>,
}

impl Groups {
    /// The number of each entry of a dictionary of interfaces, or [`OTHER`] or [`UNKNOWN`].
    pub(super) fn interfaces(&mut self, column: Coded<'_>, judge: &mut dyn FnMut(&str) -> Interface) -> Vec<u32> {
        let Some(texts) = column.texts() else { return vec![UNKNOWN; column.values().len()] };
        texts
            .iter()
            .map(|id| match id.map_or(Interface::Other, &mut *judge) {
                Interface::Judged => self.intern_interface(id.unwrap_or_default()),
                Interface::Other => OTHER,
                Interface::Unknown => UNKNOWN,
            })
            .collect()
    }

    fn intern_interface(&mut self, id: &str) -> u32 {
        if let Some(&known) = self.interface_ids.get(id) {
            return known;
        }
        let number = (self.interfaces.len() as u32).min(MAX_INTERFACES - 1);
        let id: Arc<str> = id.into();
        if self.interfaces.len() < MAX_INTERFACES as usize {
            self.interfaces.push(InterfaceSeen { id: Arc::clone(&id), ..InterfaceSeen::default() });
        }
        self.interface_ids.insert(id, number);
        number
    }

    /// The number of each entry of a dictionary of addresses.
    pub(super) fn addresses(&mut self, column: Coded<'_>) -> Vec<u32> {
        column.addresses().iter().map(|&bytes| self.intern_address(u128::from_be_bytes(bytes))).collect()
    }

    fn intern_address(&mut self, address: u128) -> u32 {
        let Self { address_ids, addresses, .. } = self;
        *address_ids.entry(address).or_insert_with(|| {
            let number = (addresses.len() as u32).min(MAX_ADDRESSES - 1);
            if addresses.len() < MAX_ADDRESSES as usize {
                addresses.push(address);
            }
            number
        })
    }

    /// Takes account, region and VPC of interfaces that have none yet from the first of their rows in a batch.
    pub(super) fn describe(&mut self, batch: &FlowBatch, interfaces: &[u32]) {
        let (account, region, vpc) = (batch.account(), batch.region(), batch.vpc());
        if account.is_none() && region.is_none() && vpc.is_none() {
            return;
        }
        let unknown =
            interfaces.iter().any(|&id| self.interfaces.get(id as usize).is_some_and(|i| i.account.is_empty()));
        if !unknown {
            return;
        }
        for (row, &code) in batch.interface().codes().iter().enumerate() {
            let id = interfaces.get(code as usize).copied().unwrap_or(UNKNOWN);
            let Some(seen) = self.interfaces.get_mut(id as usize).filter(|seen| seen.account.is_empty()) else {
                continue;
            };
            let text = |column: Option<Coded<'_>>| column.and_then(|c| Some(Arc::from(c.text(row)?)));
            // `-` marks an interface whose rows never say it, so that they are not asked again.
            seen.account = text(account).unwrap_or_else(|| "-".into());
            seen.region = text(region).unwrap_or_default();
            seen.vpc = text(vpc).unwrap_or_default();
        }
    }

    /// Remembers the AWS service of addresses.
    pub(super) fn services(&mut self, services: Coded<'_>, addresses: Coded<'_>) {
        let Some(texts) = services.texts() else { return };
        if texts.is_empty() {
            return;
        }
        let mut last = (-1, -1);
        for (row, (&service, &address)) in services.codes().iter().zip(addresses.codes()).enumerate() {
            if (service, address) == last || services.nulls().is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            last = (service, address);
            let (Some(bytes), true) = (addresses.address(row), (service as usize) < texts.len()) else { continue };
            let Some(&id) = self.address_ids.get(&u128::from_be_bytes(bytes)) else { continue };
            let name = texts.value(service as usize);
            // One address has one service; should a log disagree with itself, the alphabetically last wins.
            let entry = self.services.entry(id).or_insert_with(|| name.into());
            if **entry < *name {
                *entry = name.into();
            }
        }
    }

    /// Adds a record.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table holds numbers of this very vector")]
    pub(super) fn add(&mut self, record: &Record, sense: Sense) {
        let (key, window) = record.key(sense);
        let Self { ids, states, .. } = self;
        let id = *ids.entry(key).or_insert_with(|| {
            states.push(Group::new(key, window));
            (states.len() - 1) as u32
        });
        states[id as usize].add(record, sense);
    }

    /// Notes an address as an interface's own.
    #[inline]
    pub(super) fn own(&mut self, interface: u32, address: u32) {
        if let Some(seen) = self.interfaces.get_mut(interface as usize)
            && !seen.own.contains(&address)
        {
            seen.own.push(address);
        }
    }

    /// Notes that an interface passes on others' packets.
    pub(super) fn forwards(&mut self, interface: u32) {
        if let Some(seen) = self.interfaces.get_mut(interface as usize) {
            seen.forwards = true;
        }
    }

    /// Whether an address is outside private space.
    pub(super) fn is_public(&self, address: u32) -> bool {
        !is_private(self.address(address))
    }

    /// The bits of an address in IPv6 form.
    pub(super) fn address(&self, id: u32) -> u128 {
        self.addresses.get(id as usize).copied().unwrap_or(0)
    }

    /// The service of an address; empty for none.
    pub(super) fn service(&self, address: u32) -> &str {
        self.services.get(&address).map_or("", |name| name)
    }

    /// What is known of an interface.
    #[expect(clippy::indexing_slicing, reason = "keys hold numbers of this very vector, see `intern_interface`")]
    pub(super) fn interface(&self, id: u32) -> &InterfaceSeen {
        &self.interfaces[id as usize]
    }

    /// All interfaces, by number.
    pub(super) fn all_interfaces(&self) -> &[InterfaceSeen] {
        &self.interfaces
    }

    /// All groups, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.states.iter()
    }

    /// Every end that serves: interface, address, port and protocol.
    pub(super) fn served(&self) -> HashSet<(u32, u32, u16, u8), FixedState> {
        self.states
            .iter()
            .map(|group| (group.key.interface(), group.key.server(), group.key.port(), group.key.protocol()))
            .collect()
    }

    /// What tells answers among the groups of protocols without ports and flags.
    pub(super) fn answers(&self) -> Answers<'_> {
        let talkers = if self.states.iter().any(|group| initiator::is_icmp(group.key.protocol())) {
            let others = self.states.iter().filter(|group| !initiator::is_icmp(group.key.protocol()));
            others.map(|group| (group.key.interface(), group.key.client(), group.key.server())).collect()
        } else {
            HashSet::default()
        };
        Answers { groups: self, talkers }
    }

    /// Adds the groups of another unit; gives the new numbers of its interfaces and addresses.
    pub(super) fn merge(&mut self, other: Self) -> (Vec<u32>, Vec<u32>) {
        let addresses: Vec<u32> = other.addresses.iter().map(|&address| self.intern_address(address)).collect();
        let of = |table: &[u32], id: u32| table.get(id as usize).copied().unwrap_or(0);
        let mut interfaces = Vec::with_capacity(other.interfaces.len());
        for seen in &other.interfaces {
            let id = self.intern_interface(&seen.id);
            interfaces.push(id);
            for &own in &seen.own {
                self.own(id, of(&addresses, own));
            }
            if let Some(mine) = self.interfaces.get_mut(id as usize) {
                mine.forwards |= seen.forwards;
                if mine.account.is_empty() {
                    mine.account.clone_from(&seen.account);
                    mine.region.clone_from(&seen.region);
                    mine.vpc.clone_from(&seen.vpc);
                }
            }
        }
        // The larger name wins, whatever the order.
        for (address, name) in other.services {
            let entry = self.services.entry(of(&addresses, address)).or_insert_with(|| Arc::clone(&name));
            if *entry < name {
                *entry = name;
            }
        }
        for group in other.states {
            let key = Key::new(
                of(&interfaces, group.key.interface()),
                of(&addresses, group.key.client()),
                of(&addresses, group.key.server()),
                group.key.port(),
                group.key.protocol(),
                group.window,
            );
            let Self { ids, states, .. } = self;
            let id = *ids.entry(key).or_insert_with(|| {
                states.push(Group::new(key, group.window));
                (states.len() - 1) as u32
            });
            if let Some(mine) = states.get_mut(id as usize) {
                mine.merge(&group);
            }
        }
        (interfaces, addresses)
    }
}

/// Tells answers among the groups of protocols without ports and flags.
pub(super) struct Answers<'a> {
    groups: &'a Groups,
    /// Interface, client and server of all that is not ICMP.
    talkers: HashSet<(u32, u32, u32), FixedState>,
}

impl Answers<'_> {
    /// Whether a group is an answer: the other side spoke first or at once, or, for ICMP, has been talking at all (an
    /// unreachable-port message answers a datagram).
    pub(super) fn contains(&self, group: &Group) -> bool {
        let key = group.key;
        if !initiator::is_portless(key.protocol()) {
            return false;
        }
        let (interface, client, server) = (key.interface(), key.client(), key.server());
        let turned = Key::new(interface, server, client, key.port(), key.protocol(), group.window);
        let spoke_first =
            |&id: &u32| self.groups.states.get(id as usize).is_some_and(|other| other.first <= group.first);
        self.groups.ids.get(&turned).is_some_and(spoke_first)
            || (initiator::is_icmp(key.protocol()) && self.talkers.contains(&(interface, server, client)))
    }
}
