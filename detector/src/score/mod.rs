//! Score: what is odd in a window, compared with what was known before it.
//!
//! Where it sits: takes an owner's observations and the baselines, gives findings. Only this stage knows what is odd.
//! What it does not do: it reads no clock, no file and no log; it learns nothing (the pipeline does, after judging).
//!
//! Each check is one file. A check says how much what it sees speaks against chance, in bans (−log10 of a tail
//! probability under the function's own past); what several checks say about one topic adds up, and a topic is told
//! when its sum passes the threshold of the sensitivity. Topics of one owner close in time are one finding
//! ([`incidents`]).

mod beacon;
mod dormant_return;
mod egress_volume;
mod fan_out;
mod flood;
mod incidents;
mod long_connection;
mod new_destination;
mod new_port;
mod novelty;
mod novelty_burst;
mod oddity;
mod rejected_egress;
mod tails;
mod threat_list;
mod unusual_resolver;
mod view;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use baselines::baseline::{Baseline, Learned};
use baselines::follow::Open;
use baselines::heirs::WarmUp;
use baselines::known::RecordLengths;
use baselines::newcomer::Subject;
use baselines::observation::{Eni, Observation};
use baselines::standing::{Found, Standing};
use baselines::window::{Day, Window};
use baselines::{Baselines, Fleet};

use crate::config::{Config, Sensitivity};
use crate::finding::{CheckId, Deployment, Finding, Fingerprint};
pub use flood::Flood;
use incidents::Judged;
pub use incidents::{Incident, Incidents, OwnIncidents, StoredError};
use novelty::{Past, Prior};
use oddity::{Oddity, Topic};
use view::View;
pub(crate) use view::{RENTED_BLOCKS, subject_words};

/// What the user's files and tables say about addresses and functions.
pub trait Facts: Sync {
    /// Whether there is any threat list.
    fn has_threat_lists(&self) -> bool;
    /// The threat list an address is on.
    fn threat_list(&self, address: u128) -> Option<Arc<str>>;
    /// The trusted list an address is on.
    fn trusted_list(&self, address: u128) -> Option<Arc<str>>;
    /// The operator of the public resolver at an address.
    fn public_resolver(&self, address: u128) -> Option<&'static str>;
    /// The latest deployment of any of an owner's functions in a span of Unix seconds, half-open.
    fn deployment(&self, owner: &str, from: i64, until: i64) -> Option<Deployment>;
    /// Which of some functions, by ARN, a deployment is of.
    fn deployed<'a>(&self, functions: &'a [Arc<str>], deployment: &Deployment) -> Option<&'a Arc<str>>;
    /// The VPC of an owner's functions.
    fn vpc(&self, owner: &str) -> Option<Arc<str>>;
    /// The AWS service an address belongs to.
    fn aws_service(&self, address: u128) -> Option<Arc<str>>;
}

/// One way of comparing a window with what was known before it.
trait Check: Sync {
    /// Which one.
    fn id(&self) -> CheckId;
    /// Whether it judges owners that are still learning.
    fn judges_learning(&self) -> bool {
        false
    }
    /// What it finds odd. Pure and total.
    fn check(&self, view: &View<'_>) -> Vec<Oddity>;
}

/// Every check, in the order of [`CheckId::ALL`].
static CHECKS: [&dyn Check; 11] = [
    &new_destination::NewDestination,
    &new_port::NewPort,
    &egress_volume::EgressVolume,
    &beacon::Beacon,
    &long_connection::LongConnection,
    &unusual_resolver::UnusualResolver,
    &novelty_burst::NoveltyBurst,
    &fan_out::FanOut,
    &rejected_egress::RejectedEgress,
    &threat_list::ThreatList,
    &dormant_return::DormantReturn,
];

/// Topics of one owner told in one window.
const MAX_TOPICS_A_WINDOW: usize = 64;

/// Bans a topic needs to be told: what is left of the chance that a quiet day brings it.
///
/// Chosen on development fleets: see *Where fitted numbers come from* in `docs/detection.md`.
fn needed_bans(sensitivity: Sensitivity) -> f64 {
    match sensitivity {
        Sensitivity::Low => 2.2,
        Sensitivity::Default => 1.6,
        Sensitivity::High => 1.0,
    }
}

/// Judges windows one by one, each owner's in order of event time; owners side by side.
pub struct Scorer<'a> {
    config: &'a Config,
    facts: &'a dyn Facts,
    /// Those the settings ask for.
    checks: Vec<&'static dyn Check>,
    are_refusals_judged: bool,
    prior: (Day, Prior),
    /// What it was taken from.
    pasts: Vec<Past>,
    records: RecordLengths,
    /// Whether any functions share an interface.
    are_shared: bool,
    /// Owners whose names were looked at for that.
    n_named: usize,
    /// Incidents so far.
    pub incidents: Incidents,
}

