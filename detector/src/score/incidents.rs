//! Incidents: related oddities of one owner, close in time, as one finding that is updated while it lasts.
//!
//! Takes oddities that passed the threshold. An oddity joins the owner's incident that already holds its topic, else one
//! that was last odd within the configured gap, else opens a new one. What was once told about a topic goes on under
//! the same id.

mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baselines::baseline::Baseline;
use baselines::ladder::{Ladder, to_ip};
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::{Eni, Observation};
use baselines::window::Window;
use baselines::{Baselines, Fleet};
use sha2::{Digest, Sha256};

use super::Facts;
use super::oddity::{Oddity, Topic};
use crate::config::Config;
use crate::finding::{
    Activity, CheckId, Deployment, Destination, Evidence, Finding, Fingerprint, Owner, OwnerKind, Severity,
    protocol_name,
};
pub use stored::Error as StoredError;

/// Destinations an incident remembers, far above what a finding lists: a sweep must not grow without bound.
const MAX_DESTINATIONS: usize = 1024;

/// Topics an incident remembers, and words of checks on them: the same.
const MAX_TOPICS: usize = 1024;
/// See [`MAX_TOPICS`].
const MAX_TOLD: usize = 64;

/// Severity for each further check that agrees, and for a deployment shortly before.
const AGREEMENT_SEVERITY: f64 = 0.5;
const DEPLOYMENT_SEVERITY: f64 = 0.4;
/// Bans a deployment shortly before lends.
const DEPLOYMENT_BANS: f64 = 0.2;

/// One incident.
#[derive(Clone, Debug)]
pub struct Incident {
    id: Fingerprint,
    owner: u32,
    first: Window,
    last: Window,
    /// Windows in which it showed.
    count: u32,
    topics: BTreeSet<Topic>,
    /// The most bans of any topic in any window.
    bans: f64,
    /// The strongest word of each check on each topic.
    oddities: BTreeMap<(Topic, CheckId), Told>,
    destinations: BTreeMap<(u32, u16, u8), Contacted>,
    enis: BTreeMap<Arc<str>, Eni>,
    deployment: Option<Deployment>,
}

/// What a check said of a topic.
#[derive(Clone, Debug)]
struct Told {
    bans: f64,
    severity: f64,
    evidence: Vec<Evidence>,
}

/// All incidents of a run.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    /// Those of each owner, in order of their beginning.
    of_owner: BTreeMap<u32, OwnIncidents>,
}

/// The incidents of one owner, in order of their beginning.
#[derive(Clone, Debug, Default)]
pub struct OwnIncidents(Vec<Incident>);

impl OwnIncidents {
    /// Whether a topic is already told, so that further contact belongs to it.
    pub(super) fn goes_on(baseline: &Baseline, topic: Topic) -> bool {
        match topic {
            Topic::Newcomer(subject) => baseline.finding(subject) != 0,
            _ => false,
        }
    }

