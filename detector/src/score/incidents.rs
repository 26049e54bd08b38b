//! Incidents: related oddities of one owner, close in time, as one finding that is updated while it lasts.
//!
//! Takes oddities that passed the threshold. Each finds its incident among those of its owner by the first of these
//! rules that fits one (the latest begun, if several do); if none fits, it opens a new incident.
//!
//! 1. The incident holds the oddity's topic, and its last window is not so long ago that baselines have forgotten it.
//! 2. The topic is under the incident's id: what was told once goes on under the same id.
//! 3. The incident is about the same stranger: its network, as a newcomer, is among the topics.
//! 4. Something new joined the incident in the last two days.
//!
//! Rules 3 and 4 are for topics that are under no finding yet. The incident must have been odd within the configured
//! gap, and nobody may have accepted it. That a known topic goes on is nothing new, or the daily use of a new endpoint
//! would draw in, and so hide, every stranger after it.

mod stored;
mod strangers;
mod tell;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baselines::ladder::{Ladder, to_ip};
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::{Eni, Observation};
use baselines::window::{Day, WINDOWS_PER_DAY, Window};
use baselines::{Baselines, Fleet};
use sha2::{Digest, Sha256};

use super::Facts;
use super::fan_out::{FLOOD_MEASURE, flood_evidence};
use super::oddity::{Oddity, Topic};
use crate::config::Config;
use crate::finding::{CheckId, Deployment, Evidence, Finding, Fingerprint, Level};
pub use stored::Error as StoredError;
use strangers::Strangers;
use tell::{BACK_SECS, sentence};

/// Destinations an incident remembers, far above what a finding lists: a sweep must not grow without bound. Those to
/// which the most was sent: nor may a sweep crowd out a call.
const MAX_DESTINATIONS: usize = 1024;

/// Topics an incident remembers, and words of checks on them: the same.
const MAX_TOPICS: usize = 1024;
/// See [`MAX_TOPICS`].
const MAX_WORDS: usize = 64;

/// How long what goes on is news that something else may have to do with.
const NEWS_SECS: i64 = 2 * 86_400;

const DAY_SECS: u64 = 86_400;

/// One incident.
#[derive(Clone, Debug)]
pub struct Incident {
    id: Fingerprint,
    owner: u32,
    first: Window,
    last: Window,
    /// The first second of what was judged; `None` where no record told of it.
    began: Option<i64>,
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
    /// The one shortly before what weighs most.
    deployment: Option<Deployment>,
    /// Whether something came to it in this run.
    lasts: bool,
    /// What it was when this run began; `None` if it began in it.
    told: Option<Told>,
}

/// What tells whether there is news of an incident.
#[derive(Clone, Copy, Debug)]
struct Told {
    level: Level,
    n_topics: usize,
    n_checks: usize,
    n_destinations: usize,
}

/// What a check says of a topic.
#[derive(Clone, Debug)]
struct Word {
    /// When it was said first, and at its strongest.
    since: Window,
    at: Window,
    /// The destinations it names; none where it is about all that its topic holds, as what is said of a newcomer is.
    about: BTreeSet<(u32, u16, u8)>,
    bans: f64,
    severity: f64,
    evidence: Vec<Evidence>,
}

impl Word {
    /// Whether it speaks of a time at which a destination was not called.
    fn is_past(&self, contacted: &Contacted) -> bool {
        contacted.last < self.at.start() || contacted.first >= self.at.end()
    }

    /// Whether it is about a destination.
    fn holds(&self, topic: Topic, ladder: &Ladder, contacted: &Contacted) -> bool {
        if self.about.is_empty() { topic.holds(ladder, contacted) } else { self.about.contains(&contacted.key()) }
    }

