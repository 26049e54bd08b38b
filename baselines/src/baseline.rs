//! Baselines: everything learned, of all owners, with the ladder they share.
//!
//! Takes windows of observations through [`Baselines::learn`]; answers what was known before, rung by rung. Judges
//! nothing: what is odd is the detector's to say.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bounds::{Sizes, count, size_of};
use crate::known::{Known, Totals, Volumes};
use crate::ladder::{Ladder, is_private};
use crate::names::Names;
use crate::newcomer::{Newcomer, Subject};
use crate::observation::Observation;
use crate::table::Table;
use crate::watched::Watched;
use crate::window::{Day, WINDOWS_PER_DAY, Window};

/// Days of which an owner's first contacts are remembered one by one.
pub(crate) const DIARY_DAYS: u32 = 90;

/// What one day of an owner brought that was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiaryDay {
    /// The day.
    pub day: Day,
    /// Network owners met for the first time.
    pub networks: u32,
    /// Ports of known network owners met for the first time.
    pub services: u32,
    /// Prefixes met for the first time, in networks known before.
    pub prefixes: u32,
    /// Ports used for the first time, with any network.
    pub ports: u32,
}

/// In which minutes of the latest windows something was active: a ring of 1024 windows, a week and some hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Minute masks by window mod 1024; empty until the first mark.
    minutes: Vec<u16>,
    /// Flow records sent, by window mod 1024.
    n_flows: Vec<u32>,
    latest: Window,
}

impl Default for Activity {
    fn default() -> Self {
        Self { minutes: Vec::new(), n_flows: Vec::new(), latest: Window(0) }
    }
}

impl Activity {
    /// Windows the ring reaches back.
    pub const REACH: u32 = 1024;

    fn slot(window: Window) -> usize {
        (window.0 % Self::REACH) as usize
    }

    /// Marks minutes of a window and adds flow records. One older than the ring's reach is forgotten already.
    pub fn mark(&mut self, window: Window, minutes: u16, n_flows: u32) {
        self.minutes.resize(Self::REACH as usize, 0);
        self.n_flows.resize(Self::REACH as usize, 0);
        if window > self.latest {
            for passed in (self.latest.0 + 1..=window.0).rev().take(Self::REACH as usize) {
                let slot = Self::slot(Window(passed));
                if let (Some(mask), Some(n)) = (self.minutes.get_mut(slot), self.n_flows.get_mut(slot)) {
                    (*mask, *n) = (0, 0);
                }
            }
            self.latest = window;
        }
        if self.latest.0 - window.0 < Self::REACH
            && let (Some(mask), Some(n)) =
                (self.minutes.get_mut(Self::slot(window)), self.n_flows.get_mut(Self::slot(window)))
        {
            *mask |= minutes;
            *n = n.saturating_add(n_flows);
        }
    }

    /// The active minutes of a window; none outside the ring.
    pub fn minutes(&self, window: Window) -> u16 {
        let is_inside = window <= self.latest && self.latest.0 - window.0 < Self::REACH;
        self.minutes.get(Self::slot(window)).copied().filter(|_| is_inside).unwrap_or(0)
    }

    /// The flow records sent in a window; none outside the ring.
    pub fn n_flows(&self, window: Window) -> u32 {
        let is_inside = window <= self.latest && self.latest.0 - window.0 < Self::REACH;
        self.n_flows.get(Self::slot(window)).copied().filter(|_| is_inside).unwrap_or(0)
    }

    /// How many windows of a span, ends included, were active, as far as the ring reaches back.
    pub fn n_between(&self, from: Window, until: Window) -> u32 {
        self.windows(from, until).filter(|&(_, minutes)| minutes != 0).count() as u32
    }

    /// Windows of a span, ends included, with their active minutes, as far as the ring reaches back.
    pub fn windows(&self, from: Window, until: Window) -> impl Iterator<Item = (Window, u16)> {
        let from = from.0.max(self.latest.0.saturating_sub(Self::REACH - 1));
        (from..=until.0.min(self.latest.0)).map(|window| (Window(window), self.minutes(Window(window))))
    }

    /// Adds what another ring knows.
    pub fn merge(&mut self, other: &Self) {
        for (window, minutes) in other.windows(Window(0), other.latest).filter(|&(_, minutes)| minutes != 0) {
            self.mark(window, minutes, other.n_flows(window));
        }
    }
}

