//! `rejected-egress`: attempts that a security group or network ACL refused, to destinations nothing explains.
//!
//! Why it matters: the call-out failed this time, and says what was tried. A refused attempt is not the function's
//! daily work, which somebody allowed. False positives: a rule removed by mistake: known destinations do not count.
//!
//! What was refused was no call. So where all contacts with a newcomer were refused, whatever the checks say of it is
//! this check's word ([`attribute`]).

use baselines::follow::Open;
use baselines::ladder::is_private;
use baselines::newcomer::Contacted;
use baselines::standing::Standing;

use super::oddity::{Oddity, Topic};
use super::view::{View, is_all_refused};
use super::{Check, weight};
use crate::amounts::count;
use crate::finding::{CheckId, Evidence, Quantity};

/// Bans for a refused attempt at a newcomer, on top of what its novelty says.
const NEWCOMER_BANS: f64 = 0.8;

/// Bans for refused attempts at an unknown address of a network that is known, and for each doubling of attempts.
const STRANGER_BANS: f64 = 1.2;
const DOUBLING_BANS: f64 = 0.2;
/// Bans at the most.
const MOST_BANS: f64 = 2.5;

/// Severity: that of a first contact. Nothing left, but something tried.
const SEVERITY: f64 = 5.0;

/// Bans for so many refused attempts, from what one weighs.
fn attempts_bans(base: f64, n_rejected: u64) -> f64 {
    (base + (n_rejected.max(1) as f64).log2() * DOUBLING_BANS).min(MOST_BANS)
}

/// Decides which check speaks where contacts with a newcomer were refused. Moves bans from one check to another; those
/// that the window brought stay as many.
///
/// As long as every contact was refused, everything the checks say becomes one oddity of this check. Once a contact got
/// through, the finding is about a call: what the refusals weigh is added to the loudest of the other checks. If such a
/// newcomer is under a finding and this window refused nothing, what the earlier refusals weigh is added: otherwise
/// this check, which told them, would stay the loudest.
pub(super) fn attribute(open: &Open, topic: Topic, mut oddities: Vec<Oddity>) -> Vec<Oddity> {
    let Topic::Newcomer(subject) = topic else { return oddities };
    let Some(newcomer) = open.get(subject).filter(|newcomer| newcomer.n_rejected > 0) else { return oddities };
    if oddities.is_empty() {
        return oddities;
    }
    let bans = weight(&oddities);
    let at = oddities.iter().position(|oddity| oddity.check == CheckId::RejectedEgress);
    let refused = at.map(|at| oddities.remove(at));
    if is_all_refused(newcomer) {
        let severity = refused.iter().chain(&oddities).map(|oddity| oddity.severity).fold(1.0, f64::max);
        let loud = oddities.iter().filter(|oddity| oddity.bans > 0.0);
        let evidence = refused.iter().chain(loud).flat_map(|oddity| oddity.evidence.clone()).collect();
        // What other checks say holds all that was exchanged, a refusal only what the window adds.
        let destinations = oddities.iter().chain(&refused).flat_map(|oddity| oddity.destinations.clone()).collect();
        return vec![Oddity { check: CheckId::RejectedEgress, topic, bans, severity, evidence, destinations }];
    }
    let Some(loudest) = oddities.iter_mut().filter(|oddity| oddity.bans > 0.0).max_by(|a, b| a.bans.total_cmp(&b.bans))
    else {
        oddities.extend(refused);
        return oddities;
    };
    if let Some(refused) = refused {
        loudest.bans += refused.bans;
        loudest.evidence.extend(refused.evidence);
        loudest.destinations.extend(refused.destinations);
    } else if newcomer.finding != 0 {
        let bans = attempts_bans(NEWCOMER_BANS, newcomer.n_rejected);
        loudest.bans += bans;
        loudest.evidence.push(Evidence {
            check: CheckId::RejectedEgress,
            measure: "rejected_flows",
            observed: Quantity::Flows(newcomer.n_rejected as f64),
            expected: Quantity::Flows(0.0),
            surprise: bans,
            statement: match newcomer.n_rejected {
                1 => "1 attempt to reach it was refused before".to_owned(),
                n => format!("{n} attempts to reach it were refused before"),
            },
        });
    }
    oddities
}

/// The check.
pub(super) struct RejectedEgress;

