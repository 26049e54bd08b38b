//! A random fleet: forty or so functions of the kinds one finds in a company's account.

use anyhow::bail;

use super::{FleetOptions, catalogue, catalogue::Catalogue, disturbances};
use crate::{
    attacks,
    calendar::{DAY, FLEET_START, HOUR, MINUTE, Secs},
    dice::Dice,
    fleet::{Call, Fleet, Function, InterfaceKind, Rhythm, Sizes, Span, Version},
    internet::{Internet, Prefix},
};

/// Small JSON requests and answers.
pub(super) const API: Sizes = Sizes { out_bytes: 900.0, in_bytes: 2_500.0, sigma: 0.8 };
const QUERY: Sizes = Sizes { out_bytes: 400.0, in_bytes: 3_000.0, sigma: 1.2 };
const OBJECTS: Sizes = Sizes { out_bytes: 9_000.0, in_bytes: 30_000.0, sigma: 1.5 };
const ASSETS: Sizes = Sizes { out_bytes: 800.0, in_bytes: 60_000.0, sigma: 1.3 };
const UPLOAD: Sizes = Sizes { out_bytes: 14_000.0, in_bytes: 500.0, sigma: 0.9 };
const EXPORT: Sizes = Sizes { out_bytes: 30e6, in_bytes: 4_000.0, sigma: 0.5 };
const LOOKUP: Sizes = Sizes { out_bytes: 48.0, in_bytes: 140.0, sigma: 0.3 };
const PROMPT: Sizes = Sizes { out_bytes: 12_000.0, in_bytes: 6_000.0, sigma: 0.9 };

const THINGS: [&str; 20] = [
    "orders", "invoices", "users", "carts", "reports", "images", "search", "pricing", "stock", "mail", "payments",
    "shipping", "ledger", "leads", "tickets", "sessions", "catalog", "reviews", "exports", "audit",
];

/// What kind of work a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Archetype {
    Api,
    GrowingApi,
    Worker,
    Schedule,
    WebhookSender,
    NightlyExport,
    Agent,
}

/// Frequencies of archetypes in a fleet of 40.
const MIX: [(Archetype, &str, usize); 7] = [
    (Archetype::Api, "api", 11),
    (Archetype::GrowingApi, "feed", 4),
    (Archetype::Worker, "worker", 8),
    (Archetype::Schedule, "job", 9),
    (Archetype::WebhookSender, "hooks", 2),
    (Archetype::NightlyExport, "export", 2),
    (Archetype::Agent, "agent", 4),
];

/// Builds the fleet of a seed.
pub(crate) fn random_fleet(options: &FleetOptions) -> anyhow::Result<Fleet> {
    if options.functions == 0 || options.days < 1 {
        bail!("a fleet needs at least one function and one day");
    }
    if ![60, 600].contains(&options.interval) {
        bail!("--interval is {}; a flow log aggregates over 60 or 600 seconds", options.interval);
    }
    let dice = Dice::new(options.seed);
    let mut throw = dice.fork("population", 0);
    let account = format!("{:012}", throw.between(111_111_111_111, 999_999_999_999));
    let span = Span { start: FLEET_START, end: FLEET_START + options.days * DAY };
    let mut fleet = Fleet::empty(account, span, Internet::new(&dice), dice);
    let subnets = lay_out(&mut fleet, &mut throw);
    let catalogue = catalogue::fill(&mut fleet, [subnets[0][0], subnets[1][0]], &mut throw);
    let kinds: Vec<(Archetype, &str)> =
        MIX.iter().flat_map(|&(kind, suffix, n)| std::iter::repeat_n((kind, suffix), n)).collect();
    let mut kinds: Vec<_> = (0..options.functions).map(|i| kinds[i * kinds.len() / options.functions]).collect();
    throw.shuffle(&mut kinds);
    for (i, (kind, suffix)) in kinds.into_iter().enumerate() {
        let thing = THINGS[i % THINGS.len()];
        let round = i / THINGS.len();
        let name = if round == 0 { format!("{thing}-{suffix}") } else { format!("{thing}-{suffix}-{}", round + 1) };
        let function = populate(&mut fleet, &catalogue, &subnets, kind, name, &mut throw);
        fleet.functions.push(function);
    }
    disturbances::add(&mut fleet, &catalogue);
    attacks::add(&mut fleet, &options.shapes)?;
    Ok(fleet)
}

