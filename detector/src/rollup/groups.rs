//! All groups of an object, and the numbers of interfaces and addresses that their keys are made of.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::Array;
use baselines::ladder::is_private;
use baselines::names::Names;
use baselines::slots::Slots;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::block::Block;
use super::group::{Group, Key, MAX_ADDRESSES, MAX_INTERFACES};
use super::initiator;
use super::own::Owned;
use super::table::Table;
use super::{Interface, Known, Numbered, OTHER, Record, UNKNOWN, is_within};
use crate::flow::{Coded, DIRECTION_UNKNOWN, EGRESS, FlowBatch};

/// An interface of the object, with what the records say of it.
#[derive(Clone, Debug)]
pub(super) struct InterfaceSeen {
    pub(super) known: Arc<Known>,
    pub(super) account: Arc<str>,
    pub(super) region: Arc<str>,
    pub(super) vpc: Arc<str>,
    /// Passes on others' packets: a NAT gateway or another middlebox, whose copy would count everything twice.
    pub(super) forwards: bool,
}

impl InterfaceSeen {
    fn new(known: Arc<Known>) -> Self {
        let nothing = Arc::<str>::default;
        Self { known, account: nothing(), region: nothing(), vpc: nothing(), forwards: false }
    }
}

/// A judged interface, and its number in the latest object that it was met in.
#[derive(Debug)]
struct Met {
    known: Arc<Known>,
    object: u32,
    number: u32,
}

/// All groups of an object, and the tables their keys point into.
#[derive(Debug, Default)]
pub(super) struct Groups {
    table: Table,
    /// The judged interfaces met in this object and those before it, by id: of a flow log's objects nearly all have the
    /// same.
    met: HashMap<Arc<str>, Met, FixedState>,
    /// Which object this is of those grouped in the same memory.
    object: u32,
    interfaces: Vec<InterfaceSeen>,
    /// Accounts, regions and VPCs: many interfaces share them.
    places: Names,
    /// The address each interface was last seen to own.
    latest_own: Vec<u32>,
    /// Addresses that the records' direction shows to be interfaces' own.
    own: Owned,
    /// Where each address is in `addresses`: a table with keys of its own would take six times as much, most of it far
    /// from the cache.
    address_ids: Slots,
    addresses: Vec<u128>,
    hasher: FixedState,
    services: Names,
    /// The service of each address, a number of `services`, 0 for none; shorter when the rest have none.
    service_of: Vec<u32>,
}

impl Groups {
    /// Forgets everything but which interfaces are judged, and keeps the memory of what there is much of.
    pub(super) fn clear(&mut self) {
        let Self { table, met, object, interfaces, latest_own, address_ids, addresses, .. } = self;
        table.clear();
        interfaces.clear();
        latest_own.clear();
        address_ids.clear(addresses.len());
        addresses.clear();
        *self = Self {
            table: std::mem::take(table),
            met: std::mem::take(met),
            object: *object + 1,
            interfaces: std::mem::take(interfaces),
            latest_own: std::mem::take(latest_own),
            address_ids: std::mem::take(address_ids),
            addresses: std::mem::take(addresses),
            ..Self::default()
        };
    }

    /// The number of an entry of a dictionary of interfaces, or [`OTHER`] or [`UNKNOWN`].
    pub(super) fn interface_number(
        &mut self,
        column: Coded<'_>,
        entry: usize,
        judge: &mut dyn FnMut(&str) -> Interface,
    ) -> u32 {
        let Some(texts) = column.texts() else { return UNKNOWN };
        if texts.is_null(entry) {
            return OTHER;
        }
        let id = texts.value(entry);
        if let Some(number) = self.number_of_met(id) {
            return number;
        }
        match judge(id) {
            Interface::Judged(known) => self.add_interface(known),
            Interface::Other => OTHER,
            Interface::Unknown => UNKNOWN,
        }
    }

    /// The number of an interface that was met in this object or one before it.
    fn number_of_met(&mut self, id: &str) -> Option<u32> {
        let Self { met, object, interfaces, latest_own, .. } = self;
        let met = met.get_mut(id)?;
        if met.object != *object {
            met.object = *object;
            met.number = push_interface(interfaces, latest_own, &met.known);
        }
        Some(met.number)
    }

    /// Whether there is no number left for another interface or address: what comes then would be another's.
    pub(super) fn is_full(&self) -> bool {
        self.interfaces.len() >= MAX_INTERFACES as usize || self.addresses.len() >= MAX_ADDRESSES as usize
    }