    /// Takes in what the check said before. What weighs more stays; of volumes, that of each span: of a window that was
    /// far more than ever, and of a day. What was set apart of a flood adds up.
    fn join(&mut self, check: CheckId, known: Self) {
        let Self { since, at, about, bans, severity, evidence } = known;
        self.since = self.since.min(since);
        self.about.extend(about);
        if matches!(check, CheckId::EgressVolume | CheckId::FanOut) {
            let weight = |evidence: &Evidence| (evidence.surprise, evidence.observed.value());
            for old in evidence {
                match self.evidence.iter_mut().find(|new| new.measure == old.measure) {
                    Some(new) if new.measure == FLOOD_MEASURE => {
                        let n = new.observed.value() + old.observed.value();
                        *new = flood_evidence(n, new.surprise.max(old.surprise));
                    }
                    Some(new) if weight(new) >= weight(&old) => {}
                    Some(new) => *new = old,
                    None => self.evidence.push(old),
                }
            }
            self.evidence.sort_by(|a, b| b.surprise.total_cmp(&a.surprise));
            self.severity = self.severity.max(severity);
        } else if bans > self.bans {
            (self.severity, self.evidence) = (severity, evidence);
        }
        if bans > self.bans {
            (self.at, self.bans) = (at, bans);
        }
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

    /// The first second of what the oddities speak of; of what was met long before and is back, that of its return.
    fn began(&self, rows: &[&Observation]) -> i64 {
        let now = rows.iter().map(|row| row.first).min().unwrap_or(self.window.end());
        let all = self.oddities.iter().flat_map(|oddity| &oddity.destinations);
        let first = all.map(|contacted| contacted.first).min().unwrap_or(now);
        if now - first > BACK_SECS { now } else { first }
    }

    /// The observations of the destinations that the oddities concern: those named, and all of a newcomer, which names
    /// the first few only.
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
        let at = self.ongoing(config, fleet, &judged).unwrap_or_else(|| self.open(config, fleet, owner, &judged));
        #[expect(clippy::indexing_slicing, reason = "`at` was found in or just pushed to this very vector")]
        let incident = &mut self.0[at];
        if incident.is_led_by(&judged) {
            // What was deployed after it began did not make the call.
            let began = judged.began(&rows);
            let from = began - config.deployment_window_secs as i64;
            incident.deployment = facts.deployment(&fleet.owners.name(owner), from, began);
        }
        incident.take(judged, &rows, fleet.ladder);
        incident.id
    }

    /// Whether an incident of an id is among them.
    pub(super) fn holds(&self, id: Fingerprint) -> bool {
        self.0.iter().any(|incident| incident.id == id)
    }