    /// Adds a topic's oddities of a window; returns the id of the incident they belong to.
    #[expect(clippy::too_many_arguments, reason = "one caller, and each is a different thing")]
    pub(super) fn add(
        &mut self,
        config: &Config,
        facts: &dyn Facts,
        fleet: Fleet<'_>,
        owner: u32,
        window: Window,
        topic: Topic,
        bans: f64,
        oddities: Vec<Oddity>,
        rows: &[Observation],
        enis: &[Eni],
    ) -> Fingerprint {
        let holds_topic = |incident: &Incident| incident.topics.contains(&topic);
        let is_recent = |incident: &Incident| window.start() - incident.last.end() <= config.incident_gap_secs as i64;
        let open = self.0.iter().rposition(holds_topic).or_else(|| self.0.iter().rposition(is_recent));
        let at = open.unwrap_or_else(|| {
            let name = fleet.owners.name(owner);
            let until = window.end();
            let from = window.start() - config.deployment_window_secs as i64;
            self.0.push(Incident {
                id: fingerprint(&name, &topic_words(fleet.ladder, topic), window),
                owner,
                first: window,
                last: window,
                count: 0,
                topics: BTreeSet::new(),
                bans: 0.0,
                oddities: BTreeMap::new(),
                destinations: BTreeMap::new(),
                enis: BTreeMap::new(),
                deployment: facts.deployment(&name, from, until),
            });
            self.0.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "`at` was found in or just pushed to this very vector")]
        let incident = &mut self.0[at];
        if incident.count == 0 || window > incident.last {
            incident.count += 1;
        }
        incident.last = incident.last.max(window);
        if incident.topics.len() < MAX_TOPICS {
            incident.topics.insert(topic);
        }
        incident.bans = incident.bans.max(bans);
        let mut told: BTreeSet<(u32, u16, u8)> = BTreeSet::new();
        for oddity in oddities {
            for contacted in &oddity.destinations {
                if told.insert(contacted.key()) {
                    incident.contact(contacted, matches!(topic, Topic::Newcomer(_)));
                }
            }
            let entry = (topic, oddity.check);
            if incident.oddities.len() >= MAX_TOLD && !incident.oddities.contains_key(&entry) {
                continue;
            }
            if incident.oddities.get(&entry).is_none_or(|known| known.bans <= oddity.bans) {
                let Oddity { bans, severity, evidence, .. } = oddity;
                incident.oddities.insert(entry, Told { bans, severity, evidence });
            }
        }
        for row in rows.iter().filter(|row| told.contains(&(row.peer, row.port, row.protocol))) {
            if let Some(eni) = enis.get(row.eni as usize) {
                incident.enis.entry(Arc::clone(&eni.id)).or_insert_with(|| eni.clone());
            }
        }
        incident.id
    }
}

impl Incidents {
    /// Takes out those of an owner, to be added to.
    pub fn take(&mut self, owner: u32) -> OwnIncidents {
        self.of_owner.remove(&owner).unwrap_or_default()
    }

    /// Puts back those of an owner.
    pub fn put(&mut self, owner: u32, own: OwnIncidents) {
        if !own.0.is_empty() {
            self.of_owner.insert(owner, own);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.of_owner.values().flat_map(|own| &own.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.of_owner.is_empty()
    }

    /// The findings of all incidents, sorted by time of the first record, then id.
    pub(super) fn findings(&self, config: &Config, facts: &dyn Facts, baselines: &Baselines) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.iter().map(|incident| incident.finding(config, facts, baselines)).collect();
        findings.sort_by_key(|finding| (finding.first_seen, finding.id));
        findings
    }
}

impl Incident {
    /// Notes what was exchanged with a destination: of a newcomer everything so far, else what one window adds.
    fn contact(&mut self, contacted: &Contacted, is_cumulative: bool) {
        let is_full = self.destinations.len() >= MAX_DESTINATIONS;
        match self.destinations.get_mut(&contacted.key()) {
            Some(known) if is_cumulative => *known = *contacted,
            Some(known) => known.add(contacted),
            None if is_full => {}
            None => {
                self.destinations.insert(contacted.key(), *contacted);
            }
        }
    }

