//! Bounds: what is forgotten with time, and how much of one owner is kept at all.
//!
//! Time forgets what was silent for the days of memory ([`Baseline::age`]). Within that time a scanner in a function
//! can reach more than is worth remembering: a million ports, every address of a cloud. So of each owner so many
//! newcomers are watched. What is watched no longer for want of room was never found to be normal: it is forgotten when
//! the hour ends, with all that is below it, and new if it comes back.
//!
//! Each owner has also room for so many entries on each rung; on a rung that is full nothing is new any more, and
//! nothing more is kept of it. What fills one for long has settled, or is below one network that is watched.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, Learned};
use crate::known::Known;
use crate::ladder::Ladder;
use crate::newcomer::Subject;
use crate::watched::Watched;
use crate::window::{WINDOWS_PER_DAY, Window};

/// Entries an owner has room for. A function that sends webhooks to fifty new customers a day fills none of them within
/// the days of memory; together they take some 20 MiB when all are full.
const MAX_NETWORKS: usize = 1 << 14;
/// See [`MAX_NETWORKS`].
const MAX_SERVICES: usize = 1 << 13;
/// See [`MAX_NETWORKS`].
const MAX_PREFIXES: usize = 1 << 16;
/// See [`MAX_NETWORKS`].
const MAX_DESTINATIONS: usize = 1 << 17;
/// See [`MAX_NETWORKS`].
const MAX_PORTS: usize = 1 << 13;

/// Newcomers watched of an owner. When there are more, the half of them goes that says the least.
const MAX_NEWCOMERS: usize = 1 << 13;

/// Stands for "no entry" where the number of one is expected: the rung was full, so none was made. Or, in the cache
/// `settled` of a [`Baseline`], the destination is not known to be settled.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// What is watched no longer for want of room, and whether it was under a finding.
#[derive(Debug, Default)]
pub(crate) struct Gone(BTreeMap<Subject, bool>);

impl Baseline {
    /// Whether a rung is full, so that nothing is new on it.
    pub(crate) fn is_full(&self, subject: Subject) -> bool {
        match subject {
            Subject::Network(_) => self.networks.len() >= MAX_NETWORKS,
            Subject::Service(..) => self.services.len() >= MAX_SERVICES,
            Subject::Prefix(_) => self.prefixes.len() >= MAX_PREFIXES,
        }
    }

    /// Whether there is no room for another destination.
    pub(crate) fn has_all_destinations(&self) -> bool {
        self.destinations.len() >= MAX_DESTINATIONS
    }

    /// Whether there is no room for another port.
    pub(crate) fn has_all_ports(&self) -> bool {
        self.ports.len() >= MAX_PORTS
    }

    /// Whether nothing is known at all, as of an owner that is gone. One that begins with another's past may not have
    /// been active itself yet, but knows what the other knew.
    pub(crate) fn is_forgotten(&self) -> bool {
        let has_no_rungs = self.networks.is_empty() && self.services.is_empty() && self.prefixes.is_empty();
        let has_no_others = self.ports.is_empty() && self.destinations.is_empty() && self.newcomers.is_empty();
        self.known.is_none() && self.diary.is_empty() && has_no_rungs && has_no_others
    }

    /// Whether there is no room to watch so many more newcomers.
    pub(crate) fn has_no_room_to_watch(&self, n: usize) -> bool {
        self.newcomers.len() + n > MAX_NEWCOMERS
    }

    /// Puts something new under watch; where there are too many newcomers, half of them are watched no longer and are
    /// added to what is `gone`.
    pub(crate) fn watch(&mut self, ladder: &Ladder, subject: Subject, window: Window, gone: &mut Gone) {
        self.newcomers.put(subject, Watched::taken_out(window));
        if self.newcomers.len() > MAX_NEWCOMERS {
            self.thin_newcomers(ladder, gone);
        }
    }

