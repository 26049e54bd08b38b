//! Who opened a connection: the flags say it, else the ports, else other records of the same connection.
//!
//! A reply is not a call-out. Replies of a server under an internet scan are the classic false alarm, so the order of
//! trust is fixed: the SYN without ACK; a port on one side only that is privileged or that services are known to listen
//! on; the flags of another record of the connection; the own side of a Lambda function's interface, to which nobody
//! can open a connection; a port that others are known to have asked; packets that neither ask nor carry anything; the
//! side whose port other connections share; the lower port.

use baselines::ladder::is_ipv4;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::block::Block;
use super::groups::Groups;
use super::own::Own;
use super::{Flow, Record};

/// TCP flag bits of VPC flow logs. Source: AWS, "Flow log records", `tcp-flags`.
const SYN: u8 = 2;
const ACK: u8 = 16;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// First port an unprivileged process may take, and so the first Lambda's interfaces take for their own side.
const FIRST_EPHEMERAL: u16 = 1024;

/// Ports at or above 1024 that services are registered for and that real functions talk to, or that scanners knock at
/// most, and those that compromised packages and what they fetch call.
/// Source: IANA service names and port numbers; of the ports it lists those seen in practice. Mining pools, by what
/// they and the miners tell users: 3333, 4444, 5556, 7777, 14433 (TLS) and 14444. Second stages: 4444, Metasploit's
/// default; 50050, Cobalt Strike's; 31337, Sliver's, and 1337 after it; 1224, that of the npm packages of `BeaverTail`.
const SERVICE_PORTS: [u16; 74] = [
    1194, 1224, 1337, 1433, 1434, 1521, 1723, 1883, 2049, 2181, 2222, 2375, 2376, 2379, 3000, 3128, 3260, 3306, 3333,
    3389, 3478, 4222, 4317, 4318, 4443, 4444, 5000, 5060, 5061, 5222, 5432, 5439, 5555, 5556, 5601, 5671, 5672, 5900,
    5901, 5985, 5986, 6379, 6443, 7001, 7547, 7687, 7777, 8000, 8008, 8080, 8081, 8086, 8088, 8125, 8126, 8443, 8883,
    8888, 9000, 9042, 9090, 9092, 9100, 9200, 9300, 9418, 10000, 10250, 11211, 14433, 14444, 27017, 31337, 50050,
];

/// Which way a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// From the side that opened the connection.
    Asks,
    /// To it.
    Answers,
}

/// What a record itself says of who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said(u8);

impl Said {
    /// One bit each; without any of them the record asks.
    const ANSWERS: u8 = 1;
    const NOTHING: u8 = 2;
    const IS_NEWS: u8 = 4;

    /// What flags and ports say. By a table and without branches: both are as good as random.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "an index of seven bits has its entry")]
    pub(super) fn of(src_port: u16, dst_port: u16, protocol: u8, flags: u8) -> Self {
        let (src, dst) = (rank(src_port), rank(dst_port));
        let by_port = u8::from(dst > src) | u8::from(dst < src) << 1;
        let class = u8::from(protocol != TCP) + u8::from(is_portless(protocol));
        SAID[usize::from(flags & (SYN | ACK) | class << CLASS_SHIFT | by_port << BY_PORT_SHIFT)]
    }

    /// Which way the record goes; `None` when it does not say.
    pub(super) fn sense(self) -> Option<Sense> {
        if self.0 & Self::NOTHING == 0 { Some(self.or_asks()) } else { None }
    }

    /// The same of a record that says it; another asks.
    #[inline]
    pub(super) fn or_asks(self) -> Sense {
        if self.0 & Self::ANSWERS == 0 { Sense::Asks } else { Sense::Answers }
    }

    /// Whether the record tells who asks by its flags where the ports do not: then it may decide other records of the
    /// connection.
    pub(super) fn is_news(self) -> bool {
        self.0 & Self::IS_NEWS != 0
    }

    /// Whether the record says which way it goes, and what others will say, too.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        self.0 & (Self::NOTHING | Self::IS_NEWS) == 0
    }
}

impl From<Sense> for Said {
    fn from(sense: Sense) -> Self {
        Self(if sense == Sense::Asks { 0 } else { Self::ANSWERS })
    }
}

/// The bits of a place in [`SAID`] that [`SYN`] and [`ACK`] leave free: whether a protocol has flags (0), ports only
/// (1) or neither (2); and whether the receiver's port looks more like a server's (1), the sender's (2), or neither
/// (0).
const CLASS_SHIFT: u8 = 2;
const BY_PORT_SHIFT: u8 = 5;