impl Check for RejectedEgress {
    fn id(&self) -> CheckId {
        CheckId::RejectedEgress
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let mut out: Vec<Oddity> = Vec::new();
        for (row, found) in view.rows().filter(|(row, _)| row.is_refused()) {
            if view.baseline.destination_of(found).is_some() && found.standing == Standing::Settled {
                continue;
            }
            let Some(topic) = view.topic_of(row, found) else { continue };
            let base = if matches!(topic, Topic::Newcomer(_)) { NEWCOMER_BANS } else { STRANGER_BANS };
            let bans = attempts_bans(base, row.n_rejected.into());
            let inside = if is_private(view.rungs(row.peer).address) { " inside the VPC" } else { "" };
            out.push(Oddity {
                check: CheckId::RejectedEgress,
                topic,
                bans,
                severity: SEVERITY,
                evidence: vec![Evidence {
                    check: CheckId::RejectedEgress,
                    measure: "rejected_flows",
                    observed: Quantity::Flows(f64::from(row.n_rejected)),
                    expected: Quantity::Flows(0.0),
                    surprise: bans,
                    statement: format!(
                        "{} in ten minutes to reach {}{inside}, new to this {}",
                        count(row.n_rejected.into(), "refused attempt"),
                        view.destination_words(row),
                        view.owner_word(),
                    ),
                }],
                destinations: vec![Contacted::of(row)],
            });
        }
        // Of several attempts at one topic the strongest speaks; the others lend it their destinations.
        out.sort_by(|a, b| a.topic.cmp(&b.topic).then(b.bans.total_cmp(&a.bans)));
        out.dedup_by(|next, first| {
            let same = next.topic == first.topic;
            if same {
                first.destinations.append(&mut next.destinations);
            }
            same
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use baselines::Baselines;
    use baselines::newcomer::{Circumstances, Subject};
    use baselines::observation::Observation;
    use baselines::window::Window;

    use super::*;

    const SUBJECT: Subject = Subject::Network(0);

    fn word(check: CheckId, bans: f64) -> Oddity {
        let topic = Topic::Newcomer(SUBJECT);
        Oddity { check, topic, bans, severity: bans, evidence: Vec::new(), destinations: Vec::new() }
    }

    /// The words that are left of some, about a newcomer with so many records sent and refused.
    fn attributed(n_flows: u32, n_rejected: u32, words: &[(CheckId, f64)]) -> Vec<(CheckId, f64)> {
        let mut baselines = Baselines::default();
        let owner = baselines.owner("f");
        let network = || baselines::ladder::Network { key: "AS1".into(), label: "AS1 One".into() };
        let peer = baselines.ladder.peer(1, network);
        let window = Window(600);
        let row = Observation { peer, port: 443, protocol: 6, window, n_flows, n_rejected, ..Observation::default() };
        let (fleet, mut own) = baselines.side_by_side([owner]);
        let found = [own[0].find(fleet.ladder, &row)];
        let mut open = Open::default();
        own[0].follow(fleet.ladder, window, &[row], &found, &mut open, |_, _, _| Circumstances::default());
        let words = words.iter().map(|&(check, bans)| word(check, bans)).collect();
        let left = attribute(&open, Topic::Newcomer(SUBJECT), words);
        left.into_iter().map(|oddity| (oddity.check, oddity.bans)).collect()
    }

    #[test]
    fn what_was_refused_is_no_call() {
        use CheckId::{Beacon, NewDestination, RejectedEgress};
        assert_eq!(
            attributed(0, 4, &[(NewDestination, 1.5), (Beacon, 0.5), (RejectedEgress, 1.0)]),
            [(RejectedEgress, 3.0)]
        );
        assert_eq!(attributed(0, 4, &[(NewDestination, 1.5)]), [(RejectedEgress, 1.5)]);
    }

    #[test]
    fn what_got_through_is_one() {
        use CheckId::{Beacon, NewDestination, RejectedEgress};
        let words = [(NewDestination, 1.5), (Beacon, 0.5), (RejectedEgress, 1.0)];
        assert_eq!(attributed(1, 4, &words), [(NewDestination, 2.5), (Beacon, 0.5)]);
        assert_eq!(
            attributed(1, 4, &[(NewDestination, 0.0), (RejectedEgress, 1.0)]),
            [(NewDestination, 0.0), (RejectedEgress, 1.0)]
        );
        assert_eq!(attributed(1, 0, &words[..2]), words[..2]);
        assert_eq!(attributed(0, 4, &[]), []);
    }
}
