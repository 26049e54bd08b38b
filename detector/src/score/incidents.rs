//! Incidents: related oddities of one owner, close in time, as one finding that is updated while it lasts.
//!
//! Takes oddities that passed the threshold. An oddity joins the owner's incident that already holds its topic, else one
//! that was last odd within the configured gap, had news within the last days and was not accepted, else opens a new one.
//! What was once told about a topic goes on under the same id; that it goes on for weeks draws nothing else in, or the daily
//! use of a new endpoint would hide every stranger after it.

mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baselines::ladder::{Ladder, to_ip};
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::{Eni, Observation};
use baselines::window::Window;
use baselines::{Baselines, Fleet};
use sha2::{Digest, Sha256};

use super::oddity::{Oddity, Topic};
use super::{Facts, needed_bans, total_bans};
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
const MAX_WORDS: usize = 64;

/// How long what goes on is news that something else may have to do with. A week: so long loaders sleep.
const NEWS_SECS: i64 = 7 * 86_400;

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
    /// When the latest of its topics came to it.
    joined: Window,
    /// Windows in which it showed.
    count: u32,
    topics: BTreeSet<Topic>,
    /// The most bans of any topic in any window.
    bans: f64,
    /// The strongest word of each check on each topic.
    words: BTreeMap<(Topic, CheckId), Word>,
    destinations: BTreeMap<(u32, u16, u8), Contacted>,
    /// The latest window, and the destinations counted in it: what several topics tell of one is counted once.
    counted_in_window: (Window, BTreeSet<(u32, u16, u8)>),
    enis: BTreeMap<Arc<str>, Eni>,
    deployment: Option<Deployment>,
}

/// What a check says of a topic.
#[derive(Clone, Debug)]
struct Word {
    bans: f64,
    severity: f64,
    evidence: Vec<Evidence>,
}

/// A word, with who says it of what.
#[derive(Clone, Copy)]
struct Claim<'a> {
    topic: Topic,
    check: CheckId,
    word: &'a Word,
}

/// What was judged of one topic in one window, loud enough to be told.
pub(super) struct Judged<'a> {
    pub(super) window: Window,
    pub(super) topic: Topic,
    /// Those of all oddities together.
    pub(super) bans: f64,
    pub(super) oddities: Vec<Oddity>,
    /// The finding the topic is under already, perhaps of a run whose incidents are not here; 0 for none.
    pub(super) under: Fingerprint,
    /// The window's observations on each interface, `eni` one of `enis`.
    pub(super) by_interface: &'a [Observation],
    pub(super) enis: &'a [Eni],
}