    /// Lets go of the newcomers that say the least: ports before prefixes before networks, what was told last, what was
    /// met in the fewest windows and the longest ago first.
    fn thin_newcomers(&mut self, ladder: &Ladder, gone: &mut Gone) {
        let rung = |subject: Subject| match subject {
            Subject::Service(..) => 0,
            Subject::Prefix(_) => 1,
            Subject::Network(_) => 2,
        };
        let mut ranked: Vec<_> = self
            .newcomers
            .iter()
            .map(|(&subject, newcomer)| {
                let is_told = newcomer.finding() != 0;
                let known = newcomer.known();
                let newcomer = newcomer.open();
                let to = newcomer.destinations.first();
                let to = to.map(|to| (ladder.rungs(to.peer).address, to.port, to.protocol));
                ((is_told, rung(subject), known.n_windows, known.last, to), subject)
            })
            .collect();
        ranked.sort_unstable();
        ranked.truncate(MAX_NEWCOMERS / 2);
        let thinned: BTreeMap<Subject, bool> =
            ranked.into_iter().map(|((is_told, ..), subject)| (subject, is_told)).collect();
        self.newcomers.retain(|subject, _| !thinned.contains_key(subject));
        gone.0.extend(thinned);
    }

    /// Forgets what is watched no longer for want of room, with all that is below it. Numbers of its tables given
    /// before are void afterwards. Who no longer knows what concerns the fleet and is added to `learned`.
    pub(crate) fn forget(&mut self, ladder: &Ladder, gone: &mut Gone, learned: &mut Learned) {
        if gone.0.is_empty() {
            return;
        }
        let gone = std::mem::take(&mut gone.0);
        let newcomers = &self.newcomers;
        let is_gone = |subject: Subject| gone.contains_key(&subject) && newcomers.id(&subject).is_none();
        let is_prefix_gone =
            |prefix: u32, network: u32| is_gone(Subject::Network(network)) || is_gone(Subject::Prefix(prefix));
        // What was under a finding was not counted among what is familiar.
        let was_told = |subject: Subject| {
            newcomers.get(&subject).map_or(gone.get(&subject) == Some(&true), |newcomer| newcomer.finding() != 0)
        };
        self.prefixes.retain(|&prefix, known| {
            let is_gone = is_prefix_gone(prefix, known.network);
            if is_gone && !was_told(Subject::Network(known.network)) && !was_told(Subject::Prefix(prefix)) {
                learned.strange_prefixes.push(prefix);
            }
            !is_gone
        });
        self.networks.retain(|&network, _| {
            let is_gone = is_gone(Subject::Network(network));
            if is_gone && !was_told(Subject::Network(network)) {
                learned.strange_networks.push(network);
            }
            !is_gone
        });
        let is_service_gone = |network: u32, port: u16, protocol: u8| {
            is_gone(Subject::Network(network)) || is_gone(Subject::Service(network, port, protocol))
        };
        self.services.retain(|&(network, port, protocol), _| !is_service_gone(network, port, protocol));
        self.destinations.retain(|&(peer, port, protocol), _| {
            let rungs = ladder.rungs(peer);
            !is_prefix_gone(rungs.prefix, rungs.network) && !is_service_gone(rungs.network, port, protocol)
        });
        self.settled.clear();
    }

