//! A finding: one answer of the checks about one function, with identity, evidence and everything a reader needs.
//!
//! A noun: built by `score`, rendered by `write`, and plain data in between. Its outside forms live in `write`.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The checks, in the order of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckId {
    /// A destination nothing in the function's past explains.
    NewDestination,
    /// A known network owner on a port or protocol never used with it.
    NewPort,
    /// Far more bytes out than ever.
    EgressVolume,
    /// Contact at a regular interval the function's own rhythm does not explain.
    Beacon,
    /// One connection held far longer than chance would have its ports alike.
    LongConnection,
    /// DNS, DNS over TLS or DNS over HTTPS to a resolver that is not the VPC's.
    UnusualResolver,
    /// Several new destinations within minutes.
    NoveltyBurst,
    /// Many addresses on one port, or many ports on one address.
    FanOut,
    /// Refused attempts to destinations nothing explains.
    RejectedEgress,
    /// A destination on a list the user supplied.
    ThreatList,
    /// A destination known long ago, silent since, and back.
    DormantReturn,
}

impl CheckId {
    /// Every check, in order.
    pub const ALL: [Self; 11] = [
        Self::NewDestination,
        Self::NewPort,
        Self::EgressVolume,
        Self::Beacon,
        Self::LongConnection,
        Self::UnusualResolver,
        Self::NoveltyBurst,
        Self::FanOut,
        Self::RejectedEgress,
        Self::ThreatList,
        Self::DormantReturn,
    ];

    /// The `type` of a finding.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewDestination => "new-destination",
            Self::NewPort => "new-port",
            Self::EgressVolume => "egress-volume",
            Self::Beacon => "beacon",
            Self::LongConnection => "long-connection",
            Self::UnusualResolver => "unusual-resolver",
            Self::NoveltyBurst => "novelty-burst",
            Self::FanOut => "fan-out",
            Self::RejectedEgress => "rejected-egress",
            Self::ThreatList => "threat-list",
            Self::DormantReturn => "dormant-return",
        }
    }

    /// The check of that id.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.as_str() == id)
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity of a finding: the same data gives the same one, so a redelivery never makes a second finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The identity that prints as this text: 32 hexadecimal digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Whether a finding is told for the first time or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Seen in one window so far.
    Create,
    /// Seen before under the same id.
    Update,
}

impl Activity {
    /// The word of `callout.finding/1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
        }
    }
}

/// How bad it is if true, on GuardDuty's scale.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Severity(f64);

impl Severity {
    /// A severity, held within the scale 1.0 to 10.0 and rounded to one decimal.
    pub fn new(value: f64) -> Self {
        Self((value.clamp(1.0, 10.0) * 10.0).round() / 10.0)
    }

    /// The number, 1.0 to 10.0.
    pub fn value(self) -> f64 {
        self.0
    }

    /// How bad that is.
    pub fn level(self) -> Level {
        match self.0 {
            v if v >= 9.0 => Level::Critical,
            v if v >= 7.0 => Level::High,
            v if v >= 4.0 => Level::Medium,
            _ => Level::Low,
        }
    }

    /// The word for it.
    pub fn label(self) -> &'static str {
        match self.level() {
            Level::Critical => "Critical",
            Level::High => "High",
            Level::Medium => "Medium",
            Level::Low => "Low",
        }
    }
}

/// GuardDuty's words for severities: Low 1.0–3.9, Medium 4.0–6.9, High 7.0–8.9, Critical 9.0–10.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth a look when there is time.
    Low,
    /// Worth a look.
    Medium,
    /// Worth a look now.
    High,
    /// Worth waking somebody.
    Critical,
}

/// What kind of owner a finding speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// One function owns the interface.
    Function,
    /// Several functions share it: the call is of one of them.
    Shared,
    /// No inventory: the interface itself is the owner.
    Interface,
}

impl OwnerKind {
    /// The word of `callout.finding/1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Shared => "shared",
            Self::Interface => "interface",
        }
    }
}

