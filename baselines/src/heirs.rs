//! Heirs: owners that are new by name only.
//!
//! Functions that share an interface are one owner. When a function joins or leaves, the owner has another name, and
//! nothing is known under that name, though nearly all it does has been seen for months. So it begins with the past of
//! the owners it comes from: for each of its functions, the owner that had this function and was active last.
//!
//! One of its functions may come from no owner with enough of a past. What that one brings has to be learned. Then the
//! owner is judged after a few active days of its own, not after the whole warm-up: where functions join often, nothing
//! would ever be judged otherwise.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::baseline::{Baseline, Learned};
use crate::baselines::Baselines;
use crate::names::Names;
use crate::window::{Day, Window};

/// Whether an owner's name names functions; else it is an interface's id.
pub fn is_function(owner: &str) -> bool {
    owner.starts_with("arn:")
}

/// The functions that an owner's name names.
pub fn functions(owner: &str) -> impl Iterator<Item = &str> {
    owner.split(',')
}

/// Of an owner observed for so long one active day less suffices: a job that runs weekly has shown twice what it does,
/// and would show it for a third week unwatched.
const SELDOM_SECS: i64 = 10 * 86_400;

/// What an owner must have been observed for to be judged by its behaviour.
#[derive(Clone, Copy, Debug)]
pub struct WarmUp {
    /// Since its first window.
    pub secs: i64,
    /// Days on which it was active.
    pub n_days: u32,
}

impl Baseline {
    /// Whether it was observed long enough to be judged by its behaviour: for the warm-up, or, where it began with
    /// another's past, on as many days as that asks for.
    pub fn is_ready(&self, now: Window, warm_up: WarmUp) -> bool {
        self.known.is_some_and(|known| self.was_ready(now, known.n_days, warm_up))
    }

    /// Whether it had been observed long enough at a time, having been active on `n_days` by then.
    pub fn was_ready(&self, at: Window, n_days: u32, warm_up: WarmUp) -> bool {
        self.known.is_some_and(|known| {
            let age = at.start() - known.first.start();
            let is_warm = age >= warm_up.secs;
            let n_needed = warm_up.n_days.saturating_sub(u32::from(age >= SELDOM_SECS));
            n_days >= n_needed && (is_warm || self.has_past(known.first.min(at).day(), warm_up))
        })
    }

    /// Whether what was seen before a day suffices to be judged by.
    fn has_past(&self, before: Day, warm_up: WarmUp) -> bool {
        let n_days = self.diary.partition_point(|entry| entry.day < before);
        let is_long = |first: Day| before.first_window().start() - first.first_window().start() >= warm_up.secs;
        n_days >= warm_up.n_days as usize && self.diary.first().is_some_and(|first| is_long(first.day))
    }

    /// Whether nothing was learned.
    fn is_blank(&self) -> bool {
        self.known.is_none() && self.diary.is_empty()
    }
}

/// The owners that each function is one of, as far as they were noted.
#[derive(Debug, Default)]
pub struct Memberships {
    owners_of: HashMap<Box<str>, Vec<u32>>,
    n_noted: u32,
}

impl Memberships {
    fn note(&mut self, owners: &Names) {
        let n = owners.len() as u32;
        for owner in self.n_noted..n {
            for function in functions(&owners.name(owner)) {
                self.owners_of.entry(function.into()).or_default().push(owner);
            }
        }
        self.n_noted = n;
    }
}