/// What records say, by their flags, the class of their protocol and what their ports say.
#[expect(clippy::indexing_slicing, reason = "a constant is made when compiled")]
static SAID: [Said; 128] = {
    let mut table = [Said(Said::NOTHING); 128];
    let mut at = 0;
    while at < 128 {
        table[at as usize] = said(at & (SYN | ACK), at >> CLASS_SHIFT & 3, at >> BY_PORT_SHIFT);
        at += 1;
    }
    table
};

/// The order of trust, as far as one record goes: a SYN, then the ports.
const fn said(flags: u8, class: u8, by_port: u8) -> Said {
    let by_port = match by_port {
        1 => 0,
        2 => Said::ANSWERS,
        _ => Said::NOTHING,
    };
    let by_flags = if flags & ACK == 0 { 0 } else { Said::ANSWERS };
    let sense = match class {
        0 if flags & SYN != 0 => by_flags,
        // No ports and no flags: both directions go into groups of their own, see `Groups::answers`.
        2 => 0,
        _ => by_port,
    };
    let is_news = flags & SYN != 0 && by_port == Said::NOTHING && sense != Said::NOTHING;
    Said(if is_news { sense | Said::IS_NEWS } else { sense })
}

impl Flow {
    /// Whether the packets of a record are TCP headers without options: neither a SYN, which says how much it takes,
    /// nor any that carries something. A port that is closed refuses with one, so whoever knocks at an interface has
    /// it send them: they are no calls.
    fn is_bare(&self, is_ipv4: bool) -> bool {
        let header = if is_ipv4 { 20 } else { 40 } + 20;
        self.protocol == TCP && self.bytes == self.packets.saturating_mul(header)
    }
}

/// How much a port looks like a server's: 2 for a privileged one, 1 for one that services are known to listen on.
#[inline]
fn rank(port: u16) -> u8 {
    let word = SERVICES.get(usize::from(port / 64)).copied().unwrap_or(0);
    (word >> (port % 64) & 1) as u8 + u8::from(port < FIRST_EPHEMERAL)
}

/// [`SERVICE_PORTS`] and the privileged ones, bit by port.
#[expect(clippy::indexing_slicing, reason = "a port divided by 64 is below 1024, and a constant is made when compiled")]
static SERVICES: [u64; 1024] = {
    let mut bits = [0; 1024];
    let mut port = 0;
    while port < FIRST_EPHEMERAL as usize {
        bits[port / 64] |= 1 << (port % 64);
        port += 1;
    }
    let mut at = 0;
    while at < SERVICE_PORTS.len() {
        let port = SERVICE_PORTS[at] as usize;
        bits[port / 64] |= 1 << (port % 64);
        at += 1;
    }
    bits
};

/// Whether a protocol has neither ports nor flags to tell who asks.
#[inline]
pub(super) fn is_portless(protocol: u8) -> bool {
    !matches!(protocol, TCP | UDP)
}

/// Whether a protocol is ICMP, over IPv4 or IPv6.
pub(super) fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | 58)
}

/// One connection, both directions: the side with the smaller (address, port) first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Connection {
    interface: u32,
    sides: [(u32, u16); 2],
    protocol: u8,
}

impl Connection {
    /// The connection of a record, and whether the sender is its first side.
    fn of(record: &Record) -> (Self, bool) {
        let (src, dst) = ((record.src, record.flow.src_port), (record.dst, record.flow.dst_port));
        let sides = if src <= dst { [src, dst] } else { [dst, src] };
        (Self { interface: record.interface, sides, protocol: record.flow.protocol }, src <= dst)
    }

    fn renumbered(mut self, interfaces: &[u32], addresses: &[u32]) -> (Self, bool) {
        let of = |table: &[u32], id: u32| table.get(id as usize).copied().unwrap_or(id);
        self.interface = of(interfaces, self.interface);
        for (address, _) in &mut self.sides {
            *address = of(addresses, *address);
        }
        let swapped = self.sides[0] > self.sides[1];
        if swapped {
            self.sides.swap(0, 1);
        }
        (self, swapped)
    }
}

/// One end of a connection as others see it: interface, address, port, protocol.
type End = (u32, u32, u16, u8);

impl Record {
    /// The sender's end and the receiver's.
    fn ends(&self) -> [End; 2] {
        let Self { interface, src, dst, flow } = *self;
        [(interface, src, flow.src_port, flow.protocol), (interface, dst, flow.dst_port, flow.protocol)]
    }
}

/// The first side of a [`Connection`] opened it.
const FIRST: u8 = 1;
/// The second side did.
const SECOND: u8 = 2;