impl<'a> Judged<'a> {
    /// The observations of the destinations that the oddities concern.
    fn rows(&self) -> Vec<&'a Observation> {
        let concerned = self.oddities.iter().flat_map(|oddity| &oddity.destinations);
        let keys: BTreeSet<(u32, u16, u8)> = concerned.map(Contacted::key).collect();
        self.by_interface.iter().filter(|row| keys.contains(&(row.peer, row.port, row.protocol))).collect()
    }
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
    /// Adds what was judged of an owner; returns the id of the incident it belongs to.
    pub(super) fn add(
        &mut self,
        config: &Config,
        facts: &dyn Facts,
        fleet: Fleet<'_>,
        owner: u32,
        judged: Judged<'_>,
    ) -> Fingerprint {
        let rows = judged.rows();
        let at = self.ongoing(config, fleet, &judged).unwrap_or_else(|| {
            // What was deployed after the first record did not make the call.
            let until = rows.iter().map(|row| row.first).min().unwrap_or(judged.window.end());
            let from = judged.window.start() - config.deployment_window_secs as i64;
            let deployment = facts.deployment(&fleet.owners.name(owner), from, until);
            self.open(fleet, owner, &judged, deployment)
        });
        #[expect(clippy::indexing_slicing, reason = "`at` was found in or just pushed to this very vector")]
        let incident = &mut self.0[at];
        incident.take(judged, &rows);
        incident.id
    }

    /// The place of the incident that goes on with what was judged: see the module's page.
    fn ongoing(&self, config: &Config, fleet: Fleet<'_>, judged: &Judged<'_>) -> Option<usize> {
        let &Judged { window, topic, under, .. } = judged;
        // The owner as a whole is no thing that goes on: two sweeps weeks apart are two.
        let holds_topic = |incident: &Incident| topic != Topic::Owner && incident.topics.contains(&topic);
        let is_of_id = |incident: &Incident| incident.id == under;
        // What a person accepted is closed: a stranger after it was not in what they saw.
        let is_recent = |incident: &Incident| {
            under.0 == 0
                && !fleet.is_accepted(incident.id.0)
                && window.start() - incident.last.end() <= config.incident_gap_secs as i64
                && window.start() - incident.joined.end() <= NEWS_SECS
        };
        let latest = |is_it: &dyn Fn(&Incident) -> bool| self.0.iter().rposition(is_it);
        latest(&holds_topic).or_else(|| latest(&is_of_id)).or_else(|| latest(&is_recent))
    }

    /// Opens an incident of which nothing is told yet; gives its place.
    fn open(&mut self, fleet: Fleet<'_>, owner: u32, judged: &Judged<'_>, deployment: Option<Deployment>) -> usize {
        let &Judged { window, topic, under, .. } = judged;
        let new_id = || self.new_id(&fleet.owners.name(owner), &topic_words(fleet.ladder, topic), window);
        let id = if under.0 == 0 { new_id() } else { under };
        self.0.push(Incident { deployment, ..Incident::new(id, owner, window) });
        self.0.len() - 1
    }

    /// The id of an incident that opens with a topic. It speaks of the day, not of the window: records of an earlier window that
    /// arrive later must not make another finding of it.
    fn new_id(&self, owner: &str, topic: &str, window: Window) -> Fingerprint {
        let of_day = fingerprint(owner, topic, window.day().0);
        // Two incidents of the owner as a whole may open on one day.
        let is_taken = self.0.iter().any(|incident| incident.id == of_day);
        if is_taken { fingerprint(owner, topic, window.0) } else { of_day }
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
    /// One of which nothing is told yet.
    fn new(id: Fingerprint, owner: u32, window: Window) -> Self {
        Self {
            id,
            owner,
            first: window,
            last: window,
            joined: window,
            count: 0,
            topics: BTreeSet::new(),
            bans: 0.0,
            words: BTreeMap::new(),
            destinations: BTreeMap::new(),
            counted_in_window: (window, BTreeSet::new()),
            enis: BTreeMap::new(),
            deployment: None,
        }
    }

    /// Takes in what was judged; `rows` are the observations it is about.
    fn take(&mut self, judged: Judged<'_>, rows: &[&Observation]) {
        let Judged { window, topic, bans, oddities, enis, .. } = judged;
        if self.count == 0 || window > self.last {
            self.count += 1;
        }
        self.last = self.last.max(window);
        let is_new = self.topics.len() < MAX_TOPICS && self.topics.insert(topic);
        if is_new || topic == Topic::Owner {
            self.joined = self.joined.max(window);
        }
        self.bans = self.bans.max(bans);
        self.contact(window, topic, oddities.iter().flat_map(|oddity| &oddity.destinations));
        for oddity in oddities {
            self.hear(topic, oddity);
        }
        for eni in rows.iter().filter_map(|row| enis.get(row.eni as usize)) {
            self.enis.entry(Arc::clone(&eni.id)).or_insert_with(|| eni.clone());
        }
    }

    /// Notes what was exchanged with the destinations of a topic: of a newcomer everything so far, else what the window adds,
    /// unless another topic told that already.
    fn contact<'a>(&mut self, window: Window, topic: Topic, all: impl Iterator<Item = &'a Contacted>) {
        let is_cumulative = matches!(topic, Topic::Newcomer(_));
        if self.counted_in_window.0 != window {
            self.counted_in_window = (window, BTreeSet::new());
        }
        let mut of_topic: BTreeSet<(u32, u16, u8)> = BTreeSet::new();
        for contacted in all.filter(|contacted| of_topic.insert(contacted.key())) {
            let is_first = self.counted_in_window.1.insert(contacted.key());
            let is_full = self.destinations.len() >= MAX_DESTINATIONS;
            match self.destinations.get_mut(&contacted.key()) {
                Some(known) if is_cumulative => *known = *contacted,
                Some(known) if is_first => known.add(contacted),
                None if !is_full => {
                    self.destinations.insert(contacted.key(), *contacted);
                }
                _ => {}
            }
        }
    }

    /// Keeps what a check says of a topic, unless it said more before.
    fn hear(&mut self, topic: Topic, oddity: Oddity) {
        let Oddity { check, bans, severity, evidence, .. } = oddity;
        let key = (topic, check);
        if self.words.len() >= MAX_WORDS && !self.words.contains_key(&key) {
            return;
        }
        if self.words.get(&key).is_none_or(|known| known.bans <= bans) {
            self.words.insert(key, Word { bans, severity, evidence });
        }
    }

    fn finding(&self, config: &Config, facts: &dyn Facts, baselines: &Baselines) -> Finding {
        let claim = |(&(topic, check), word)| Claim { topic, check, word };
        let mut claims: Vec<Claim<'_>> = self.words.iter().map(claim).filter(|claim| claim.word.bans > 0.0).collect();
        claims.sort_by_cached_key(|claim| topic_words(&baselines.ladder, claim.topic));
        // What was refused is no call: beside one that got through it never leads.
        let is_refused = |claim: &Claim<'_>| claim.check == CheckId::RejectedEgress;
        claims.sort_by(|a, b| {
            let by_bans = || b.word.bans.total_cmp(&a.word.bans).then(a.check.cmp(&b.check));
            is_refused(a).cmp(&is_refused(b)).then_with(by_bans)
        });
        let destinations = self.destinations(&claims, facts, baselines);
        let check = claims.first().map_or(CheckId::NewDestination, |claim| claim.check);
        let of_check: Vec<Topic> =
            claims.iter().filter(|claim| claim.check == check).map(|claim| claim.topic).collect();
        let is_of_check =
            |contacted: &&Contacted| of_check.iter().any(|topic| holds(&baselines.ladder, *topic, contacted));
        let n_of_check = self.destinations.values().filter(is_of_check).count();
        let is_prefix = |topic: &Topic| matches!(topic, Topic::Newcomer(Subject::Prefix(_)));
        let is_part_of_known = of_check.iter().all(is_prefix);
        let checks: BTreeSet<CheckId> = claims.iter().map(|claim| claim.check).collect();
        let agreeing = checks.len().saturating_sub(1) as f64;
        let worst = claims.iter().map(|claim| claim.word.severity).fold(1.0, f64::max);
        let deployed = f64::from(u8::from(self.deployment.is_some()));
        let severity = Severity::new(worst + agreeing * AGREEMENT_SEVERITY + deployed * DEPLOYMENT_SEVERITY);
        let owner = self.owner(baselines);
        let evidence = evidence(&baselines.ladder, &claims);
        let first_seen = destinations.iter().map(|d| d.first_seen).min().unwrap_or(self.first.start());
        let last_seen = destinations.iter().map(|d| d.last_seen).max().unwrap_or(self.last.end());
        let eni = self.enis.values().next().cloned().unwrap_or_default();
        let named = |text: &Arc<str>| (!text.is_empty() && &**text != "-").then(|| Arc::clone(text));
        let arn = owner.arns.first().cloned().unwrap_or_default();
        let mut of_arn = arn.split(':').skip(3);
        let (region, account) = (of_arn.next(), of_arn.next());
        let mut finding = Finding {
            id: self.id,
            check,
            activity: if self.count > 1 { Activity::Update } else { Activity::Create },
            severity,
            confidence: confidence(self.bans + deployed * DEPLOYMENT_BANS),
            title: title(check, &owner, &destinations, n_of_check, is_part_of_known),
            description: String::new(),
            account_id: named(&eni.account).or_else(|| account.map(Arc::from)),
            region: named(&eni.region).or_else(|| region.map(Arc::from)),
            vpc_id: named(&eni.vpc),
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
        // Only now: title and times are of all.
        let n_left_out = finding.destinations.len().saturating_sub(config.max_destinations_per_finding);
        finding.destinations.truncate(config.max_destinations_per_finding);
        finding.description = description(&finding, n_left_out);
        finding.suppressed_by = self.suppressed_by(&finding, &claims, config, facts, baselines);
        finding
    }

    /// The destinations: the first of each topic, those of what weighs most first, then the others; of one topic those with the
    /// most bytes out before.
    fn destinations(&self, claims: &[Claim<'_>], facts: &dyn Facts, baselines: &Baselines) -> Vec<Destination> {
        let rank = |contacted: &Contacted| {
            let is_held = |claim: &Claim<'_>| holds(&baselines.ladder, claim.topic, contacted);
            claims.iter().position(is_held).unwrap_or(claims.len())
        };
        let all = self.destinations.values();
        let mut all: Vec<(usize, Destination)> =
            all.map(|contacted| (rank(contacted), destination(contacted, facts, baselines))).collect();
        all.sort_by_key(|(rank, d)| (*rank, std::cmp::Reverse(d.bytes_out), d.address, d.port, d.protocol));
        let (mut first, mut others) = (Vec::with_capacity(all.len()), Vec::new());
        for of_topic in all.chunk_by(|a, b| a.0 == b.0) {
            first.extend(of_topic.first().cloned());
            others.extend(of_topic.iter().skip(1).cloned());
        }
        first.into_iter().chain(others).map(|(_, destination)| destination).collect()
    }

    /// What hides the finding: what suppressions and trusted lists leave of it would not have been told.
    fn suppressed_by(
        &self,
        finding: &Finding,
        claims: &[Claim<'_>],
        config: &Config,
        facts: &dyn Facts,
        baselines: &Baselines,
    ) -> Option<Arc<str>> {
        let mut reason = None;
        let mut left: BTreeMap<Topic, Vec<(CheckId, f64)>> = BTreeMap::new();
        for claim in claims {
            let of_topic =
                self.destinations.values().filter(|contacted| holds(&baselines.ladder, claim.topic, contacted));
            let destinations = of_topic.map(|contacted| destination(contacted, facts, baselines)).collect();
            let part = Finding { check: claim.check, destinations, evidence: Vec::new(), ..finding.clone() };
            match hidden_by(&part, config, facts) {
                Some(why) => reason = reason.or(Some(why)),
                None => left.entry(claim.topic).or_default().push((claim.check, claim.word.bans)),
            }
        }
        let is_told = left.values().any(|words| total_bans(words) >= needed_bans(config.sensitivity));
        reason.filter(|_| !is_told)
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

/// Identity: a hash of owner, topic and time, nothing else, so that the same data gives the same one. The time is the number of
/// the day, or of the window where another incident has the day's: see [`OwnIncidents::new_id`].
fn fingerprint(owner: &str, topic: &str, time: u32) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in ["callout.finding/1", owner, topic] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(time.to_be_bytes());
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

/// How sure: the share of call-outs among findings of like bans, as a logistic curve fitted on 41 fleets of a generator that knew
/// nothing of the checks. First alerts about new endpoints count as no call-outs. See `docs/detection.md`.
fn confidence(bans: f64) -> f64 {
    let sure = 1.0 / (1.0 + (-(bans + 0.2) * 0.4).exp());
    (sure * 100.0).round().min(99.0) / 100.0
}

/// The title: what the check says, and of how many destinations it does.
fn title(
    check: CheckId,
    owner: &Owner,
    destinations: &[Destination],
    n_of_check: usize,
    is_part_of_known: bool,
) -> String {
    let who = owner.label();
    let to = destinations.first().map(|first| {
        let (address, protocol) = (first.address, protocol_name(first.protocol));
        let more = n_of_check.saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        match first.port {
            0 => format!("{address} by {protocol}{more}"),
            port => format!("{address} port {port}/{protocol}{more}"),
        }
    });
    let to = to.unwrap_or_else(|| "unnamed destinations".to_owned());
    match check {
        CheckId::NewDestination if is_part_of_known => format!("{who} called a new part of a known network: {to}"),
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

fn description(finding: &Finding, n_left_out: usize) -> String {
    let mut text = finding.evidence.iter().map(|e| sentence(&e.statement)).collect::<Vec<_>>().join(" ");
    if finding.owner.kind == OwnerKind::Shared {
        text.push_str(" The interface is shared: the call was made by one of the functions named.");
    }
    if let Some(deployment) = &finding.deployment {
        text = format!("{text} Version {} was deployed shortly before.", deployment.version);
    }
    if n_left_out > 0 {
        let them = if n_left_out == 1 { "destination is" } else { "destinations are" };
        text = format!("{text} {n_left_out} more {them} not listed: max_destinations_per_finding sets how many are.");
    }
    text
}

/// A statement as a sentence: a capital letter and a full stop.
fn sentence(statement: &str) -> String {
    let mut chars = statement.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// What hides all of a finding: a suppression, or a trusted list that holds all its destinations.
fn hidden_by(finding: &Finding, config: &Config, facts: &dyn Facts) -> Option<Arc<str>> {
    if let Some(suppression) = config.suppressions.iter().find(|suppression| suppression.hides(finding)) {
        return Some(Arc::clone(&suppression.reason));
    }
    let mut lists = finding.destinations.iter().map(|d| facts.trusted_list(baselines::ladder::from_ip(d.address)));
    let first = lists.next()??;
    lists.all(|list| list.is_some()).then_some(first)
}

/// Whether a topic is about a destination.
fn holds(ladder: &Ladder, topic: Topic, contacted: &Contacted) -> bool {
    let rungs = ladder.rungs(contacted.peer);
    match topic {
        Topic::Newcomer(Subject::Network(network)) => network == rungs.network,
        Topic::Newcomer(Subject::Prefix(prefix)) => prefix == rungs.prefix,
        Topic::Newcomer(Subject::Service(network, port, protocol)) | Topic::Service(network, port, protocol) => {
            (network, port, protocol) == (rungs.network, contacted.port, contacted.protocol)
        }
        Topic::Peer(peer) => peer == contacted.peer,
        Topic::Owner => true,
    }
}

/// A destination as a finding names it.
fn destination(contacted: &Contacted, facts: &dyn Facts, baselines: &Baselines) -> Destination {
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
}

/// The statements of all that was told; where that is about several things, each says about which.
fn evidence(ladder: &Ladder, claims: &[Claim<'_>]) -> Vec<Evidence> {
    let subject = |topic: Topic| match topic {
        Topic::Newcomer(Subject::Network(network) | Subject::Service(network, ..)) | Topic::Service(network, ..) => {
            ladder.label(network).to_string()
        }
        Topic::Newcomer(Subject::Prefix(prefix)) => ladder.prefix(prefix).to_string(),
        Topic::Peer(peer) => to_ip(ladder.rungs(peer).address).to_string(),
        Topic::Owner => String::new(),
    };
    let subjects: BTreeSet<String> =
        claims.iter().map(|claim| subject(claim.topic)).filter(|it| !it.is_empty()).collect();
    let named = |topic: Topic, evidence: &Evidence| {
        let (subject, mut evidence) = (subject(topic), evidence.clone());
        if subjects.len() > 1 && !evidence.statement.contains(&subject) {
            evidence.statement = format!("{subject}: {}", evidence.statement);
        }
        evidence
    };
    claims.iter().flat_map(|claim| claim.word.evidence.iter().map(|evidence| named(claim.topic, evidence))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_speaks_of_the_day_unless_another_incident_of_the_day_has_it() {
        let mut own = OwnIncidents::default();
        let first = own.new_id("api", "owner", Window(145));
        assert_eq!(first, own.new_id("api", "owner", Window(144)), "the same day");
        for other in [("web", "owner", 145), ("api", "peer 192.0.2.1", 145), ("api", "owner", 143)] {
            assert_ne!(first, own.new_id(other.0, other.1, Window(other.2)), "{other:?}");
        }
        own.0.push(Incident::new(first, 0, Window(145)));
        let second = own.new_id("api", "owner", Window(200));
        assert_ne!(first, second);
        assert_eq!(second, own.new_id("api", "owner", Window(200)), "the same data, the same id");
    }

    #[test]
    fn titles_say_who_and_what() {
        let owner = |kind, functions: &[&str]| Owner {
            kind,
            functions: functions.iter().map(|name| (*name).into()).collect(),
            arns: Vec::new(),
            eni_ids: Vec::new(),
        };
        let to = |port, protocol| {
            let address = "203.0.113.7".parse().expect("an address");
            let (network, aws_service) = (Arc::default(), None);
            let (n_flows, bytes_out, bytes_in, first_seen, last_seen) = (1, 1, 1, 0, 0);
            [Destination {
                address,
                port,
                protocol,
                network,
                aws_service,
                n_flows,
                bytes_out,
                bytes_in,
                first_seen,
                last_seen,
            }]
        };
        let alone = owner(OwnerKind::Function, &["api"]);
        let title =
            |owner: &Owner, check, port, protocol, is_part| title(check, owner, &to(port, protocol), 1, is_part);
        assert_eq!(
            title(&alone, CheckId::NewDestination, 443, 6, false),
            "api called a network nothing explains: 203.0.113.7 port 443/tcp"
        );
        assert_eq!(
            title(&alone, CheckId::NewDestination, 443, 6, true),
            "api called a new part of a known network: 203.0.113.7 port 443/tcp"
        );
        assert_eq!(
            title(&owner(OwnerKind::Shared, &["api", "web"]), CheckId::Beacon, 0, 1, false),
            "one of api, web polls a stranger: 203.0.113.7 by icmp"
        );
    }
}