    fn finding(&self, config: &Config, facts: &dyn Facts, baselines: &Baselines) -> Finding {
        let destinations = self.destinations(config, facts, baselines);
        let mut told: Vec<(&(Topic, CheckId), &Told)> =
            self.oddities.iter().filter(|(_, told)| told.bans > 0.0).collect();
        told.sort_by_cached_key(|((topic, _), _)| topic_words(&baselines.ladder, *topic));
        told.sort_by(|a, b| b.1.bans.total_cmp(&a.1.bans).then(a.0.1.cmp(&b.0.1)));
        let check = told.first().map_or(CheckId::NewDestination, |((_, check), _)| *check);
        let checks: BTreeSet<CheckId> = told.iter().map(|((_, check), _)| *check).collect();
        let agreeing = checks.len().saturating_sub(1) as f64;
        let worst = told.iter().map(|(_, told)| told.severity).fold(1.0, f64::max);
        let deployed = f64::from(u8::from(self.deployment.is_some()));
        let severity = Severity::new(worst + agreeing * AGREEMENT_SEVERITY + deployed * DEPLOYMENT_SEVERITY);
        let owner = self.owner(baselines);
        let evidence: Vec<Evidence> = told.iter().flat_map(|(_, told)| told.evidence.clone()).collect();
        let first_seen = destinations.iter().map(|d| d.first_seen).min().unwrap_or(self.first.start());
        let last_seen = destinations.iter().map(|d| d.last_seen).max().unwrap_or(self.last.end());
        let eni = self.enis.values().next().cloned().unwrap_or_default();
        let said = |text: &Arc<str>| (!text.is_empty() && &**text != "-").then(|| Arc::clone(text));
        let arn = owner.arns.first().cloned().unwrap_or_default();
        let mut of_arn = arn.split(':').skip(3);
        let (region, account) = (of_arn.next(), of_arn.next());
        let mut finding = Finding {
            id: self.id,
            check,
            activity: if self.count > 1 { Activity::Update } else { Activity::Create },
            severity,
            confidence: confidence(self.bans + deployed * DEPLOYMENT_BANS),
            title: title(check, &owner, &destinations),
            description: String::new(),
            account_id: said(&eni.account).or_else(|| account.map(Arc::from)),
            region: said(&eni.region).or_else(|| region.map(Arc::from)),
            vpc_id: said(&eni.vpc),
            owner,
            destinations,
            window: (self.first.start(), self.last.end()),
            first_seen,
            last_seen,
            count: self.count,
            evidence,
            deployment: self.deployment.clone(),
            suppressed_by: None,
        };
        finding.description = description(&finding);
        finding.suppressed_by = suppressed_by(&finding, config, facts);
        finding
    }

    /// The destinations, those with the most bytes out first.
    fn destinations(&self, config: &Config, facts: &dyn Facts, baselines: &Baselines) -> Vec<Destination> {
        let mut all: Vec<Destination> = self
            .destinations
            .values()
            .map(|contacted| {
                let rungs = baselines.ladder.rungs(contacted.peer);
                Destination {
                    address: to_ip(rungs.address),
                    port: contacted.port,
                    protocol: contacted.protocol,
                    network: baselines.ladder.label(rungs.network),
                    aws_service: facts.aws_service(rungs.address),
                    n_flows: contacted.n_flows,
                    bytes_out: contacted.bytes_out,
                    bytes_in: contacted.bytes_in,
                    first_seen: contacted.first,
                    last_seen: contacted.last,
                }
            })
            .collect();
        all.sort_by_key(|d| (std::cmp::Reverse(d.bytes_out), d.address, d.port, d.protocol));
        all.truncate(config.max_destinations_per_finding);
        all
    }

    fn owner(&self, baselines: &Baselines) -> Owner {
        let name = baselines.owners.name(self.owner);
        let eni_ids: Vec<Arc<str>> = self.enis.keys().cloned().collect();
        if !name.starts_with("arn:") {
            return Owner { kind: OwnerKind::Interface, functions: Vec::new(), arns: Vec::new(), eni_ids: vec![name] };
        }
        let arns: Vec<Arc<str>> = name.split(',').map(Arc::from).collect();
        let functions = arns.iter().map(|arn| arn.rsplit(':').next().unwrap_or_default().into()).collect();
        let kind = if arns.len() == 1 { OwnerKind::Function } else { OwnerKind::Shared };
        Owner { kind, functions, arns, eni_ids }
    }
}

/// Identity: a hash of owner, topic and window, nothing else, so that the same data gives the same one.
fn fingerprint(owner: &str, topic: &str, window: Window) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in ["callout.finding/1", owner, topic] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(window.0.to_be_bytes());
    let digest = hash.finalize();
    Fingerprint(digest.iter().take(16).fold(0, |id, &byte| id << 8 | u128::from(byte)))
}