/// Two VPCs: in the first only the private subnets are logged, in the second everything, the NAT gateway's copy
/// included.
fn lay_out(fleet: &mut Fleet, dice: &mut Dice) -> [Vec<usize>; 2] {
    let place = &mut fleet.place;
    let vpcs = [format!("vpc-0{}", dice.hex(16)), format!("vpc-0{}", dice.hex(16))];
    let main = (0..3).map(|z| place.add_subnet(&vpcs[0], z, Prefix::v4(10, 20, 16 * z as u8, 0, 20), dice)).collect();
    let second: Vec<usize> =
        (0..2).map(|z| place.add_subnet(&vpcs[1], z, Prefix::v4(10, 60, 16 * z as u8, 0, 20), dice)).collect();
    let public = place.add_subnet(&vpcs[1], 0, Prefix::v4(10, 60, 240, 0, 24), dice);
    let groups = [format!("sg-0{}", dice.hex(16))];
    let description = format!("Interface for NAT Gateway nat-0{}", dice.hex(16));
    let nat = place.add_interface(InterfaceKind::NatGateway, public, &[], description, Span::ALWAYS, dice);
    for &subnet in &second {
        place.subnets[subnet].logged_nat = Some(nat);
    }
    let instance = place.add_interface(InterfaceKind::Instance, public, &groups, String::new(), Span::ALWAYS, dice);
    fleet.scanned.push(instance);
    [main, second]
}

/// Makes a function of an archetype.
fn populate(
    fleet: &mut Fleet,
    c: &Catalogue,
    subnets: &[Vec<usize>; 2],
    kind: Archetype,
    name: String,
    dice: &mut Dice,
) -> Function {
    let vpc = usize::from(dice.chance(0.12));
    let pairs = place_function(fleet, subnets, vpc, &name, dice);
    let store = if dice.chance(0.5) { c.dynamodb } else { *dice.pick(&c.databases[vpc]) };
    let mut calls = vec![
        call(store, 0.9, QUERY, if dice.chance(0.7) { 300 } else { 30 }),
        call(*dice.pick(&c.endpoints[vpc]), 0.05, API, 5),
    ];
    let rhythm = match kind {
        Archetype::Api | Archetype::GrowingApi => serve(c, kind == Archetype::GrowingApi, &mut calls, dice),
        Archetype::Schedule => run_on_schedule(c, &mut calls, dice),
        _ => work(c, kind, &mut calls, dice),
    };
    let n_environments = match rhythm {
        Rhythm::Every { .. } => 1,
        Rhythm::Queue { .. } => dice.between(2, 8) as u32,
        Rhythm::Diurnal { per_hour, .. } => 1 + (per_hour / 20.0) as u32,
    };
    let &runtime = dice.pick(&["nodejs22.x", "python3.13", "nodejs22.x", "java21"]);
    let at = fleet.span.start - dice.between(5 * DAY, 90 * DAY);
    Function {
        description: format!("{kind:?}"),
        runtime,
        dual_stack: vpc == 0 && dice.chance(0.1),
        versions: vec![Version::new(dice, at)],
        name,
        pairs,
        rhythm,
        calls,
        active: vec![Span::ALWAYS],
        n_environments,
    }
}

/// A call that was always made.
pub(super) fn call(destination: usize, share: f64, sizes: Sizes, keep_alive_secs: Secs) -> Call {
    Call { destination, share, sizes, keep_alive_secs, n_calls: 1, active: Span::ALWAYS, storms: Vec::new() }
}

/// What a function behind an API calls, and when people use it.
fn serve(c: &Catalogue, growing: bool, calls: &mut Vec<Call>, dice: &mut Dice) -> Rhythm {
    calls.push(call(*dice.pick(&c.saas), dice.real(0.1, 0.9), API, 60));
    if dice.chance(0.5) {
        calls.push(call(*dice.pick(&c.cdns), dice.real(0.1, 0.6), ASSETS, 20));
    }
    if dice.chance(0.5) {
        calls.push(call(*dice.pick(&c.load_balancers), dice.real(0.1, 0.6), API, 60));
    }
    if dice.chance(0.4) {
        calls.push(call(*dice.pick(&c.telemetry), 0.5, UPLOAD, 120));
    }
    Rhythm::Diurnal {
        per_hour: dice.log_normal(if growing { 10.0 } else { 42.0 }, 0.6).min(200.0),
        peak_hour: dice.real(10.0, 20.0),
        weekend_share: dice.real(0.2, 1.1),
        doubling_days: growing.then(|| dice.real(8.0, 20.0)),
    }
}