    /// The place of the incident that goes on with what was judged: see the module's page.
    fn ongoing(&self, config: &Config, fleet: Fleet<'_>, judged: &Judged<'_>) -> Option<usize> {
        let &Judged { window, topic, under, .. } = judged;
        // The owner as a whole is no thing that goes on: two sweeps weeks apart are two.
        // Nor is what ended so long ago that baselines have forgotten it.
        let horizon = horizon(window.day(), config);
        let holds_topic =
            |incident: &Incident| topic != Topic::Owner && incident.topics.contains(&topic) && incident.last >= horizon;
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
    fn open(&mut self, config: &Config, fleet: Fleet<'_>, owner: u32, judged: &Judged<'_>) -> usize {
        let &Judged { window, topic, under, .. } = judged;
        let new_id = || self.new_id(config, &fleet.owners.name(owner), &topic_words(fleet.ladder, topic), window);
        let id = if under.0 == 0 { new_id() } else { under };
        self.0.push(Incident::new(id, owner, window));
        self.0.len() - 1
    }

    /// The id of an incident that opens. It speaks of the day, and neither of the window nor, where all of a day is one
    /// incident, of the topic: records of an earlier window that arrive later must not make another finding of it.
    fn new_id(&self, config: &Config, owner: &str, topic: &str, window: Window) -> Fingerprint {
        let day = window.day().0;
        let is_day_one_incident = config.incident_gap_secs >= DAY_SECS;
        // Another may open on a day once the first was accepted, and, of the owner as a whole, for the same topic.
        let ids = [is_day_one_incident.then_some(("", day)), Some((topic, day)), Some((topic, window.0))];
        let mut ids = ids.into_iter().flatten().map(|(topic, time)| fingerprint(owner, topic, time));
        let is_free = |id: &Fingerprint| self.0.iter().all(|incident| incident.id != *id);
        ids.find(is_free).unwrap_or_else(|| fingerprint(owner, topic, window.0))
    }
}

/// The first window that is remembered on a day: what ended before it is forgotten.
fn horizon(day: Day, config: &Config) -> Window {
    Window(day.first_window().0.saturating_sub(config.novelty_memory_days.saturating_mul(WINDOWS_PER_DAY)))
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

    /// Begins a run: nothing came to any of them yet.
    pub fn begin_run(&mut self) {
        for incident in self.of_owner.values_mut().flat_map(|own| &mut own.0) {
            incident.lasts = false;
            incident.told = Some(Told {
                level: incident.level(),
                n_topics: incident.topics.len(),
                n_checks: incident.n_checks(),
                n_destinations: incident.destinations.len(),
            });
        }
    }

    /// Those to which something came in this run, be they its own or an earlier one's.
    pub fn lasting(&self) -> BTreeSet<Fingerprint> {
        self.iter().filter(|incident| incident.lasts).map(|incident| incident.id).collect()
    }

    /// Of those, the ones an earlier run told that are no worse now and about nothing more, for no other reason and
    /// not with twice as many destinations: they just go on.
    pub fn going_on(&self) -> BTreeSet<Fingerprint> {
        let news: BTreeSet<Fingerprint> =
            self.iter().filter(|incident| incident.lasts && incident.has_news()).map(|incident| incident.id).collect();
        self.lasting().difference(&news).copied().collect()
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
        let mut of_id: BTreeMap<Fingerprint, Vec<&Incident>> = BTreeMap::new();
        for incident in self.iter() {
            of_id.entry(incident.id).or_default().push(incident);
        }
        let strangers = Strangers::of(self.iter(), baselines);
        let mut findings: Vec<Finding> = of_id
            .into_values()
            .map(|mut parts| {
                // What was told of an owner goes on in those that begin with its past.
                parts.sort_by_cached_key(|part| (part.first, baselines.owners.name(part.owner)));
                let owners: Vec<u32> = parts.iter().map(|part| part.owner).collect();
                let whole = match parts[..] {
                    [one] => Cow::Borrowed(one),
                    _ => Cow::Owned(Incident::together(&parts, &baselines.ladder)),
                };
                let mut finding = whole.finding(&owners, config, facts, baselines);
                if let Some(elsewhere) = strangers.elsewhere(&whole, &owners, finding.check, baselines) {
                    finding.description = format!("{} {}", finding.description, sentence(&elsewhere.statement));
                    finding.evidence.push(elsewhere);
                }
                finding
            })
            .collect();
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
            began: None,
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
            told: None,
        }
    }

    /// Whether more is to be told of it than when this run began.
    fn has_news(&self) -> bool {
        self.told.is_none_or(|told| {
            self.level() > told.level
                || self.topics.len() > told.n_topics
                || self.n_checks() > told.n_checks
                || self.destinations.len() >= (told.n_destinations * 2).max(1)
        })
    }

    /// How many checks say something of it.
    fn n_checks(&self) -> usize {
        self.words.keys().map(|(_, check)| check).collect::<BTreeSet<_>>().len()
    }

    /// Parts of one incident that several owners had, in order of their beginning, as one. What they tell of one
    /// destination may be partly the same: it counts as what tells most.
    fn together(parts: &[&Self], ladder: &Ladder) -> Self {
        let mut parts = parts.iter().copied();
        let mut all = parts.next().cloned().unwrap_or_else(|| Self::new(Fingerprint(0), 0, Window(0)));
        for part in parts {
            all.last = all.last.max(part.last);
            all.began = earlier(all.began, part.began);
            all.joined = all.joined.max(part.joined);
            all.count = all.count.saturating_add(part.count);
            all.bans = all.bans.max(part.bans);
            all.lasts |= part.lasts;
            all.topics.extend(&part.topics);
            for (&(topic, check), word) in &part.words {
                all.keep(topic, check, word.clone(), ladder);
            }
            for (key, contacted) in &part.destinations {
                let known = all.destinations.entry(*key).or_insert(*contacted);
                *known = Contacted {
                    n_flows: known.n_flows.max(contacted.n_flows),
                    bytes_out: known.bytes_out.max(contacted.bytes_out),
                    bytes_in: known.bytes_in.max(contacted.bytes_in),
                    first: known.first.min(contacted.first),
                    last: known.last.max(contacted.last),
                    ..*known
                };
            }
            all.enis.extend(part.enis.iter().map(|(id, eni)| (Arc::clone(id), eni.clone())));
            all.deployment = all.deployment.or_else(|| part.deployment.clone());
        }
        all
    }

