//! Changes: whose baseline a run changed by a lot, so that nobody is led to a new normal without being told.
//!
//! A function is looked at when it is first ready in the run, or at the run's beginning if it was ready before, and
//! again at the end. What is under a finding or still watched is no part of its normal and does not count.

use std::collections::BTreeMap;

use baselines::Baselines;
use baselines::distribution::Distribution;
use baselines::heirs::WarmUp;
use baselines::newcomer::Subject;
use baselines::window::Window;

use super::details::short_names;
use crate::coverage::{Change, Measure};

/// Changes told; the largest come first.
const MAX_CHANGES: usize = 20;

/// Factor, and number more, from which networks and prefixes count as a large change. A function that meets a network a
/// week stays below; prefixes wander, so more of them are needed.
const NETWORKS: (u64, u64) = (2, 5);
/// See [`NETWORKS`].
const PREFIXES: (u64, u64) = (4, 20);

/// Factor by which a typical day must send more, and the bytes below which nobody cares.
const DAY_BYTES: (u64, u64) = (4, 1 << 20);

/// Days before, and days after, that make a typical one.
const MIN_DAYS: u64 = 3;

/// What was known of an owner at a time.
#[derive(Clone, Debug, Default)]
struct Extent {
    at: i64,
    n_networks: u64,
    n_prefixes: u64,
    day_bytes: Distribution,
}

/// What was known of each owner when it was first looked at.
#[derive(Debug, Default)]
pub(super) struct Changes {
    before: BTreeMap<u32, Extent>,
}

impl Changes {
    /// Looks at those that are ready at the beginning of a day and were not before.
    pub(super) fn note(&mut self, baselines: &Baselines, now: Window, warm_up: WarmUp) {
        let is_new = |owner: u32| {
            let baseline = baselines.baseline(owner);
            !self.before.contains_key(&owner) && baseline.is_some_and(|b| b.is_ready(now, warm_up))
        };
        let ready: Vec<u32> = (0..baselines.owners.len() as u32).filter(|&owner| is_new(owner)).collect();
        if !ready.is_empty() {
            let mut extents = extents(baselines, now);
            self.before.extend(ready.into_iter().map(|owner| (owner, extents.remove(&owner).unwrap_or_default())));
        }
    }

    /// What changed by a lot since, the largest factor first, at most [`MAX_CHANGES`].
    pub(super) fn finish(self, baselines: &Baselines) -> Vec<Change> {
        if self.before.is_empty() {
            return Vec::new();
        }
        let mut after = extents(baselines, Window(0));
        let mut changes: Vec<Change> = Vec::new();
        for (owner, before) in self.before {
            let after = after.remove(&owner).unwrap_or_default();
            let mut tell = |measure: Measure, before_n: u64, after_n: u64| {
                let function = short_names(&baselines.owners.name(owner));
                changes.push(Change { function, measure, before: before_n, after: after_n, since: before.at });
            };
            let has_grown = |(factor, more): (u64, u64), before: u64, after: u64| {
                after >= before.saturating_mul(factor) && after >= before + more
            };
            if has_grown(NETWORKS, before.n_networks, after.n_networks) {
                tell(Measure::Networks, before.n_networks, after.n_networks);
            }
            if has_grown(PREFIXES, before.n_prefixes, after.n_prefixes) {
                tell(Measure::Prefixes, before.n_prefixes, after.n_prefixes);
            }
            let since = without(&after.day_bytes, &before.day_bytes);
            let (typical, now) = (before.day_bytes.value_at(0.5), since.value_at(0.5));
            if before.day_bytes.n() >= MIN_DAYS && since.n() >= MIN_DAYS && has_grown(DAY_BYTES, typical, now) {
                tell(Measure::DayBytes, typical, now);
            }
        }
        let factor = |change: &Change| change.after as f64 / change.before.max(1) as f64;
        changes.sort_by(|a, b| {
            factor(b).total_cmp(&factor(a)).then_with(|| (&a.function, a.measure).cmp(&(&b.function, b.measure)))
        });
        changes.truncate(MAX_CHANGES);
        changes
    }
}

/// What is normal for each owner now.
fn extents(baselines: &Baselines, now: Window) -> BTreeMap<u32, Extent> {
    let mut extents: BTreeMap<u32, Extent> = BTreeMap::new();
    for ((_, baseline), owner) in baselines.iter().zip(0..) {
        let is_watched = |subject: Subject| baseline.is_watched(subject);
        let networks = baseline.networks().filter(|&network| !is_watched(Subject::Network(network)));
        let prefixes =
            baseline.prefixes().map(|(prefix, known)| (prefix, known.network)).filter(|&(prefix, network)| {
                !is_watched(Subject::Prefix(prefix)) && !is_watched(Subject::Network(network))
            });
        let extent = Extent {
            at: now.start(),
            n_networks: networks.count() as u64,
            n_prefixes: prefixes.count() as u64,
            day_bytes: baseline.volumes.day_bytes().detached(),
        };
        extents.insert(owner, extent);
    }
    extents
}

