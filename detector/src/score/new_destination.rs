//! `new-destination`: the function reached a network, or a part of one, that nothing in its past explains.
//!
//! Why it matters: every call-out begins with it. What it weighs: how often this function meets something new on that
//! rung ([`super::novelty`]); whether the rest of the fleet knows the network; whether it is an upload; whether the
//! port was ever used.
//!
//! False positives: a deployment that adds an endpoint, a service that moves to another network owner. Both are told
//! once, with the deployment named where there was one.

use baselines::newcomer::{Circumstances, Newcomer, Subject};

use super::oddity::{Oddity, PRIVATE_BANS, Topic};
use super::view::{View, is_all_refused};
use super::{Check, novelty};
use crate::amounts::bytes;
use crate::finding::{CheckId, Evidence, Quantity, protocol_name};

/// What a port never used before weighs, of its own surprise: it is rarely independent of the network's.
const PORT_WEIGHT: f64 = 0.7;
/// Bans for a port that is none of the web's.
const ODD_PORT_BANS: f64 = 0.3;

/// Uploads by size and by how many times what came in they are, with the bans for each, the largest first; between the
/// sizes bans grow with the logarithm. A TLS handshake sends a kilobyte and receives five.
const UPLOADS: [(u64, u64, f64); 3] = [(1 << 20, 4, 1.3), (100 << 10, 3, 0.9), (6000, 1, 0.4)];

/// How many times the largest record before a record is at the most to be no larger than usual.
const USUAL_TIMES: f64 = 2.0;

/// What is left of those bans where the function's flow records carry as much anyway.
const USUAL_UPLOAD_SHARE: f64 = 0.25;

/// Bans for each factor of ten beyond what is usual, and at the most.
const UNUSUAL_UPLOAD_BANS: f64 = 0.6;

/// Bans for each doubling of the windows with contact beyond the first few, and at the most: who was called once was
/// perhaps a customer's address, who is called for hours has become part of the function.
const LASTING_FROM_WINDOWS: f64 = 4.0;
const LASTING_BANS: f64 = 0.1;
const LASTING_MOST: f64 = 0.4;

/// Severity of a first contact, which is most often a new endpoint; for an upload, and again for each of its bans; for
/// a port never used before, and for one that is none of the web's either.
const SEVERITY: f64 = 5.0;
const UPLOAD_SEVERITY: f64 = 0.7;
const PORT_SEVERITY: f64 = 0.5;
const ODD_PORT_SEVERITY: f64 = 1.2;

/// Severity taken off where other functions know the very prefix: per doubling of their number, and at the most. Told
/// all the same, since a compromise may spread; but whom ten functions called for weeks is seldom a stranger to the
/// eleventh.
const FAMILIAR_SEVERITY: f64 = 0.5;
const MOST_FAMILIAR_SEVERITY: f64 = 1.5;

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

/// How many times the largest record the function sent before, to this network or, where it is new, to any, the largest
/// to the newcomer is.
fn times_usual(view: &View<'_>, newcomer: &Newcomer) -> f64 {
    let Some(first) = newcomer.destinations.first() else { return 0.0 };
    let network = view.rungs(first.peer).network;
    let service = view.baseline.service(network, first.port, first.protocol);
    let past = match service {
        Some(service) if service.volumes.flow_bytes_out().n() > 0 => service.volumes.flow_bytes_out(),
        _ => view.baseline.volumes.flow_bytes_out(),
    };
    let largest = newcomer.destinations.iter().map(|d| d.bytes_out / d.n_flows.max(1)).max().unwrap_or(0);
    largest as f64 / past.max().max(1) as f64
}

