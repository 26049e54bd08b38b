//! Rollup: flow records into observations, by one group-by on integer keys.
//!
//! Where it sits: takes [`FlowBatch`]es from `read`, gives [`Observations`] to judging and learning. It is told which
//! interfaces are judged and who owns them; it knows neither inventories nor baselines.
//! What it does not do: it never builds a value for a row, and it never lets the order of batches show.
//!
//! ```text
//!  records of one object                     groups                              observations
//!  eni  src       dst       ports  flags     eni client    server    port        (client is the interface's own)
//!  e1   10.0.0.5  203.0…7   40001→443 SYN ─▶ e1  10.0.0.5  203.0…7   443   ──▶  owner 203.0…7:443 09:10 out in …
//!  e1   203.0…7   10.0.0.5  443→40001     ─┘
//!  e1   198.51…9  10.0.0.5  51515→22  SYN ─▶ e1  198.51…9  10.0.0.5  22    ──▶  not egress: an answer is no call-out
//! ```
//!
//! Who opened a connection is decided for each record from its flags, then its ports, and where both are silent, for
//! each connection from what other records of the object say ([`initiator`]). Which side is the interface's own comes
//! from the inventory, the records' direction, or the address that all of an interface's records share.

mod groups;
mod initiator;
mod own;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::ArrayRef;
use baselines::names::Names;
use baselines::observation::{Collector, Eni, Observation, Observations};
use baselines::window::Window;

use crate::flow::{Coded, EGRESS, FlowBatch, INGRESS, REJECT};
use groups::{Group, Groups, Key};
use initiator::{Sense, Undecided};

/// What becomes of an interface's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Judged.
    Judged,
    /// Left unjudged: it belongs to another service.
    Other,
    /// Left unjudged: nobody knows whose it is.
    Unknown,
}

/// Where rows went that became no observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Rows outside the span asked for.
    pub n_outside_span: u64,
    /// Rows of interfaces of other services.
    pub n_other_interface: u64,
    /// Rows of interfaces nobody could attribute.
    pub n_unknown_interface: u64,
    /// Replies, inbound attempts, forwarded traffic.
    pub n_not_egress: u64,
    /// Rows that became observations.
    pub n_observed: u64,
}

impl Account {
    /// Adds another account.
    pub fn merge(&mut self, other: &Self) {
        self.n_outside_span += other.n_outside_span;
        self.n_other_interface += other.n_other_interface;
        self.n_unknown_interface += other.n_unknown_interface;
        self.n_not_egress += other.n_not_egress;
        self.n_observed += other.n_observed;
    }
}

/// A code with no interface, and one whose interface is not judged.
const OTHER: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;

/// Numbers derived from a dictionary, kept as long as the dictionary stays the same.
#[derive(Debug, Default)]
struct Mapped {
    dictionary: Option<ArrayRef>,
    ids: Vec<u32>,
}

impl Mapped {
    /// The numbers of a column's dictionary entries, derived anew when the dictionary changed.
    fn of(&mut self, column: Coded<'_>, derive: impl FnOnce(Coded<'_>) -> Vec<u32>) -> &[u32] {
        if !self.dictionary.as_ref().is_some_and(|kept| column.has_dictionary(kept)) {
            self.ids = derive(column);
            self.dictionary = Some(Arc::clone(column.values()));
        }
        &self.ids
    }
}

/// The group-by of one object, or of one unit of it.
#[derive(Debug, Default)]
pub struct Rollup {
    groups: Groups,
    undecided: Undecided,
    account: Account,
    /// `--from` and `--until`, half-open.
    span: Option<(i64, i64)>,
    interface_ids: Mapped,
    src_ids: Mapped,
    dst_ids: Mapped,
    pkt_src_ids: Mapped,
    pkt_dst_ids: Mapped,
}

impl Rollup {
    /// An empty one that takes only records starting in a half-open span of Unix seconds.
    pub fn new(span: Option<(i64, i64)>) -> Self {
        Self { span, ..Self::default() }
    }