    /// Forgets what was not met for `memory_days` and settles newcomers that aged unremarkably. Of an owner that was
    /// not active for so long nothing stays: what it did is forgotten, and it has to be learned anew when it is back.
    /// Numbers of its tables given before are void afterwards.
    pub(crate) fn age(&mut self, now: Window, memory_days: u32) {
        let horizon = memory_days.saturating_mul(WINDOWS_PER_DAY);
        let is_old = |known: &Known| now.0.saturating_sub(known.last.0) > horizon;
        if self.known.is_some_and(|known| is_old(&known)) {
            *self = Self::default();
            return;
        }
        self.newcomers.retain(|_, newcomer| !newcomer.has_settled() && !is_old(newcomer.known()));
        self.destinations.retain(|_, d| !is_old(&d.known));
        self.prefixes.retain(|_, p| !is_old(&p.known));
        self.services.retain(|_, s| !is_old(&s.known));
        self.networks.retain(|_, n| !is_old(&n.known));
        self.ports.retain(|_, p| !is_old(p));
        self.settled.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::baselines::Baselines;
    use crate::follow::Open;
    use crate::ladder::{Network, from_ip};
    use crate::newcomer::Circumstances;
    use crate::observation::Observation;
    use crate::standing::{Found, Standing};

    use super::*;

    /// Follows and learns rows of one owner, one window each day.
    fn learn(baselines: &mut Baselines, day: u32, to: impl Iterator<Item = ([u8; 4], u16)>) -> u32 {
        learn_of(baselines, "f", day, to)
    }

    /// The same of another owner.
    fn learn_of(baselines: &mut Baselines, owner: &str, day: u32, to: impl Iterator<Item = ([u8; 4], u16)>) -> u32 {
        let owner = baselines.owner(owner);
        let window = Window((20_000 + day) * WINDOWS_PER_DAY);
        let rows: Vec<Observation> = to
            .map(|(address, port)| {
                let [a, b, ..] = address;
                let key: std::sync::Arc<str> = format!("{a}.{b}.0.0/16").into();
                let network = || Network { label: key.clone(), key: key.clone() };
                let peer = baselines.ladder.peer(from_ip(address.into()), network);
                Observation { owner, peer, port, protocol: 6, window, n_flows: 1, ..Observation::default() }
            })
            .collect();
        let (fleet, of_owner) = baselines.side_by_side([owner]);
        let (mut open, mut learned) = (Open::default(), Learned::default());
        for baseline in of_owner {
            let found: Vec<Found> = rows.iter().map(|row| baseline.find(fleet.ladder, row)).collect();
            let met = |_: &Baseline, _, _: &Observation| Circumstances::default();
            baseline.follow(fleet.ladder, window, &rows, &found, &mut open, met);
            baseline.learn(fleet.ladder, window, &rows, &found, &mut learned);
            baseline.close(fleet.ladder, &mut open, &mut learned);
        }
        baselines.note(&learned);
        owner
    }

    #[test]
    fn a_scan_of_ports_fills_no_more_than_its_room() {
        let mut baselines = Baselines::default();
        for day in 0..4 {
            learn(&mut baselines, day, (0..9000).map(|n| ([203, 0, 113, 7], (day * 9000 + n) as u16 + 1)));
        }
        let baseline = baselines.baseline(0).unwrap();
        assert_eq!((baseline.networks.len(), baseline.services.len()), (1, MAX_SERVICES));
        assert!(baseline.newcomers.len() <= MAX_NEWCOMERS, "{}", baseline.newcomers.len());
    }

    #[test]
    fn a_flood_of_ports_drives_no_network_from_watch() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, 0, [([198, 51, 100, 7], 443)].into_iter());
        learn(&mut baselines, 1, [([198, 51, 100, 7], 443)].into_iter());
        learn(&mut baselines, 2, [([198, 51, 100, 7], 443)].into_iter());
        baselines.age(Window(20_003 * WINDOWS_PER_DAY), 90);
        learn(&mut baselines, 3, [([203, 0, 113, 7], 443)].into_iter());
        for day in 4..6 {
            learn(&mut baselines, day, (0..60_000).map(|n| ([198, 51, 100, 7], n as u16)));
        }
        let peer = baselines.ladder.peer(from_ip([203, 0, 113, 7].into()), || unreachable!("it is known"));
        let row = Observation { peer, port: 443, protocol: 6, ..Observation::default() };
        assert!(matches!(baselines.standing(0, &row), Standing::Watched(Subject::Network(_))));
        assert!(baselines.watched().count() <= MAX_NEWCOMERS);
    }

    #[test]
    fn what_there_is_no_room_to_watch_is_forgotten_and_new_again() {
        let mut baselines = Baselines::default();
        let known = |n: u32| ([100 + (n / 250) as u8, (n % 250) as u8, 0, 7], 443);
        for day in 0..3 {
            learn(&mut baselines, day, (0..20).map(known));
            baselines.age(Window((20_000 + day) * WINDOWS_PER_DAY), 90);
        }
        let n_before = baselines.baseline(0).unwrap().destinations.len();
        for day in 3..6 {
            learn(&mut baselines, day, (0..9000).map(|n| known(1000 * day + n)));
        }
        let standing = |baselines: &mut Baselines, n: u32| {
            let peer = baselines.ladder.peer(from_ip(known(n).0.into()), || unreachable!("it was met"));
            (baselines.standing(0, &Observation { peer, port: 443, protocol: 6, ..Observation::default() }), peer)
        };
        assert_eq!((n_before, standing(&mut baselines, 7).0), (20, Standing::Settled));
        let (gone, peer) = standing(&mut baselines, 3000);
        assert!(matches!(gone, Standing::New(Subject::Network(_))), "it said the least");
        assert!(matches!(standing(&mut baselines, 5 * 1000 + 8999).0, Standing::Watched(Subject::Network(_))));
        let (fleet, rungs) = (baselines.fleet(), baselines.ladder.rungs(peer));
        assert_eq!((fleet.n_owners_knowing(rungs.network), fleet.n_owners_knowing_prefix(rungs.prefix)), (0, 0));
        let baseline = baselines.baseline(0).unwrap();
        let n_each = [baseline.networks.len(), baseline.services.len(), baseline.prefixes.len()];
        assert!(n_each.into_iter().all(|n| n <= MAX_NEWCOMERS + 20), "{n_each:?}");
        let counted = |baselines: &Baselines| {
            let fleet = baselines.fleet();
            (0..9000).map(|n| (fleet.n_owners_knowing(n), fleet.n_owners_knowing_prefix(n))).collect::<Vec<_>>()
        };
        let kept_as_it_goes = counted(&baselines);
        baselines.recount();
        assert!(kept_as_it_goes == counted(&baselines), "derived anew it is the same");
    }

    #[test]
    fn a_record_dated_years_ahead_has_nothing_forgotten_and_days_there_do() {
        let mut baselines = Baselines::default();
        let age = |baselines: &mut Baselines, day: u32| baselines.age(Window((20_000 + day) * WINDOWS_PER_DAY), 90);
        let mut n_known: Vec<usize> = Vec::new();
        for day in [0, 1, 2, 3, 400, 4, 401, 402] {
            let provider = if day < 400 { 1 } else { 2 };
            learn(&mut baselines, day, [([198, provider, 100, 7], 443)].into_iter());
            age(&mut baselines, day);
            n_known.push(baselines.baseline(0).unwrap().networks.len());
        }
        assert_eq!(n_known, [1, 1, 1, 1, 2, 2, 2, 1]);
    }

    #[test]
    fn an_owner_that_is_gone_is_forgotten_and_learned_anew_when_it_is_back() {
        let mut baselines = Baselines::default();
        let there = |baselines: &mut Baselines, owner: &str, days: std::ops::Range<u32>| {
            for day in days {
                learn_of(baselines, owner, day, [([198, 51, 100, 7], 443)].into_iter());
                baselines.age(Window((20_000 + day) * WINDOWS_PER_DAY), 90);
            }
        };
        there(&mut baselines, "api", 0..20);
        there(&mut baselines, "web", 20..115);
        assert!(baselines.baseline(0).unwrap().is_forgotten());
        let stored = crate::store::encode(&baselines).unwrap();
        let loaded = crate::store::decode(&stored).unwrap();
        assert_eq!(loaded.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["web"]);
        there(&mut baselines, "api", 115..116);
        let baseline = baselines.baseline(0).unwrap();
        assert_eq!(baseline.known.unwrap().n_days, 1);
        assert!(
            !baseline.is_ready(Window(20_115 * WINDOWS_PER_DAY), crate::heirs::WarmUp { secs: 7 * 86_400, n_days: 3 })
        );
    }

    #[test]
    fn ports_have_room_and_are_forgotten() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, 0, (0..9000).map(|n| ([203, 0, 113, 7], n as u16 + 1)));
        let baseline = baselines.baseline(0).unwrap();
        assert_eq!(baseline.ports.len(), MAX_PORTS);
        assert!(baseline.knows_port(9999, 6), "of what has no room nothing is new");
        for day in 1..95 {
            learn(&mut baselines, day, [([203, 0, 113, 7], 443)].into_iter());
            baselines.age(Window((20_000 + day) * WINDOWS_PER_DAY), 90);
        }
        let baseline = baselines.baseline(0).unwrap();
        assert_eq!((baseline.ports.len(), baseline.knows_port(443, 6), baseline.knows_port(80, 6)), (1, true, false));
    }
}