    /// Adds an interface that was not met before.
    fn add_interface(&mut self, known: Arc<Known>) -> u32 {
        let number = push_interface(&mut self.interfaces, &mut self.latest_own, &known);
        self.met.insert(Arc::clone(&known.id), Met { known, object: self.object, number });
        number
    }

    /// Adds the numbers of the entries of a dictionary of addresses that have none yet.
    pub(super) fn addresses(&mut self, column: Coded<'_>, ids: &mut Vec<u32>) {
        let entries = column.addresses().get(ids.len()..).unwrap_or_default();
        ids.extend(entries.iter().map(|&bytes| self.intern_address(u128::from_be_bytes(bytes))));
    }

    fn intern_address(&mut self, address: u128) -> u32 {
        let hash = self.hasher.hash_one(address);
        if let Some(number) = self.number_at(hash, address) {
            return number;
        }
        let Self { address_ids, addresses, hasher, .. } = self;
        let number = addresses.len() as u32;
        if number == MAX_ADDRESSES {
            return MAX_ADDRESSES - 1;
        }
        address_ids.make_room(addresses.len() + 1, addresses.iter().map(|address| hasher.hash_one(address)));
        address_ids.add(address_ids.place(hash), number);
        addresses.push(address);
        number
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
        let [mut accounts, mut regions, mut vpcs] =
            [(account, "-"), (region, ""), (vpc, "")].map(|(column, lacking)| Place { column, lacking, latest: None });
        let nulls = batch.interface().nulls();
        for (row, &code) in batch.interface().codes().iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            let id = interfaces.get(code as usize).copied().unwrap_or(UNKNOWN);
            let Some(seen) = self.interfaces.get_mut(id as usize).filter(|seen| seen.account.is_empty()) else {
                continue;
            };
            // `-` marks an interface whose rows never say it, so that they are not asked again. AWS may say `unknown`
            // of those it makes.
            let names = &mut self.places;
            seen.account = accounts.at(row, names, |account| if account == "unknown" { "-" } else { account });
            seen.region = regions.at(row, names, |region| region);
            seen.vpc = vpcs.at(row, names, |vpc| vpc);
        }
    }

    /// Remembers the AWS service of addresses: rows of names and of addresses, with the addresses' numbers by their
    /// codes.
    pub(super) fn services(&mut self, services: Coded<'_>, addresses: &Numbered<'_>) {
        let Some(texts) = services.texts().filter(|texts| !texts.is_empty()) else { return };
        self.services.intern("");
        let numbers: Vec<u32> = texts.iter().map(|name| self.services.intern(name.unwrap_or_default())).collect();
        let names = Numbered::new(services, &numbers);
        self.service_of.resize(self.addresses.len(), 0);
        let mut tell = |row: usize| {
            let (service, Some(address)) = (names.of(row), addresses.at(row)) else { return };
            if self.service_of.get(address as usize) != Some(&service) {
                self.tell_service(address, service);
            }
        };
        // Most rows have none.
        match services.nulls() {
            Some(nulls) => nulls.valid_indices().for_each(&mut tell),
            None => (0..services.codes().len()).for_each(&mut tell),
        }
    }

    /// One address has one service; should a log disagree with itself, the alphabetically last wins.
    fn tell_service(&mut self, address: u32, service: u32) {
        let Self { services, service_of, .. } = self;
        if let Some(known) = service_of.get_mut(address as usize)
            && services.name(*known) < services.name(service)
        {
            *known = service;
        }
    }

    /// Adds the records of a block.
    pub(super) fn add(&mut self, block: &Block) {
        self.table.add(block);
    }

    /// Looks at the packets of a block's records, whose own addresses may differ from those the interface saw; gives
    /// the records the far one of the packet. A packet that another host sent or that is for another host shows that
    /// the interface passes on others' traffic.
    pub(super) fn through(
        &mut self,
        block: &mut Block,
        span: (i64, i64),
        packet: &dyn Fn(u8) -> (Option<u32>, Option<u32>),
    ) {
        for row in block.rows() {
            let Record { interface, src, dst, flow } = block.record(row);
            let direction = block.direction(row);
            if interface >= UNKNOWN || direction == DIRECTION_UNKNOWN || !is_within(span, flow.start) {
                continue;
            }
            let packet = packet(row);
            let (own, own_of_packet) = if direction == EGRESS { (src, packet.0) } else { (dst, packet.1) };
            if own_of_packet.is_some_and(|address| address != own && self.is_public(address)) {
                self.forwards(interface);
            }
            let sides =
                if direction == EGRESS { (src, packet.1.unwrap_or(dst)) } else { (packet.0.unwrap_or(src), dst) };
            block.set_sides(row, sides);
        }
    }

    /// Notes the addresses that a block's records show to be their interface's own.
    pub(super) fn own(&mut self, block: &Block, span: (i64, i64)) {
        // Nearly always those seen last.
        let is_new = |row| {
            let (interface, address) = block.own(row);
            self.latest_own.get(interface as usize).is_some_and(|latest| *latest != address)
        };
        if block.rows().fold(false, |any, row| any | is_new(row)) {
            for row in block.rows().filter(|row| is_within(span, block.record(*row).flow.start)) {
                let (interface, address) = block.own(row);
                self.owns(interface, address);
            }
        }
    }

    /// Notes an address as an interface's own.
    fn owns(&mut self, interface: u32, address: u32) {
        if self.latest_own.get(interface as usize) == Some(&address) {
            return;
        }
        if let Some(latest) = self.latest_own.get_mut(interface as usize) {
            *latest = address;
            self.own.insert(interface, address);
        }
    }

    fn forwards(&mut self, interface: u32) {
        if let Some(seen) = self.interfaces.get_mut(interface as usize) {
            seen.forwards = true;
        }
    }

    fn is_public(&self, address: u32) -> bool {
        !is_private(self.address(address))
    }

    /// The bits of an address in IPv6 form.
    pub(super) fn address(&self, id: u32) -> u128 {
        self.addresses.get(id as usize).copied().unwrap_or(0)
    }

    /// The number of an address; `None` when no record has it.
    pub(super) fn number(&self, address: u128) -> Option<u32> {
        self.number_at(self.hasher.hash_one(address), address)
    }

    fn number_at(&self, hash: u64, address: u128) -> Option<u32> {
        let is_it = |number: u32| self.addresses.get(number as usize) == Some(&address);
        self.address_ids.find(self.address_ids.place(hash), is_it)
    }

    /// How many addresses there are.
    pub(super) fn n_addresses(&self) -> usize {
        self.addresses.len()
    }

    /// The names of services, by number.
    pub(super) fn service_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.services.iter()
    }

    /// The number of an address's service, 0 for none.
    pub(super) fn service(&self, address: u32) -> u32 {
        self.service_of.get(address as usize).copied().unwrap_or(0)
    }

    /// What is known of an interface.
    #[expect(clippy::indexing_slicing, reason = "keys hold numbers of this very vector, see `push_interface`")]
    pub(super) fn interface(&self, id: u32) -> &InterfaceSeen {
        &self.interfaces[id as usize]
    }

    /// Takes the addresses shown to be interfaces' own.
    pub(super) fn take_own(&mut self) -> Owned {
        std::mem::take(&mut self.own)
    }

    /// All interfaces, by number.
    pub(super) fn all_interfaces(&self) -> &[InterfaceSeen] {
        &self.interfaces
    }

    /// All groups, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.table.groups().iter()
    }

    /// The end that serves in each group: interface, address, port and protocol.
    pub(super) fn served(&self) -> impl Iterator<Item = (u32, u32, u16, u8)> {
        self.iter().map(|group| (group.key.interface(), group.key.server(), group.key.port(), group.key.protocol()))
    }

    /// What tells answers among the groups of protocols without ports and flags.
    pub(super) fn answers(&self) -> Answers<'_> {
        let talkers = if self.iter().any(|group| initiator::is_icmp(group.key.protocol())) {
            let others = self.iter().filter(|group| !initiator::is_icmp(group.key.protocol()));
            others.map(|group| (group.key.interface(), group.key.client(), group.key.server())).collect()
        } else {
            HashSet::default()
        };
        Answers { groups: self, talkers }
    }

    /// Adds the groups of another unit; gives the new numbers of its interfaces and addresses.
    pub(super) fn merge(&mut self, other: &Self) -> (Vec<u32>, Vec<u32>) {
        let addresses: Vec<u32> = other.addresses.iter().map(|&address| self.intern_address(address)).collect();
        let of = |table: &[u32], id: u32| table.get(id as usize).copied().unwrap_or(0);
        let mut interfaces = Vec::with_capacity(other.interfaces.len());
        for seen in &other.interfaces {
            let id = self.number_of_met(&seen.known.id).unwrap_or_else(|| self.add_interface(Arc::clone(&seen.known)));
            interfaces.push(id);
            if let Some(mine) = self.interfaces.get_mut(id as usize) {
                mine.forwards |= seen.forwards;
                if mine.account.is_empty() {
                    mine.account.clone_from(&seen.account);
                    mine.region.clone_from(&seen.region);
                    mine.vpc.clone_from(&seen.vpc);
                }
            }
        }
        other.own.iter().for_each(|(interface, own)| self.owns(of(&interfaces, interface), of(&addresses, own)));
        self.services.intern("");
        self.service_of.resize(self.addresses.len(), 0);
        let services: Vec<u32> = other.services.iter().map(|name| self.services.intern(name)).collect();
        for (address, service) in (0..).zip(&other.service_of) {
            self.tell_service(of(&addresses, address), of(&services, *service));
        }
        for group in other.table.groups() {
            let key = Key::new(
                of(&interfaces, group.key.interface()),
                of(&addresses, group.key.client()),
                of(&addresses, group.key.server()),
                group.key.port(),
                group.key.protocol(),
                group.key.window(),
            );
            self.table.merge(key, group);
        }
        (interfaces, addresses)
    }
}

