//! Findings the tests of the forms share: each the shape of one incident, with addresses reserved for documentation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::finding::{
    Activity, CheckId, Deployment, Destination, Evidence, Finding, Fingerprint, Owner, OwnerKind, Quantity, Severity,
};

/// 2026-03-31T09:12:44Z.
const FIRST: i64 = 1_774_948_364;

/// One destination on a port of a network.
fn destination(address: IpAddr, port: u16, network: &str) -> Destination {
    Destination {
        address,
        port,
        protocol: 6,
        network: network.into(),
        aws_service: None,
        n_flows: 3,
        bytes_out: 18_211,
        bytes_in: 2_110,
        first_seen: FIRST,
        last_seen: FIRST + 56,
    }
}

/// A credential upload to a raw address, a quarter of an hour after a deployment.
pub(crate) fn new_destination() -> Finding {
    Finding {
        id: Fingerprint(0x9f2c_41d7_0be8_5a13_66f0_92ce_d481_377b),
        check: CheckId::NewDestination,
        activity: Activity::Create,
        severity: Severity::new(7.4),
        confidence: 0.93,
        title: "activities-api reached 203.0.113.7:8000, a network nothing in its past explains".into(),
        description: "activities-api sent 18211 bytes to 203.0.113.7 port 8000 (AS64500 Example Hosting). In 21 days \
                      it never reached that network, and no other function knows it."
            .into(),
        account_id: Some("111122223333".into()),
        region: Some("eu-west-1".into()),
        vpc_id: Some("vpc-0a1b2c3d4e5f60718".into()),
        owner: Owner {
            kind: OwnerKind::Function,
            functions: vec!["activities-api".into()],
            arns: vec!["arn:aws:lambda:eu-west-1:111122223333:function:activities-api".into()],
            eni_ids: vec!["eni-0aaaabbbbcccc1111".into()],
        },
        destinations: vec![destination(Ipv4Addr::new(203, 0, 113, 7).into(), 8000, "AS64500 Example Hosting")],
        window: (FIRST - 164, FIRST + 436),
        first_seen: FIRST,
        last_seen: FIRST + 56,
        count: 1,
        evidence: vec![
            Evidence {
                check: CheckId::NewDestination,
                measure: "peers_of_network",
                observed: Quantity::Peers(1.0),
                expected: Quantity::Peers(0.0),
                surprise: 3.5,
                statement: "In 3024 windows since 2026-03-10 the function never reached AS64500; it meets a new \
                            network about once in 19 days."
                    .into(),
            },
            Evidence {
                check: CheckId::NewDestination,
                measure: "functions_knowing_network",
                observed: Quantity::Functions(0.0),
                expected: Quantity::Functions(4.5),
                surprise: 1.25,
                statement: "None of the 11 other functions knows this network.".into(),
            },
        ],
        deployment: Some(Deployment {
            version: "17".into(),
            code_sha256: "mRk0Vd8J2pQhX1uYb0t7n5cZs3aLw9eKf6gHiOjPqRs=".into(),
            at: FIRST - 882,
        }),
        suppressed_by: None,
    }
}

/// Three new destinations within a minute, on an interface two functions share.
pub(crate) fn shared_burst() -> Finding {
    let mut finding = new_destination();
    finding.id = Fingerprint(0x2b);
    finding.check = CheckId::NoveltyBurst;
    finding.severity = Severity::new(9.1);
    finding.title = "activities-api or routes-api reached 3 new networks within a minute".into();
    finding.owner = Owner {
        kind: OwnerKind::Shared,
        functions: vec!["activities-api".into(), "routes-api".into()],
        arns: vec![
            "arn:aws:lambda:eu-west-1:111122223333:function:activities-api".into(),
            "arn:aws:lambda:eu-west-1:111122223333:function:routes-api".into(),
        ],
        eni_ids: vec!["eni-0aaaabbbbcccc1111".into(), "eni-0aaaabbbbcccc2222".into()],
    };
    finding.destinations = vec![
        destination(Ipv4Addr::new(203, 0, 113, 7).into(), 443, "AS64500 Example Hosting"),
        destination(Ipv4Addr::new(198, 51, 100, 23).into(), 443, "AS64501 A Content Network With A Rather Long Name"),
        destination(Ipv4Addr::new(192, 0, 2, 250).into(), 8443, "AWS EC2 eu-west-1"),
    ];
    if let Some(aws) = finding.destinations.last_mut() {
        aws.aws_service = Some("EC2".into());
        aws.bytes_out = 84_000_321;
    }
    finding.deployment = None;
    finding
}