/// Whose traffic a finding is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// One function, several, or the interface.
    pub kind: OwnerKind,
    /// Names of the functions, sorted; empty for an interface.
    pub functions: Vec<Arc<str>>,
    /// Their ARNs without version, in the order of `functions`.
    pub arns: Vec<Arc<str>>,
    /// The interfaces the traffic was seen on, sorted.
    pub eni_ids: Vec<Arc<str>>,
}

impl Owner {
    /// The owner in a few words: the function's name, one of several, or the interface.
    pub fn label(&self) -> String {
        let names = if self.functions.is_empty() { &self.eni_ids } else { &self.functions };
        let names = names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        if self.kind == OwnerKind::Shared { format!("one of {names}") } else { names }
    }

    /// The interface the traffic was seen on, if it was one: of several nobody knows which made which call.
    pub fn only_eni(&self) -> Option<&Arc<str>> {
        if let [eni] = self.eni_ids.as_slice() { Some(eni) } else { None }
    }
}

/// One destination of a finding, with what was exchanged with it while the finding lasted.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The peer, IPv4 or IPv6.
    pub address: IpAddr,
    /// Its port; 0 for protocols without ports.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// The network it is in: `AS64500 Example Hosting`, `AWS EC2 eu-west-1`, or a prefix.
    pub network: Arc<str>,
    /// The AWS service code of the address, if it is AWS's.
    pub aws_service: Option<Arc<str>>,
    /// Flow records sent to it.
    pub n_flows: u64,
    /// Bytes sent to it, as the flow log reports them.
    pub bytes_out: u64,
    /// Bytes received from it.
    pub bytes_in: u64,
    /// Event time of the first and the last record, Unix seconds.
    pub first_seen: i64,
    /// See `first_seen`.
    pub last_seen: i64,
}

/// The name of a protocol number as findings print it: `tcp`, `udp`, `icmp`, or the number.
pub fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        47 => "gre".into(),
        50 => "esp".into(),
        58 => "icmpv6".into(),
        132 => "sctp".into(),
        other => other.to_string(),
    }
}

/// A port as people write it, `443/tcp`; of what has none, such as ICMP, the protocol.
pub fn port_name(port: u16, protocol: u8) -> String {
    let protocol = protocol_name(protocol);
    if port == 0 { protocol } else { format!("{port}/{protocol}") }
}

/// A port in a sentence, after an address or a network: `port 443/tcp`, `by icmp`.
pub fn port_words(port: u16, protocol: u8) -> String {
    let name = port_name(port, protocol);
    if port == 0 { format!("by {name}") } else { format!("port {name}") }
}

/// An amount with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// Bytes as the flow log reports them.
    Bytes(f64),
    /// Flow records.
    Flows(f64),
    /// Distinct addresses.
    Peers(f64),
    /// Distinct networks.
    Networks(f64),
    /// Distinct prefixes.
    Prefixes(f64),
    /// Distinct ports.
    Ports(f64),
    /// Functions.
    Functions(f64),
    /// Seconds.
    Secs(f64),
    /// A part of a whole, in [0, 1].
    Share(f64),
    /// Times something happened.
    Times(f64),
}

impl Quantity {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Self::Bytes(v)
            | Self::Flows(v)
            | Self::Peers(v)
            | Self::Networks(v)
            | Self::Prefixes(v)
            | Self::Ports(v)
            | Self::Functions(v)
            | Self::Secs(v)
            | Self::Share(v)
            | Self::Times(v) => v,
        }
    }

    /// An amount of a unit; `None` when there is no such unit.
    pub fn parse(value: f64, unit: &str) -> Option<Self> {
        let units = [
            Self::Bytes,
            Self::Flows,
            Self::Peers,
            Self::Networks,
            Self::Prefixes,
            Self::Ports,
            Self::Functions,
            Self::Secs,
            Self::Share,
            Self::Times,
        ];
        units.into_iter().map(|of| of(value)).find(|quantity| quantity.unit() == unit)
    }

    /// The unit's word.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Flows(_) => "flows",
            Self::Peers(_) => "peers",
            Self::Networks(_) => "networks",
            Self::Prefixes(_) => "prefixes",
            Self::Ports(_) => "ports",
            Self::Functions(_) => "functions",
            Self::Secs(_) => "seconds",
            Self::Share(_) => "share",
            Self::Times(_) => "times",
        }
    }
}