/// What a scheduled job calls, and its schedule: from every minute to monthly.
fn run_on_schedule(c: &Catalogue, calls: &mut Vec<Call>, dice: &mut Dice) -> Rhythm {
    calls.push(call(*dice.pick(&c.saas), 1.0, API, 0));
    if dice.chance(0.4) {
        calls.push(call(*dice.pick(&c.cdns), 0.7, ASSETS, 0));
    }
    if dice.chance(0.15) {
        calls.push(call(c.resolver, 0.5, LOOKUP, 0));
    }
    let (on_weekday, on_month_day) = (dice.between(0, 6), dice.between(11, 20));
    let (period_secs, weekday, month_day) = *dice.pick(&[
        (MINUTE, None, None),
        (5 * MINUTE, None, None),
        (5 * MINUTE, None, None),
        (15 * MINUTE, None, None),
        (HOUR, None, None),
        (HOUR, None, None),
        (DAY, None, None),
        (DAY, Some(on_weekday), None),
        (DAY, None, Some(on_month_day)),
    ]);
    let offset_secs = dice.between(0, 6 * HOUR);
    Rhythm::Every { period_secs, offset_secs, jitter_secs: 2.0, weekday, month_day }
}

/// What the other archetypes call, and when.
fn work(c: &Catalogue, kind: Archetype, calls: &mut Vec<Call>, dice: &mut Dice) -> Rhythm {
    let diurnal =
        |per_hour, weekend_share| Rhythm::Diurnal { per_hour, peak_hour: 14.5, weekend_share, doubling_days: None };
    match kind {
        Archetype::WebhookSender => {
            calls.push(call(*dice.pick(&c.webhook_targets), 1.0, API, 0));
            diurnal(dice.real(20.0, 60.0), 0.6)
        }
        Archetype::NightlyExport => {
            calls.push(call(*dice.pick(&c.load_balancers), 1.0, EXPORT, 0));
            calls.push(call(c.s3, 1.0, OBJECTS, 20));
            let offset_secs = dice.between(HOUR, 4 * HOUR);
            Rhythm::Every { period_secs: DAY, offset_secs, jitter_secs: 60.0, weekday: None, month_day: None }
        }
        Archetype::Agent => {
            calls.push(call(*dice.pick(&c.saas), 1.0, PROMPT, 60));
            calls.push(call(*dice.pick(&c.cdns), 0.4, ASSETS, 20));
            calls.push(call(*dice.pick(&c.telemetry), 0.6, UPLOAD, 120));
            diurnal(dice.real(8.0, 40.0), 0.5)
        }
        Archetype::Worker | Archetype::Api | Archetype::GrowingApi | Archetype::Schedule => {
            calls.push(call(c.s3, 0.8, OBJECTS, 20));
            calls.push(call(*dice.pick(&c.load_balancers), 0.5, API, 60));
            if dice.chance(0.3) {
                calls.push(call(*dice.pick(&c.saas), 0.3, API, 0));
            }
            let (bursts_per_day, messages) = (dice.real(6.0, 40.0), dice.real(10.0, 60.0));
            Rhythm::Queue { bursts_per_day, messages, burst_secs: dice.real(60.0, 900.0) }
        }
    }
}

/// One to three subnets of a VPC with a group of its own, or now and then with the group another function has.
fn place_function(fleet: &mut Fleet, subnets: &[Vec<usize>; 2], vpc: usize, name: &str, dice: &mut Dice) -> Vec<usize> {
    let neighbour = dice.chance(0.12).then(|| {
        fleet
            .functions
            .iter()
            .rev()
            .find(|f| f.pairs.first().is_some_and(|&p| subnets[vpc].contains(&fleet.place.pairs[p].subnet)))
    });
    if let Some(Some(neighbour)) = neighbour {
        return neighbour.pairs.clone();
    }
    let groups = [format!("sg-0{}", dice.hex(16))];
    let n = dice.between(1, subnets[vpc].len() as i64) as usize;
    subnets[vpc].iter().take(n).map(|&subnet| fleet.place.pair(subnet, &groups, name, dice)).collect()
}
