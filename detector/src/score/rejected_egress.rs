//! `rejected-egress`: attempts that a security group or network ACL refused, to destinations nothing explains.
//!
//! Why it matters: the call-out failed this time, and says what was tried. A refused attempt is not the function's daily
//! work, which somebody allowed. False positives: a rule removed by mistake: known destinations do not count.

use baselines::baseline::Standing;
use baselines::ladder::is_private;
use baselines::newcomer::Contacted;

use super::Check;
use super::oddity::{Oddity, Topic};
use super::view::View;
use crate::finding::{CheckId, Evidence, Quantity};

/// Bans for a refused attempt at a newcomer, on top of what its novelty says.
const NEWCOMER_BANS: f64 = 0.8;

/// Bans for refused attempts at an unknown address of a network that is known, and for each doubling of attempts.
const STRANGER_BANS: f64 = 1.2;
const DOUBLING_BANS: f64 = 0.2;
/// Bans at the most.
const MOST_BANS: f64 = 2.5;

/// The check.
pub(super) struct RejectedEgress;

impl Check for RejectedEgress {
    fn id(&self) -> CheckId {
        CheckId::RejectedEgress
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let mut out: Vec<Oddity> = Vec::new();
        for (row, found) in view.rows().filter(|(row, _)| row.n_rejected > 0 && row.n_flows == 0) {
            if view.baseline.destination_of(found).is_some() && found.standing == Standing::Settled {
                continue;
            }
            let (topic, base) = match found.standing {
                Standing::New(subject) | Standing::Watched(subject) => {
                    let newcomer = view.open.get(subject);
                    if !newcomer.is_some_and(|newcomer| view.was_met_ready(newcomer)) {
                        continue;
                    }
                    (Topic::Newcomer(subject), NEWCOMER_BANS)
                }
                Standing::Settled => (Topic::Peer(row.peer), STRANGER_BANS),
            };
            let bans = (base + f64::from(row.n_rejected).log2() * DOUBLING_BANS).min(MOST_BANS);
            let inside = if is_private(view.rungs(row.peer).address) { " inside the VPC" } else { "" };
            out.push(Oddity {
                check: CheckId::RejectedEgress,
                topic,
                bans,
                severity: 5.0,
                evidence: vec![Evidence {
                    check: CheckId::RejectedEgress,
                    measure: "rejected_flows",
                    observed: Quantity::Flows(f64::from(row.n_rejected)),
                    expected: Quantity::Flows(0.0),
                    surprise: bans,
                    statement: format!(
                        "{} refused attempt{} to reach {}{inside}, which this function never used",
                        row.n_rejected,
                        if row.n_rejected == 1 { "" } else { "s" },
                        view.destination_words(row.peer, row.port),
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
