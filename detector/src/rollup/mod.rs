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
//! each connection from what other records of the object say ([`initiator`]); of a Lambda function's interface, the own
//! side asks where flags do not say otherwise. Which side is the interface's own comes from the inventory, the records'
//! direction, or the address that all of an interface's records share.

mod block;
mod group;
mod groups;
mod initiator;
mod own;
mod table;

use std::cell::LazyCell;
use std::hint::select_unpredictable;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;
use baselines::observation::{Eni, Observation, Observations, Peer, Shared};
use baselines::window::Window;

use crate::flow::{Coded, FlowBatch};
use block::{Block, Numbers};
use group::Key;
use groups::{Groups, InterfaceSeen};
use initiator::{Sense, Undecided};
use own::Own;

/// What becomes of an interface's records.
#[derive(Clone, Debug)]
pub enum Interface {
    /// Judged, by what is known of it.
    Judged(Arc<Known>),
    /// Left unjudged: it belongs to another service.
    Other,
    /// Left unjudged: nobody knows whose it is.
    Unknown,
}

/// An interface as it is known before its records are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `eni-…`
    pub id: Arc<str>,
    /// A Lambda function's: nobody can open a connection to it.
    pub is_lambda: bool,
    /// Its addresses, as bits of the IPv6 form; none where no inventory tells.
    pub own: Vec<u128>,
    /// Whose it is from a time on, in Unix seconds, until the next; `None` where nobody knows.
    pub owners: Vec<(i64, Option<Arc<str>>)>,
}

impl Known {
    /// An interface of which only the id is known: it is its own owner.
    pub fn itself(id: &str) -> Self {
        let id: Arc<str> = id.into();
        Self { is_lambda: false, own: Vec::new(), owners: vec![(i64::MIN, Some(Arc::clone(&id)))], id }
    }

    /// Whose it is in a window.
    pub(crate) fn owner(&self, window: Window) -> Option<&Arc<str>> {
        let then = self.owners.partition_point(|(from, _)| *from <= window.start()).checked_sub(1)?;
        self.owners.get(then)?.1.as_ref()
    }
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

/// A code whose interface is another service's or none, one that no row of the span has yet, and one nobody knows: from
/// the last on up nothing is judged.
const OTHER: u32 = u32::MAX;
const UNASKED: u32 = u32::MAX - 1;
const UNKNOWN: u32 = u32::MAX - 2;

/// Numbers derived from a dictionary, kept as long as the dictionary stays the same.
#[derive(Debug, Default)]
struct Mapped {
    dictionary: Option<ArrayRef>,
    ids: Vec<u32>,
}

impl Mapped {
    /// The numbers of a dictionary of interfaces, derived anew when it changed. An interface is asked for with its
    /// first row of the span: of one without any nothing is to be told.
    #[expect(clippy::indexing_slicing, reason = "codes point into the dictionary by `FlowBatch`")]
    fn interfaces(
        &mut self,
        batch: &FlowBatch,
        span: (i64, i64),
        groups: &mut Groups,
        judge: &mut dyn FnMut(&str) -> Interface,
    ) -> &[u32] {
        let column = batch.interface();
        if !self.is_of(column) {
            self.ids.clear();
            self.ids.resize(column.values().len(), UNASKED);
            self.dictionary = Some(Arc::clone(column.values()));
        }
        // Mostly the first rows with a dictionary have all of it.
        if self.ids.contains(&UNASKED) {
            let nulls = column.nulls();
            for (row, (&code, &start)) in column.codes().iter().zip(batch.start()).enumerate() {
                let id = &mut self.ids[code as usize];
                if *id == UNASKED && is_within(span, start) && nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                    *id = groups.interface_number(column, code as usize, judge);
                }
            }
        }
        &self.ids
    }

    /// The numbers of a dictionary of addresses; of one that grew, those of its new entries are added.
    fn addresses(&mut self, column: Coded<'_>, groups: &mut Groups) -> &[u32] {
        if !self.is_of(column) {
            self.ids.truncate(self.dictionary.as_ref().map_or(0, |kept| column.extends(kept)));
            groups.addresses(column, &mut self.ids);
            self.dictionary = Some(Arc::clone(column.values()));
        }
        &self.ids
    }

    fn is_of(&self, column: Coded<'_>) -> bool {
        self.dictionary.as_ref().is_some_and(|kept| column.has_dictionary(kept))
    }
}

