//! Accepting: what stands under a finding becomes known, because a person said so.
//!
//! Takes a finding's id; gives what it held back. What is under a finding is otherwise never learned as normal
//! ([`crate::newcomer::Newcomer::has_settled`]).

use std::collections::BTreeMap;

use crate::baseline::ServiceKey;
use crate::baselines::Baselines;
use crate::known::{Totals, Volumes};
use crate::ladder::Ladder;
use crate::newcomer::{Contacted, Newcomer, Subject};

/// Something a finding held back, known from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whose it is: number of the owner.
    pub owner: u32,
    /// The rung.
    pub subject: Subject,
}

impl Baselines {
    /// Makes everything under a finding known: it is watched no longer, and what is exchanged with it from now on
    /// enters the distributions, as does what was: who accepts a call accepts the next one of its size. Gives what that
    /// was, sorted; nothing when the id holds nothing back.
    ///
    /// Numbers of newcomers given before are void afterwards.
    pub fn accept(&mut self, finding: u128) -> Vec<Accepted> {
        let mut accepted: Vec<Accepted> = self
            .watched()
            .filter(|(.., newcomer)| finding != 0 && newcomer.finding() == finding)
            .map(|(owner, subject, _)| Accepted { owner, subject })
            .collect();
        if accepted.is_empty() {
            return accepted;
        }
        for baseline in &mut self.of_owner {
            let held: Vec<Newcomer> = baseline
                .newcomers
                .iter()
                .filter(|(_, newcomer)| newcomer.finding() == finding)
                .map(|(_, newcomer)| newcomer.open())
                .collect();
            for (key, volumes) in held.iter().flat_map(|newcomer| sent(&self.ladder, newcomer)) {
                baseline.volumes.merge(&volumes);
                if let Some(service) = baseline.services.get_mut(&key) {
                    service.volumes.merge(&volumes);
                }
            }
            baseline.newcomers.retain(|_, newcomer| newcomer.finding() != finding);
        }
        self.accepted.insert(finding);
        self.recount();
        accepted.sort_unstable_by_key(|one| (one.owner, one.subject));
        accepted
    }

    /// The findings that were accepted.
    pub fn accepted(&self) -> impl Iterator<Item = u128> {
        self.accepted.iter().copied()
    }

    /// Whether a finding was accepted before.
    pub fn is_accepted(&self, finding: u128) -> bool {
        self.accepted.contains(&finding)
    }
}

/// What was exchanged with a newcomer, by port of its network, in the latest windows: each window's share is that of
/// its records.
fn sent(ladder: &Ladder, newcomer: &Newcomer) -> BTreeMap<ServiceKey, Volumes> {
    let mut by_service: BTreeMap<ServiceKey, Contacted> = BTreeMap::new();
    for destination in &newcomer.destinations {
        let key = (ladder.rungs(destination.peer).network, destination.port, destination.protocol);
        by_service.entry(key).or_default().add(destination);
    }
    let share = |amount: u64, n: u32| -> u64 {
        let share = (u128::from(amount) * u128::from(n)).checked_div(newcomer.n_flows.into());
        share.and_then(|share| share.try_into().ok()).unwrap_or(0)
    };
    let volumes = |all: Contacted| {
        let mut volumes = Volumes::default();
        for &(window, n) in &newcomer.counts {
            let totals = Totals {
                n_flows: share(all.n_flows, n) as u32,
                bytes_out: share(all.bytes_out, n),
                bytes_in: share(all.bytes_in, n),
                ..Totals::default()
            };
            volumes.add(window, &totals);
        }
        volumes
    };
    by_service.into_iter().map(|(key, all)| (key, volumes(all))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::observation::Observation;
    use crate::standing::Standing;
    use crate::testing::{MEMORY_DAYS, Mode, START, Told, learn, learned};
    use crate::window::{WINDOWS_PER_DAY, Window};

    use super::*;

    fn told(day: u32, network: u8, is_odd: bool) -> Told {
        let window = day * WINDOWS_PER_DAY + 60;
        Told { window, owner: 1, to: (network, 0, 1), port: 443, n_flows: 3, bytes: 5000, ports: (1, 1), is_odd }
    }

    /// A function with one habit and, from the fourth day on, two strangers under one finding each.
    fn baselines() -> Baselines {
        let mut days: Vec<Told> = (0..8).map(|day| told(day, 1, false)).collect();
        days.extend([told(4, 2, true), told(5, 2, false), told(6, 3, true)]);
        days.sort();
        learned(&days, Mode::Watch)
    }

    fn standing(baselines: &mut Baselines, network: u8) -> Standing {
        let peer = baselines.ladder.peer(told(0, network, false).address(), || told(0, network, false).network());
        baselines.standing(0, &Observation { peer, port: 443, protocol: 6, ..Observation::default() })
    }

    /// The findings that hold something back, each once.
    fn open_findings(baselines: &Baselines) -> Vec<u128> {
        let ids: BTreeSet<u128> = baselines.watched().map(|(.., newcomer)| newcomer.finding()).collect();
        ids.into_iter().filter(|&id| id != 0).collect()
    }

    #[test]
    fn what_is_accepted_is_known_and_nothing_else() {
        let mut baselines = baselines();
        let [first, second] = open_findings(&baselines)[..] else { panic!("two findings hold something back") };
        assert_eq!(baselines.accept(first).len(), 1);
        assert_eq!(standing(&mut baselines, 2), Standing::Settled);
        assert!(matches!(standing(&mut baselines, 3), Standing::Watched(Subject::Network(_))));
        assert_eq!((baselines.is_accepted(first), baselines.is_accepted(second)), (true, false));
        assert_eq!(open_findings(&baselines), [second]);
        let stored = crate::store::encode(&baselines).expect("it fits");
        assert!(crate::store::decode(&stored).expect("as written").is_accepted(first), "it is stored");
    }

    #[test]
    fn accepting_twice_or_nothing_changes_nothing() {
        let mut baselines = baselines();
        let first = open_findings(&baselines)[0];
        baselines.accept(first);
        let after = crate::testing::dump(&baselines);
        assert_eq!((baselines.accept(first), baselines.accept(77), baselines.accept(0)), (vec![], vec![], vec![]));
        assert_eq!(crate::testing::dump(&baselines), after);
        assert!(!baselines.is_accepted(77) && !baselines.is_accepted(0));
    }

    #[test]
    fn what_was_accepted_enters_the_distributions_and_stays_known() {
        let mut baselines = baselines();
        let before = baselines.baseline(0).map(|baseline| baseline.volumes.window_bytes().n());
        let first = open_findings(&baselines)[0];
        baselines.accept(first);
        learn(&mut baselines, &[told(9, 2, false), told(10, 2, false)], Mode::Watch);
        baselines.age(Window(START.0 + 11 * WINDOWS_PER_DAY), MEMORY_DAYS);
        assert_eq!(standing(&mut baselines, 2), Standing::Settled);
        assert!(baselines.baseline(0).map(|baseline| baseline.volumes.window_bytes().n()) > before);
    }

    #[test]
    fn what_was_sent_under_the_finding_enters_the_distributions() {
        let mut baselines = baselines();
        let first = open_findings(&baselines)[0];
        let key = (1, 443, 6);
        let bytes = |baselines: &Baselines| {
            let volumes = &baselines.baseline(0).unwrap().services.get(&key).unwrap().volumes;
            volumes.window_bytes().max().max(volumes.open_window.1.bytes_out)
        };
        assert_eq!(bytes(&baselines), 0);
        baselines.accept(first);
        assert_eq!(bytes(&baselines), 5000, "that of a window, not of both");
    }
}
