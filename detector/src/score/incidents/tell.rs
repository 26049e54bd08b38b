//! Telling: what an incident's words make of a finding.
//!
//! The weightiest claim gives type and title, all of them the evidence. What suppressions and trusted lists hide is not
//! told beside what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baselines::Baselines;
use baselines::heirs::{functions, is_function};
use baselines::ladder::{Ladder, to_ip};
use baselines::newcomer::{Contacted, Subject};
use baselines::window::{WINDOWS_PER_DAY, Window};

use super::{Incident, MAX_DESTINATIONS, Word, topic_words};
use crate::amounts::day;
use crate::config::Config;
use crate::finding::{
    Activity, CheckId, Deployment, Destination, Evidence, Finding, Level, Owner, OwnerKind, Severity, port_words,
};
use crate::score::oddity::Topic;
use crate::score::{Facts, needed_bans, total_bans};

/// Severity for each further check that agrees.
const AGREEMENT_SEVERITY: f64 = 0.5;

/// How long after each other checks may speak to agree, in windows. A slow poll takes three days to be one; what is
/// said weeks later is about something else in the same network.
const AGREEMENT_WINDOWS: u32 = 4 * WINDOWS_PER_DAY;

/// Bans a deployment shortly before lends. It makes a call-out likelier, not worse: most new endpoints come with one.
const DEPLOYMENT_BANS: f64 = 0.2;

/// How long before its first odd window something may have begun: a drip takes days until it is odd.
pub(super) const BACK_SECS: i64 = 3 * 86_400;

/// Statements told of each measure, the weightiest first: of a hundred strangers the reader needs to see a few.
const STATEMENTS_OF_A_MEASURE: usize = 4;

/// A word, with who says it of what.
#[derive(Clone, Copy)]
struct Claim<'a> {
    topic: Topic,
    check: CheckId,
    word: &'a Word,
}

impl Claim<'_> {
    fn holds(&self, ladder: &Ladder, contacted: &Contacted) -> bool {
        self.word.holds(self.topic, ladder, contacted)
    }

    /// When it was said, in words, if that is not the time of the finding as a whole: more than a day after the first
    /// window, since whoever read of the beginning does not know of it. What was odd in one window was so on its day,
    /// what holds from then on since it was said first. What counts all so far counts up to the last window, or counted
    /// so much by an earlier day.
    fn said(&self, first: Window, last: Window) -> Option<String> {
        let (on, at, is_apart) = match self.check {
            CheckId::EgressVolume | CheckId::NoveltyBurst | CheckId::FanOut | CheckId::DormantReturn => {
                ("on", self.word.at, is_later(first, self.word.at))
            }
            CheckId::Beacon | CheckId::LongConnection => ("by", self.word.at, is_later(self.word.at, last)),
            CheckId::NewDestination
            | CheckId::NewPort
            | CheckId::UnusualResolver
            | CheckId::RejectedEgress
            | CheckId::ThreatList => ("on", self.word.since, is_later(first, self.word.since)),
        };
        is_apart.then(|| format!("{on} {}: ", day(at.start())))
    }

    /// Whether it speaks of what goes on, and a destination was not called then. What is new, and how much was sent, is
    /// said of all so far.
    fn is_past(&self, contacted: &Contacted) -> bool {
        matches!(self.check, CheckId::Beacon | CheckId::LongConnection | CheckId::DormantReturn)
            && self.word.is_past(contacted)
    }
}

