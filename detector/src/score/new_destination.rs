//! `new-destination`: the function reached a network, or a part of one, that nothing in its past explains.
//!
//! Why it matters: every call-out begins with it. What it weighs: how often this function meets something new on that
//! rung ([`super::novelty`]); whether the rest of the fleet knows the network; whether it is an upload; whether the port
//! was ever used.
//!
//! False positives: a deployment that adds an endpoint, a service that moves to another network owner. Both are told
//! once, with the deployment named where there was one.

use baselines::newcomer::{Newcomer, Subject};

use super::oddity::{Oddity, PRIVATE_BANS, Topic};
use super::view::{View, bytes_words, is_all_refused};
use super::{Check, novelty};
use crate::finding::{CheckId, Evidence, Quantity, protocol_name};

/// What a port never used before weighs, of its own surprise: it is rarely independent of the network's.
const PORT_WEIGHT: f64 = 0.7;
/// Bans for a port that is none of the web's.
const ODD_PORT_BANS: f64 = 0.3;

/// Uploads by size and by how many times what came in they are, with the bans for each, the largest first. A TLS handshake
/// sends a kilobyte and receives five.
const UPLOADS: [(u64, u64, f64); 3] = [(1 << 20, 4, 1.3), (100 << 10, 3, 0.9), (6000, 1, 0.4)];

/// What is left of those bans where the function's flow records carry as much anyway.
const USUAL_UPLOAD_SHARE: f64 = 0.25;

/// Bans for each factor of ten beyond twice that, and at the most.
const UNUSUAL_UPLOAD_BANS: f64 = 0.6;

/// Bans for each doubling of the windows with contact beyond the first few, and at the most: who was called once was perhaps
/// a customer's address, who is called for hours has become part of the function.
const LASTING_FROM_WINDOWS: f64 = 4.0;
const LASTING_BANS: f64 = 0.1;
const LASTING_MOST: f64 = 0.4;

/// The check.
pub(super) struct NewDestination;

impl Check for NewDestination {
    fn id(&self) -> CheckId {
        CheckId::NewDestination
    }

    fn check(&self, view: &View<'_>) -> Vec<Oddity> {
        view.newcomers_after_warm_up()
            .filter(|(subject, _)| !matches!(subject, Subject::Service(..)))
            .map(|(subject, newcomer)| judge(view, subject, newcomer))
            .collect()
    }
}

/// How many times the largest record the function sent before, to this network or, where it is new, to any, the largest to the
/// newcomer is.
fn times_usual(view: &View<'_>, newcomer: &Newcomer) -> f64 {
    let Some(first) = newcomer.destinations.first() else { return 0.0 };
    let network = view.rungs(first.peer).network;
    let service = view.baseline.service(network, first.port, first.protocol);
    let past = match service {
        Some(service) if service.volumes.flow_bytes_out().n() > 0 => Some(service.volumes.flow_bytes_out()),
        _ => Some(view.baseline.volumes.flow_bytes_out()),
    };
    let largest = newcomer.destinations.iter().map(|d| d.bytes_out / d.n_flows.max(1)).max().unwrap_or(0);
    past.map_or(0.0, |past| largest as f64 / past.max().max(1) as f64)
}

/// What the function met of the same kind before, in words.
fn news_words(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> String {
    if let Subject::Prefix(_) = subject {
        let (n, n_days) = (newcomer.met.n_new, newcomer.met.exposure);
        return format!("after its first day the network brought {n:.0} such in {n_days:.0} days of use");
    }
    let (n_new, n_days) = novelty::days_counted(view.baseline, newcomer.known.first.day(), |day| day.networks);
    format!(
        "apart from earlier findings, this function met new networks on {n_new} of {n_days} active days, the first two not counted"
    )
}

fn judge(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> Oddity {
    let met = &newcomer.met;
    let surprise = novelty::surprise(subject, met, view.prior);
    let what = match subject {
        Subject::Network(_) => "network",
        _ => "prefix",
    };
    let familiar = novelty::familiarity(met);
    let mut evidence = vec![Evidence {
        check: CheckId::NewDestination,
        measure: if what == "network" { "new_networks" } else { "new_prefixes" },
        observed: Quantity::Networks(1.0),
        expected: Quantity::Networks((novelty::chance(subject, met, view.prior) * 1000.0).round() / 1000.0),
        surprise,
        statement: format!(
            "first {} {}, none in the {} before; {}; {} of {} functions know the {what}",
            if is_all_refused(newcomer) { "attempt to reach" } else { "contact with" },
            view.subject_words(subject),
            View::age_words(newcomer),
            news_words(view, subject, newcomer),
            met.n_owners_knowing,
            met.n_owners,
        ),
    }];
    let inside = if view.is_inside(newcomer) { PRIVATE_BANS } else { 0.0 };
    let mut bans = (surprise - familiar - inside).max(0.0);
    let mut severity = 5.0;
    let upload = UPLOADS.into_iter().find(|&(bytes, times, _)| {
        newcomer.bytes_out >= bytes && newcomer.bytes_out > newcomer.bytes_in.saturating_mul(times)
    });
    if let Some((_, _, upload_bans)) = upload {
        let times_usual = times_usual(view, newcomer);
        let upload_bans = if times_usual <= 2.0 {
            upload_bans * USUAL_UPLOAD_SHARE
        } else {
            upload_bans + ((times_usual / 2.0).log10() * UNUSUAL_UPLOAD_BANS).min(UNUSUAL_UPLOAD_BANS)
        };
        bans += upload_bans;
        severity += 0.7 * (1.0 + upload_bans);
        evidence.push(Evidence {
            check: CheckId::NewDestination,
            measure: "bytes_out",
            observed: Quantity::Bytes(newcomer.bytes_out as f64),
            expected: Quantity::Bytes(newcomer.bytes_in as f64),
            surprise: upload_bans,
            statement: format!(
                "more was sent than received: {} out, {} in",
                bytes_words(newcomer.bytes_out),
                bytes_words(newcomer.bytes_in)
            ),
        });
    }
    if matches!(subject, Subject::Network(_)) {
        let doublings = (f64::from(newcomer.known.n_windows) / LASTING_FROM_WINDOWS).log2();
        bans += (doublings * LASTING_BANS).clamp(0.0, LASTING_MOST);
    }
    let port = newcomer.destinations.first().map_or(0, |destination| destination.port);
    if !met.port_known {
        let odd = !matches!(port, 443 | 80);
        let protocol = newcomer.destinations.first().map_or(0, |destination| destination.protocol);
        // ICMP and its like have none.
        let what = if port == 0 { protocol_name(protocol).to_uppercase() } else { format!("port {port}") };
        let port_bans = novelty::port_surprise(met, view.prior) * PORT_WEIGHT + if odd { ODD_PORT_BANS } else { 0.0 };
        bans += port_bans;
        severity += if odd { 1.2 } else { 0.5 };
        evidence.push(Evidence {
            check: CheckId::NewDestination,
            measure: "new_ports",
            observed: Quantity::Ports(1.0),
            expected: Quantity::Ports(0.0),
            surprise: port_bans,
            statement: format!("{what} was never used by this function, with any network"),
        });
    }
    Oddity {
        check: CheckId::NewDestination,
        topic: Topic::Newcomer(subject),
        bans,
        severity,
        evidence,
        destinations: newcomer.destinations.clone(),
    }
}