    /// Whether what was judged comes to the incident now and weighs more than all that is in it: then its deployment is
    /// the one that matters.
    fn is_led_by(&self, judged: &Judged<'_>) -> bool {
        !self.topics.contains(&judged.topic) && judged.bans > self.bans
    }

    /// Takes in what was judged; `rows` are the observations it is about.
    fn take(&mut self, judged: Judged<'_>, rows: &[&Observation], ladder: &Ladder) {
        let named = judged.named();
        let Judged { window, topic, bans, oddities, enis, .. } = judged;
        self.lasts = true;
        if self.count == 0 || window > self.last {
            self.count += 1;
        }
        self.first = self.first.min(window);
        self.last = self.last.max(window);
        self.began = earlier(self.began, rows.iter().map(|row| row.first).min());
        let is_new = self.topics.len() < MAX_TOPICS && self.topics.insert(topic);
        if is_new || topic == Topic::Owner {
            self.joined = self.joined.max(window);
        }
        self.bans = self.bans.max(bans);
        // Of a newcomer everything so far, else what the window adds.
        let is_cumulative = matches!(topic, Topic::Newcomer(_));
        self.contact(window, is_cumulative, oddities.iter().flat_map(|oddity| &oddity.destinations), ladder);
        self.contact(window, false, &unnamed(rows, &named), ladder);
        // What is not among the topics could not be stored.
        if self.topics.contains(&topic) {
            for oddity in oddities {
                self.hear(window, topic, oddity, ladder);
            }
        }
        for eni in rows.iter().filter_map(|row| enis.get(row.eni as usize)) {
            self.enis.entry(Arc::clone(&eni.id)).or_insert_with(|| eni.clone());
        }
    }

    /// Notes what was exchanged with destinations: everything so far, or what the window adds, unless another topic
    /// told that already.
    fn contact<'a>(
        &mut self,
        window: Window,
        is_cumulative: bool,
        all: impl IntoIterator<Item = &'a Contacted>,
        ladder: &Ladder,
    ) {
        if self.counted_in_window.0 != window {
            self.counted_in_window = (window, BTreeSet::new());
        }
        let mut of_topic: BTreeSet<(u32, u16, u8)> = BTreeSet::new();
        for contacted in all.into_iter().filter(|contacted| of_topic.insert(contacted.key())) {
            let is_first = self.counted_in_window.1.insert(contacted.key());
            match self.destinations.get_mut(&contacted.key()) {
                Some(known) if is_cumulative => *known = *contacted,
                Some(known) if is_first => known.add(contacted),
                Some(_) => {}
                None => {
                    self.destinations.insert(contacted.key(), *contacted);
                }
            }
        }
        let n_surplus = self.destinations.len().saturating_sub(MAX_DESTINATIONS);
        if n_surplus > 0 {
            let weight = |to: &Contacted| (to.bytes_out, ladder.rungs(to.peer).address, to.port, to.protocol);
            let mut by_weight: Vec<_> = self.destinations.iter().map(|(key, to)| (weight(to), *key)).collect();
            by_weight.sort_unstable();
            for (_, key) in by_weight.into_iter().take(n_surplus) {
                self.destinations.remove(&key);
            }
            for word in self.words.values_mut() {
                word.about.retain(|key| self.destinations.contains_key(key));
            }
        }
    }

    /// Keeps what a check says of a topic, unless it said more before. Of too many words the weakest goes; of equals
    /// the last by name.
    fn hear(&mut self, at: Window, topic: Topic, oddity: Oddity, ladder: &Ladder) {
        let Oddity { check, bans, severity, evidence, destinations, .. } = oddity;
        // Who is asked for names is no other host of the same network.
        let is_of_all = matches!(topic, Topic::Newcomer(_)) && check != CheckId::UnusualResolver;
        let named = destinations.iter().filter(|_| !is_of_all).map(Contacted::key);
        let about = named.filter(|key| self.destinations.contains_key(key)).collect();
        self.keep(topic, check, Word { since: at, at, about, bans, severity, evidence }, ladder);
    }

    fn keep(&mut self, topic: Topic, check: CheckId, mut word: Word, ladder: &Ladder) {
        let key = (topic, check);
        if let Some(known) = self.words.remove(&key) {
            word.join(check, known);
        }
        self.words.insert(key, word);
        if self.words.len() > MAX_WORDS {
            let name = |(topic, check): &(Topic, CheckId)| (topic_words(ladder, *topic), *check);
            let weakest = self
                .words
                .iter()
                .min_by(|(of_a, a), (of_b, b)| a.bans.total_cmp(&b.bans).then_with(|| name(of_b).cmp(&name(of_a))));
            if let Some((&weakest, _)) = weakest {
                self.words.remove(&weakest);
            }
        }
    }
}