/// One owner: what is known of it, and what was told of it.
pub struct Own<'a> {
    /// Its number.
    pub owner: u32,
    /// What is known of it.
    pub baseline: &'a mut Baseline,
    /// What was told of it.
    pub incidents: &'a mut OwnIncidents,
    /// Its newcomers that are open, to be closed when the owner's hour is over.
    pub open: &'a mut Open,
    /// What the hour brought that concerns the fleet, to be noted when it is over.
    pub learned: &'a mut Learned,
}

/// One owner's window.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When.
    pub window: Window,
    /// Observations of the owner in it, one a destination, sorted by address, port and protocol; `peer` a number of the
    /// ladder.
    pub rows: &'a [Observation],
    /// Where each row's destination stood before the window.
    pub found: &'a [Found],
    /// What was set apart of it: see [`Scorer::set_apart`].
    pub flood: &'a Flood,
}

impl<'a> Scorer<'a> {
    /// Active days an owner must have been observed on before its behaviour is judged: on fewer nothing is habit.
    pub const READY_DAYS: u32 = 3;

    /// A judge that has seen nothing yet.
    pub fn new(config: &'a Config, facts: &'a dyn Facts) -> Self {
        let is_on = |check: CheckId| config.checks.contains(&check);
        Self {
            config,
            facts,
            checks: CHECKS.into_iter().filter(|check| is_on(check.id())).collect(),
            are_refusals_judged: is_on(CheckId::RejectedEgress),
            prior: (Day(0), Prior::default()),
            pasts: Vec::new(),
            records: RecordLengths::default(),
            are_shared: false,
            n_named: 0,
            incidents: Incidents::default(),
        }
    }

    /// Looks at the fleet before an hour of a day is judged: a walk may begin with any hour, and finds what one from
    /// midnight on finds.
    pub fn begin(&mut self, baselines: &Baselines, day: Day) {
        let mut pasts = Vec::new();
        self.records = RecordLengths::default();
        for (owner, (_, baseline)) in (0..).zip(baselines.iter()) {
            self.records.add(baseline.records);
            pasts.extend(Past::before(owner, baseline, day));
        }
        if self.prior.0 != day || self.pasts != pasts {
            self.prior = (day, Prior::of(baselines, day));
            self.pasts = pasts;
        }
        self.are_shared |= baselines.owners.iter().skip(self.n_named).any(|name| name.contains(','));
        self.n_named = baselines.owners.len();
    }