/// What the function met of the same kind before, in words.
fn news_words(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> String {
    if let Subject::Prefix(_) = subject {
        let (n, n_days) = (newcomer.met.n_new, newcomer.met.exposure);
        return format!("; after its first day the network brought {n:.0} such in {n_days:.0} days of use");
    }
    let Circumstances { n_new, n_new_networks, .. } = newcomer.met;
    counted_words(novelty::days_counted(view.baseline, newcomer.known.first.day(), |day| day.networks))
        + &by_web_words(n_new, n_new_networks)
}

/// How many of an owner's days with new networks brought some by the web's ports, in words, where not all did.
fn by_web_words(n_by_web: f64, n_new: f64) -> String {
    if n_by_web >= n_new {
        return String::new();
    }
    match (n_by_web / n_new * 100.0).round() as u32 {
        0 => ", none of them by port 80, 443 or above 1023".to_owned(),
        percent => format!(", {percent} % of them by port 80, 443 or above 1023"),
    }
}

/// On how many of its active days a function met something new, in words; nothing where it is too long ago for these
/// days to be remembered.
fn counted_words((n_new, n_days): (usize, usize)) -> String {
    if n_days == 0 {
        return String::new();
    }
    let n_new = if n_new == 0 { "none".to_owned() } else { n_new.to_string() };
    let days = if n_days == 1 { "its 1 active day".to_owned() } else { format!("its {n_days} active days") };
    format!("; {n_new} of {days} brought new networks (the first two and earlier findings not counted)")
}

/// What speaks against a newcomer in one respect.
struct Part {
    bans: f64,
    severity: f64,
    evidence: Evidence,
}

fn judge(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> Oddity {
    let (first, upload, port) =
        (first_contact(view, subject, newcomer), upload(view, subject, newcomer), new_port(view, newcomer));
    let bans_of = |part: &Option<Part>| part.as_ref().map_or(0.0, |part| part.bans);
    let severity_of = |part: &Option<Part>| part.as_ref().map_or(0.0, |part| part.severity);
    Oddity {
        check: CheckId::NewDestination,
        topic: Topic::Newcomer(subject),
        bans: first.bans + bans_of(&upload) + lasting_bans(subject, newcomer) + bans_of(&port),
        severity: first.severity + severity_of(&upload) + severity_of(&port),
        evidence: [Some(first), upload, port].into_iter().flatten().map(|part| part.evidence).collect(),
        destinations: newcomer.destinations.clone(),
    }
}

/// That it was met at all.
fn first_contact(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> Part {
    let met = &newcomer.met;
    let surprise = novelty::surprise(subject, met, view.prior);
    let (what, measure, quantity): (_, _, fn(f64) -> Quantity) = match subject {
        Subject::Network(_) => ("network", "new_networks", Quantity::Networks),
        Subject::Prefix(_) | Subject::Service(..) => ("prefix", "new_prefixes", Quantity::Prefixes),
    };
    let inside = if view.is_inside(newcomer) { PRIVATE_BANS } else { 0.0 };
    let n_knowing_prefix = n_knowing_prefix(view, subject, newcomer);
    let evidence = Evidence {
        check: CheckId::NewDestination,
        measure,
        observed: quantity(1.0),
        expected: quantity((novelty::chance(subject, met, view.prior) * 1000.0).round() / 1000.0),
        surprise,
        statement: format!(
            "first {} {}, none in the {} before{}{}",
            if is_all_refused(newcomer) { "attempt to reach" } else { "contact with" },
            view.subject_words(subject),
            View::age_words(newcomer),
            news_words(view, subject, newcomer),
            known_to_words(met, what, view.owner_words()) + &prefix_words(view, newcomer, n_knowing_prefix),
        ),
    };
    let severity = SEVERITY - familiar_severity(n_knowing_prefix);
    Part { bans: (surprise - novelty::familiarity(met) - inside).max(0.0), severity, evidence }
}

/// How many other owners know the very prefix of a new network. That they know its network says little where that is a
/// provider of clouds.
fn n_knowing_prefix(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> u32 {
    let (Subject::Network(_), Some(first)) = (subject, newcomer.destinations.first()) else { return 0 };
    let n = view.fleet.n_owners_knowing_prefix(view.rungs(first.peer).prefix);
    // The owner itself is among them once an hour is over, unless it was told.
    let is_counted = newcomer.known.first < view.window && !view.baseline.is_told(subject);
    n.saturating_sub(u32::from(is_counted)).min(newcomer.met.n_owners_knowing)
}

/// Severity taken off for it.
fn familiar_severity(n_knowing_prefix: u32) -> f64 {
    ((1.0 + f64::from(n_knowing_prefix)).log2() * FAMILIAR_SEVERITY).min(MOST_FAMILIAR_SEVERITY)
}

/// That they do, in words.
fn prefix_words(view: &View<'_>, newcomer: &Newcomer, n: u32) -> String {
    let Some(first) = newcomer.destinations.first().filter(|_| n > 0) else { return String::new() };
    let prefix = view.fleet.ladder.prefix(view.rungs(first.peer).prefix);
    let know = if n == 1 { "knows" } else { "know" };
    format!(", {n} {know} {prefix} in it")
}

/// How many of the other functions know the network or prefix; nothing where there are none.
fn known_to_words(met: &Circumstances, what: &str, [one, many]: [&str; 2]) -> String {
    match (met.n_owners_knowing, met.n_owners.saturating_sub(1)) {
        (_, 0) => String::new(),
        (0, 1) => format!("; the other {one} does not know the {what}"),
        (0, others) => format!("; none of the {others} other {many} knows the {what}"),
        (1, 1) => format!("; the other {one} knows the {what}"),
        (1, others) => format!("; 1 of the {others} other {many} knows the {what}"),
        (n, others) => format!("; {n} of the {others} other {many} know the {what}"),
    }
}

/// That more was sent than received.
fn upload(view: &View<'_>, subject: Subject, newcomer: &Newcomer) -> Option<Part> {
    let bans = upload_bans(newcomer.bytes_out, newcomer.bytes_in)?;
    let times_usual = times_usual(view, newcomer);
    let bans = if times_usual <= USUAL_TIMES {
        bans * USUAL_UPLOAD_SHARE
    } else {
        bans + ((times_usual / USUAL_TIMES).log10() * UNUSUAL_UPLOAD_BANS).min(UNUSUAL_UPLOAD_BANS)
    };
    // What goes to a part of a known network that was to come would have gone to another part of it.
    let bans = match subject {
        Subject::Prefix(_) => bans * (1.0 - novelty::chance(subject, &newcomer.met, view.prior)),
        Subject::Network(_) | Subject::Service(..) => bans,
    };
    let evidence = Evidence {
        check: CheckId::NewDestination,
        measure: "bytes_out",
        observed: Quantity::Bytes(newcomer.bytes_out as f64),
        expected: Quantity::Bytes(newcomer.bytes_in as f64),
        surprise: bans,
        statement: format!(
            "more had been sent than received at its height: {} out, {} in",
            bytes(newcomer.bytes_out),
            bytes(newcomer.bytes_in)
        ),
    };
    Some(Part { bans, severity: UPLOAD_SEVERITY * (1.0 + bans), evidence })
}

/// Bans for having sent more than was received; `None` where it is no upload.
fn upload_bans(bytes_out: u64, bytes_in: u64) -> Option<f64> {
    let (.., most) = UPLOADS.into_iter().find(|&(_, times, _)| bytes_out > bytes_in.saturating_mul(times))?;
    let size = (bytes_out as f64).ln();
    let steps = UPLOADS.into_iter().zip(UPLOADS.into_iter().skip(1));
    let between = steps.map(|((above, _, more), (below, _, less))| {
        let (above, below) = ((above as f64).ln(), (below as f64).ln());
        (size >= below).then(|| less + (more - less) * ((size - below) / (above - below)).min(1.0))
    });
    between.flatten().next().map(|bans| bans.min(most))
}

/// Bans for contact that lasts. A part of a known network lasts as the network does.
fn lasting_bans(subject: Subject, newcomer: &Newcomer) -> f64 {
    match subject {
        Subject::Network(_) => {
            let doublings = (f64::from(newcomer.known.n_windows) / LASTING_FROM_WINDOWS).log2();
            (doublings * LASTING_BANS).clamp(0.0, LASTING_MOST)
        }
        Subject::Prefix(_) | Subject::Service(..) => 0.0,
    }
}

/// That its port was never used before, with any network.
fn new_port(view: &View<'_>, newcomer: &Newcomer) -> Option<Part> {
    if newcomer.met.port_known {
        return None;
    }
    let (port, protocol) = newcomer.destinations.first().map_or((0, 0), |first| (first.port, first.protocol));
    let (odd_bans, severity) =
        if matches!(port, 443 | 80) { (0.0, PORT_SEVERITY) } else { (ODD_PORT_BANS, ODD_PORT_SEVERITY) };
    // ICMP and its like have none.
    let name = protocol_name(protocol);
    let what = if port == 0 { name.to_uppercase() } else { format!("port {port}/{name}") };
    let bans = novelty::port_surprise(&newcomer.met, view.prior) * PORT_WEIGHT + odd_bans;
    let owner = view.owner_word();
    let evidence = Evidence {
        check: CheckId::NewDestination,
        measure: "new_ports",
        observed: Quantity::Ports(1.0),
        expected: Quantity::Ports(0.0),
        surprise: bans,
        statement: format!("{what} was never used by this {owner}, with any network"),
    };
    Some(Part { bans, severity, evidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_weighs_by_its_size_and_by_how_much_more_went_out() {
        let hundredths = |bytes_out, bytes_in| (upload_bans(bytes_out, bytes_in).unwrap_or(0.0) * 100.0).round() as u32;
        let of_size = [5999, 6000, 100 << 10, 1 << 20, 1 << 30].map(|bytes_out| hundredths(bytes_out, 0));
        assert_eq!(of_size, [0, 40, 90, 130, 130]);
        assert!(hundredths(20_000, 0) > hundredths(10_000, 0) && hundredths(20_000, 0) < 90);
        let of_answers = [1 << 20, 1 << 19, 300_000].map(|bytes_in| hundredths(1 << 20, bytes_in));
        assert_eq!(of_answers, [0, 40, 90]);
    }

    #[test]
    fn what_others_know_to_the_very_prefix_is_low() {
        let tenths = [0, 1, 3, 7, 100].map(|n| ((SEVERITY - familiar_severity(n)) * 10.0).round() as u32);
        assert_eq!(tenths, [50, 45, 40, 35, 35]);
    }

    #[test]
    fn days_that_are_forgotten_are_not_spoken_of() {
        assert_eq!(counted_words((0, 0)), "", "the finding is older than what is remembered");
        assert!(counted_words((0, 1)).starts_with("; none of its 1 active day brought"));
        assert!(counted_words((2, 6)).starts_with("; 2 of its 6 active days brought"));
    }

    #[test]
    fn news_by_other_ports_is_told_apart() {
        let words = [(8.0, 8.0), (2.0, 8.0), (-0.0, 8.0), (0.0, 0.0)].map(|(by_web, all)| by_web_words(by_web, all));
        assert_eq!(
            words,
            ["", ", 25 % of them by port 80, 443 or above 1023", ", none of them by port 80, 443 or above 1023", ""]
        );
    }

    #[test]
    fn a_function_is_not_counted_among_the_others() {
        for (n_owners_knowing, n_owners, expected) in [
            (0, 1, ""),
            (0, 2, "; the other function does not know the network"),
            (1, 2, "; the other function knows the network"),
            (0, 5, "; none of the 4 other functions knows the network"),
            (1, 5, "; 1 of the 4 other functions knows the network"),
            (3, 5, "; 3 of the 4 other functions know the network"),
        ] {
            let met = Circumstances { n_owners_knowing, n_owners, ..Circumstances::default() };
            assert_eq!(known_to_words(&met, "network", ["function", "functions"]), expected);
        }
    }
}