/// The earlier of two times that may be unknown.
fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// What the rows of a window tell of destinations that are not named, over all interfaces.
fn unnamed(rows: &[&Observation], named: &BTreeSet<(u32, u16, u8)>) -> Vec<Contacted> {
    let mut of_key: BTreeMap<(u32, u16, u8), Contacted> = BTreeMap::new();
    for contacted in rows.iter().map(|row| Contacted::of(row)).filter(|contacted| !named.contains(&contacted.key())) {
        of_key.entry(contacted.key()).and_modify(|known| known.add(&contacted)).or_insert(contacted);
    }
    of_key.into_values().collect()
}

/// Identity: a hash of owner, topic and time, nothing else, so that the same data gives the same one: see
/// [`OwnIncidents::new_id`].
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
        let ladder = Ladder::default();
        for peer in 0..MAX_WORDS as u32 {
            incident.hear(Window(0), Topic::Peer(peer), word(2.0 + f64::from(peer)), &ladder);
        }
        incident.hear(Window(0), Topic::Peer(9999), word(1.0), &ladder);
        assert!(!incident.words.contains_key(&(Topic::Peer(9999), CheckId::FanOut)), "weaker than all");
        incident.hear(Window(0), Topic::Owner, word(9.0), &ladder);
        assert!(incident.words.contains_key(&(Topic::Owner, CheckId::FanOut)), "however late");
        assert!(!incident.words.contains_key(&(Topic::Peer(0), CheckId::FanOut)));
        assert_eq!(incident.words.len(), MAX_WORDS);
    }

    #[test]
    fn of_words_of_equal_weight_names_decide_whatever_their_numbers_are() {
        let heard = |addresses: &[u128]| {
            let (mut incident, mut ladder) = (Incident::new(Fingerprint(1), 0, Window(0)), Ladder::default());
            for &address in addresses {
                let network = || baselines::ladder::Network { key: "AS1".into(), label: "AS1".into() };
                let topic = Topic::Peer(ladder.peer(address, network));
                let (check, severity, evidence, destinations) = (CheckId::UnusualResolver, 5.0, vec![], vec![]);
                let oddity = Oddity { check, topic, bans: 3.0, severity, evidence, destinations };
                incident.hear(Window(0), topic, oddity, &ladder);
            }
            incident.words.into_keys().map(|(topic, _)| topic_words(&ladder, topic)).collect::<BTreeSet<_>>()
        };
        let mut addresses: Vec<u128> = (1..2 * MAX_WORDS as u128).collect();
        let kept = heard(&addresses);
        addresses.reverse();
        assert_eq!((kept.len(), &heard(&addresses)), (MAX_WORDS, &kept));
    }

    #[test]
    fn of_too_many_topics_those_kept_have_the_words() {
        let mut incident = Incident::new(Fingerprint(1), 0, Window(0));
        for peer in 0..=MAX_TOPICS as u32 {
            let topic = Topic::Peer(peer);
            let bans = 2.0 + f64::from(peer);
            let (check, severity, evidence, destinations) = (CheckId::FanOut, 5.0, Vec::new(), Vec::new());
            let oddities = vec![Oddity { check, topic, bans, severity, evidence, destinations }];
            let (window, under) = (Window(0), Fingerprint(0));
            let judged = Judged { window, topic, bans, oddities, under, by_interface: &[], enis: &[] };
            incident.take(judged, &[], &Ladder::default());
        }
        assert_eq!((incident.topics.len(), incident.words.len()), (MAX_TOPICS, MAX_WORDS));
        assert!(incident.words.keys().all(|(topic, _)| incident.topics.contains(topic)), "or they could not be stored");
    }

    #[test]
    fn a_sweep_does_not_crowd_out_a_call() {
        let mut incident = Incident::new(Fingerprint(1), 0, Window(0));
        let to = |port, bytes_out| {
            let (protocol, n_flows, bytes_in, first, last) = (6, 1, 0, 0, 0);
            Contacted { peer: 0, port, protocol, n_flows, bytes_out, bytes_in, first, last }
        };
        let mut ladder = Ladder::default();
        ladder.peer(7, || baselines::ladder::Network { key: "AS1".into(), label: "AS1".into() });
        let sweep: Vec<Contacted> = (0..3000).map(|port| to(port, 44)).collect();
        incident.contact(Window(0), false, &sweep, &ladder);
        incident.contact(Window(1), true, &[to(8443, 900)], &ladder);
        assert_eq!(incident.destinations.len(), MAX_DESTINATIONS);
        assert!(incident.destinations.contains_key(&(0, 8443, 6)));
        let mut other_way_round = Incident::new(Fingerprint(1), 0, Window(0));
        other_way_round.contact(Window(0), false, sweep.iter().rev(), &ladder);
        other_way_round.contact(Window(1), true, &[to(8443, 900)], &ladder);
        assert_eq!(other_way_round.destinations, incident.destinations);
    }

    #[test]
    fn what_several_owners_have_of_one_incident_is_told_whole() {
        let to = |peer, first, last, bytes_out| {
            let (port, protocol, n_flows, bytes_in) = (443, 6, 2, 1);
            Contacted { peer, port, protocol, n_flows, bytes_out, bytes_in, first, last }
        };
        let part = |owner, first, last, count, all: &[Contacted]| Incident {
            last: Window(last),
            joined: Window(last),
            count,
            bans: f64::from(count),
            destinations: all.iter().map(|to| (to.key(), *to)).collect(),
            ..Incident::new(Fingerprint(1), owner, Window(first))
        };
        let before = part(0, 5, 9, 4, &[to(1, 10, 50, 300), to(2, 20, 30, 400)]);
        let after = part(1, 20, 30, 3, &[to(1, 10, 90, 500)]);
        let all = Incident::together(&[&before, &after], &Ladder::default());
        assert_eq!((all.first, all.last, all.count), (Window(5), Window(30), 7));
        assert_eq!(all.destinations.into_values().collect::<Vec<_>>(), [to(1, 10, 90, 500), to(2, 20, 30, 400)]);
        assert!((all.bans - 4.0).abs() < 1e-9);
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
            let check = CheckId::EgressVolume;
            let oddity = Oddity { check, topic, bans, severity, evidence, destinations };
            incident.hear(Window(0), topic, oddity, &Ladder::default());
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
        let config = Config::defaults();
        let mut own = OwnIncidents::default();
        let id =
            |own: &OwnIncidents, owner: &str, topic: &str, window| own.new_id(&config, owner, topic, Window(window));
        let first = id(&own, "api", "owner", 145);
        for same in [("owner", 144), ("peer 192.0.2.1", 287)] {
            assert_eq!(first, id(&own, "api", same.0, same.1), "the same day, whatever came first: {same:?}");
        }
        for other in [("web", "owner", 145), ("api", "owner", 143)] {
            assert_ne!(first, id(&own, other.0, other.1, other.2), "{other:?}");
        }
        let mut ids = vec![first];
        for window in [145, 200, 201] {
            let next = id(&own, "api", "owner", window);
            own.0.push(Incident::new(next, 0, Window(window)));
            ids.push(next);
        }
        ids.dedup();
        assert_eq!(ids.len(), 3, "one of the day, one of its topic, one of its window: {ids:?}");
    }

    #[test]
    fn where_a_day_may_hold_several_incidents_each_has_the_id_of_its_topic() {
        let config = Config::from_toml("incident_gap = \"1h\"").expect("a sound configuration");
        let own = OwnIncidents::default();
        let id = |topic: &str| own.new_id(&config, "api", topic, Window(145));
        assert_ne!(id("owner"), id("peer 192.0.2.1"));
    }
}