/// One number behind a finding: what was measured, what was expected, and a sentence a person understands.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The check that measured it.
    pub check: CheckId,
    /// What was measured, snake case: `peers_of_network`.
    pub measure: &'static str,
    /// What was seen.
    pub observed: Quantity,
    /// What the past led one to expect, same unit.
    pub expected: Quantity,
    /// How unlikely the observation is under the past, in bans: −log10 of the tail probability.
    pub surprise: f64,
    /// The sentence.
    pub statement: String,
}

/// Distinct names of measures kept for the life of the program. The checks coin a few dozen; a file that brings more
/// was not written by this program.
const MAX_MEASURES: usize = 1024;

/// The name of a stored measure as the static text [`Evidence`] holds; `None` for what is no such name.
///
/// Names are a small closed set in the checks; what is stored may come from another version, so its names cannot be
/// looked up. Each distinct one is kept once, their number and length are bounded, and the order they come in changes
/// nothing.
pub fn measure(name: &str) -> Option<&'static str> {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let snake = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() > 64 || !name.bytes().all(snake) {
        return None;
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if names.len() >= MAX_MEASURES {
        return None;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    Some(kept)
}

/// A deployment shortly before the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Function version, `$LATEST` or a number.
    pub version: Arc<str>,
    /// Hash of the deployed code as Lambda prints it.
    pub code_sha256: Arc<str>,
    /// When, Unix seconds.
    pub at: i64,
}

/// One finding: an incident on one owner, grouped over checks and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Stable identity.
    pub id: Fingerprint,
    /// The check that speaks loudest.
    pub check: CheckId,
    /// First told, or going on.
    pub activity: Activity,
    /// How bad if true.
    pub severity: Severity,
    /// How sure, in [0, 1].
    pub confidence: f64,
    /// One line: what, where.
    pub title: String,
    /// A few sentences: what happened, compared with what, and what to look at next.
    pub description: String,
    /// The account of the interface, if the records name it.
    pub account_id: Option<Arc<str>>,
    /// The region, if known.
    pub region: Option<Arc<str>>,
    /// The VPC, if known.
    pub vpc_id: Option<Arc<str>>,
    /// Whose traffic.
    pub owner: Owner,
    /// Every destination of the incident, the most telling first.
    pub destinations: Vec<Destination>,
    /// First and past-the-last second of the windows the oddities fell in, half-open, Unix seconds.
    pub window: (i64, i64),
    /// Event time of the first record, Unix seconds.
    pub first_seen: i64,
    /// Event time of the last record, Unix seconds.
    pub last_seen: i64,
    /// Windows in which the incident showed.
    pub count: u32,
    /// The numbers behind it, the most telling first.
    pub evidence: Vec<Evidence>,
    /// A deployment of the function shortly before, if there was one.
    pub deployment: Option<Deployment>,
    /// Name of the suppression or trusted list that hides it.
    pub suppressed_by: Option<Arc<str>>,
}

impl Finding {
    /// The deployment, where one function alone is the owner: of several nobody knows whose it was.
    pub fn own_deployment(&self) -> Option<&Deployment> {
        self.deployment.as_ref().filter(|_| self.owner.kind == OwnerKind::Function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_parsed_from_what_it_prints_and_from_nothing_else() {
        for id in [0, 0x18e6_1e7c, u128::MAX] {
            assert_eq!(Fingerprint::parse(&Fingerprint(id).to_string()), Some(Fingerprint(id)));
        }
        for text in ["", "18e61e7c", "+8e61e7c59e262687b36d8485d29c654", "18e61e7c59e262687b36d8485d29c65g"] {
            assert_eq!(Fingerprint::parse(text), None, "{text}");
        }
    }
}