impl Incident {
    /// The finding it makes, of some owners: its own, and those of which it is told under the same id.
    pub(super) fn finding(&self, owners: &[u32], config: &Config, facts: &dyn Facts, baselines: &Baselines) -> Finding {
        let owner = &self.owner(owners, baselines);
        let claim = |(&(topic, check), word)| Claim { topic, check, word };
        let mut claims: Vec<Claim<'_>> = self.words.iter().map(claim).filter(|claim| claim.word.bans > 0.0).collect();
        claims.sort_by_cached_key(|claim| topic_words(&baselines.ladder, claim.topic));
        // What was refused is no call: beside one that got through it never leads.
        let is_refused = |claim: &Claim<'_>| claim.check == CheckId::RejectedEgress;
        // A check that knows what it sees leads one that only knows that it is new, if it would be told by itself.
        let knows = |claim: &Claim<'_>| {
            matches!(
                claim.check,
                CheckId::ThreatList | CheckId::UnusualResolver | CheckId::NoveltyBurst | CheckId::FanOut
            ) && claim.word.bans >= needed_bans(config.sensitivity)
        };
        claims.sort_by(|a, b| {
            let by_bans = || b.word.bans.total_cmp(&a.word.bans).then(a.check.cmp(&b.check));
            is_refused(a).cmp(&is_refused(b)).then_with(|| knows(b).cmp(&knows(a))).then_with(by_bans)
        });
        let whole = self.tell(owner, &claims, self.bans, config, facts, baselines);
        let (left, hidden_by) = self.left(&whole, claims, config, facts, baselines);
        let Some(reason) = hidden_by else { return whole };
        // What is hidden is not told beside what is left, but its destinations are kept.
        let left_bans = most_bans(&left);
        if left_bans >= needed_bans(config.sensitivity) {
            self.tell(owner, &left, left_bans, config, facts, baselines)
        } else {
            Finding { suppressed_by: Some(reason), ..whole }
        }
    }

    /// How bad it is, whatever hides of it.
    pub(super) fn level(&self) -> Level {
        let words = self.words.iter().filter(|(_, word)| word.bans > 0.0);
        severity(words.map(|(&(_, check), word)| (check, word))).level()
    }

    /// The finding that claims make, the weightiest first.
    fn tell(
        &self,
        owner: &Owner,
        claims: &[Claim<'_>],
        bans: f64,
        config: &Config,
        facts: &dyn Facts,
        baselines: &Baselines,
    ) -> Finding {
        let destinations = self.destinations(claims, facts, baselines);
        let check = claims.first().map_or(CheckId::NewDestination, |claim| claim.check);
        let of_check: Vec<&Claim<'_>> = claims.iter().filter(|claim| claim.check == check).collect();
        let is_of_check =
            |contacted: &&Contacted| of_check.iter().any(|claim| claim.holds(&baselines.ladder, contacted));
        let n_of_check = self.destinations.values().filter(is_of_check).count();
        let is_cut = self.destinations.len() >= MAX_DESTINATIONS;
        let is_prefix = |claim: &&Claim<'_>| matches!(claim.topic, Topic::Newcomer(Subject::Prefix(_)));
        let is_part_of_known = of_check.iter().all(is_prefix);
        let owner = owner.clone();
        let all = evidence(&baselines.ladder, claims, (self.first, self.last));
        let n_all = all.len();
        let evidence = few_of_each(all);
        let n_unsaid = n_all - evidence.len();
        // What was met long before is back; the finding begins with its return.
        let back = self.began.unwrap_or(self.first.start());
        let began = |first: i64| if self.first.start() - first > BACK_SECS { back } else { first };
        // Of too many destinations the first may be among those not kept.
        let kept = destinations.iter().map(|d| began(d.first_seen));
        let first_seen = kept.chain(self.began.filter(|_| is_cut)).min().unwrap_or(self.first.start());
        let last_seen = destinations.iter().map(|d| d.last_seen).max().unwrap_or(self.last.end());
        let deployment = self.deployment.clone();
        let deployed = if deployment.is_some() { DEPLOYMENT_BANS } else { 0.0 };
        let eni = self.enis.values().next().cloned().unwrap_or_default();
        let named = |text: &Arc<str>| (!text.is_empty() && &**text != "-").then(|| Arc::clone(text));
        let arn = owner.arns.first().cloned().unwrap_or_default();
        let mut of_arn = arn.split(':').skip(3);
        let (region, account) = (of_arn.next(), of_arn.next());
        let mut finding = Finding {
            id: self.id,
            check,
            activity: if self.count > 1 { Activity::Update } else { Activity::Create },
            severity: severity(claims.iter().map(|claim| (claim.check, claim.word))),
            confidence: confidence(bans + deployed),
            title: title(check, &owner, &destinations, (n_of_check, is_cut), is_part_of_known),
            description: String::new(),
            account_id: named(&eni.account).or_else(|| account.map(Arc::from)),
            region: named(&eni.region).or_else(|| region.map(Arc::from)),
            vpc_id: named(&eni.vpc).or_else(|| facts.vpc(&arn)),
            owner,
            destinations,
            window: (self.first.start(), self.last.end()),
            first_seen,
            last_seen,
            count: self.count,
            evidence,
            deployment,
            suppressed_by: None,
        };
        // Only now: title and times are of all.
        let n_left_out = finding.destinations.len().saturating_sub(config.max_destinations_per_finding);
        finding.destinations.truncate(config.max_destinations_per_finding);
        let deployed = finding.deployment.as_ref().map(|deployment| deployed_words(&finding, deployment, facts));
        finding.description = description(&finding, deployed, n_unsaid, (n_left_out, is_cut));
        finding
    }

    /// The destinations: the first of each topic, those of what weighs most first, then the others; of one topic those
    /// called at the time that is spoken of before, and of these those with the most bytes out.
    fn destinations(&self, claims: &[Claim<'_>], facts: &dyn Facts, baselines: &Baselines) -> Vec<Destination> {
        let rank = |contacted: &Contacted| {
            let mut ranked = claims.iter().enumerate();
            let held = ranked.find(|(_, claim)| claim.holds(&baselines.ladder, contacted));
            held.map_or((claims.len(), false), |(rank, claim)| (rank, claim.is_past(contacted)))
        };
        let all = self.destinations.values();
        let mut all: Vec<((usize, bool), Destination)> =
            all.map(|contacted| (rank(contacted), destination(contacted, facts, baselines))).collect();
        all.sort_by_key(|(rank, d)| (*rank, std::cmp::Reverse(d.bytes_out), d.address, d.port, d.protocol));
        let (mut first, mut others) = (Vec::with_capacity(all.len()), Vec::new());
        for of_topic in all.chunk_by(|a, b| a.0.0 == b.0.0) {
            first.extend(of_topic.first().cloned());
            others.extend(of_topic.iter().skip(1).cloned());
        }
        first.into_iter().chain(others).map(|(_, destination)| destination).collect()
    }

    /// What suppressions and trusted lists leave of a finding's claims, and the first that hides any.
    fn left<'a>(
        &self,
        whole: &Finding,
        claims: Vec<Claim<'a>>,
        config: &Config,
        facts: &dyn Facts,
        baselines: &Baselines,
    ) -> (Vec<Claim<'a>>, Option<Arc<str>>) {
        let mut reason = None;
        let mut left = claims;
        left.retain(|claim| {
            let of_topic = self.destinations.values().filter(|contacted| claim.holds(&baselines.ladder, contacted));
            let destinations = of_topic.map(|contacted| destination(contacted, facts, baselines)).collect();
            let part = Finding { check: claim.check, destinations, evidence: Vec::new(), ..whole.clone() };
            let why = hidden_by(&part, config, facts);
            let is_left = why.is_none();
            reason = reason.take().or(why);
            is_left
        });
        (left, reason)
    }

    /// Whose it is: the functions that all of its owners have, which may have made every call; where there is none, all
    /// of theirs.
    fn owner(&self, owners: &[u32], baselines: &Baselines) -> Owner {
        let names: Vec<Arc<str>> = owners.iter().map(|&owner| baselines.owners.name(owner)).collect();
        let eni_ids: Vec<Arc<str>> = self.enis.keys().cloned().collect();
        if let Some(name) = names.iter().find(|name| !is_function(name)) {
            let eni_ids = vec![Arc::clone(name)];
            return Owner { kind: OwnerKind::Interface, functions: Vec::new(), arns: Vec::new(), eni_ids };
        }
        let all: BTreeSet<&str> = names.iter().flat_map(|name| functions(name)).collect();
        let is_common = |arn: &&&str| names.iter().all(|name| functions(name).any(|other| other == **arn));
        let common: BTreeSet<&str> = all.iter().filter(is_common).copied().collect();
        let arns: Vec<Arc<str>> = if common.is_empty() { all } else { common }.into_iter().map(Arc::from).collect();
        let functions = arns.iter().map(|arn| name_of(arn).into()).collect();
        let kind = if arns.len() == 1 { OwnerKind::Function } else { OwnerKind::Shared };
        Owner { kind, functions, arns, eni_ids }
    }
}

