//! Bounds: what is forgotten with time, and how much of one owner is kept at all.
//!
//! Time forgets what was silent for the days of memory ([`Baseline::age`]). Within that time a scanner in a function
//! can reach more than is worth remembering: a million ports, every address of a cloud. So each owner has room for so
//! many entries on each rung; on a rung that is full nothing is new any more, and nothing more is kept of it. That it
//! came so far is told long before: by the scan.

use crate::baseline::Baseline;
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

    /// Whether as many newcomers are watched as there is room for.
    pub(crate) fn is_watch_full(&self) -> bool {
        self.newcomers.len() >= MAX_NEWCOMERS
    }

    /// Puts something new under watch; where there are too many newcomers, half of them are watched no longer.
    pub(crate) fn watch(&mut self, ladder: &Ladder, subject: Subject, window: Window) {
        self.newcomers.put(subject, Watched::taken_out(window));
        if self.newcomers.len() > MAX_NEWCOMERS {
            self.thin_newcomers(ladder);
        }
    }

    /// Lets go of the newcomers that say the least: ports before prefixes before networks, what was told last, what was
    /// met in the fewest windows and the longest ago first.
    fn thin_newcomers(&mut self, ladder: &Ladder) {
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
        let gone: std::collections::BTreeSet<Subject> = ranked.into_iter().map(|(_, subject)| subject).collect();
        self.newcomers.retain(|subject, _| !gone.contains(subject));
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
    use crate::ladder::{Network, from_ip};
    use crate::newcomer::Circumstances;
    use crate::observation::Observation;
    use crate::standing::Standing;

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
        baselines.follow(owner, window, &rows, |_, _, _| Circumstances::default());
        baselines.learn(owner, window, &rows);
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
