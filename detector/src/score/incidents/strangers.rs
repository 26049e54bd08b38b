//! Strangers: who else is under a finding about the same network.
//!
//! What is under a finding makes nothing familiar, so a call-out from ten functions at once is as new to the tenth as
//! to the first. Whoever reads one of the ten findings should know of the others.

use std::collections::{BTreeMap, BTreeSet};

use baselines::Baselines;
use baselines::heirs::{functions, is_function};
use baselines::newcomer::Subject;
use baselines::window::Window;

use super::Incident;
use crate::amounts::count;
use crate::finding::{CheckId, Evidence, Quantity};
use crate::score::oddity::Topic;
use crate::score::subject_words;

/// The strangers that functions were told to call.
#[derive(Debug, Default)]
pub(super) struct Strangers(BTreeMap<Subject, Callers>);

/// Who was told to call one.
#[derive(Debug, Default)]
struct Callers {
    /// When the first incident of each function began.
    first: BTreeMap<Box<str>, Window>,
    /// The same times, sorted: a roll-out may have every function call, and each of them is asked about.
    sorted: Vec<Window>,
}

impl Callers {
    /// How many others had called up to a window.
    fn others(&self, own: &BTreeSet<&str>, until: Window) -> usize {
        let n_own = own.iter().filter(|name| self.first.get(**name).is_some_and(|first| *first <= until)).count();
        self.sorted.partition_point(|first| *first <= until).saturating_sub(n_own)
    }
}

impl Strangers {
    pub(super) fn of<'a>(incidents: impl Iterator<Item = &'a Incident>, baselines: &Baselines) -> Self {
        let mut out: BTreeMap<Subject, Callers> = BTreeMap::new();
        for incident in incidents {
            let owner = baselines.owners.name(incident.owner);
            for stranger in strangers(incident) {
                let callers = out.entry(stranger).or_default();
                for function in functions(&owner) {
                    let first = callers.first.entry(function.into()).or_insert(incident.first);
                    *first = incident.first.min(*first);
                }
            }
        }
        for callers in out.values_mut() {
            callers.sorted = callers.first.values().copied().collect();
            callers.sorted.sort_unstable();
        }
        Self(out)
    }

    /// How many other functions had called the stranger that most of them had called, up to when the incident, of some
    /// owners and told by a check, last showed; `None` where it was alone.
    pub(super) fn elsewhere(
        &self,
        incident: &Incident,
        owners: &[u32],
        check: CheckId,
        baselines: &Baselines,
    ) -> Option<Evidence> {
        let names: Vec<_> = owners.iter().map(|&owner| baselines.owners.name(owner)).collect();
        let own: BTreeSet<&str> = names.iter().flat_map(|name| functions(name)).collect();
        let others = |stranger: Subject| {
            let n = self.0.get(&stranger).map_or(0, |callers| callers.others(&own, incident.last));
            (n, subject_words(&baselines.ladder, stranger))
        };
        let (n, stranger) = strangers(incident).into_iter().map(others).max()?;
        let noun = if own.iter().all(|name| is_function(name)) { "other function" } else { "other interface" };
        let have = if n == 1 { "has a finding" } else { "have findings" };
        (n > 0).then(|| Evidence {
            check,
            measure: "functions_with_findings",
            observed: Quantity::Functions(n as f64),
            expected: Quantity::Functions(0.0),
            surprise: 0.0,
            statement: format!("{} {have} about {stranger} too", count(n as u64, noun)),
        })
    }
}

/// The networks, and the prefixes of known ones, that an incident is about.
fn strangers(incident: &Incident) -> BTreeSet<Subject> {
    let stranger = |topic: &Topic| match *topic {
        Topic::Newcomer(Subject::Network(network) | Subject::Service(network, ..)) => Some(Subject::Network(network)),
        Topic::Newcomer(prefix @ Subject::Prefix(_)) => Some(prefix),
        Topic::Service(..) | Topic::Peer(_) | Topic::Owner => None,
    };
    incident.topics.iter().filter_map(stranger).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Fingerprint;
    use baselines::ladder::Network;

    #[test]
    fn functions_that_called_the_same_stranger_are_counted_once_each() {
        let mut baselines = Baselines::default();
        let network = baselines.ladder.network(&Network { key: "AS64500".into(), label: "AS64500 Example".into() });
        let mut told = |name: &str, first: u32, last: u32| {
            let name = name.split(',').map(|name| format!("arn:{name}")).collect::<Vec<_>>().join(",");
            let topics = BTreeSet::from([Topic::Newcomer(Subject::Service(network, 443, 6))]);
            let owner = baselines.owner(&name);
            Incident { topics, last: Window(last), ..Incident::new(Fingerprint(1), owner, Window(first)) }
        };
        let all =
            [told("api", 5, 9), told("api,maps", 6, 9), told("maps", 7, 7), told("web", 9, 20), told("late", 10, 10)];
        let strangers = Strangers::of(all.iter(), &baselines);
        let of = |strangers: &Strangers, incident: &Incident| {
            let told = strangers.elsewhere(incident, &[incident.owner], CheckId::Beacon, &baselines);
            told.map(|evidence| (evidence.observed, evidence.statement))
        };
        let elsewhere = |incident: &Incident| of(&strangers, incident);
        let told = |n: f64, words: &str| Some((Quantity::Functions(n), format!("{words} about AS64500 Example too")));
        assert_eq!(elsewhere(&all[0]), told(2.0, "2 other functions have findings"));
        assert_eq!(elsewhere(&all[1]), told(1.0, "1 other function has a finding"));
        assert_eq!(elsewhere(&all[2]), told(1.0, "1 other function has a finding"));
        assert_eq!(of(&Strangers::of(all[..1].iter(), &baselines), &all[0]), None, "alone");
    }
}