/// That of the worst word, and more for each check that agrees; the most of any time.
fn severity<'a>(words: impl Iterator<Item = (CheckId, &'a Word)>) -> Severity {
    let words: Vec<(CheckId, &Word)> = words.collect();
    let of_time = |from: Window| {
        let (mut checks, mut worst) = (BTreeSet::new(), 1.0f64);
        let is_of_time = |word: &Word| word.since >= from && word.since.0 - from.0 <= AGREEMENT_WINDOWS;
        for &(check, word) in words.iter().filter(|(_, word)| is_of_time(word)) {
            checks.insert(check);
            worst = worst.max(word.severity);
        }
        worst + checks.len().saturating_sub(1) as f64 * AGREEMENT_SEVERITY
    };
    Severity::new(words.iter().map(|(_, word)| of_time(word.since)).fold(1.0, f64::max))
}

/// The most that claims about one topic weigh together.
fn most_bans(claims: &[Claim<'_>]) -> f64 {
    let mut words: BTreeMap<Topic, Vec<(CheckId, f64)>> = BTreeMap::new();
    for claim in claims {
        words.entry(claim.topic).or_default().push((claim.check, claim.word.bans));
    }
    words.values().map(|words| total_bans(words)).fold(0.0, f64::max)
}

/// How sure: the share of call-outs among findings of like bans, as a fitted logistic curve. For the fleets it was
/// fitted on see *Where fitted numbers come from* in `docs/detection.md`.
fn confidence(bans: f64) -> f64 {
    let sure = 1.0 / (1.0 + (-(bans + 0.2) * 0.4).exp());
    (sure * 100.0).round().min(99.0) / 100.0
}

/// The title: what the check says, and of how many destinations it does.
fn title(
    check: CheckId,
    owner: &Owner,
    destinations: &[Destination],
    (n_of_check, is_cut): (usize, bool),
    is_part_of_known: bool,
) -> String {
    let who = owner.label();
    let to = destinations.first().map(|first| {
        let more = n_of_check.saturating_sub(1);
        let least = if is_cut { "at least " } else { "" };
        let more = if more == 0 { String::new() } else { format!(" and {least}{more} more") };
        format!("{} {}{more}", first.address, port_words(first.port, first.protocol))
    });
    let to = to.unwrap_or_else(|| "unnamed destinations".to_owned());
    let is_nothing_sent = destinations.first().is_some_and(|first| first.bytes_out == 0);
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
        CheckId::ThreatList if is_nothing_sent => format!("{who} tried to call a listed address: {to}"),
        CheckId::ThreatList => format!("{who} called a listed address: {to}"),
        CheckId::DormantReturn => format!("{who} called again after long silence: {to}"),
    }
}

