//! `unusual-resolver`: DNS, DNS over TLS or DNS over HTTPS to a resolver that is not the VPC's.
//!
//! Why it matters: lookups at the VPC's own resolver are not recorded, so any record of port 53 or 853 is a resolver
//! somebody chose, and data leaves in names. A public resolver on 443 hides the same in TLS.
//! False positives: a function that begins to use its own resolver. Known ones are no news, nor are other addresses of
//! a public resolver that is known on the same port: clients take turns among them. Who asks very many resolves names
//! itself, and one more is as new as any host.

use std::collections::BTreeSet;

use baselines::baseline::DestinationKey;
use baselines::ladder::is_private;
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::Observation;
use baselines::standing::Standing;
use baselines::window::Window;

use super::oddity::{Oddity, Topic};
use super::view::View;
use super::{Check, novelty};
use crate::finding::{CheckId, Evidence, Quantity};

/// Ports of DNS and DNS over TLS or QUIC. Source: RFC 1035, RFC 7858, RFC 9250.
const DNS_PORTS: [u16; 2] = [53, 853];

/// Resolvers asked before that make one more no news: a few public ones have two addresses each, in IPv4 and IPv6.
const MANY_RESOLVERS: usize = 32;

/// Bans for a resolver outside, and one inside the VPC.
const OUTSIDE_BANS: f64 = 2.2;
const INSIDE_BANS: f64 = 0.8;

/// Severity of the two: outside, data leaves with every lookup; inside, it is most often a resolver of one's own.
const OUTSIDE_SEVERITY: f64 = 7.4;
const INSIDE_SEVERITY: f64 = 4.5;

/// The check.
pub(super) struct UnusualResolver;

impl Check for UnusualResolver {
    fn id(&self) -> CheckId {
        CheckId::UnusualResolver
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        let mut out = Vec::new();
        for (row, found) in view.rows() {
            let is_dns = DNS_PORTS.contains(&row.port);
            if !is_dns && row.port != 443 {
                continue;
            }
            // Known after its first day, whosever it is: nearly all are.
            let known = view.baseline.destination_of(found);
            let is_old = known.is_some_and(|known| known.known.first.day() < view.window.day());
            if found.standing == Standing::Settled && is_old {
                continue;
            }
            let address = view.rungs(row.peer).address;
            let operator = view.facts.public_resolver(address);
            if !is_dns && operator.is_none() || view.knows_operator(row.peer, row.port) {
                continue;
            }
            let Some(topic) = view.topic_of(row, found) else { continue };
            let n_before = n_asked_before(view, row, known.map_or(row.window, |known| known.known.first));
            if n_before >= MANY_RESOLVERS {
                continue;
            }
            let inside = is_private(address);
            let bans = if inside { INSIDE_BANS } else { OUTSIDE_BANS };
            let how = match (row.port, row.protocol) {
                (443, _) => "DNS over HTTPS",
                (853, 17) => "DNS over QUIC",
                (853, _) => "DNS over TLS",
                _ => "DNS",
            };
            let whose = operator.map(|name| format!(", the public resolver of {name}")).unwrap_or_default();
            let destinations = match topic {
                Topic::Newcomer(subject) => resolvers(view, subject),
                _ => vec![Contacted::of(row)],
            };
            out.push(Oddity {
                check: CheckId::UnusualResolver,
                topic,
                bans,
                severity: if inside { INSIDE_SEVERITY } else { OUTSIDE_SEVERITY },
                evidence: vec![Evidence {
                    check: CheckId::UnusualResolver,
                    measure: "resolvers_used_before",
                    observed: Quantity::Peers(1.0),
                    expected: Quantity::Peers(0.0),
                    surprise: bans,
                    statement: format!(
                        "{how} to {}{whose}; before it, this {} asked {}",
                        view.destination_words(row),
                        view.owner_word(),
                        match n_before {
                            0 => "no resolver but the VPC's".to_owned(),
                            1 => "another resolver".to_owned(),
                            n => format!("{n} other resolvers"),
                        },
                    ),
                }],
                destinations,
            });
        }
        // One word for each topic is enough.
        out.sort_by_key(|oddity| oddity.topic);
        out.dedup_by_key(|oddity| oddity.topic);
        out
    }
}

/// How many resolvers the function asked before a window, other than the destination of a row.
fn n_asked_before(view: &View<'_>, row: &Observation, first: Window) -> usize {
    let is_resolver = |&(peer, port, _): &DestinationKey| {
        DNS_PORTS.contains(&port) || port == 443 && view.facts.public_resolver(view.rungs(peer).address).is_some()
    };
    // What was told and nobody accepted is no habit.
    let is_told = |&(peer, port, protocol): &DestinationKey| {
        let rungs = view.rungs(peer);
        view.baseline.is_told(Subject::Prefix(rungs.prefix))
            || novelty::is_told(view.baseline, (rungs.network, port, protocol))
    };
    let others = view.baseline.destinations().filter(|(key, known)| {
        (key.0, key.1) != (row.peer, row.port) && known.known.first < first && is_resolver(key) && !is_told(key)
    });
    let addresses: BTreeSet<u32> = others.map(|(&(peer, ..), _)| peer).collect();
    addresses.len()
}

/// The resolvers among a newcomer's destinations, with everything exchanged with them: most hosts of a public
/// resolver's operator are none.
fn resolvers(view: &View<'_>, subject: Subject) -> Vec<Contacted> {
    let is_public = |to: &Contacted| view.facts.public_resolver(view.rungs(to.peer).address).is_some();
    let is_resolver = |to: &&Contacted| DNS_PORTS.contains(&to.port) || (to.port == 443 && is_public(to));
    let all = view.open.get(subject).into_iter().flat_map(|newcomer| &newcomer.destinations);
    all.filter(is_resolver).copied().collect()
}