/// A slow poll over IPv6 that has gone on for two days.
pub(crate) fn beacon() -> Finding {
    let mut finding = new_destination();
    finding.id = Fingerprint(0x3c);
    finding.check = CheckId::Beacon;
    finding.activity = Activity::Update;
    finding.severity = Severity::new(5.0);
    finding.confidence = 0.714;
    finding.title = "support-bot contacts 2001:db8:77::5 about every 50 minutes".into();
    finding.owner.functions = vec!["support-bot".into()];
    finding.owner.arns = vec!["arn:aws:lambda:eu-west-1:111122223333:function:support-bot".into()];
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 5).into();
    finding.destinations = vec![destination(address, 443, "AS64502 Tunnels Ltd")];
    finding.count = 57;
    finding.last_seen = FIRST + 169_260;
    finding.window.1 = FIRST + 169_636;
    finding.deployment = None;
    finding.evidence = vec![Evidence {
        check: CheckId::Beacon,
        measure: "share_of_intervals_on_period",
        observed: Quantity::Share(0.97),
        expected: Quantity::Share(0.125),
        surprise: 6.0,
        statement: "55 of 57 contacts came 50 min apart (±2 min); the function itself runs about every 20 s.".into(),
    }];
    finding
}

/// No inventory: the interface is the owner, nothing else is known, and the attempt was refused.
pub(crate) fn bare_interface() -> Finding {
    let mut finding = new_destination();
    finding.id = Fingerprint(0x4d);
    finding.check = CheckId::RejectedEgress;
    finding.severity = Severity::new(3.0);
    finding.title = "eni-0aaaabbbbcccc1111 was refused on its way to 203.0.113.7:22".into();
    finding.account_id = None;
    finding.region = None;
    finding.vpc_id = None;
    finding.owner.kind = OwnerKind::Interface;
    finding.owner.functions.clear();
    finding.owner.arns.clear();
    finding.destinations = vec![destination(Ipv4Addr::new(203, 0, 113, 7).into(), 22, "203.0.113.0/24")];
    finding.deployment = None;
    finding.evidence.truncate(1);
    finding
}

/// Names made to move a cursor, clear a screen, turn text around and ping a channel.
pub(crate) fn hostile() -> Finding {
    let mut finding = new_destination();
    finding.id = Fingerprint(0x5e);
    finding.title = "\u{1b}[2Jall is well\r\n\u{202e}lortnoc".into();
    finding.description = "<!channel> *click* [here](http://x.example) `\u{7}` <at>all</at> @here".into();
    finding.owner.functions = vec!["\u{1b}]0;owned\u{7}$(id)".into()];
    finding.destinations = vec![destination(
        Ipv4Addr::new(203, 0, 113, 7).into(),
        8000,
        "AS64500 <https://x.example|Evil>\u{1b}[31m\nHosting",
    )];
    if let Some(evidence) = finding.evidence.first_mut() {
        evidence.statement = "line\u{2028}line\u{9b}31m `code` <!here>".into();
    }
    finding
}

/// All of them, for tests that hold for every finding.
pub(crate) fn all() -> Vec<Finding> {
    vec![new_destination(), shared_burst(), beacon(), bare_interface(), hostile()]
}
