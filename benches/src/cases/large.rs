//! Bulk input for benchmarks: as many rows as wanted with the cardinalities of a busy account, in bounded memory.
//!
//! Rows are drawn one connection at a time instead of being simulated: 400 functions unless asked otherwise, each with
//! some dozen destinations of a few ten thousand in all, both directions, recommended fields. Each object is a pure
//! function of the seed and its number.

use std::{net::IpAddr, path::Path};

use anyhow::bail;
use rayon::prelude::*;

use super::write_knowledge;
use crate::{
    calendar::{DAY, FLEET_START, MINUTE, Secs},
    dice::Dice,
    fleet::{Fleet, Function, Place, Rhythm, Span, Version, destination::TCP},
    internet::{Class, Internet, Prefix, aws},
    traffic::{Record, Status, ephemeral_port},
    write::{Delivery, Fields, ObjectFormat, Written},
};

/// Addresses of a subnet that functions may fill; a /24 has some more.
const FUNCTIONS_PER_SUBNET: usize = 200;
/// One object spans this, as AWS delivers, unless `days` are given.
const OBJECT_SECS: Secs = 5 * MINUTE;
const SEED: u64 = 400;

/// What to write.
#[derive(Clone, Debug, clap::Args)]
pub struct Large {
    /// Flow records in all
    #[arg(long, default_value_t = 8_000_000)]
    pub rows: u64,
    /// Objects to spread them over, five minutes of event time each
    #[arg(long, default_value_t = 16)]
    pub objects: u64,
    /// Days of event time to spread the objects over instead
    #[arg(long)]
    pub days: Option<u64>,
    /// Lambda functions, at most 20,000
    #[arg(long, default_value_t = 400)]
    pub functions: usize,
    /// Destinations of one function; the popular third takes most of the calls
    #[arg(long, default_value_t = 80)]
    pub destinations: u64,
    /// Form of the objects
    #[arg(long, value_enum, default_value = "parquet")]
    pub format: ObjectFormat,
}

impl Large {
    /// Rows over objects of five minutes, with the cardinalities of a busy account.
    pub fn new(rows: u64, objects: u64, format: ObjectFormat) -> Self {
        Self { rows, objects, days: None, functions: 400, destinations: 80, format }
    }

    /// The event time that one object spans.
    fn object_secs(&self) -> Secs {
        self.days.map_or(OBJECT_SECS, |days| (days as Secs * DAY / self.objects as Secs).max(MINUTE))
    }
}

/// A destination as far as rows need it.
#[derive(Clone, Copy, Debug)]
struct Target {
    address: IpAddr,
    port: u16,
    service: Option<&'static str>,
    path: u8,
}

/// Writes a case folder of bulk rows.
pub fn write_large(options: &Large, out: &Path) -> anyhow::Result<String> {
    if options.objects == 0 || options.rows < options.objects {
        bail!(
            "{} rows cannot be spread over {} objects; give at least one row for each",
            options.rows,
            options.objects
        );
    }
    if !(1..=100 * FUNCTIONS_PER_SUBNET).contains(&options.functions) || options.destinations == 0 {
        bail!(
            "{} functions with {} destinations each cannot be made; give 1 to {} and at least 1",
            options.functions,
            options.destinations,
            100 * FUNCTIONS_PER_SUBNET
        );
    }
    let dice = Dice::new(SEED);
    let object_secs = options.object_secs();
    let fleet = account(&dice, options);
    let targets: Vec<Vec<Target>> = (0..options.functions).map(|f| targets(&fleet, f, options.destinations)).collect();
    // Interfaces were made in the functions' order, one each.
    let addresses: Vec<IpAddr> = fleet.place.interfaces.iter().map(|i| i.address).collect();
    let delivery = Delivery::new(&fleet, &out.join("logs"), options.format, Fields::Recommended);
    // One object is in memory for each thread, no more.
    let sizes: Vec<u64> = (0..options.objects)
        .into_par_iter()
        .map(|n| {
            let n_rows = options.rows / options.objects + u64::from(n < options.rows % options.objects);
            let start = FLEET_START + n as Secs * object_secs;
            let span = Span { start, end: start + object_secs };
            let records = rows(&addresses, &targets, span, n_rows as usize, &mut dice.fork("object", n));
            delivery.write(&delivery.object_path(start, 0), &records)
        })
        .collect::<anyhow::Result<_>>()?;
    write_knowledge(&fleet, out)?;
    let written = Written { n_objects: options.objects, n_records: options.rows, bytes: sizes.iter().sum() };
    Ok(written.to_string())
}