/// A column that names places, in which many rows follow that name the same.
struct Place<'a> {
    column: Option<Coded<'a>>,
    /// What stands for no name.
    lacking: &'a str,
    /// The code looked up last, `None` of a null, with its name.
    latest: Option<(Option<usize>, Arc<str>)>,
}

impl Place<'_> {
    /// The name at a row, as it is to be understood.
    fn at(&mut self, row: usize, names: &mut Names, understood: impl FnOnce(&str) -> &str) -> Arc<str> {
        let code = self.column.and_then(|column| column.code(row));
        match &self.latest {
            Some((latest, name)) if *latest == code => Arc::clone(name),
            _ => {
                let text = self.column.and_then(|column| column.text(row)).map_or(self.lacking, understood);
                let number = names.intern(text);
                let name = names.name(number);
                self.latest = Some((code, Arc::clone(&name)));
                name
            }
        }
    }
}

/// Adds an interface to those of an object; gives its number. See [`Groups::is_full`].
fn push_interface(interfaces: &mut Vec<InterfaceSeen>, latest_own: &mut Vec<u32>, known: &Arc<Known>) -> u32 {
    let number = (interfaces.len() as u32).min(MAX_INTERFACES - 1);
    if interfaces.len() < MAX_INTERFACES as usize {
        interfaces.push(InterfaceSeen::new(Arc::clone(known)));
        latest_own.push(u32::MAX);
    }
    number
}

