//! The ordinary surprises of a random fleet: everything that must stay quiet or be explained once.

use super::{
    catalogue::{Catalogue, settled, small_service},
    population::API,
};
use crate::{
    calendar::{DAY, HOUR, MINUTE, Secs},
    dice::Dice,
    fleet::{Addresses, Call, Fleet, Kind, Rhythm, Span, Version},
    truth::Benign,
};

/// The first week is learning; what happens in it is not remarkable.
const WARM_UP: Secs = 7 * DAY;

/// Adds all kinds of disturbance, about one of each for every fifteen functions.
pub(super) fn add(fleet: &mut Fleet, catalogue: &Catalogue) {
    let dice = fleet.dice.fork("disturbances", 0);
    let n = fleet.functions.len().div_ceil(15);
    come_and_go(fleet, n, &mut dice.fork("come-and-go", 0));
    releases(fleet, &mut dice.fork("releases", 0));
    new_endpoints(fleet, n + 1, &mut dice.fork("new-endpoints", 0));
    interfaces(fleet, n, &mut dice.fork("interfaces", 0));
    moves(fleet, catalogue, &mut dice.fork("moves", 0));
    storms(fleet, n + 1, &mut dice.fork("storms", 0));
    outages(fleet, catalogue, n, &mut dice.fork("outages", 0));
    note_habits(fleet);
}

/// A moment between warm-up and two days before the end.
fn after_warm_up(fleet: &Fleet, dice: &mut Dice) -> Secs {
    let first = fleet.span.start + WARM_UP + DAY;
    dice.between(first, (fleet.span.end - 2 * DAY).max(first))
}

fn note(fleet: &mut Fleet, kind: &'static str, function: Option<usize>, destination: Option<usize>, span: Span) {
    fleet.benign.push(Benign { kind, function, destination, start: span.start, end: span.end });
}

/// Functions that start mid-way, and ones that return after weeks.
fn come_and_go(fleet: &mut Fleet, n: usize, dice: &mut Dice) {
    let end = fleet.span.end;
    for _ in 0..n {
        let f = dice.below(fleet.functions.len() as u64) as usize;
        let start = after_warm_up(fleet, dice);
        fleet.functions[f].active = vec![Span { start, end: Secs::MAX }];
        note(fleet, "function-starts", Some(f), None, Span { start, end });
    }
    let f = dice.below(fleet.functions.len() as u64) as usize;
    let (from, until) = (fleet.span.start + 5 * DAY, fleet.span.start + dice.between(17 * DAY, 21 * DAY));
    if until < end && fleet.functions[f].active == [Span::ALWAYS] {
        fleet.functions[f].active = vec![Span { start: Secs::MIN, end: from }, Span { start: until, end: Secs::MAX }];
        note(fleet, "function-returns", Some(f), None, Span { start: until, end });
    }
}

/// Publishes versions that change nothing one can see, about one in nine days for each function.
fn releases(fleet: &mut Fleet, dice: &mut Dice) {
    let (start, end) = (fleet.span.start, fleet.span.end);
    for function in &mut fleet.functions {
        let mut at = start + dice.exponential(9.0 * DAY as f64) as Secs;
        while at < end {
            function.versions.push(Version::new(dice, at));
            at += HOUR + dice.exponential(9.0 * DAY as f64) as Secs;
        }
    }
}

/// N: a deployment brings one legitimate endpoint. Y: a job's rare part runs for the first time after warm-up.
fn new_endpoints(fleet: &mut Fleet, n: usize, dice: &mut Dice) {
    for i in 0..2 * n {
        let f = dice.below(fleet.functions.len() as u64) as usize;
        let deployment = i % 2 == 0;
        let at = after_warm_up(fleet, dice);
        let home = small_service(fleet, dice);
        let name = format!("{}-{i}", if deployment { "new-endpoint" } else { "rare-job" });
        let destination = fleet.add_destination(settled(&name, Kind::FixedSaas, 443, home));
        // A rare job runs for an hour and a half, in three weeks one after the other.
        let spans = if deployment {
            vec![Span { start: at, end: Secs::MAX }]
        } else {
            (0..3).map(|week| Span { start: at + week * 7 * DAY, end: at + week * 7 * DAY + 90 * MINUTE }).collect()
        };
        let function = &mut fleet.functions[f];
        for active in spans {
            let share = if deployment { dice.real(0.2, 0.9) } else { 1.0 };
            let keep_alive_secs = if dice.chance(0.5) { 60 } else { 0 };
            function.calls.push(Call {
                destination,
                share,
                n_calls: 1,
                sizes: API,
                keep_alive_secs,
                active,
                storms: Vec::new(),
            });
        }
        if deployment {
            let mut version = Version::new(dice, at);
            version.at -= dice.between(10, 600);
            function.versions.push(version);
            function.versions.sort_by_key(|v| v.at);
        }
        let kind = if deployment { "N-new-endpoint" } else { "Y-rare-job" };
        let end = fleet.span.end;
        note(fleet, kind, Some(f), Some(destination), Span { start: at, end });
    }
}