    /// Sets apart what a window brings too much of to be followed and learned one by one: see [`flood`]. `found` says
    /// where each of the `rows` stood before the window.
    pub fn set_apart<'r>(
        &self,
        fleet: Fleet<'_>,
        baseline: &Baseline,
        rows: Cow<'r, [Observation]>,
        found: Vec<Found>,
    ) -> (Cow<'r, [Observation]>, Vec<Found>, Flood) {
        flood::set_apart(fleet, baseline, self.facts, rows, found)
    }

    /// Judges one owner's window, tells of it and follows its newcomers. Learning is the caller's, afterwards.
    ///
    /// # Columns
    /// `by_interface`: the window's observations on each interface, before they were added up; `eni` one of `enis`.
    pub fn judge(
        &self,
        fleet: Fleet<'_>,
        own: &mut Own<'_>,
        seen: Seen<'_>,
        by_interface: &[Observation],
        enis: &[Eni],
    ) {
        let (config, facts) = (self.config, self.facts);
        for (topic, bans, oddities) in self.topics(fleet, own, seen) {
            // The finding a topic is under: further contact belongs to it.
            let under = Fingerprint(match topic {
                Topic::Newcomer(subject) => own.baseline.finding(subject),
                _ => 0,
            });
            if bans < needed_bans(config.sensitivity) && under.0 == 0 {
                continue;
            }
            // Nothing was said of it now, and what was said then is not here.
            if oddities.is_empty() && !own.incidents.holds(under) {
                continue;
            }
            let judged = Judged { window: seen.window, topic, bans, oddities, under, by_interface, enis };
            let finding = own.incidents.add(config, facts, fleet, own.owner, judged);
            if let Topic::Newcomer(subject) = topic {
                own.baseline.set_finding(own.open, subject, finding.0, own.learned);
            }
        }
    }

    /// What the checks say of a window, by topic, with the topic's bans.
    fn topics(&self, fleet: Fleet<'_>, own: &mut Own<'_>, seen: Seen<'_>) -> Vec<(Topic, f64, Vec<Oddity>)> {
        let subjects = Self::follow(fleet, own, seen);
        let Own { owner, baseline, open, .. } = own;
        let Seen { window, rows, found, flood } = seen;
        let warm_up = Self::warm_up(self.config);
        let is_ready = baseline.is_ready(window, warm_up);
        let view = View {
            owner: *owner,
            fleet,
            baseline,
            window,
            rows,
            found,
            flood,
            subjects: &subjects,
            open,
            is_ready,
            warm_up,
            needed_bans: needed_bans(self.config.sensitivity),
            are_refusals_judged: self.are_refusals_judged,
            prior: &self.prior.1,
            are_shared: self.are_shared,
            fleet_records: self.records,
            facts: self.facts,
        };
        let mut topics: BTreeMap<Topic, Vec<Oddity>> = BTreeMap::new();
        for check in self.checks.iter().filter(|check| is_ready || check.judges_learning()) {
            for oddity in check.check(&view) {
                topics.entry(oddity.topic).or_default().push(oddity);
            }
        }
        // What is under a finding is told of for as long as it goes on, odd or not.
        for subject in subjects.iter().filter(|subject| baseline.is_told(**subject)) {
            topics.entry(Topic::Newcomer(*subject)).or_default();
        }
        // The first topic of a window names the incident. By time, so that records of the same window that come later,
        // in another object, give it no other name; then by words, since numbers are another process's after a reload.
        let mut topics: Vec<(Topic, Vec<Oddity>)> = topics.into_iter().collect();
        topics.sort_by_cached_key(|(topic, oddities)| {
            let destinations = oddities.iter().flat_map(|oddity| &oddity.destinations);
            let begun = destinations.map(|contacted| contacted.first).min();
            (begun, incidents::topic_words(fleet.ladder, *topic))
        });
        let weighed = loudest(topics).into_iter().map(|(topic, oddities)| {
            let bans = weight(&oddities);
            if self.are_refusals_judged {
                return (topic, bans, rejected_egress::attribute(open, topic, oddities));
            }
            (topic, bans, oddities)
        });
        weighed.collect()
    }

    /// Follows one owner's newcomers without judging anything; gives those met in the window.
    pub fn follow(fleet: Fleet<'_>, own: &mut Own<'_>, seen: Seen<'_>) -> Vec<Subject> {
        let Seen { window, rows, found, .. } = seen;
        if found.iter().all(|found| found.standing == Standing::Settled) {
            return Vec::new();
        }
        let until = novelty::Until::default();
        own.baseline.follow(fleet.ladder, window, rows, found, own.open, |baseline, subject, row| {
            novelty::circumstances(fleet, baseline, &until, subject, row, window)
        })
    }

    /// What an owner must have been observed for to be judged by its behaviour.
    pub fn warm_up(config: &Config) -> WarmUp {
        WarmUp { secs: config.warm_up_secs as i64, n_days: Self::READY_DAYS }
    }

    /// How many owners meet new networks so often that novelty alone says nothing about them.
    pub fn n_restless(&self, baselines: &Baselines) -> u64 {
        novelty::n_restless(baselines, self.prior.0)
    }

    /// The findings of all incidents so far, sorted by time of the first record, then id.
    pub fn findings(&self, baselines: &Baselines) -> Vec<Finding> {
        self.incidents.findings(self.config, self.facts, baselines)
    }
}

/// The topics of a window that are worth a word: all, or of very many (a scan is one, each of its ports another) the
/// loudest.
fn loudest(mut topics: Vec<(Topic, Vec<Oddity>)>) -> Vec<(Topic, Vec<Oddity>)> {
    if topics.len() > MAX_TOPICS_A_WINDOW {
        topics.sort_by(|a, b| weight(&b.1).total_cmp(&weight(&a.1)));
        topics.truncate(MAX_TOPICS_A_WINDOW);
    }
    topics
}

/// What several checks say of one topic: the sum, but of a first contact and a return only the louder, because both
/// judge the same novelty.
fn total_bans(said: &[(CheckId, f64)]) -> f64 {
    let of = |wanted: CheckId| said.iter().find(|(check, _)| *check == wanted).map(|(_, bans)| *bans);
    let sum: f64 = said.iter().map(|(_, bans)| bans).sum();
    match (of(CheckId::NewDestination), of(CheckId::DormantReturn)) {
        (Some(new), Some(back)) => sum - new.min(back),
        _ => sum,
    }
}

/// The same of what they found in a window.
fn weight(oddities: &[Oddity]) -> f64 {
    total_bans(&oddities.iter().map(|oddity| (oddity.check, oddity.bans)).collect::<Vec<_>>())
}

/// Adds up observations of the same destination on several interfaces; mostly there is only one.
pub fn by_destination(rows: &[Observation]) -> Cow<'_, [Observation]> {
    if rows.windows(2).all(|pair| matches!(pair, [a, b] if a.key() != b.key())) {
        return Cow::Borrowed(rows);
    }
    let mut merged: Vec<Observation> = Vec::with_capacity(rows.len());
    for row in rows {
        match merged.last_mut().filter(|last| last.key() == row.key()) {
            Some(last) => last.merge(row),
            None => merged.push(*row),
        }
    }
    Cow::Owned(merged)
}
