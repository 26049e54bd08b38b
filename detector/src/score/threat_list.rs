//! `threat-list`: a destination on a list the user supplied.
//!
//! Judged at once, without warm-up: the list's word needs no past. Only call-outs are compared: a scanner on the list
//! that knocked and got an answer is no destination.

use std::collections::BTreeMap;

use baselines::newcomer::Contacted;

use super::Check;
use super::oddity::{Oddity, Topic};
use super::view::View;
use crate::finding::{CheckId, Evidence, Quantity};

/// Bans of a match: told whatever else is known.
const BANS: f64 = 4.0;

/// Severity: High, since somebody has looked into the address already.
const SEVERITY: f64 = 8.0;

/// The check.
pub(super) struct ThreatList;

impl Check for ThreatList {
    fn id(&self) -> CheckId {
        CheckId::ThreatList
    }

    fn judges_learning(&self) -> bool {
        true
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        if !view.facts.has_threat_lists() {
            return Vec::new();
        }
        let mut by_peer: BTreeMap<u32, Oddity> = BTreeMap::new();
        for row in view.rows {
            let Some(list) = view.facts.threat_list(view.rungs(row.peer).address) else { continue };
            let oddity = by_peer.entry(row.peer).or_insert_with(|| Oddity {
                check: CheckId::ThreatList,
                topic: Topic::Peer(row.peer),
                bans: BANS,
                severity: SEVERITY,
                evidence: vec![Evidence {
                    check: CheckId::ThreatList,
                    measure: "threat_list_matches",
                    observed: Quantity::Peers(1.0),
                    expected: Quantity::Peers(0.0),
                    surprise: BANS,
                    statement: format!("{} is on the list `{list}`", view.destination_words(row)),
                }],
                destinations: Vec::new(),
            });
            oddity.destinations.push(Contacted::of(row));
        }
        by_peer.into_values().collect()
    }
}
