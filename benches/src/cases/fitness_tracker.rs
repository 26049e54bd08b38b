//! The story of `sample-logs/`: a serverless fitness tracker, ten days, one compromised dependency.
//!
//! Third parties live on addresses reserved for documentation and benchmarks (RFC 5737, RFC 2544).
//! `sample-logs/README.md` tells the story to people; the times here and there must agree.

use std::{fs, net::IpAddr, path::Path};

use anyhow::Context as _;

use detector::drill::{
    letters::{Form, Shape},
    shapes,
};

use super::{
    catalogue,
    population::{API, call},
    write_json, write_knowledge, write_logs,
};
use crate::{
    attacks::Scene,
    calendar::{DAY, HOUR, MINUTE, Secs},
    dice::Dice,
    fleet::{Addresses, Call, Fleet, Function, InterfaceKind, Kind, Rhythm, Sizes, Span, Version, destination::Pool},
    internet::{Class, Internet, Network, Prefix},
    truth::{Benign, Truth},
    write::{Delivery, Fields, Granularity, ObjectFormat},
};

/// 2026-03-22T00:00:00Z, a Sunday.
const START: Secs = 1_774_137_600;
const DAYS: Secs = 10;
/// The poisoned version of `support-agent`: 2026-03-30T09:14:05Z.
const POISONED_AT: Secs = START + 8 * DAY + 9 * HOUR + 14 * MINUTE + 5;
/// Its first call-out: 2026-03-30T09:31:40Z.
const CALL_OUT_AT: Secs = POISONED_AT + 17 * MINUTE + 35;
/// The archive of environment, credentials and configuration, encrypted.
const ARCHIVE_BYTES: f64 = 3_400_000.0;
const ATTACKER: [u8; 4] = [203, 0, 113, 77];
const SEED: u64 = 20_260_330;

/// Name, what it does, invocations in a busy hour.
const FUNCTIONS: [(&str, &str, f64); 5] = [
    ("activities-api", "Records workouts: DynamoDB for the entries, S3 for the tracks", 26.0),
    ("routes-api", "Draws routes: PostgreSQL for the geometry, map tiles from a CDN", 14.0),
    ("socials-api", "Shares workouts: DynamoDB, and a social network's API", 12.0),
    ("support-api", "Customer service: PostgreSQL, refunds at the payment provider", 7.0),
    ("support-agent", "Answers customers: a language model's API, DynamoDB for the conversation", 9.0),
];

/// Writes both cases: the one with the call-out, as Parquet and as text, and its quiet twin.
///
/// Folders of the cases are replaced; everything else in `out` stays.
pub fn write_sample_logs(out: &Path) -> anyhow::Result<String> {
    let compromised = fitness_tracker(true);
    let mut summary = Vec::new();
    for (name, fleet) in [("fitness-tracker", &compromised), ("fitness-tracker-quiet", &fitness_tracker(false))] {
        let case = out.join(name);
        if case.exists() {
            fs::remove_dir_all(&case).with_context(|| format!("clearing the case folder `{}`", case.display()))?;
        }
        let mut forms = vec![("logs", ObjectFormat::Parquet)];
        if name == "fitness-tracker" {
            forms.push(("logs-text", ObjectFormat::Text));
        }
        for (folder, format) in forms {
            let delivery = Delivery::new(fleet, &case.join(folder), format, Fields::Recommended);
            let written = write_logs(fleet, &delivery, MINUTE, Granularity::Day)?;
            summary.push(format!("{name}/{folder}: {written}"));
        }
        write_knowledge(fleet, &case)?;
        write_json(&case.join("truth.json"), &Truth::of(fleet))?;
    }
    Ok(summary.join("\n"))
}

fn network(asn: u32, owner: &str, class: Class, prefixes: &[Prefix]) -> Network {
    Network { asn, owner: owner.to_owned(), country: "IE", class, prefixes: prefixes.to_vec(), prefix6: None }
}