/// Tells answers among the groups of protocols without ports and flags.
pub(super) struct Answers<'a> {
    groups: &'a Groups,
    /// Interface, client and server of all that is not ICMP.
    talkers: HashSet<(u32, u32, u32), FixedState>,
}

impl Answers<'_> {
    /// What the other side sent, which is the answer where [`Answers::contains`] says that a group is none.
    pub(super) fn turned(&self, group: &Group) -> Option<&Group> {
        let key = group.key;
        let turned = Key::new(key.interface(), key.server(), key.client(), key.port(), key.protocol(), key.window());
        self.groups.table.get(turned)
    }

    /// Whether a group from the own side is an answer: the other side spoke first or at once, or, for ICMP, has been
    /// talking at all (an unreachable-port message answers a datagram). To Lambda's interfaces nobody speaks first, and
    /// what is told of the same second is the answer. So is what is told of it where pings brought twice as much: an
    /// echo is as large as what it answers.
    pub(super) fn contains(&self, group: &Group) -> bool {
        let key = group.key;
        if !initiator::is_portless(key.protocol()) {
            return false;
        }
        let (interface, client, server) = (key.interface(), key.client(), key.server());
        let is_lambda = self.groups.interface(interface).known.is_lambda;
        let is_icmp = initiator::is_icmp(key.protocol());
        let is_no_echo = |other: &Group| is_icmp && group.bytes_sent() > other.bytes_sent().saturating_mul(2);
        let asks_of_the_same_second = |other: &Group| is_lambda || is_no_echo(other);
        let is_before = |other: &Group| {
            other.first < group.first || (other.first == group.first && !asks_of_the_same_second(other))
        };
        self.turned(group).is_some_and(is_before) || (is_icmp && self.talkers.contains(&(interface, server, client)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_more_interfaces_than_there_are_numbers_is_full() {
        let mut groups = Groups::default();
        let mut add = |n: u32| {
            groups.add_interface(Arc::new(Known::itself(&format!("eni-{n:08x}"))));
            groups.is_full()
        };
        assert!(!(1..MAX_INTERFACES).any(&mut add));
        assert!(add(MAX_INTERFACES));
    }
}
