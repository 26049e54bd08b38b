//! Tests of JSON: the form that scripts rely on, and that what is written is read back.

use super::*;
use crate::write::sample;
use crate::write::words::is_unsafe;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[test]
fn the_form_is_what_scripts_rely_on() {
    let expected = concat!(
        r#"{"schema":"callout.finding/1","id":"9f2c41d70be85a1366f092ced481377b","type":"new-destination","#,
        r#""activity":"create","severity":7.4,"severity_label":"High","confidence":0.93,"#,
        r#""title":"activities-api reached 203.0.113.7:8000, a network nothing in its past explains","#,
        r#""description":"activities-api sent 18211 bytes to 203.0.113.7 port 8000 (AS64500 Example Hosting). "#,
        r#"In 21 days it never reached that network, and no other function knows it.","#,
        r#""account_id":"111122223333","region":"eu-west-1","vpc_id":"vpc-0a1b2c3d4e5f60718","#,
        r#""owner":{"kind":"function","functions":["activities-api"],"#,
        r#""arns":["arn:aws:lambda:eu-west-1:111122223333:function:activities-api"],"#,
        r#""eni_ids":["eni-0aaaabbbbcccc1111"]},"#,
        r#""destinations":[{"address":"203.0.113.7","port":8000,"protocol":"tcp","#,
        r#""network":"AS64500 Example Hosting","aws_service":null,"n_flows":3,"bytes_out":18211,"bytes_in":2110,"#,
        r#""first_seen":"2026-03-31T09:12:44Z","last_seen":"2026-03-31T09:13:40Z"}],"#,
        r#""window":{"start":"2026-03-31T09:10:00Z","end":"2026-03-31T09:20:00Z"},"#,
        r#""first_seen":"2026-03-31T09:12:44Z","last_seen":"2026-03-31T09:13:40Z","count":1,"#,
        r#""evidence":[{"measure":"peers_of_network","observed":1,"expected":0,"unit":"peers","#,
        r#""statement":"In 3024 windows since 2026-03-10 the function never reached AS64500; "#,
        r#"it meets a new network about once in 19 days.","check":"new-destination","surprise":3.5},"#,
        r#"{"measure":"functions_knowing_network","observed":0,"expected":4.5,"unit":"functions","#,
        r#""statement":"None of the 11 other functions knows this network.","check":"new-destination","#,
        r#""surprise":1.25}],"#,
        r#""deployment":{"version":"17","code_sha256":"mRk0Vd8J2pQhX1uYb0t7n5cZs3aLw9eKf6gHiOjPqRs=","#,
        r#""at":"2026-03-31T08:58:02Z"},"suppressed_by":null}"#,
    );
    assert_eq!(render(&sample::new_destination()), expected);
}

#[test]
fn what_is_unknown_is_null() {
    let line = render(&sample::bare_interface());
    for part in
        [r#""account_id":null,"region":null,"vpc_id":null"#, r#""functions":[],"arns":[]"#, r#""deployment":null"#]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn a_finding_is_one_line() {
    for finding in sample::all() {
        assert!(!render(&finding).contains(['\n', '\r']));
    }
}

#[test]
fn another_version_is_refused_before_its_fields() {
    let newer = r#"{"schema":"callout.finding/2","anything":1}"#;
    let error = parse(newer).expect_err("a newer form").to_string();
    assert_eq!(error, "schema is `callout.finding/2`; this program reads `callout.finding/1`");
    assert!(matches!(parse("{}"), Err(Error::Form(_))));
    assert!(matches!(parse(""), Err(Error::Form(_))));
}

#[test]
fn a_damaged_field_is_named() {
    let sound = render(&sample::new_destination());
    for (from, to, message) in [
        ("9f2c41d7", "xf2c41d7", "`id` is `xf2c41d70be85a1366f092ced481377b`; that is not 32 hexadecimal digits"),
        ("\"type\":\"new-destination\"", "\"type\":\"new\"", "`type` is `new`; that is no check of this version"),
        ("\"create\"", "\"close\"", "`activity` is `close`; that is neither `create` nor `update`"),
        ("\"tcp\"", "\"tpc\"", "`protocol` is `tpc`; that is neither a protocol's name nor its number"),
        ("\"peers\"", "\"pears\"", "`unit` is `pears`; that is no unit of this version"),
        ("2026-03-31T08:58:02Z", "yesterday", "`deployment.at` is `yesterday`; that is no RFC 3339 time"),
    ] {
        let damaged = sound.replacen(from, to, 1);
        assert_eq!(parse(&damaged).expect_err(to).to_string(), message);
    }
}

#[test]
fn beyond_all_numbers_is_still_a_number() {
    let mut finding = sample::new_destination();
    finding.evidence[0].surprise = f64::INFINITY;
    finding.evidence[1].surprise = f64::NAN;
    let read = parse(&render(&finding)).expect("sound");
    assert!(read.evidence[0].surprise >= f64::MAX);
    assert!(read.evidence[1].surprise.is_nan());
}

fn text() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn secs() -> impl Strategy<Value = i64> {
    -62_135_596_800i64..=253_402_207_200
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u32>().prop_map(f64::from), -1e18..1e18, 0.0..1.0, Just(0.0)]
}