/// The account: a function for each interface, in 20 subnets or more.
fn account(dice: &Dice, options: &Large) -> Fleet {
    let mut throw = dice.fork("account", 0);
    let mut place = Place::default();
    let vpc = format!("vpc-0{}", throw.hex(16));
    let subnets: Vec<usize> = (0..options.functions.div_ceil(FUNCTIONS_PER_SUBNET).max(20))
        .map(|s| place.add_subnet(&vpc, s, Prefix::v4(10, 40, s as u8, 0, 24), &mut throw))
        .collect();
    let functions = (0..options.functions)
        .map(|i| {
            let name = format!("function-{i:03}");
            let groups = [format!("sg-0{}", throw.hex(16))];
            let pair = place.pair(subnets[i % subnets.len()], &groups, &name, &mut throw);
            Function {
                name,
                description: String::new(),
                runtime: "nodejs22.x",
                pairs: vec![pair],
                dual_stack: false,
                versions: vec![Version::new(&mut throw, FLEET_START - 30 * DAY)],
                // Rows are drawn, not simulated: the rhythm is never asked.
                rhythm: Rhythm::Queue { bursts_per_day: 0.0, messages: 0.0, burst_secs: 0.0 },
                calls: Vec::new(),
                active: vec![Span::ALWAYS],
                n_environments: 1,
            }
        })
        .collect();
    let span = Span { start: FLEET_START, end: FLEET_START + options.objects as Secs * options.object_secs() };
    Fleet { place, functions, ..Fleet::empty("123456789012".to_owned(), span, Internet::new(dice), dice.clone()) }
}

/// The destinations of one function, popular ones first.
fn targets(fleet: &Fleet, function: usize, n_destinations: u64) -> Vec<Target> {
    let mut dice = fleet.dice.fork("targets", function as u64);
    let aws_service = |service: &'static str, path: u8, dice: &mut Dice| {
        let prefixes = aws::prefixes(service, aws::REGION);
        let word = dice.word();
        Target { address: dice.pick(&prefixes).host(word), port: 443, service: Some(service), path }
    };
    (0..n_destinations)
        .map(|n| match n % 8 {
            0 => aws_service("DYNAMODB", 7, &mut dice),
            1 => aws_service("S3", 7, &mut dice),
            2 => aws_service("EC2", 1, &mut dice),
            3 => {
                let address = Prefix::v4(10, 40, 100, 0, 24).host(dice.below(60));
                Target { address, port: *dice.pick(&[5432, 3306, 6379, 443]), service: None, path: 1 }
            }
            class => {
                let class = [Class::Cdn, Class::Saas, Class::Hosting, Class::Telemetry][class as usize - 4];
                let address = fleet.internet.pick(class, &mut dice).address(&mut dice);
                Target { address, port: 443, service: None, path: 1 }
            }
        })
        .collect()
}

/// Rows of one object: pairs of an egress record and its answer, in no order, as AWS gives none.
fn rows(addresses: &[IpAddr], targets: &[Vec<Target>], span: Span, n_rows: usize, dice: &mut Dice) -> Vec<Record> {
    let mut records = Vec::with_capacity(n_rows + 1);
    while records.len() < n_rows {
        // Busy functions are much busier than others: the square of a uniform number.
        let f = (dice.unit().powi(2) * targets.len() as f64) as usize;
        let own = &targets[f];
        let target = own[(dice.unit().powi(3) * own.len() as f64) as usize];
        let port = ephemeral_port(dice);
        let own_address = addresses[f];
        let minute = dice.between(0, (span.end - span.start) / MINUTE - 1) * MINUTE;
        let (from, until) = (span.start + minute + dice.between(-12, 6), span.start + minute + dice.between(45, 59));
        let flags = *dice.pick(&[(2, 18), (3, 19), (3, 19), (0, 0), (0, 0), (1, 1)]);
        let (out_bytes, in_bytes) =
            (dice.log_normal(1500.0, 1.2) as u64 + 60, dice.log_normal(4000.0, 1.5) as u64 + 60);
        let egress = Record {
            interface: f as u32,
            status: Status::Ok,
            src: own_address,
            dst: target.address,
            pkt_src: own_address,
            pkt_dst: target.address,
            src_port: port,
            dst_port: target.port,
            protocol: TCP,
            accept: true,
            egress: true,
            tcp_flags: flags.0,
            traffic_path: target.path,
            src_service: None,
            dst_service: target.service,
            packets: 2 + out_bytes / 600,
            bytes: out_bytes,
            start: from,
            end: until,
        };
        let ingress = Record {
            src: egress.dst,
            dst: egress.src,
            pkt_src: egress.pkt_dst,
            pkt_dst: egress.pkt_src,
            src_port: target.port,
            dst_port: port,
            egress: false,
            tcp_flags: flags.1,
            traffic_path: 0,
            src_service: target.service,
            dst_service: None,
            packets: 2 + in_bytes / 1000,
            bytes: in_bytes,
            ..egress.clone()
        };
        records.push(egress);
        if records.len() < n_rows {
            records.push(ingress);
        }
    }
    records
}
