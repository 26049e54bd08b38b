//! Incidents: related oddities of one owner, close in time, as one finding that is updated while it lasts.
//!
//! Takes oddities that passed the threshold. An oddity joins the first of these incidents of its owner, else it opens a new one:
//! that which holds its topic, whenever that was, or under whose id the topic is: what was once told goes on under the same id;
//! one about the same stranger, last odd within the configured gap and not accepted; such a one that something new joined in the
//! last two days: that a topic goes on draws nothing else in, or the daily use of a new endpoint would hide every stranger
//! after it.

mod stored;
mod tell;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baselines::ladder::{Ladder, to_ip};
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::{Eni, Observation};
use baselines::window::Window;
use baselines::{Baselines, Fleet};
use sha2::{Digest, Sha256};

use super::Facts;
use super::oddity::{Oddity, Topic};
use crate::config::Config;
use crate::finding::{CheckId, Deployment, Evidence, Finding, Fingerprint};
pub use stored::Error as StoredError;

/// Destinations an incident remembers, far above what a finding lists: a sweep must not grow without bound.
const MAX_DESTINATIONS: usize = 1024;

/// Topics an incident remembers, and words of checks on them: the same.
const MAX_TOPICS: usize = 1024;
/// See [`MAX_TOPICS`].
const MAX_WORDS: usize = 64;

/// How long what goes on is news that something else may have to do with.
const NEWS_SECS: i64 = 2 * 86_400;

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
    /// Whether something came to it in this run.
    lasts: bool,
}

/// What a check says of a topic.
#[derive(Clone, Debug)]
struct Word {
    bans: f64,
    severity: f64,
    evidence: Vec<Evidence>,
}

impl Word {
    /// Takes in what was said before of another span: a window that was far more than ever, and a day.
    fn join(&mut self, known: Self) {
        self.bans = self.bans.max(known.bans);
        self.severity = self.severity.max(known.severity);
        for old in known.evidence {
            match self.evidence.iter_mut().find(|new| new.measure == old.measure) {
                Some(new) if new.surprise >= old.surprise => {}
                Some(new) => *new = old,
                None => self.evidence.push(old),
            }
        }
        self.evidence.sort_by(|a, b| b.surprise.total_cmp(&a.surprise));
    }
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
    /// The destinations that the oddities name.
    fn named(&self) -> BTreeSet<(u32, u16, u8)> {
        self.oddities.iter().flat_map(|oddity| &oddity.destinations).map(Contacted::key).collect()
    }

    /// The observations of the destinations that the oddities concern: those named, and all of a newcomer, which names the first
    /// few only.
    fn rows(&self, ladder: &Ladder) -> Vec<&'a Observation> {
        let named = self.named();
        let is_newcomer = matches!(self.topic, Topic::Newcomer(_));
        let is_concerned = |contacted: &Contacted| {
            named.contains(&contacted.key()) || (is_newcomer && self.topic.holds(ladder, contacted))
        };
        self.by_interface.iter().filter(|row| is_concerned(&Contacted::of(row))).collect()
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
        let rows = judged.rows(fleet.ladder);
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
        let is_open = |incident: &Incident| under.0 == 0 && !fleet.is_accepted(incident.id.0);
        let gap = config.incident_gap_secs as i64;
        // What arrives late may lie before all of it.
        let is_near = |incident: &Incident, last: Window, gap: i64| {
            window.start() - last.end() <= gap && incident.first.start() - window.end() <= gap
        };
        let is_going_on = |incident: &Incident| is_open(incident) && is_near(incident, incident.last, gap);
        let stranger = network(topic).map(|network| Topic::Newcomer(Subject::Network(network)));
        let is_of_stranger = |incident: &Incident| {
            is_going_on(incident) && stranger.is_some_and(|newcomer| incident.topics.contains(&newcomer))
        };
        let is_recent = |incident: &Incident| is_going_on(incident) && is_near(incident, incident.joined, NEWS_SECS);
        let latest = |is_it: &dyn Fn(&Incident) -> bool| self.0.iter().rposition(is_it);
        latest(&holds_topic)
            .or_else(|| latest(&is_of_id))
            .or_else(|| latest(&is_of_stranger))
            .or_else(|| latest(&is_recent))
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

    /// Has an owner go on with those of owners it comes from.
    pub fn hand_over(&mut self, from: &[u32], to: u32) {
        let mut own = self.take(to);
        own.0.extend(
            from.iter().flat_map(|&owner| self.take(owner).0).map(|incident| Incident { owner: to, ..incident }),
        );
        own.0.sort_by_key(|incident| incident.first);
        self.put(to, own);
    }

    fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.of_owner.values().flat_map(|own| &own.0)
    }

    /// Begins a run: nothing came to any of them yet.
    pub fn begin_run(&mut self) {
        self.of_owner.values_mut().flat_map(|own| &mut own.0).for_each(|incident| incident.lasts = false);
    }

    /// Those to which something came in this run, be they its own or an earlier one's.
    pub fn lasting(&self) -> BTreeSet<Fingerprint> {
        self.iter().filter(|incident| incident.lasts).map(|incident| incident.id).collect()
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
        // One goes on in two owners where both go on to be, of which the later comes from the earlier.
        findings.sort_by_key(|finding| (finding.id, Reverse(finding.last_seen)));
        findings.dedup_by_key(|finding| finding.id);
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
            lasts: false,
        }
    }

    /// Takes in what was judged; `rows` are the observations it is about.
    fn take(&mut self, judged: Judged<'_>, rows: &[&Observation]) {
        let named = judged.named();
        let Judged { window, topic, bans, oddities, enis, .. } = judged;
        self.lasts = true;
        if self.count == 0 || window > self.last {
            self.count += 1;
        }
        self.first = self.first.min(window);
        self.last = self.last.max(window);
        let is_new = self.topics.len() < MAX_TOPICS && self.topics.insert(topic);
        if is_new || topic == Topic::Owner {
            self.joined = self.joined.max(window);
        }
        self.bans = self.bans.max(bans);
        // Of a newcomer everything so far, else what the window adds.
        let is_cumulative = matches!(topic, Topic::Newcomer(_));
        self.contact(window, is_cumulative, oddities.iter().flat_map(|oddity| &oddity.destinations));
        self.contact(window, false, &unnamed(rows, &named));
        for oddity in oddities {
            self.hear(topic, oddity);
        }
        for eni in rows.iter().filter_map(|row| enis.get(row.eni as usize)) {
            self.enis.entry(Arc::clone(&eni.id)).or_insert_with(|| eni.clone());
        }
    }

    /// Notes what was exchanged with destinations: everything so far, or what the window adds, unless another topic told that
    /// already.
    fn contact<'a>(&mut self, window: Window, is_cumulative: bool, all: impl IntoIterator<Item = &'a Contacted>) {
        if self.counted_in_window.0 != window {
            self.counted_in_window = (window, BTreeSet::new());
        }
        let mut of_topic: BTreeSet<(u32, u16, u8)> = BTreeSet::new();
        for contacted in all.into_iter().filter(|contacted| of_topic.insert(contacted.key())) {
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

    /// Keeps what a check says of a topic, unless it said more before. Of too many words the weakest goes.
    fn hear(&mut self, topic: Topic, oddity: Oddity) {
        let Oddity { check, bans, severity, evidence, .. } = oddity;
        let key = (topic, check);
        let mut word = Word { bans, severity, evidence };
        if check == CheckId::EgressVolume
            && let Some(known) = self.words.remove(&key)
        {
            word.join(known);
        }
        if self.words.get(&key).is_none_or(|known| known.bans <= bans) {
            self.words.insert(key, word);
        }
        if self.words.len() > MAX_WORDS {
            let weakest = self.words.iter().min_by(|(_, a), (_, b)| a.bans.total_cmp(&b.bans));
            if let Some((&weakest, _)) = weakest {
                self.words.remove(&weakest);
            }
        }
    }
}

/// What the rows of a window tell of destinations that are not named, over all interfaces.
fn unnamed(rows: &[&Observation], named: &BTreeSet<(u32, u16, u8)>) -> Vec<Contacted> {
    let mut of_key: BTreeMap<(u32, u16, u8), Contacted> = BTreeMap::new();
    for contacted in rows.iter().map(|row| Contacted::of(row)).filter(|contacted| !named.contains(&contacted.key())) {
        of_key.entry(contacted.key()).and_modify(|known| known.add(&contacted)).or_insert(contacted);
    }
    of_key.into_values().collect()
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

/// The network that a topic is about, if it is about one.
fn network(topic: Topic) -> Option<u32> {
    match topic {
        Topic::Newcomer(Subject::Network(network) | Subject::Service(network, ..)) | Topic::Service(network, ..) => {
            Some(network)
        }
        Topic::Newcomer(Subject::Prefix(_)) | Topic::Peer(_) | Topic::Owner => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_words_the_weakest_go() {
        let mut incident = Incident::new(Fingerprint(1), 0, Window(0));
        let word = |bans| Oddity {
            check: CheckId::FanOut,
            topic: Topic::Owner,
            bans,
            severity: 5.0,
            evidence: Vec::new(),
            destinations: Vec::new(),
        };
        for peer in 0..MAX_WORDS as u32 {
            incident.hear(Topic::Peer(peer), word(2.0 + f64::from(peer)));
        }
        incident.hear(Topic::Peer(9999), word(1.0));
        assert!(!incident.words.contains_key(&(Topic::Peer(9999), CheckId::FanOut)), "weaker than all");
        incident.hear(Topic::Owner, word(9.0));
        assert!(incident.words.contains_key(&(Topic::Owner, CheckId::FanOut)), "however late");
        assert!(!incident.words.contains_key(&(Topic::Peer(0), CheckId::FanOut)));
        assert_eq!(incident.words.len(), MAX_WORDS);
    }

    #[test]
    fn a_window_and_a_day_are_both_told_each_at_its_most() {
        let mut incident = Incident::new(Fingerprint(1), 0, Window(0));
        let mut hear = |measure, bytes: f64, bans, severity| {
            let evidence = vec![Evidence {
                check: CheckId::EgressVolume,
                measure,
                observed: crate::finding::Quantity::Bytes(bytes),
                expected: crate::finding::Quantity::Bytes(1.0),
                surprise: bans,
                statement: format!("{bytes} in {measure}"),
            }];
            let topic = Topic::Service(1, 443, 6);
            let destinations = Vec::new();
            incident
                .hear(topic, Oddity { check: CheckId::EgressVolume, topic, bans, severity, evidence, destinations });
        };
        hear("window", 2e6, 3.0, 6.0);
        hear("day", 2e8, 2.0, 7.0);
        hear("window", 1e6, 2.5, 6.0);
        hear("day", 3e8, 2.2, 7.0);
        let [word] = incident.words.values().collect::<Vec<_>>()[..] else { panic!("one word") };
        let statements: Vec<&str> = word.evidence.iter().map(|evidence| evidence.statement.as_str()).collect();
        assert_eq!(statements, ["2000000 in window", "300000000 in day"]);
        assert_eq!((word.bans, word.severity), (3.0, 7.0));
    }

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
}