/// What was counted since an earlier state of a distribution.
fn without(after: &Distribution, before: &Distribution) -> Distribution {
    let earlier: BTreeMap<u64, u64> = before.cells().collect();
    let mut since = Distribution::default();
    for (value, n) in after.cells() {
        for _ in earlier.get(&value).copied().unwrap_or(0)..n {
            since.record(value);
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use baselines::ladder::{Network, from_ip};
    use baselines::observation::Observation;
    use baselines::window::{Day, WINDOWS_PER_DAY};

    use super::*;

    const WARM_UP: WarmUp = WarmUp { secs: 7 * 86_400, n_days: 3 };

    /// Learns days of a function that sends an amount to so many networks each day.
    fn learn(baselines: &mut Baselines, days: std::ops::Range<u32>, n_networks: u8, bytes: u64) {
        let owner = baselines.owner("arn:aws:lambda:eu-west-1:111122223333:function:api");
        for day in days {
            let window = Window((20_000 + day) * WINDOWS_PER_DAY + 60);
            let rows: Vec<Observation> = (0..n_networks)
                .map(|n| {
                    let key: std::sync::Arc<str> = format!("AS{n}").into();
                    let network = || Network { label: std::sync::Arc::clone(&key), key: std::sync::Arc::clone(&key) };
                    let peer = baselines.ladder.peer(from_ip([203, n, 0, 1].into()), network);
                    let bytes_out = bytes / u64::from(n_networks);
                    Observation {
                        owner,
                        peer,
                        port: 443,
                        protocol: 6,
                        window,
                        n_flows: 1,
                        bytes_out,
                        minutes: 1,
                        ..Observation::default()
                    }
                })
                .collect();
            baselines.follow(owner, window, &rows, |_, _, _| baselines::newcomer::Circumstances::default());
            baselines.learn(owner, window, &rows);
            baselines.age(Day(20_001 + day).first_window(), 90);
        }
    }

    fn changes(then: impl FnOnce(&mut Baselines)) -> Vec<Change> {
        let mut baselines = Baselines::default();
        learn(&mut baselines, 0..10, 4, 8_000_000);
        let mut changes = Changes::default();
        let begins = Day(20_010).first_window();
        changes.note(&baselines, begins, WARM_UP);
        then(&mut baselines);
        // Looking again changes nothing: it was looked at.
        changes.note(&baselines, Window(begins.0 + 7 * WINDOWS_PER_DAY), WARM_UP);
        changes.finish(&baselines)
    }

    #[test]
    fn more_of_the_same_is_no_change() {
        assert_eq!(changes(|baselines| learn(baselines, 10..20, 4, 9_000_000)), []);
    }

    #[test]
    fn networks_that_more_than_doubled_are_told_once_they_settled() {
        let told = changes(|baselines| learn(baselines, 10..20, 12, 8_000_000));
        let [change] = &told[..] else { panic!("{told:?}") };
        assert_eq!(
            (change.function.as_str(), change.measure, change.before, change.after),
            ("api", Measure::Networks, 4, 12)
        );
        assert_eq!(change.since, i64::from(20_010) * 86_400);
        assert_eq!(
            changes(|baselines| learn(baselines, 10..12, 12, 8_000_000)),
            [],
            "met on two days, they are watched"
        );
    }

    #[test]
    fn days_that_send_four_times_as_much_are_told() {
        let told = changes(|baselines| learn(baselines, 10..20, 4, 80_000_000));
        assert!(
            matches!(&told[..], [change] if change.measure == Measure::DayBytes && change.after > 9 * change.before)
        );
        assert_eq!(changes(|baselines| learn(baselines, 10..12, 4, 80_000_000)), [], "two days are not typical");
    }

    #[test]
    fn who_is_not_ready_has_no_normal_to_change() {
        let mut baselines = Baselines::default();
        learn(&mut baselines, 0..2, 1, 1000);
        let mut changes = Changes::default();
        changes.note(&baselines, Day(20_002).first_window(), WARM_UP);
        learn(&mut baselines, 2..6, 30, 1 << 40);
        assert_eq!(changes.finish(&baselines), []);
    }
}
