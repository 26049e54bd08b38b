//! The destinations a random fleet's functions choose from.

use std::net::IpAddr;

use crate::{
    calendar::{DAY, MINUTE, Secs},
    dice::Dice,
    fleet::{
        Addresses, Destination, Fleet, InterfaceKind, Kind, Span,
        destination::{Pool, TCP, UDP},
    },
    internet::{Class, Network, Prefix, aws},
};

/// Numbers of destinations in the fleet, by what they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalogue {
    pub(super) saas: Vec<usize>,
    pub(super) cdns: Vec<usize>,
    pub(super) load_balancers: Vec<usize>,
    pub(super) telemetry: Vec<usize>,
    /// Webhook receivers of each sender are its own; this is one set for each.
    pub(super) webhook_targets: Vec<usize>,
    pub(super) resolver: usize,
    pub(super) s3: usize,
    pub(super) dynamodb: usize,
    /// Databases and interface endpoints of each VPC.
    pub(super) databases: [Vec<usize>; 2],
    pub(super) endpoints: [Vec<usize>; 2],
}

/// A destination that has always been where it is.
pub(super) fn settled(name: &str, kind: Kind, port: u16, home: Addresses) -> Destination {
    Destination {
        name: name.to_owned(),
        kind,
        port,
        protocol: if port == 53 { UDP } else { TCP },
        homes: vec![(Secs::MIN, home)],
        home6: None,
        aws_service: None,
        outages: Vec::new(),
    }
}

/// A small service: one to six fixed addresses in one network, its own or rented.
pub(super) fn small_service(fleet: &Fleet, dice: &mut Dice) -> Addresses {
    let class = if dice.chance(0.6) { Class::Saas } else { Class::Hosting };
    let network = fleet.internet.pick(class, dice);
    let prefix = *dice.pick(&network.prefixes);
    Addresses::Fixed((0..dice.between(1, 6)).map(|_| prefix.host(dice.word())).collect())
}

/// A name behind a content delivery network.
pub(super) fn cdn_pool(prefixes: Vec<Prefix>, dice: &mut Dice) -> Pool {
    Pool {
        prefixes,
        n_members: dice.between(30, 400) as u64,
        n_answers: dice.between(2, 8) as u64,
        epoch_secs: *dice.pick(&[20, 60, 60, 300]),
        drift_secs: dice.between(2 * DAY, 15 * DAY),
        skew: 1.0,
        key: dice.word(),
    }
}

/// A cloud load balancer: two or three addresses anywhere in a region's ranges, each replaced every few days.
pub(super) fn load_balancer(region: &str, dice: &mut Dice) -> Addresses {
    let n = dice.between(2, 3) as u64;
    Addresses::Pool(Pool {
        prefixes: aws::prefixes("EC2", region),
        n_members: n,
        n_answers: n,
        epoch_secs: MINUTE,
        drift_secs: dice.between(DAY, 9 * DAY),
        skew: 1.0,
        key: dice.word(),
    })
}

/// A gateway endpoint: the service's public addresses, a stable crowd of them.
pub(super) fn gateway(service: &'static str, dice: &mut Dice) -> Destination {
    let pool = Pool {
        prefixes: aws::prefixes(service, aws::REGION),
        n_members: 48,
        n_answers: 4,
        epoch_secs: 5,
        drift_secs: 60 * DAY,
        skew: 1.0,
        key: dice.word(),
    };
    let name = service.to_lowercase();
    Destination { aws_service: Some(service), ..settled(&name, Kind::GatewayEndpoint, 443, Addresses::Pool(pool)) }
}

/// Receivers of a webhook sender: hundreds of networks, some much busier than others, and new ones all the time.
fn webhook_pool(fleet: &Fleet, dice: &mut Dice) -> Pool {
    let receivers = (0..dice.between(250, 700)).filter_map(|_| {
        let class = *dice.pick(&[Class::Access, Class::Hosting, Class::Hosting, Class::Saas]);
        match fleet.internet.pick(class, dice).address(dice) {
            IpAddr::V4(address) => Some(Prefix::around(address, 30)),
            IpAddr::V6(_) => None,
        }
    });
    let prefixes = receivers.collect();
    let n = dice.between(300, 900) as u64;
    Pool {
        prefixes,
        n_members: n,
        n_answers: n,
        epoch_secs: 1,
        drift_secs: dice.between(20 * DAY, 60 * DAY),
        skew: dice.real(2.0, 4.0),
        key: dice.word(),
    }
}