/// What was deployed: of several functions one has to be named, since each has versions of its own.
fn deployed_words(finding: &Finding, deployment: &Deployment, facts: &dyn Facts) -> String {
    let (owner, version) = (&finding.owner, &deployment.version);
    let is_early = deployment.at <= finding.first_seen;
    let when = if is_early { "shortly before".to_owned() } else { format!("on {}", day(deployment.at)) };
    match facts.deployed(&owner.arns, deployment).filter(|_| owner.kind == OwnerKind::Shared) {
        Some(arn) => format!("Version {version} of {} was deployed {when}.", name_of(arn)),
        None => format!("Version {version} was deployed {when}."),
    }
}

/// The name of a function in its ARN.
fn name_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

fn description(
    finding: &Finding,
    deployed: Option<String>,
    n_unsaid: usize,
    (n_left_out, is_cut): (usize, bool),
) -> String {
    let mut text = finding.evidence.iter().map(|e| sentence(&e.statement)).collect::<Vec<_>>().join(" ");
    if n_unsaid > 0 {
        text = format!("{text} {n_unsaid} more of the same kinds could be said.");
    }
    if finding.owner.kind == OwnerKind::Shared {
        text.push_str(" The interface is shared by the functions named: which of them called is not recorded.");
    }
    if let Some(deployed) = deployed {
        text = format!("{text} {deployed}");
    }
    if n_left_out > 0 {
        let them = if n_left_out == 1 { "destination is" } else { "destinations are" };
        let least = if is_cut { "At least " } else { "" };
        text = format!(
            "{text} {least}{n_left_out} more {them} not listed: max_destinations_per_finding sets how many are."
        );
    }
    text
}