impl Baselines {
    /// Has an owner of which nothing was learned begin with the past of those it comes from, as far as that suffices to
    /// be judged by; gives their numbers, in the order of their names.
    pub fn inherit(&mut self, owner: u32, today: Day, warm_up: WarmUp, memberships: &mut Memberships) -> Vec<u32> {
        if !self.baseline(owner).is_some_and(Baseline::is_blank) {
            return Vec::new();
        }
        memberships.note(&self.owners);
        let name = self.owners.name(owner);
        let donor_of = |function| {
            let owners = memberships.owners_of.get(function).into_iter().flatten().copied();
            let has_past = |donor: &u32| self.baseline(*donor).is_some_and(|past| past.has_past(today, warm_up));
            owners.filter(has_past).max_by_key(|&donor| {
                let (name, known) = (self.owners.name(donor), self.baseline(donor).and_then(|past| past.known));
                (known.map(|known| known.last), Reverse(functions(&name).count()), Reverse(name))
            })
        };
        let donors: Vec<Option<u32>> = functions(&name).map(donor_of).collect();
        let mut from: Vec<u32> = donors.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        from.sort_by_key(|&donor| self.owners.name(donor));
        let mut past = Baseline::default();
        for donor in from.iter().filter_map(|&donor| self.baseline(donor)) {
            past.merge(donor, self.ladder.networks());
        }
        if donors.iter().any(Option::is_none) {
            past.known = None;
        }
        let (networks, prefixes) = (past.familiar_networks().collect(), past.familiar_prefixes().collect());
        if let Some(baseline) = self.baseline_mut(owner).filter(|_| !from.is_empty()) {
            *baseline = past;
            self.note(&Learned { networks, prefixes, ..Learned::default() });
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::{Network, from_ip};
    use crate::newcomer::{Circumstances, Subject};
    use crate::observation::Observation;
    use crate::standing::Standing;
    use crate::window::WINDOWS_PER_DAY;

    const WARM_UP: WarmUp = WarmUp { secs: 7 * 86_400, n_days: 3 };

    fn at(day: u32) -> Window {
        Window((20_000 + day) * WINDOWS_PER_DAY)
    }

    /// A row to a host of a network of its own.
    fn row(baselines: &mut Baselines, network: u8, window: Window) -> Observation {
        let key = || Network { key: format!("AS{network}").into(), label: format!("AS{network}").into() };
        let peer = baselines.ladder.peer(from_ip([203, network, 113, 7].into()), key);
        Observation { peer, port: 443, protocol: 6, window, n_flows: 1, bytes_out: 900, ..Observation::default() }
    }

    /// Has an owner call some networks once a day.
    fn learn(baselines: &mut Baselines, name: &str, days: std::ops::Range<u32>, networks: &[u8]) -> u32 {
        let owner = baselines.owner(name);
        for day in days {
            let rows: Vec<Observation> = networks.iter().map(|&network| row(baselines, network, at(day))).collect();
            baselines.follow(owner, at(day), &rows, |_, _, _| Circumstances::default());
            baselines.learn(owner, at(day), &rows);
        }
        owner
    }

    /// Has an owner begin on a day; gives its number and the names of those it comes from.
    fn begin(baselines: &mut Baselines, name: &str, day: u32) -> (u32, Vec<String>) {
        let owner = baselines.owner(name);
        let from = baselines.inherit(owner, at(day).day(), WARM_UP, &mut Memberships::default());
        (owner, from.into_iter().map(|donor| baselines.owners.name(donor).to_string()).collect())
    }

    #[test]
    fn who_runs_weekly_is_judged_from_its_third_run_on() {
        let mut baselines = Baselines::default();
        let (weekly, short) = (baselines.owner("weekly"), baselines.owner("short"));
        for day in [0, 7] {
            learn(&mut baselines, "weekly", day..day + 1, &[1]);
            learn(&mut baselines, "short", day / 7..day / 7 + 1, &[1]);
        }
        let is_ready = |owner| [8, 9, 10, 14].map(|day| is_ready(&baselines, owner, day));
        assert_eq!(is_ready(weekly), [false, false, true, true]);
        assert_eq!(is_ready(short), [false, false, true, true]);
        let once = learn(&mut baselines, "once", 0..1, &[1]);
        assert!(!self::is_ready(&baselines, once, 40), "one run is no habit");
    }

    fn knows(baselines: &mut Baselines, owner: u32, network: u8) -> bool {
        let row = row(baselines, network, at(99));
        !matches!(baselines.standing(owner, &row), Standing::New(_))
    }

    fn is_ready(baselines: &Baselines, owner: u32, day: u32) -> bool {
        baselines.baseline(owner).unwrap().is_ready(at(day), WARM_UP)
    }

    #[test]
    fn those_that_stay_when_one_leaves_go_on_as_before() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, "api,maps", 0..10, &[1, 2]);
        let (api, from) = begin(&mut baselines, "api", 10);
        assert_eq!(from, ["api,maps"]);
        assert!(knows(&mut baselines, api, 1) && knows(&mut baselines, api, 2) && !knows(&mut baselines, api, 3));
        learn(&mut baselines, "api", 10..11, &[1]);
        assert!(is_ready(&baselines, api, 10));
        assert_eq!(begin(&mut baselines, "api", 11).1, [""; 0], "it has a past of its own by now");
    }

