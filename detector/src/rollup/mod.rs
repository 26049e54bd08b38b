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

mod group;
mod groups;
mod initiator;
mod own;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;
use baselines::observation::{Collector, Eni, Observation, Observations};
use baselines::window::Window;

use crate::flow::{Coded, EGRESS, FlowBatch, INGRESS, REJECT};
use foldhash::fast::FixedState;
use group::Key;
use groups::{Groups, InterfaceSeen};
use hashbrown::HashMap;
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
        let pkt_src = batch.pkt_src().map(|c| Numbered::new(c, self.pkt_src_ids.of(c, |c| groups.addresses(c))));
        let pkt_dst = batch.pkt_dst().map(|c| Numbered::new(c, self.pkt_dst_ids.of(c, |c| groups.addresses(c))));
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
                    let packet = pkt_src.as_ref().and_then(|column| column.at(row));
                    groups.own(interface, record.src);
                    if let Some(packet) = packet
                        && packet != record.src
                        && groups.is_public(packet)
                    {
                        groups.forwards(interface);
                    }
                    record.dst = pkt_dst.as_ref().and_then(|column| column.at(row)).unwrap_or(record.dst);
                }
                INGRESS => {
                    let packet = pkt_dst.as_ref().and_then(|column| column.at(row));
                    groups.own(interface, record.dst);
                    if let Some(packet) = packet
                        && packet != record.dst
                        && groups.is_public(packet)
                    {
                        groups.forwards(interface);
                    }
                    record.src = pkt_src.as_ref().and_then(|column| column.at(row)).unwrap_or(record.src);
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
        groups.settle();
        if let Some(service) = batch.aws_service() {
            groups.services(service, &pkt_dst.unwrap_or(Numbered::new(batch.dst(), dst_ids)));
        }
    }

    /// Adds the groups of another unit of the same object.
    pub fn merge(&mut self, other: Self) {
        let (interfaces, addresses) = self.groups.merge(&other.groups);
        self.undecided.merge(other.undecided, &interfaces, &addresses);
        self.account.merge(&other.account);
    }

    /// Decides what was left undecided, and gives the observations with the account of the rows.
    ///
    /// `owner` names an interface's owner in a window, `None` where nobody knows; `own` gives the addresses the
    /// inventory knows of an interface.
    ///
    /// # Columns
    /// out: sorted, see [`Observations::sorted`].
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
        let mut out = Collector::default();
        // Whose an interface was in a window, and each address's number: asked once, not for every group.
        let mut owners: HashMap<(u32, Window), Option<(u32, u32)>, FixedState> = HashMap::default();
        let mut peers = vec![None; groups.n_addresses()];
        let mut rows = Vec::new();
        for group in groups.iter() {
            let key = group.key;
            let is_call_out = !groups.interface(key.interface()).forwards
                && group.n_sent() > 0
                && own.contains(key.interface(), key.client())
                && !own.contains(key.interface(), key.server())
                && !answers.contains(group);
            if !is_call_out {
                account.n_not_egress += u64::from(group.n_rows);
                continue;
            }
            let known = *owners.entry((key.interface(), key.window())).or_insert_with(|| {
                let InterfaceSeen { id, account, region, vpc, .. } = groups.interface(key.interface());
                let name = owner(id, key.window())?;
                let [id, account, region, vpc] = [id, account, region, vpc].map(Arc::clone);
                Some((out.owner(&name), out.eni(&Eni { id, account, region, vpc })))
            });
            let Some((owner, eni)) = known else {
                account.n_unknown_interface += u64::from(group.n_rows);
                continue;
            };
            account.n_observed += u64::from(group.n_rows);
            let mut number = || out.peer(groups.address(key.server()), &groups.service(key.server()));
            let peer = peers.get_mut(key.server() as usize).map_or(0, |peer| *peer.get_or_insert_with(&mut number));
            rows.push(Observation { owner, eni, peer, ..group.observation() });
        }
        (out.finish(rows).sorted(), account)
    }
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

/// A column with the number of each of its dictionary's entries.
struct Numbered<'a> {
    codes: &'a [i32],
    nulls: Option<&'a NullBuffer>,
    ids: &'a [u32],
}

impl<'a> Numbered<'a> {
    fn new(column: Coded<'a>, ids: &'a [u32]) -> Self {
        Self { codes: column.codes(), nulls: column.nulls(), ids }
    }

    /// The number at a row below the batch's; `None` where it is null.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "codes point into the dictionary by `FlowBatch`")]
    fn at(&self, row: usize) -> Option<u32> {
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.ids[self.codes[row] as usize]),
        }
    }
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
    fn key(&self, sense: Sense) -> Key {
        let window = Window::of(self.start);
        match sense {
            Sense::Asks => Key::new(self.interface, self.src, self.dst, self.dst_port, self.protocol, window),
            Sense::Answers => Key::new(self.interface, self.dst, self.src, self.src_port, self.protocol, window),
        }
    }

    /// The port of the side that opened the connection.
    fn client_port(&self, sense: Sense) -> u16 {
        match sense {
            Sense::Asks => self.src_port,
            Sense::Answers => self.dst_port,
        }
    }
}