/// A statement as a sentence: a capital letter and a full stop.
pub(super) fn sentence(statement: &str) -> String {
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

/// Whether a window is more than a day after another.
fn is_later(one: Window, other: Window) -> bool {
    other.0.saturating_sub(one.0) > WINDOWS_PER_DAY
}

/// The statements of all that was told from a first to a last window; where that is about several things, each says
/// about which.
fn evidence(ladder: &Ladder, claims: &[Claim<'_>], (first, last): (Window, Window)) -> Vec<Evidence> {
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
    let named = |claim: &Claim<'_>, evidence: &Evidence| {
        let (subject, mut evidence) = (subject(claim.topic), evidence.clone());
        if subjects.len() > 1 && !evidence.statement.contains(&subject) {
            evidence.statement = format!("{subject}: {}", evidence.statement);
        }
        evidence.statement.insert_str(0, &claim.said(first, last).unwrap_or_default());
        evidence
    };
    claims.iter().flat_map(|claim| claim.word.evidence.iter().map(|evidence| named(claim, evidence))).collect()
}

/// Of each measure of each check the first few. What a scan says of all its ports need not be said of each.
fn few_of_each(mut evidence: Vec<Evidence>) -> Vec<Evidence> {
    let is_scan = evidence.iter().any(|one| one.check == CheckId::FanOut);
    let mut told: BTreeMap<(CheckId, &str), usize> = BTreeMap::new();
    evidence.retain(|one| {
        let n = told.entry((one.check, one.measure)).or_default();
        *n += 1;
        *n <= if is_scan && one.check == CheckId::NewPort { 1 } else { STATEMENTS_OF_A_MEASURE }
    });
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Quantity;

    #[test]
    fn of_a_hundred_strangers_a_few_are_explained() {
        let one = |check, measure| Evidence {
            check,
            measure,
            observed: Quantity::Ports(1.0),
            expected: Quantity::Ports(0.0),
            surprise: 1.0,
            statement: String::new(),
        };
        let told = |check, measure| {
            let ports = (0..100).map(|_| one(CheckId::NewPort, "new_services"));
            let told = few_of_each([one(check, measure)].into_iter().chain(ports).collect());
            [check, CheckId::NewPort].map(|check| told.iter().filter(|evidence| evidence.check == check).count())
        };
        assert_eq!(told(CheckId::Beacon, "interval"), [1, STATEMENTS_OF_A_MEASURE]);
        assert_eq!(told(CheckId::FanOut, "ports"), [1, 1], "a scan says it of all ports");
    }

    #[test]
    fn checks_that_speak_weeks_apart_do_not_agree() {
        use CheckId::{Beacon, DormantReturn, NewDestination};
        let told = |words: &[(CheckId, u32, f64)]| {
            let words: Vec<(CheckId, Word)> = words
                .iter()
                .map(|&(check, day, severity)| {
                    let since = Window(day * WINDOWS_PER_DAY);
                    let (about, evidence) = (BTreeSet::new(), Vec::new());
                    (check, Word { since, at: since, about, bans: 2.0, severity, evidence })
                })
                .collect();
            severity(words.iter().map(|(check, word)| (*check, word)))
        };
        let poll = told(&[(NewDestination, 10, 7.0), (Beacon, 13, 6.0)]);
        assert_eq!(poll, Severity::new(7.5), "a slow poll of what was met");
        let other = told(&[(NewDestination, 10, 7.0), (Beacon, 31, 6.0)]);
        assert_eq!(other, Severity::new(7.0), "something else in its network");
        let later = told(&[(NewDestination, 10, 5.0), (Beacon, 31, 6.0), (DormantReturn, 31, 5.0)]);
        assert_eq!(later, Severity::new(6.5), "two that agree, later");
        assert_eq!(told(&[]), Severity::new(1.0));
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
        let title = |owner: &Owner, check, port, protocol, is_part| {
            title(check, owner, &to(port, protocol), (1, false), is_part)
        };
        assert_eq!(
            title(&alone, CheckId::NewDestination, 443, 6, false),
            "api called a network nothing explains: 203.0.113.7 port 443/tcp"
        );
        assert_eq!(
            title(&alone, CheckId::NewDestination, 443, 6, true),
            "api called a new part of a known network: 203.0.113.7 port 443/tcp"
        );
        let [sent, refused] = [1, 0].map(|bytes_out| {
            let to = to(443, 6).map(|to| Destination { bytes_out, ..to });
            super::title(CheckId::ThreatList, &alone, &to, (1, false), false)
        });
        assert_eq!(sent, "api called a listed address: 203.0.113.7 port 443/tcp");
        assert_eq!(refused, "api tried to call a listed address: 203.0.113.7 port 443/tcp");
        assert_eq!(
            title(&owner(OwnerKind::Shared, &["api", "web"]), CheckId::Beacon, 0, 1, false),
            "one of api, web polls a stranger: 203.0.113.7 by icmp"
        );
    }
}