/// What is known of one owner as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// When it was active; `None` until it was.
    pub known: Option<Known>,
    /// Totals over all destinations.
    pub volumes: Volumes,
    /// Distinct destinations a window.
    pub window_peers: crate::distribution::Distribution,
    /// Windows of activity by hour of the week, from Monday 00:00 UTC.
    pub hours: Vec<u32>,
    /// Minutes of activity in the latest week, with settled destinations: what newcomers do is no habit yet.
    pub active: Activity,
    /// What each active day brought that was new, the latest [`DIARY_DAYS`].
    pub diary: Vec<DiaryDay>,
}

impl Baseline {
    /// Whether it was observed long enough to be judged by its behaviour: since the warm-up, and on several days.
    pub fn is_ready(&self, now: Window, warm_up_secs: i64, min_days: u32) -> bool {
        self.known.is_some_and(|known| now.start() - known.first.start() >= warm_up_secs && known.n_days >= min_days)
    }

    fn diary_of(&mut self, day: Day) -> &mut DiaryDay {
        let at = match self.diary.binary_search_by_key(&day, |entry| entry.day) {
            Ok(at) => at,
            Err(at) => {
                self.diary.insert(at, DiaryDay { day, ..DiaryDay::default() });
                at
            }
        };
        let surplus = self.diary.len().saturating_sub(DIARY_DAYS as usize);
        self.diary.drain(..surplus);
        let at = at.saturating_sub(surplus).min(self.diary.len().saturating_sub(1));
        #[expect(clippy::indexing_slicing, reason = "the entry was found or inserted above and is within the length")]
        &mut self.diary[at]
    }
}

/// What is known of one network owner of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkKnown {
    /// When it was met.
    pub known: Known,
    /// Prefixes met in it.
    pub n_prefixes: u32,
    /// Prefixes first met a day or more after the network itself: how it wanders.
    pub n_late_prefixes: u32,
}

/// What is known of one prefix of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixKnown {
    /// When it was met.
    pub known: Known,
    /// The network it was met in first: a prefix may hold addresses of several. Number in the [`Ladder`].
    pub network: u32,
}

/// What is known of one port of one network owner of one owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceKnown {
    /// When it was met.
    pub known: Known,
    /// How much it carries.
    pub volumes: Volumes,
}

/// One destination of one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestinationKnown {
    /// When it was met.
    pub known: Known,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// Bytes received from it.
    pub bytes_in: u64,
}

/// Owner and peer, port, protocol; numbers of [`Baselines::owners`] and [`Ladder`].
pub type DestinationKey = (u32, u32, u16, u8);
/// Owner and network, port, protocol.
pub type ServiceKey = (u32, u32, u16, u8);

/// Where a row stands on its owner's ladder before its window is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every rung is known and settled.
    Settled,
    /// A rung is being watched.
    Watched(Subject),
    /// A rung was never met.
    New(Subject),
}

/// Everything learned.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    /// Owners by number.
    pub owners: Names,
    /// Addresses, prefixes and networks by number.
    pub ladder: Ladder,
    pub(crate) of_owner: Vec<Baseline>,
    pub(crate) networks: Table<(u32, u32), NetworkKnown>,
    pub(crate) services: Table<ServiceKey, ServiceKnown>,
    pub(crate) prefixes: Table<(u32, u32), PrefixKnown>,
    pub(crate) ports: Table<(u32, u16, u8), Known>,
    pub(crate) destinations: Table<DestinationKey, DestinationKnown>,
    /// Destinations found settled since the last [`Baselines::age`], by number: they stay so until then.
    pub(crate) settled: Vec<bool>,
    pub(crate) newcomers: Table<(u32, Subject), Watched>,
    /// Owners knowing each network: derived from `networks` and `newcomers`.
    pub(crate) prevalence: Vec<u32>,
    /// Owners knowing each prefix: derived from `prefixes` and `newcomers`.
    pub(crate) prefix_prevalence: Vec<u32>,
    /// How much each owner holds: derived from the tables.
    pub(crate) sizes: Vec<Sizes>,
    /// Findings a person accepted: see [`Baselines::accept`].
    pub(crate) accepted: BTreeSet<u128>,
    /// Interfaces, objects and rows are the detector's business; this says what was learned from.
    pub learned_from: LearnedFrom,
}