/// The group-by of one object, or of one unit of it.
#[derive(Debug, Default)]
pub struct Rollup {
    groups: Groups,
    /// Used again from block to block.
    block: Box<Block>,
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
    /// Splitting or reordering batches does not change what [`Rollup::finish`] gives. `judge` is asked for an interface
    /// once, however many objects it is met in, unless nobody knows it or it is not judged: then for each dictionary;
    /// and never, if none of its rows is of the span.
    #[expect(clippy::indexing_slicing, reason = "rows are below `n_rows`, ids come from the tables they index")]
    pub fn push(&mut self, batch: &FlowBatch, judge: &mut dyn FnMut(&str) -> Interface) {
        let n_rows = batch.n_rows();
        let Self { groups, undecided, account, span, block, .. } = self;
        let span = span.unwrap_or((i64::MIN, i64::MAX));
        let interfaces = self.interface_ids.interfaces(batch, span, groups, judge);
        let interface_nulls = batch.interface().nulls();
        // Most rows of a VPC-wide log may be of interfaces nobody asked about.
        if interfaces.iter().all(|&id| id >= UNKNOWN) && interface_nulls.is_none() {
            for (&code, &start) in batch.interface().codes().iter().zip(batch.start()) {
                account.pass(interfaces[code as usize], is_within(span, start));
            }
            return;
        }
        let src_ids = self.src_ids.addresses(batch.src(), groups);
        // Text has one dictionary for both.
        let dst_ids = if batch.dst().has_dictionary(batch.src().values()) {
            src_ids
        } else {
            self.dst_ids.addresses(batch.dst(), groups)
        };
        // Where the packet's addresses are the interface's throughout, there is nothing more to learn from them.
        let pkt_src = batch.pkt_src().filter(|column| !column.is_same(batch.src()));
        let pkt_dst = batch.pkt_dst().filter(|column| !column.is_same(batch.dst()));
        let pkt_src = pkt_src.map(|column| Numbered::new(column, self.pkt_src_ids.addresses(column, groups)));
        let pkt_dst = pkt_dst.map(|column| Numbered::new(column, self.pkt_dst_ids.addresses(column, groups)));
        groups.describe(batch, interfaces);

        let numbers = Numbers { interface: interfaces, src: src_ids, dst: dst_ids };
        for first in (0..n_rows).step_by(Block::N_ROWS) {
            block.load(batch, first, &numbers);
            groups.own(block, span);
            if pkt_src.is_some() || pkt_dst.is_some() {
                let packet = |column: &Option<Numbered<'_>>, row: u8| {
                    column.as_ref().and_then(|column| column.at(first + usize::from(row)))
                };
                groups.through(block, span, &|row| (packet(&pkt_src, row), packet(&pkt_dst, row)));
            }
            block.group_plain(span);
            for row in block.left() {
                let record = block.record(row);
                let is_of_span = is_within(span, record.flow.start);
                if !is_of_span || record.interface >= UNKNOWN {
                    account.pass(record.interface, is_of_span);
                } else if let Some(sense) = block.said(row).sense() {
                    block.group(row, sense);
                    if block.said(row).is_news() {
                        undecided.learn(&record, sense);
                    }
                } else {
                    undecided.add(&record);
                }
            }
            groups.add(block);
        }
        if let Some(service) = batch.aws_service() {
            groups.services(service, &pkt_dst.unwrap_or(Numbered::new(batch.dst(), dst_ids)));
        }
    }

    /// Whether the object has more interfaces or addresses than can be told apart, or as many: it cannot be used then.
    pub fn is_full(&self) -> bool {
        self.groups.is_full()
    }

    /// Adds the groups of another unit of the same object.
    pub fn merge(&mut self, other: Self) {
        let (interfaces, addresses) = self.groups.merge(&other.groups);
        self.undecided.merge(other.undecided, &interfaces, &addresses);
        self.account.merge(&other.account);
    }

    /// Decides what was left undecided, and gives the observations with the account of the rows. Afterwards
    /// this is empty as new, but keeps its memory for the next object.
    ///
    /// Where neither the inventory nor the records' direction tells which address of an interface is its own, whoever
    /// else knows of the interface has to say so: see [`Observations::shared`].
    ///
    /// # Columns
    /// out: in no order that means anything; see [`Observations::sorted`].
    pub fn finish(&mut self) -> (Observations, Account) {
        let mut account = std::mem::take(&mut self.account);
        let groups = &mut self.groups;
        let mut own = Own::known(groups);
        std::mem::take(&mut self.undecided).settle(groups, &own);
        let groups = &*groups;
        let shared = own.add_shared(groups);
        // Seldom asked for: only protocols without ports have any.
        let answers = LazyCell::new(|| groups.answers());
        let mut out = Observations::default();
        let services: Vec<u32> = groups.service_names().map(|name| out.services.intern_shared(name)).collect();
        // Whose each interface was in the window asked for last: groups of the same window follow each other.
        let mut owners = vec![(Window(u32::MAX), None); groups.all_interfaces().len()];
        out.owners.reserve(groups.all_interfaces().len());
        // The numbers of interfaces and addresses in `out`.
        let mut enis = vec![None; groups.all_interfaces().len()];
        let mut peers = vec![None; groups.n_addresses()];
        // Most groups are call-outs, and growing step by step would copy them again and again.
        out.rows.reserve_exact(groups.iter().size_hint().0);
        for group in groups.iter() {
            let key = group.key;
            let is_call_out = !groups.interface(key.interface()).forwards
                && (group.n_sent() > 0 || group.is_answer() && !initiator::is_portless(key.protocol()))
                && own.is_call(key.interface(), key.client(), key.server(), groups.address(key.client()))
                && !(initiator::is_portless(key.protocol()) && answers.contains(group));
            if !is_call_out {
                account.n_not_egress += group.n_rows();
                continue;
            }
            let InterfaceSeen { known: interface, account: of_account, region, vpc, .. } =
                groups.interface(key.interface());
            let Some((window, owner)) = owners.get_mut(key.interface() as usize) else { continue };
            if *window != key.window() {
                let name = interface.owner(key.window());
                (*window, *owner) = (key.window(), name.map(|name| out.owners.intern_shared(name)));
            }
            let Some(owner) = *owner else {
                account.n_unknown_interface += group.n_rows();
                continue;
            };
            account.n_observed += group.n_rows();
            let eni = numbered(&mut enis, key.interface(), &mut out.enis, || {
                // See `describe`: `-` stands for an account that no row says, which another flow log may.
                let nothing = Arc::<str>::default();
                let of_account = if &**of_account == "-" { &nothing } else { of_account };
                let [id, account, region, vpc] = [&interface.id, of_account, region, vpc].map(Arc::clone);
                Eni { id, account, region, vpc }
            });
            let peer = numbered(&mut peers, key.server(), &mut out.peers, || {
                let service = services.get(groups.service(key.server()) as usize).copied().unwrap_or(0);
                Peer { address: groups.address(key.server()), service }
            });
            let is_portless = initiator::is_portless(key.protocol());
            let turned = if is_portless { answers.turned(group) } else { None };
            let observation =
                turned.map_or_else(|| group.observation(), |turned| group.answered_by(turned).observation());
            out.rows.push(Observation { owner, eni, peer, ..observation });
        }
        out.shared.extend(shared.into_iter().filter_map(|of| {
            let eni = enis.get(of.eni as usize).copied().flatten()?;
            Some(Shared { eni, ..of })
        }));
        self.clear();
        (out, account)
    }

    /// Forgets what numbers were derived from: what else there is was taken out.
    fn clear(&mut self) {
        let Self { groups, interface_ids, src_ids, dst_ids, pkt_src_ids, pkt_dst_ids, .. } = self;
        groups.clear();
        for numbers in [interface_ids, src_ids, dst_ids, pkt_src_ids, pkt_dst_ids] {
            numbers.dictionary = None;
        }
    }
}