/// O: interfaces are recycled, second ones added.
fn interfaces(fleet: &mut Fleet, n: usize, dice: &mut Dice) {
    for i in 0..2 * n {
        let f = dice.below(fleet.functions.len() as u64) as usize;
        let name = fleet.functions[f].name.clone();
        let pair = fleet.functions[f].pairs[0];
        let at = after_warm_up(fleet, dice);
        let old = fleet.place.pairs[pair].interfaces[0];
        let recycled = i % 2 == 0 && fleet.place.interfaces[old].life.end == Secs::MAX;
        if recycled {
            fleet.place.interfaces[old].life.end = at;
        }
        fleet.place.add_lambda_interface(pair, &name, Span { start: at, end: Secs::MAX }, dice);
        let end = fleet.span.end;
        note(
            fleet,
            if recycled { "O-interface-recycled" } else { "O-interface-added" },
            Some(f),
            None,
            Span { start: at, end },
        );
    }
}

/// W: a database fails over, an endpoint moves inside the VPC. Z: services move to another network owner.
fn moves(fleet: &mut Fleet, catalogue: &Catalogue, dice: &mut Dice) {
    let end = fleet.span.end;
    for inside in [&catalogue.databases[0], &catalogue.databases[1], &catalogue.endpoints[0]] {
        let destination = *dice.pick(inside);
        let at = after_warm_up(fleet, dice);
        let Some((_, Addresses::Fixed(old))) = fleet.destinations[destination].homes.first() else { continue };
        let Some(old) = old.first().and_then(|&a| fleet.interface_at(a, at)) else { continue };
        // The stand-by is in another zone of the same VPC.
        let (kind, subnet) = (fleet.place.interfaces[old].kind, fleet.place.interfaces[old].subnet);
        let vpc = &fleet.place.subnets[subnet].vpc_id;
        let other = (0..fleet.place.subnets.len()).find(|&s| s != subnet && fleet.place.subnets[s].vpc_id == *vpc);
        let (groups, description) =
            (fleet.place.interfaces[old].groups.clone(), fleet.place.interfaces[old].description.clone());
        let life = Span { start: at, end: Secs::MAX };
        let standby = fleet.place.add_interface(kind, other.unwrap_or(subnet), &groups, description, life, dice);
        let address = fleet.place.interfaces[standby].address;
        fleet.destinations[destination].homes.push((at, Addresses::Fixed(vec![address])));
        note(fleet, "W-private-move", None, Some(destination), Span { start: at, end });
    }
    for _ in 0..2 {
        let destination = *dice.pick(&catalogue.saas);
        let at = after_warm_up(fleet, dice);
        let home = small_service(fleet, dice);
        fleet.destinations[destination].homes.push((at, home));
        fleet.destinations[destination].homes.sort_by_key(|(from, _)| *from);
        note(fleet, "Z-owner-move", None, Some(destination), Span { start: at, end });
    }
}

/// V: retry storms.
fn storms(fleet: &mut Fleet, n: usize, dice: &mut Dice) {
    for _ in 0..n {
        let f = dice.below(fleet.functions.len() as u64) as usize;
        let start = after_warm_up(fleet, dice);
        let storm = Span { start, end: start + dice.between(10 * MINUTE, 2 * HOUR) };
        let call = dice.below(fleet.functions[f].calls.len() as u64) as usize;
        let call = &mut fleet.functions[f].calls[call];
        call.storms.push(storm);
        let destination = call.destination;
        note(fleet, "V-retry-storm", Some(f), Some(destination), storm);
    }
}

/// A provider gives no answer for a while; all its callers retry.
fn outages(fleet: &mut Fleet, catalogue: &Catalogue, n: usize, dice: &mut Dice) {
    for _ in 0..n {
        let destination = *dice.pick(&catalogue.saas);
        let start = after_warm_up(fleet, dice);
        let outage = Span { start, end: start + dice.between(5 * MINUTE, 90 * MINUTE) };
        fleet.destinations[destination].outages.push(outage);
        note(fleet, "outage", None, Some(destination), outage);
    }
}

/// M, T, U, V, X: what goes on all the time.
fn note_habits(fleet: &mut Fleet) {
    let span = fleet.span;
    let mut habits: Vec<(&'static str, Option<usize>, Option<usize>)> = Vec::new();
    for (f, function) in fleet.functions.iter().enumerate() {
        if function.rhythm.is_schedule() {
            habits.push(("T-schedule", Some(f), None));
        }
        if matches!(function.rhythm, Rhythm::Diurnal { doubling_days: Some(_), .. }) {
            habits.push(("V-growth", Some(f), None));
        }
        for call in &function.calls {
            match fleet.destinations[call.destination].kind {
                Kind::CdnRotation => habits.push(("M-cdn-rotation", Some(f), Some(call.destination))),
                Kind::LoadBalancerRotation if call.sizes.out_bytes > 1e6 => {
                    habits.push(("V-nightly-export", Some(f), Some(call.destination)));
                }
                Kind::LoadBalancerRotation => {
                    habits.push(("M-load-balancer-rotation", Some(f), Some(call.destination)));
                }
                Kind::WebhookTargets => habits.push(("U-webhook-sender", Some(f), Some(call.destination))),
                _ => {}
            }
        }
    }
    habits.push(("X-scanned-instance", None, None));
    for (kind, function, destination) in habits {
        note(fleet, kind, function, destination, span);
    }
}