/// A topic in words that do not depend on the order of arrival.
pub(super) fn topic_words(ladder: &Ladder, topic: Topic) -> String {
    let network = |id: u32| ladder.networks().name(id);
    match topic {
        Topic::Newcomer(Subject::Network(id)) => format!("network {}", network(id)),
        Topic::Newcomer(Subject::Service(id, port, protocol)) => format!("port {port}/{protocol} of {}", network(id)),
        Topic::Newcomer(Subject::Prefix(id)) => format!("prefix {}", ladder.prefix(id)),
        Topic::Service(id, port, protocol) => format!("volume of port {port}/{protocol} of {}", network(id)),
        Topic::Peer(peer) => format!("peer {}", to_ip(ladder.rungs(peer).address)),
        Topic::Owner => "owner".to_owned(),
    }
}

/// How sure: the share of call-outs among findings of like bans, as a logistic curve fitted on fleets of two generators. See
/// `docs/detection.md`.
fn confidence(bans: f64) -> f64 {
    let sure = 1.0 / (1.0 + (-(bans - 1.95) * 1.15).exp());
    (sure * 100.0).round().min(99.0) / 100.0
}

fn title(check: CheckId, owner: &Owner, destinations: &[Destination]) -> String {
    let who = owner.label();
    let to = destinations.first().map(|first| {
        let port = format!("{}/{}", first.port, protocol_name(first.protocol));
        let more = destinations.len().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{} port {port}{more}", first.address)
    });
    let to = to.unwrap_or_else(|| "unnamed destinations".to_owned());
    match check {
        CheckId::NewDestination => format!("{who} called a network nothing explains: {to}"),
        CheckId::NewPort => format!("{who} used a port never used before: {to}"),
        CheckId::EgressVolume => format!("{who} sent far more than ever: {to}"),
        CheckId::Beacon => format!("{who} polls a stranger: {to}"),
        CheckId::LongConnection => format!("{who} holds a connection to a stranger: {to}"),
        CheckId::UnusualResolver => format!("{who} asks a foreign resolver: {to}"),
        CheckId::NoveltyBurst => format!("{who} called several strangers at once: {to}"),
        CheckId::FanOut => format!("{who} looks around: {to}"),
        CheckId::RejectedEgress => format!("{who} was refused: {to}"),
        CheckId::ThreatList => format!("{who} called a listed address: {to}"),
        CheckId::DormantReturn => format!("{who} called again after long silence: {to}"),
    }
}

fn description(finding: &Finding) -> String {
    let mut text = finding.evidence.iter().map(|e| sentence(&e.statement)).collect::<Vec<_>>().join(" ");
    if finding.owner.kind == OwnerKind::Shared {
        text.push_str(" The interface is shared: the call was made by one of the functions named.");
    }
    if let Some(deployment) = &finding.deployment {
        text = format!("{text} Version {} was deployed shortly before.", deployment.version);
    }
    text
}

/// A statement as a sentence: a capital letter and a full stop.
fn sentence(statement: &str) -> String {
    let mut chars = statement.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// What hides a finding: a suppression, or a trusted list that holds all its destinations.
fn suppressed_by(finding: &Finding, config: &Config, facts: &dyn Facts) -> Option<Arc<str>> {
    if let Some(suppression) = config.suppressions.iter().find(|suppression| suppression.hides(finding)) {
        return Some(Arc::clone(&suppression.reason));
    }
    let mut lists = finding.destinations.iter().map(|d| facts.trusted_list(baselines::ladder::from_ip(d.address)));
    let first = lists.next()??;
    lists.all(|list| list.is_some()).then_some(first)
}