/// Records whose sense neither their flags nor their ports tell, and what is known of their connections.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    records: Vec<Record>,
    /// Who opened a connection, by the SYN of another record: [`FIRST`], [`SECOND`], or both when a port was reused.
    opened: HashMap<Connection, u8, FixedState>,
}

impl Undecided {
    /// Keeps a record for later.
    pub(super) fn add(&mut self, record: &Record) {
        self.records.push(*record);
    }

    /// Remembers who opened a connection. One whose ports decide needs no memory.
    pub(super) fn learn(&mut self, record: &Record, sense: Sense) {
        let (connection, sender_is_first) = Connection::of(record);
        let first_asks = (sense == Sense::Asks) == sender_is_first;
        *self.opened.entry(connection).or_default() |= if first_asks { FIRST } else { SECOND };
    }

    /// Adds what another unit kept, renumbered.
    pub(super) fn merge(&mut self, other: Self, interfaces: &[u32], addresses: &[u32]) {
        let of = |table: &[u32], id: u32| table.get(id as usize).copied().unwrap_or(id);
        self.records.extend(other.records.into_iter().map(|record| Record {
            interface: of(interfaces, record.interface),
            src: of(addresses, record.src),
            dst: of(addresses, record.dst),
            ..record
        }));
        self.opened.reserve(other.opened.len());
        // Joining masks by key does not depend on the order.
        for (connection, sides) in other.opened {
            let (connection, swapped) = connection.renumbered(interfaces, addresses);
            let sides = if swapped { (sides & FIRST) << 1 | (sides & SECOND) >> 1 } else { sides };
            *self.opened.entry(connection).or_default() |= sides;
        }
    }

    /// Decides every record kept, and adds it to the groups.
    ///
    /// # Source
    /// AWS, "Giving Lambda functions access to resources in an Amazon VPC": from a function's interface traffic goes
    /// out, and none that begins elsewhere comes in.
    pub(super) fn settle(self, groups: &mut Groups, own: &Own) {
        if self.records.is_empty() {
            return;
        }
        // How many different counterparts each end has among the undecided: a server's port is shared.
        // Memory follows the connections, of which one that is held has many records.
        let mut met: HashSet<Connection, FixedState> = HashSet::default();
        let mut n_counterparts: HashMap<End, u32, FixedState> = HashMap::default();
        for record in &self.records {
            if met.insert(Connection::of(record).0) {
                record.ends().into_iter().for_each(|end| *n_counterparts.entry(end).or_default() += 1);
            }
        }
        drop(met);
        let served: HashSet<End, FixedState> = groups.served().filter(|end| n_counterparts.contains_key(end)).collect();
        let decided: Vec<Sense> = self
            .records
            .iter()
            .map(|record| {
                let (connection, sender_is_first) = Connection::of(record);
                if let Some(&sides) = self.opened.get(&connection)
                    && sides != FIRST | SECOND
                {
                    return if (sides == FIRST) == sender_is_first { Sense::Asks } else { Sense::Answers };
                }
                let is_lambda = groups.interface(record.interface).known.is_lambda;
                let is_far = |address| is_lambda && !own.contains(record.interface, address);
                let [src, dst] = record.ends();
                let n = |end: &End| n_counterparts.get(end).copied().unwrap_or(0);
                by(is_far(record.dst), is_far(record.src))
                    .or_else(|| by(served.contains(&dst), served.contains(&src)))
                    .or_else(|| record.flow.is_bare(is_ipv4(groups.address(record.src))).then_some(Sense::Answers))
                    .or_else(|| by(n(&dst) > n(&src), n(&src) > n(&dst)))
                    .or_else(|| by(dst.2 < src.2, src.2 < dst.2))
                    .unwrap_or(if groups.address(record.src) <= groups.address(record.dst) {
                        Sense::Asks
                    } else {
                        Sense::Answers
                    })
            })
            .collect();
        let mut block = Block::default();
        for (records, senses) in self.records.chunks(Block::N_ROWS).zip(decided.chunks(Block::N_ROWS)) {
            for (record, &sense) in records.iter().zip(senses) {
                block.put(record, sense);
            }
            groups.add(&block);
            block.clear();
        }
    }
}

/// `Asks` when only the receiver looks like a server, `Answers` when only the sender does.
fn by(receiver_serves: bool, sender_serves: bool) -> Option<Sense> {
    match (receiver_serves, sender_serves) {
        (true, false) => Some(Sense::Asks),
        (false, true) => Some(Sense::Answers),
        _ => None,
    }
}