/// A private destination with an interface of its own, logged like any other.
fn inside(fleet: &mut Fleet, name: &str, kind: Kind, port: u16, subnet: usize, dice: &mut Dice) -> usize {
    let interface_kind = if kind == Kind::Database { InterfaceKind::Database } else { InterfaceKind::Endpoint };
    let description = match interface_kind {
        InterfaceKind::Database => "RDSNetworkInterface".to_owned(),
        _ => format!("VPC Endpoint Interface vpce-0{}", dice.hex(16)),
    };
    let groups = [format!("sg-0{}", dice.hex(16))];
    let interface = fleet.place.add_interface(interface_kind, subnet, &groups, description, Span::ALWAYS, dice);
    let address = fleet.place.interfaces[interface].address;
    fleet.add_destination(settled(name, kind, port, Addresses::Fixed(vec![address])))
}

/// Fills the catalogue; `insides` are the subnets of each VPC for databases and endpoints.
pub(super) fn fill(fleet: &mut Fleet, insides: [usize; 2], dice: &mut Dice) -> Catalogue {
    let mut c = Catalogue::default();
    for i in 0..26 {
        let home = small_service(fleet, dice);
        c.saas.push(fleet.add_destination(settled(&format!("saas-{i}"), Kind::FixedSaas, 443, home)));
    }
    let mut cdns: Vec<Network> = fleet.internet.networks.iter().filter(|n| n.class == Class::Cdn).cloned().collect();
    dice.shuffle(&mut cdns);
    // Four networks stay unused by benign names, so that a call-out can hide behind a CDN new to everybody.
    for (i, network) in cdns.iter().take(6).enumerate() {
        let pool = cdn_pool(network.prefixes.clone(), dice);
        let home6 = network.prefix6.map(|p| Addresses::Pool(Pool { prefixes: vec![p], ..pool.clone() }));
        let name = format!("cdn-{i}");
        let cdn = settled(&name, Kind::CdnRotation, 443, Addresses::Pool(pool));
        c.cdns.push(fleet.add_destination(Destination { home6, ..cdn }));
    }
    let cloudfront = Addresses::Pool(cdn_pool(aws::prefixes("CLOUDFRONT", "GLOBAL"), dice));
    let cloudfront = settled("cdn-cloudfront", Kind::CdnRotation, 443, cloudfront);
    c.cdns.push(fleet.add_destination(Destination { aws_service: Some("CLOUDFRONT"), ..cloudfront }));
    for i in 0..8 {
        let region = if i < 5 { aws::REGION } else { "us-east-1" };
        let home = load_balancer(region, dice);
        let balancer = settled(&format!("balanced-{i}"), Kind::LoadBalancerRotation, 443, home);
        c.load_balancers.push(fleet.add_destination(Destination { aws_service: Some("EC2"), ..balancer }));
    }
    for i in 0..4 {
        let network = fleet.internet.pick(Class::Telemetry, dice).clone();
        let addresses = (0..dice.between(3, 12)).map(|_| network.address(dice)).collect();
        let name = format!("telemetry-{i}");
        c.telemetry.push(fleet.add_destination(settled(&name, Kind::Telemetry, 443, Addresses::Fixed(addresses))));
    }
    for i in 0..4 {
        let pool = Addresses::Pool(webhook_pool(fleet, dice));
        c.webhook_targets.push(fleet.add_destination(settled(
            &format!("webhooks-{i}"),
            Kind::WebhookTargets,
            443,
            pool,
        )));
    }
    let google = Addresses::Fixed(vec![IpAddr::from([8, 8, 8, 8]), IpAddr::from([8, 8, 4, 4])]);
    c.resolver = fleet.add_destination(settled("public-resolver", Kind::PublicResolver, 53, google));
    c.s3 = fleet.add_destination(gateway("S3", dice));
    c.dynamodb = fleet.add_destination(gateway("DYNAMODB", dice));
    for (vpc, subnet) in insides.into_iter().enumerate() {
        for (name, port) in [("postgres", 5432), ("mysql", 3306), ("redis", 6379)] {
            c.databases[vpc].push(inside(fleet, &format!("{name}-{vpc}"), Kind::Database, port, subnet, dice));
        }
        for name in ["secretsmanager", "sqs", "sts"] {
            let name = format!("{name}-{vpc}");
            c.endpoints[vpc].push(inside(fleet, &name, Kind::InterfaceEndpoint, 443, subnet, dice));
        }
    }
    c
}