/// What a baseline was learned from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedFrom {
    /// Objects read.
    pub n_objects: u64,
    /// Observations learned: destinations by window, one told in two parts counted once.
    pub n_observations: u64,
    /// First second of the first window and first second after the last; `None` before the first.
    pub span: Option<(i64, i64)>,
}

impl Baselines {
    /// The number of an owner, given on first sight.
    pub fn owner(&mut self, name: &str) -> u32 {
        let id = self.owners.intern(name);
        if self.of_owner.len() <= id as usize {
            self.of_owner.resize_with(id as usize + 1, Baseline::default);
        }
        id
    }

    /// What is known of an owner as a whole.
    pub fn baseline(&self, owner: u32) -> Option<&Baseline> {
        self.of_owner.get(owner as usize)
    }

    /// What is known of a network owner.
    pub fn network(&self, owner: u32, network: u32) -> Option<&NetworkKnown> {
        self.networks.get(&(owner, network))
    }

    /// What is known of a port of a network owner.
    pub fn service(&self, owner: u32, network: u32, port: u16, protocol: u8) -> Option<&ServiceKnown> {
        self.services.get(&(owner, network, port, protocol))
    }

    /// When a port was used, with any network.
    pub fn port(&self, owner: u32, port: u16, protocol: u8) -> Option<&Known> {
        self.ports.get(&(owner, port, protocol))
    }

    /// What is known of a destination.
    pub fn destination(&self, key: &DestinationKey) -> Option<&DestinationKnown> {
        self.destinations.get(key)
    }

    /// A destination under watch, opened: see [`crate::watched`].
    pub fn newcomer(&self, owner: u32, subject: Subject) -> Option<Newcomer> {
        self.newcomers.get(&(owner, subject)).map(Watched::open)
    }

    /// Whether a destination is under watch.
    pub fn is_watched(&self, owner: u32, subject: Subject) -> bool {
        self.newcomers.id(&(owner, subject)).is_some()
    }

    /// The finding a destination is under; 0 for none.
    pub fn finding(&self, owner: u32, subject: Subject) -> u128 {
        self.newcomers.get(&(owner, subject)).map_or(0, Watched::finding)
    }

    /// Puts a destination under a finding, or takes it from under one (0).
    pub fn set_finding(&mut self, owner: u32, subject: Subject, finding: u128) {
        if let Some(newcomer) = self.newcomers.get_mut(&(owner, subject)) {
            newcomer.set_finding(finding);
        }
    }

    /// How many owners know a network.
    pub fn n_owners_knowing(&self, network: u32) -> u32 {
        self.prevalence.get(network as usize).copied().unwrap_or(0)
    }

    /// How many owners know a prefix.
    pub fn n_owners_knowing_prefix(&self, prefix: u32) -> u32 {
        self.prefix_prevalence.get(prefix as usize).copied().unwrap_or(0)
    }