    /// Adds the records of a batch.
    ///
    /// # Columns
    /// in: all required columns of [`FlowBatch`], and `pkt_src`, `pkt_dst`, `tcp_flags`, `direction`, `aws_service`,
    /// `account`, `region`, `vpc` where present.
    ///
    /// # Guarantees
    /// Splitting or reordering batches does not change what [`Rollup::finish`] gives.
    #[expect(clippy::indexing_slicing, reason = "rows are below `n_rows`, ids come from the tables they index")]
    pub fn push(&mut self, batch: &FlowBatch, judge: &mut dyn FnMut(&str) -> Interface) {
        let n_rows = batch.n_rows();
        let Self { groups, undecided, account, span, .. } = self;
        let interfaces = self.interface_ids.of(batch.interface(), |column| groups.interfaces(column, judge));
        let interface_codes = &batch.interface().codes()[..n_rows];
        let interface_nulls = batch.interface().nulls();
        // Most rows of a VPC-wide log may be of interfaces nobody asked about.
        if interfaces.iter().all(|&id| id >= UNKNOWN) && interface_nulls.is_none() {
            for &code in interface_codes {
                account.pass(interfaces[code as usize]);
            }
            return;
        }
        let src_ids = self.src_ids.of(batch.src(), |column| groups.addresses(column));
        let dst_ids = self.dst_ids.of(batch.dst(), |column| groups.addresses(column));
        let pkt_src = batch.pkt_src().map(|c| (c, self.pkt_src_ids.of(c, |column| groups.addresses(column))));
        let pkt_dst = batch.pkt_dst().map(|c| (c, self.pkt_dst_ids.of(c, |column| groups.addresses(column))));
        let (src, dst) = (&batch.src().codes()[..n_rows], &batch.dst().codes()[..n_rows]);
        let (src_port, dst_port) = (&batch.src_port()[..n_rows], &batch.dst_port()[..n_rows]);
        let (protocol, action) = (&batch.protocol()[..n_rows], &batch.action()[..n_rows]);
        let (packets, bytes) = (&batch.packets()[..n_rows], &batch.bytes()[..n_rows]);
        let (start, end) = (&batch.start()[..n_rows], &batch.end()[..n_rows]);
        let flags = batch.tcp_flags();
        let direction = batch.direction();
        let (from, until) = span.unwrap_or((i64::MIN, i64::MAX));
        groups.describe(batch, interfaces);

        for row in 0..n_rows {
            let interface = match interface_nulls {
                Some(nulls) if nulls.is_null(row) => OTHER,
                _ => interfaces[interface_codes[row] as usize],
            };
            if interface >= UNKNOWN {
                account.pass(interface);
                continue;
            }
            if start[row] < from || start[row] >= until {
                account.n_outside_span += 1;
                continue;
            }
            let mut record = Record {
                interface,
                src: src_ids[src[row] as usize],
                dst: dst_ids[dst[row] as usize],
                src_port: src_port[row],
                dst_port: dst_port[row],
                protocol: protocol[row],
                flags: flags.map_or(0, |flags| flags[row]),
                rejected: action[row] == REJECT,
                packets: packets[row],
                bytes: bytes[row],
                start: start[row],
                end: end[row],
            };
            match direction.map_or(0, |direction| direction[row]) {
                EGRESS => {
                    groups.own(interface, record.src);
                    if let Some(packet) = at(pkt_src, row)
                        && packet != record.src
                        && groups.is_public(packet)
                    {
                        groups.forwards(interface);
                    }
                    record.dst = at(pkt_dst, row).unwrap_or(record.dst);
                }
                INGRESS => {
                    groups.own(interface, record.dst);
                    if let Some(packet) = at(pkt_dst, row)
                        && packet != record.dst
                        && groups.is_public(packet)
                    {
                        groups.forwards(interface);
                    }
                    record.src = at(pkt_src, row).unwrap_or(record.src);
                }
                _ => {}
            }
            match Sense::of(&record) {
                Some(sense) => {
                    if record.flags & initiator::SYN != 0 {
                        undecided.learn(&record, sense);
                    }
                    groups.add(&record, sense);
                }
                None => undecided.add(&record),
            }
        }
        if let Some(service) = batch.aws_service() {
            groups.services(service, batch.pkt_dst().unwrap_or(batch.dst()));
        }
    }

    /// Adds the groups of another unit of the same object.
    pub fn merge(&mut self, other: Self) {
        let (interfaces, addresses) = self.groups.merge(other.groups);
        self.undecided.merge(other.undecided, &interfaces, &addresses);
        self.account.merge(&other.account);
    }

    /// Decides what was left undecided, and gives the observations with the account of the rows.
    ///
    /// `owner` names an interface's owner in a window, `None` where nobody knows; `own` gives the addresses the
    /// inventory knows of an interface.
    ///
    /// # Columns
    /// out: rows sorted by owner name, interface, address, port, protocol and window.
    pub fn finish(
        mut self,
        owner: &mut dyn FnMut(&str, Window) -> Option<Arc<str>>,
        own: &dyn Fn(&str) -> Vec<u128>,
    ) -> (Observations, Account) {
        self.undecided.settle(&mut self.groups);
        let groups = &self.groups;
        let own = own::addresses(groups, own);
        let answers = groups.answers();
        let mut account = self.account;
        let mut owners = Names::default();
        let mut kept = Vec::new();
        for group in groups.iter() {
            let interface = groups.interface(group.key.interface());
            let is_call_out = !interface.forwards
                && group.n_sent() > 0
                && own.contains(&(group.key.interface(), group.key.client()))
                && !own.contains(&(group.key.interface(), group.key.server()))
                && !answers.contains(group);
            if !is_call_out {
                account.n_not_egress += group.n_rows;
                continue;
            }
            let Some(name) = owner(&interface.id, group.window) else {
                account.n_unknown_interface += group.n_rows;
                continue;
            };
            account.n_observed += group.n_rows;
            kept.push((owners.intern(&name), group));
        }
        (observations(groups, &owners, kept), account)
    }
}