fn quantities() -> impl Strategy<Value = (Quantity, Quantity)> {
    let of = prop_oneof![
        Just(Quantity::Bytes as fn(f64) -> Quantity),
        Just(Quantity::Flows as fn(f64) -> Quantity),
        Just(Quantity::Peers as fn(f64) -> Quantity),
        Just(Quantity::Networks as fn(f64) -> Quantity),
        Just(Quantity::Prefixes as fn(f64) -> Quantity),
        Just(Quantity::Ports as fn(f64) -> Quantity),
        Just(Quantity::Functions as fn(f64) -> Quantity),
        Just(Quantity::Secs as fn(f64) -> Quantity),
        Just(Quantity::Share as fn(f64) -> Quantity),
        Just(Quantity::Times as fn(f64) -> Quantity),
    ];
    (of, finite(), finite()).prop_map(|(of, observed, expected)| (of(observed), of(expected)))
}

fn destinations() -> impl Strategy<Value = Vec<Destination>> {
    let one =
        (any::<IpAddr>(), any::<(u16, u8)>(), text(), option::of(text()), any::<(u64, u64, u64)>(), secs(), secs());
    vec(
        one.prop_map(
            |(address, (port, protocol), network, aws_service, (n_flows, bytes_out, bytes_in), first, last)| {
                Destination {
                    address,
                    port,
                    protocol,
                    network,
                    aws_service,
                    n_flows,
                    bytes_out,
                    bytes_in,
                    first_seen: first,
                    last_seen: last,
                }
            },
        ),
        0..4,
    )
}

fn evidences() -> impl Strategy<Value = Vec<Evidence>> {
    let names = proptest::sample::select(vec!["peers_of_network", "bytes_a_day", "a", ""]);
    let one = (proptest::sample::select(&CheckId::ALL[..]), names, quantities(), finite(), any::<String>());
    vec(
        one.prop_map(|(check, measure, (observed, expected), surprise, statement)| Evidence {
            check,
            measure,
            observed,
            expected,
            surprise,
            statement,
        }),
        0..4,
    )
}

fn owners() -> impl Strategy<Value = Owner> {
    let kinds = proptest::sample::select(vec![OwnerKind::Function, OwnerKind::Shared, OwnerKind::Interface]);
    (kinds, vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3))
        .prop_map(|(kind, functions, arns, eni_ids)| Owner { kind, functions, arns, eni_ids })
}

prop_compose! {
    fn findings()(
        (id, update, severity, confidence, count) in (any::<u128>(), any::<bool>(), 0.0..11.0, 0.0..=1.0, any::<u32>()),
        check in proptest::sample::select(&CheckId::ALL[..]),
        (title, description) in any::<(String, String)>(),
        (account_id, region, vpc_id) in (option::of(text()), option::of(text()), option::of(text())),
        owner in owners(),
        destinations in destinations(),
        (start, end, first_seen, last_seen) in (secs(), secs(), secs(), secs()),
        evidence in evidences(),
        deployment in option::of((text(), text(), secs())),
        suppressed_by in option::of(text()),
    ) -> Finding {
        Finding {
            id: Fingerprint(id),
            check,
            activity: if update { Activity::Update } else { Activity::Create },
            severity: Severity::new(severity),
            confidence,
            title,
            description,
            account_id,
            region,
            vpc_id,
            owner,
            destinations,
            window: (start, end),
            first_seen,
            last_seen,
            count,
            evidence,
            deployment: deployment.map(|(version, code_sha256, at)| Deployment { version, code_sha256, at }),
            suppressed_by,
        }
    }
}

proptest! {
    #[test]
    fn what_is_rendered_is_parsed_back(finding in findings()) {
        let line = render(&finding);
        let read = parse(&line).expect("what was written");
        prop_assert_eq!(&read, &finding);
        prop_assert_eq!(render(&read), line);
    }

    #[test]
    fn parsing_never_panics(text in "\\PC{0,80}", cut in 0usize..400) {
        drop(parse(&text));
        let line = render(&sample::new_destination());
        drop(parse(line.get(..cut).unwrap_or("")));
    }

    /// Every form holds for every finding, however odd: one line of JSON, or a text without controls.
    #[test]
    fn every_form_renders_every_finding(finding in findings()) {
        use crate::write::{Format, finding as write};
        for format in [Format::Json, Format::Ocsf, Format::Asff, Format::Guardduty, Format::Chat] {
            let line = write(format, &finding);
            prop_assert!(!line.contains(is_unsafe), "{line:?}");
            prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        }
        let table = write(Format::Table, &finding);
        prop_assert!(!table.contains(|c: char| c.is_control() && c != '\n'));
    }
}