    /// All owners with what is known of them as a whole, by number.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Baseline)> {
        self.owners.iter().zip(&self.of_owner)
    }

    /// The destinations of all owners.
    pub fn destinations(&self) -> impl Iterator<Item = (&DestinationKey, &DestinationKnown)> {
        self.destinations.iter()
    }

    /// The network owners each owner has met, watched ones too.
    pub fn networks(&self) -> impl Iterator<Item = &(u32, u32)> {
        self.networks.iter().map(|(key, _)| key)
    }

    /// The prefixes each owner has met, watched ones too, with the network each was met in.
    pub fn prefixes(&self) -> impl Iterator<Item = (&(u32, u32), u32)> {
        self.prefixes.iter().map(|(key, known)| (key, known.network))
    }

    /// The newcomers of all owners, each with the finding it is under (0 for none).
    pub fn newcomers(&self) -> impl Iterator<Item = (&(u32, Subject), u128)> {
        self.newcomers.iter().map(|(key, newcomer)| (key, newcomer.finding()))
    }

    /// How many destinations are known.
    pub fn n_destinations(&self) -> usize {
        self.destinations.len()
    }

    /// Where a destination stands: the highest rung that is new or watched.
    ///
    /// Inside the VPC a new address is no news (a database fails over, an endpoint moves), only a new port is.
    pub fn standing(&self, owner: u32, row: &Observation) -> Standing {
        let destination = self.destinations.id(&(owner, row.peer, row.port, row.protocol));
        if destination.is_some_and(|id| self.settled.get(id as usize) == Some(&true)) {
            return Standing::Settled;
        }
        let rungs = self.ladder.rungs(row.peer);
        let service = Subject::Service(rungs.network, row.port, row.protocol);
        let rung = |subject: Subject, is_known: bool| {
            if self.is_watched(owner, subject) {
                Some(Standing::Watched(subject))
            } else if is_known || self.sizes(owner).is_full(subject) {
                None
            } else {
                Some(Standing::New(subject))
            }
        };
        rung(Subject::Network(rungs.network), self.networks.id(&(owner, rungs.network)).is_some())
            .or_else(|| rung(service, self.services.id(&(owner, rungs.network, row.port, row.protocol)).is_some()))
            .or_else(|| {
                if is_private(rungs.address) {
                    return None;
                }
                rung(Subject::Prefix(rungs.prefix), self.prefixes.id(&(owner, rungs.prefix)).is_some())
            })
            .unwrap_or(Standing::Settled)
    }

    /// Learns one owner's observations of one window. Windows of an owner come in order of event time; late ones are
    /// folded in where they belong.
    ///
    /// `rows` are of this owner and window, their `peer` a number of [`Baselines::ladder`]; several of one destination
    /// (on several interfaces) are allowed. What stands under a finding does not enter the distributions.
    pub fn learn(&mut self, owner: u32, window: Window, rows: &[Observation]) {
        let Some(baseline) = self.of_owner.get_mut(owner as usize) else { return };
        match &mut baseline.known {
            Some(known) => {
                if window != known.last {
                    let hour = usize::from(window.hour_of_week());
                    baseline.hours.resize(168, 0);
                    if let Some(n) = baseline.hours.get_mut(hour) {
                        *n += 1;
                    }
                }
                known.touch(window);
            }
            none => {
                *none = Some(Known::new(window));
                baseline.hours.resize(168, 0);
                if let Some(n) = baseline.hours.get_mut(usize::from(window.hour_of_week())) {
                    *n += 1;
                }
            }
        }
        baseline.diary_of(window.day());
        let mut total = Totals::default();
        self.note_activity(owner, window, rows);
        for row in rows {
            let standing = self.standing(owner, row);
            if !self.learn_row(owner, row, standing, &mut total) {
                total.add(&Totals {
                    n_flows: u64::from(row.n_flows),
                    packets_out: row.packets_out,
                    bytes_out: row.bytes_out,
                    bytes_in: row.bytes_in,
                    n_peers: 0,
                });
            }
        }
        if let Some(baseline) = self.of_owner.get_mut(owner as usize) {
            let (open, totals) = baseline.volumes.open_window;
            if open != window && totals.n_peers > 0 {
                baseline.window_peers.record(totals.n_peers);
            }
            baseline.volumes.add(window, &total);
        }
        self.learned_from.n_observations += total.n_peers;
        let (from, until) = self.learned_from.span.unwrap_or((window.start(), window.end()));
        self.learned_from.span = Some((from.min(window.start()), until.max(window.end())));
    }

    /// Notes in which minutes an owner was active with what it knows, and nothing else.
    pub fn note_activity(&mut self, owner: u32, window: Window, rows: &[Observation]) {
        let settled = rows.iter().filter(|row| self.standing(owner, row) == Standing::Settled);
        let (minutes, n_flows) = settled
            .fold((0, 0u32), |(minutes, n_flows), row| (minutes | row.minutes, n_flows.saturating_add(row.n_flows)));
        if minutes != 0
            && let Some(baseline) = self.of_owner.get_mut(owner as usize)
        {
            baseline.active.mark(window, minutes, n_flows);
        }
    }

    /// Learns one row on every rung; says whether it stands under a finding.
    fn learn_row(&mut self, owner: u32, row: &Observation, standing: Standing, total: &mut Totals) -> bool {
        let window = row.window;
        let rungs = self.ladder.rungs(row.peer);
        let under_finding = match standing {
            Standing::Watched(subject) => self.finding(owner, subject) != 0,
            _ => false,
        };
        let mut new = DiaryDay::default();
        let sizes = size_of(&mut self.sizes, owner);
        let network_id = self.networks.id(&(owner, rungs.network));
        let network = network_id.or_else(|| sizes.take_network()).unwrap_or_else(|| {
            new.networks += 1;
            count(&mut self.prevalence, rungs.network);
            self.networks
                .put((owner, rungs.network), NetworkKnown { known: Known::new(window), ..NetworkKnown::default() })
        });
        let service_key = (owner, rungs.network, row.port, row.protocol);
        let service = self.services.id(&service_key).or_else(|| sizes.take_service()).unwrap_or_else(|| {
            new.services += u32::from(network_id.is_some());
            self.services.put(service_key, ServiceKnown { known: Known::new(window), volumes: Volumes::default() })
        });
        if let Some(entry) = self.prefixes.get_mut(&(owner, rungs.prefix)) {
            entry.known.touch(window);
        } else if sizes.take_prefix().is_none() {
            let entry = PrefixKnown { known: Known::new(window), network: rungs.network };
            self.prefixes.put((owner, rungs.prefix), entry);
            count(&mut self.prefix_prevalence, rungs.prefix);
            if let Some(entry) = self.networks.at_mut(network) {
                entry.n_prefixes += 1;
                if window.0 >= entry.known.first.0 + WINDOWS_PER_DAY {
                    entry.n_late_prefixes += 1;
                    new.prefixes += 1;
                }
            }
        }
        if let Some(entry) = self.networks.at_mut(network) {
            entry.known.touch(window);
        }
        if let Some(entry) = self.services.at_mut(service) {
            entry.known.touch(window);
            if !under_finding {
                let totals = Totals {
                    n_flows: u64::from(row.n_flows),
                    packets_out: row.packets_out,
                    bytes_out: row.bytes_out,
                    bytes_in: row.bytes_in,
                    n_peers: 0,
                };
                entry.volumes.add(window, &totals);
            }
        }
        if let Some(known) = self.ports.get_mut(&(owner, row.port, row.protocol)) {
            known.touch(window);
        } else {
            new.ports += 1;
            self.ports.put((owner, row.port, row.protocol), Known::new(window));
        }
        let key = (owner, row.peer, row.port, row.protocol);
        let destination = if let Some(id) = self.destinations.id(&key) {
            let seen = self.destinations.at(id).is_some_and(|d| d.known.last == window);
            total.n_peers += u64::from(!seen);
            id
        } else {
            total.n_peers += 1;
            sizes.take_destination().unwrap_or_else(|| {
                let entry = DestinationKnown { known: Known::new(window), bytes_out: 0, bytes_in: 0 };
                self.destinations.put(key, entry)
            })
        };
        if let Some(entry) = self.destinations.at_mut(destination) {
            if standing == Standing::Settled {
                self.settled.resize(self.settled.len().max(destination as usize + 1), false);
                if let Some(settled) = self.settled.get_mut(destination as usize) {
                    *settled = true;
                }
            }
            entry.known.touch(window);
            entry.bytes_out = entry.bytes_out.saturating_add(row.bytes_out);
            entry.bytes_in = entry.bytes_in.saturating_add(row.bytes_in);
        }
        // What is told is no habit: it must not make the next stranger of this function less of one.
        if !under_finding
            && new != DiaryDay::default()
            && let Some(baseline) = self.of_owner.get_mut(owner as usize)
        {
            let day = baseline.diary_of(window.day());
            day.networks += new.networks;
            day.services += new.services;
            day.prefixes += new.prefixes;
            day.ports += new.ports;
        }
        under_finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_reaches_back_a_week() {
        let mut activity = Activity::default();
        for window in [5000, 5001, 5003, 4999] {
            activity.mark(Window(window), 1, 2);
        }
        assert_eq!(activity.n_between(Window(4999), Window(5003)), 4);
        assert_eq!(activity.n_between(Window(5002), Window(5002)), 0);
        activity.mark(Window(5000 + Activity::REACH), 1, 2);
        assert_eq!(activity.n_between(Window(0), Window(9999)), 3, "5000 fell out of the ring, 5001 and 5003 did not");
        activity.mark(Window(90_000), 0b101, 3);
        assert_eq!(activity.minutes(Window(90_000)), 0b101);
        assert_eq!(activity.n_between(Window(0), Window(99_999)), 1);
    }
}