fn fitness_tracker(compromised: bool) -> Fleet {
    let dice = Dice::new(SEED);
    let maps = [Prefix::v4(198, 18, 8, 0, 22), Prefix::v4(198, 18, 64, 0, 22), Prefix::v4(198, 19, 200, 0, 22)];
    let internet = Internet {
        networks: vec![
            network(64_496, "Example Payments", Class::Saas, &[Prefix::v4(192, 0, 2, 0, 24)]),
            network(64_497, "Example Language Models", Class::Saas, &[Prefix::v4(198, 51, 100, 0, 25)]),
            network(64_498, "Example Maps Delivery", Class::Cdn, &maps),
            network(64_499, "Example Social Network", Class::Saas, &[Prefix::v4(198, 51, 100, 128, 25)]),
            network(64_500, "Example Hosting", Class::Hosting, &[Prefix::v4(203, 0, 113, 0, 24)]),
        ],
    };
    let span = Span { start: START, end: START + DAYS * DAY };
    let mut fleet = Fleet::empty("111122223333".to_owned(), span, internet, dice.clone());
    let mut throw = dice.fork("fitness-tracker", 0);
    let vpc = format!("vpc-0{}", throw.hex(16));
    let subnets: Vec<usize> =
        (0..2).map(|z| fleet.place.add_subnet(&vpc, z, Prefix::v4(10, 0, 16 * z as u8, 0, 20), &mut throw)).collect();
    let destinations = add_destinations(&mut fleet, subnets[0], &maps, &mut throw);
    for (i, (name, description, per_hour)) in FUNCTIONS.into_iter().enumerate() {
        let groups = [format!("sg-0{}", throw.hex(16))];
        let pairs = subnets.iter().map(|&s| fleet.place.pair(s, &groups, name, &mut throw)).collect();
        let mut versions = vec![Version::new(&mut throw, START - (20 + i as Secs) * DAY)];
        // An ordinary release in the same week, and the one that brings the poisoned dependency.
        if name == "routes-api" {
            versions.push(Version::new(&mut throw, START + 7 * DAY + 11 * HOUR));
        }
        if name == "support-agent" {
            versions.push(Version::new(&mut throw, POISONED_AT));
        }
        fleet.functions.push(Function {
            name: name.to_owned(),
            description: description.to_owned(),
            runtime: if name == "support-agent" { "python3.13" } else { "nodejs22.x" },
            pairs,
            dual_stack: false,
            versions,
            rhythm: Rhythm::Diurnal { per_hour, peak_hour: 17.0, weekend_share: 1.1, doubling_days: None },
            calls: calls(i, &destinations),
            active: vec![Span::ALWAYS],
            n_environments: 2,
        });
    }
    let span = fleet.span;
    fleet.benign.push(Benign {
        kind: "M-cdn-rotation",
        function: Some(1),
        destination: Some(destinations.maps),
        start: span.start,
        end: span.end,
    });
    if compromised {
        let agent = FUNCTIONS.len() - 1;
        let mut scene = Scene::new(&fleet, agent, CALL_OUT_AT, dice.fork("call-out", 0));
        shapes::archive_then_poll(&mut scene, IpAddr::from(ATTACKER), ARCHIVE_BYTES, span.end - HOUR);
        if let Some((attack, connections)) = scene.finish(Shape::Alone(Form::B), Form::D) {
            fleet.attacks.push(attack);
            fleet.attack_connections = connections;
        }
    }
    fleet
}

/// Numbers of the destinations.
struct Destinations {
    dynamodb: usize,
    s3: usize,
    postgres: usize,
    payments: usize,
    maps: usize,
    social: usize,
    language_model: usize,
}

fn add_destinations(fleet: &mut Fleet, subnet: usize, maps: &[Prefix], dice: &mut Dice) -> Destinations {
    let groups = [format!("sg-0{}", dice.hex(16))];
    let description = "RDSNetworkInterface".to_owned();
    let database = fleet.place.add_interface(InterfaceKind::Database, subnet, &groups, description, Span::ALWAYS, dice);
    let database = fleet.place.interfaces[database].address;
    let fixed = |ips: &[[u8; 4]]| Addresses::Fixed(ips.iter().copied().map(IpAddr::from).collect());
    let cdn = Pool { n_members: 120, drift_secs: 4 * DAY, ..catalogue::cdn_pool(maps.to_vec(), dice) };
    let mut add = |name: &str, kind: Kind, port: u16, home: Addresses| {
        fleet.add_destination(catalogue::settled(name, kind, port, home))
    };
    Destinations {
        postgres: add("postgres", Kind::Database, 5432, Addresses::Fixed(vec![database])),
        payments: add("payments", Kind::FixedSaas, 443, fixed(&[[192, 0, 2, 16], [192, 0, 2, 17]])),
        maps: add("maps", Kind::CdnRotation, 443, Addresses::Pool(cdn)),
        social: add(
            "social",
            Kind::FixedSaas,
            443,
            fixed(&[[198, 51, 100, 140], [198, 51, 100, 141], [198, 51, 100, 150]]),
        ),
        language_model: add("language-model", Kind::FixedSaas, 443, fixed(&[[198, 51, 100, 32], [198, 51, 100, 33]])),
        dynamodb: fleet.add_destination(catalogue::gateway("DYNAMODB", dice)),
        s3: fleet.add_destination(catalogue::gateway("S3", dice)),
    }
}

fn calls(function: usize, d: &Destinations) -> Vec<Call> {
    let items = Sizes { out_bytes: 700.0, in_bytes: 2_000.0, sigma: 0.8 };
    let tracks = Sizes { out_bytes: 24_000.0, in_bytes: 600.0, sigma: 0.9 };
    let tiles = Sizes { out_bytes: 700.0, in_bytes: 45_000.0, sigma: 0.9 };
    let prompt = Sizes { out_bytes: 9_000.0, in_bytes: 5_000.0, sigma: 0.8 };
    match function {
        0 => vec![call(d.dynamodb, 1.0, items, 300), call(d.s3, 0.4, tracks, 20)],
        1 => vec![call(d.postgres, 1.0, items, 600), call(d.maps, 0.7, tiles, 20)],
        2 => vec![call(d.dynamodb, 1.0, items, 300), call(d.social, 0.5, API, 60)],
        3 => vec![call(d.postgres, 1.0, items, 600), call(d.payments, 0.2, API, 0)],
        _ => vec![call(d.dynamodb, 1.0, items, 300), call(d.language_model, 1.0, prompt, 60)],
    }
}