    #[test]
    fn with_one_that_joins_what_was_known_stays_and_three_days_are_learned() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, "api", 0..10, &[1]);
        let (both, from) = begin(&mut baselines, "api,maps", 10);
        assert_eq!(from, ["api"]);
        assert!(knows(&mut baselines, both, 1));
        let knowing = |baselines: &Baselines| {
            let fleet = baselines.fleet();
            (fleet.n_owners_knowing(0), fleet.n_owners_knowing_prefix(0))
        };
        assert_eq!(knowing(&baselines), (2, 2));
        baselines.recount();
        assert_eq!(knowing(&baselines), (2, 2), "as derived anew");
        for (day, expected) in [(10, false), (11, false), (12, true)] {
            learn(&mut baselines, "api,maps", day..day + 1, &[1, 2]);
            assert_eq!(is_ready(&baselines, both, day), expected, "on day {day}");
        }
        let baseline = baselines.baseline(both).unwrap();
        assert!(!baseline.was_ready(at(4), 3, WARM_UP), "what the other met in its warm-up was met in one");
        assert!(baseline.was_ready(at(8), 3, WARM_UP));
        let (all, from) = begin(&mut baselines, "api,maps,news", 13);
        assert_eq!(from, ["api,maps"], "the latest of them");
        assert!(knows(&mut baselines, all, 2) && !is_ready(&baselines, all, 13));
    }

    #[test]
    fn two_that_come_together_know_what_both_knew() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, "api", 0..10, &[1]);
        learn(&mut baselines, "maps", 1..11, &[2]);
        learn(&mut baselines, "news", 0..11, &[3]);
        let (both, from) = begin(&mut baselines, "api,maps", 11);
        assert_eq!(from, ["api", "maps"]);
        assert_eq!([1, 2, 3].map(|network| knows(&mut baselines, both, network)), [true, true, false]);
        assert!(is_ready(&baselines, both, 11));
    }

    #[test]
    fn a_wrong_date_does_not_keep_a_function_learning() {
        let mut baselines = Baselines::default();
        let api = learn(&mut baselines, "api", 0..1, &[1]);
        learn(&mut baselines, "api", 200..201, &[1]);
        learn(&mut baselines, "api", 1..8, &[1]);
        assert!(is_ready(&baselines, api, 8));
        assert_eq!(baselines.baseline(api).unwrap().known.map(|known| known.n_days), Some(9));
    }

    #[test]
    fn nothing_comes_of_strangers_or_of_a_short_past() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, "api", 0..6, &[1]);
        assert_eq!(begin(&mut baselines, "api,maps", 6).1, [""; 0]);
        learn(&mut baselines, "api", 6..9, &[1]);
        assert_eq!(begin(&mut baselines, "maps,news", 9).1, [""; 0]);
        assert_eq!(begin(&mut baselines, "api,maps", 9).1, ["api"]);
    }

    #[test]
    fn a_past_is_stored_before_its_heir_was_active_itself() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, "api", 0..10, &[1]);
        begin(&mut baselines, "api,maps", 10);
        let stored = crate::store::encode(&baselines).expect("it fits");
        let loaded = crate::store::decode(&stored).expect("as written");
        assert_eq!(crate::testing::dump(&loaded), crate::testing::dump(&baselines));
    }

    #[test]
    fn what_is_under_a_finding_stays_under_it() {
        let mut baselines = Baselines::default();
        let api = learn(&mut baselines, "api,maps", 0..10, &[1]);
        learn(&mut baselines, "api,maps", 9..10, &[2]);
        baselines.set_finding(api, Subject::Network(1), 7);
        let (heir, _) = begin(&mut baselines, "maps", 10);
        assert_eq!(baselines.baseline(heir).unwrap().finding(Subject::Network(1)), 7);
        assert_eq!(baselines.accept(7).len(), 2, "in both of them");
    }
}