/// The number in a table of what has another number elsewhere; comes into the table with its first use.
fn numbered<T>(numbers: &mut [Option<u32>], id: u32, table: &mut Vec<T>, entry: impl FnOnce() -> T) -> u32 {
    numbers.get_mut(id as usize).map_or(0, |number| {
        *number.get_or_insert_with(|| {
            table.push(entry());
            (table.len() - 1) as u32
        })
    })
}

impl Account {
    /// Counts a row that is not judged. Whose interface it is counts only within the span.
    fn pass(&mut self, interface: u32, is_of_span: bool) {
        let counter = match interface {
            _ if !is_of_span => &mut self.n_outside_span,
            OTHER => &mut self.n_other_interface,
            _ => &mut self.n_unknown_interface,
        };
        *counter += 1;
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
    fn at(&self, row: usize) -> Option<u32> {
        match self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.of(row)),
        }
    }

    /// The same of a row that is not null; of another it means nothing.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "codes point into the dictionary by `FlowBatch`")]
    fn of(&self, row: usize) -> u32 {
        self.ids[self.codes[row] as usize]
    }
}

/// One record with its values as numbers.
#[derive(Clone, Copy, Debug)]
struct Record {
    interface: u32,
    src: u32,
    dst: u32,
    flow: Flow,
}

/// What a record tells beside interface and addresses.
#[derive(Clone, Copy, Debug)]
struct Flow {
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

impl Flow {
    /// The port of the side that opened the connection.
    fn client_port(&self, sense: Sense) -> u16 {
        select_unpredictable(sense == Sense::Asks, self.src_port, self.dst_port)
    }
}

/// The key of a record that is known to ask or to answer.
#[inline]
fn key(
    interface: u32,
    (src, dst): (u32, u32),
    (src_port, dst_port): (u16, u16),
    protocol: u8,
    start: i64,
    sense: Sense,
) -> Key {
    let asks = sense == Sense::Asks;
    let (client, server) = (select_unpredictable(asks, src, dst), select_unpredictable(asks, dst, src));
    let port = select_unpredictable(asks, dst_port, src_port);
    Key::new(interface, client, server, port, protocol, Window::of(start))
}

/// Whether a record that starts then lies in a half-open span.
#[inline]
fn is_within((from, until): (i64, i64), start: i64) -> bool {
    (from..until).contains(&start)
}