/// The observations of call-outs, in an order that speaks of names and addresses only, never of arrival.
fn observations(groups: &Groups, owners: &Names, kept: Vec<(u32, &Group)>) -> Observations {
    let owner_ranks = ranks(&owners.iter().collect::<Vec<_>>());
    let interface_ranks = ranks(&groups.all_interfaces().iter().map(|seen| &seen.id).collect::<Vec<_>>());
    let rank = |ranks: &[u32], id: u32| ranks.get(id as usize).copied().unwrap_or(u32::MAX);
    let mut kept: Vec<_> = kept
        .into_iter()
        .map(|(owner, group)| {
            let key = group.key;
            let owner_rank = rank(&owner_ranks, owner);
            let interface_rank = rank(&interface_ranks, key.interface());
            let place = (groups.address(key.server()), key.port(), key.protocol(), group.window);
            ((owner_rank, interface_rank, place), owner, group)
        })
        .collect();
    kept.sort_unstable_by_key(|(place, ..)| *place);
    let mut out = Collector::default();
    let mut rows = Vec::with_capacity(kept.len());
    let mut last = None;
    let mut numbers = (0, 0);
    for (_, owner, group) in kept {
        let interface = group.key.interface();
        if last != Some((owner, interface)) {
            let seen = groups.interface(interface);
            let [id, account, region, vpc] = [&seen.id, &seen.account, &seen.region, &seen.vpc].map(Arc::clone);
            numbers = (out.owner(&owners.name(owner)), out.eni(&Eni { id, account, region, vpc }));
            last = Some((owner, interface));
        }
        let server = group.key.server();
        let peer = out.peer(groups.address(server), groups.service(server));
        rows.push(Observation { owner: numbers.0, eni: numbers.1, peer, ..group.observation() });
    }
    out.finish(rows)
}

/// The place of each name when all are sorted.
fn ranks(names: &[&Arc<str>]) -> Vec<u32> {
    let mut sorted: Vec<usize> = (0..names.len()).collect();
    sorted.sort_unstable_by_key(|&id| names.get(id));
    let mut ranks = vec![0; names.len()];
    for (rank, id) in (0..).zip(sorted) {
        if let Some(slot) = ranks.get_mut(id) {
            *slot = rank;
        }
    }
    ranks
}

impl Account {
    fn pass(&mut self, interface: u32) {
        if interface == OTHER {
            self.n_other_interface += 1;
        } else {
            self.n_unknown_interface += 1;
        }
    }
}

/// The number at a row of an optional column; `None` where it is null.
#[expect(
    clippy::indexing_slicing,
    reason = "rows are below the batch's, codes point into the dictionary by `FlowBatch`"
)]
fn at(column: Option<(Coded<'_>, &[u32])>, row: usize) -> Option<u32> {
    let (column, ids) = column?;
    if column.nulls().is_some_and(|nulls| nulls.is_null(row)) {
        return None;
    }
    Some(ids[column.codes()[row] as usize])
}

/// One record with its values as numbers, while it is in hand. Never stored.
#[derive(Clone, Copy, Debug)]
struct Record {
    interface: u32,
    src: u32,
    dst: u32,
    src_port: u16,
    dst_port: u16,
    protocol: u8,
    flags: u8,
    rejected: bool,
    packets: u64,
    bytes: u64,
    start: i64,
    end: i64,
}

impl Record {
    fn key(&self, sense: Sense) -> (Key, Window) {
        let window = Window::of(self.start);
        let key = match sense {
            Sense::Asks => Key::new(self.interface, self.src, self.dst, self.dst_port, self.protocol, window),
            Sense::Answers => Key::new(self.interface, self.dst, self.src, self.src_port, self.protocol, window),
        };
        (key, window)
    }

    /// The port of the side that opened the connection.
    fn client_port(&self, sense: Sense) -> u16 {
        match sense {
            Sense::Asks => self.src_port,
            Sense::Answers => self.dst_port,
        }
    }
}
