//! What must hold for any records: text and Parquet give the same rows, and how an object is cut changes nothing.

use proptest::prelude::*;

use super::making::{
    Codec, FIELDS, LIKE_AWS, Numbers, Record, Texts, Variant, gzip, parquet, record_with, silent, text,
};
use super::*;

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0_u8..4, 0_u8..40).prop_map(|(a, b)| format!("10.0.{a}.{b}")),
        2 => any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
        2 => any::<[u8; 16]>().prop_map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
        1 => Just("10.0.0.256".to_owned()),
        1 => Just("-".to_owned()),
    ]
}

fn number(good: std::ops::Range<i64>) -> impl Strategy<Value = String> {
    prop_oneof![
        20 => good.prop_map(|number| number.to_string()),
        1 => prop_oneof![Just(-1), Just(70_000), Just(1 << 30)].prop_map(|number: i64| number.to_string()),
        1 => Just("-".to_owned()),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let words = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    let traffic = (
        (0_u8..6).prop_map(|n| format!("eni-{n:017x}")),
        (address(), address(), address(), address()),
        (number(0..65_536), number(0..1024), number(0..256)),
        (
            number(1..100),
            number(40..100_000),
            number(1_760_000_000..1_760_000_600),
            number(1_760_000_500..1_760_000_660),
        ),
        words(&["ACCEPT", "ACCEPT", "ACCEPT", "REJECT", "accept", "-"]),
        words(&["OK", "OK", "OK", "OK", "OK", "OK", "OK", "LOST"]),
        (
            words(&["vpc-1", "vpc-2", "-", "vpc\u{7f}"]),
            words(&["S3", "-", "AMAZON"]),
            words(&["ingress", "egress", "-", "up"]),
        ),
        (number(0..32), number(1..9)),
    );
    let traffic = traffic.prop_map(|(eni, addresses, ports, counts, action, status, texts, flags)| {
        record_with(&[
            ("interface-id", &eni),
            ("srcaddr", &addresses.0),
            ("dstaddr", &addresses.1),
            ("pkt-srcaddr", &addresses.2),
            ("pkt-dstaddr", &addresses.3),
            ("srcport", &ports.0),
            ("dstport", &ports.1),
            ("protocol", &ports.2),
            ("packets", &counts.0),
            ("bytes", &counts.1),
            ("start", &counts.2),
            ("end", &counts.3),
            ("action", &action),
            ("log-status", &status),
            ("vpc-id", &texts.0),
            ("pkt-dst-aws-service", &texts.1),
            ("flow-direction", &texts.2),
            ("tcp-flags", &flags.0),
            ("traffic-path", &flags.1),
        ])
    });
    prop_oneof![12 => traffic, 1 => Just(silent("NODATA")), 1 => Just(silent("SKIPDATA"))]
}

fn variant() -> impl Strategy<Value = Variant> {
    let codecs = prop::sample::select(&[Codec::None, Codec::Gzip, Codec::Snappy, Codec::Zstd][..]);
    let texts = prop::sample::select(&[Texts::Utf8, Texts::LargeUtf8, Texts::Binary][..]);
    let numbers = prop::sample::select(&[Numbers::Own, Numbers::I64, Numbers::Double, Numbers::Text][..]);
    let sizes = (prop::sample::select(&[7_usize, 64, 20_000][..]), prop::sample::select(&[16_usize, 200, 1 << 20][..]));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (codecs, texts, numbers, sizes, flags, prop::sample::select(&[50_usize, 1 << 20][..])).prop_map(
        |(codec, texts, numbers, (page_rows, dictionary_bytes), flags, group_rows)| Variant {
            codec,
            has_dictionary: flags.0,
            is_v2: flags.1,
            is_delta: flags.2,
            page_rows,
            dictionary_bytes,
            group_rows,
            has_null_text: flags.3,
            texts,
            numbers,
            has_hyphens: flags.4,
            is_reversed: flags.5,
        },
    )
}

/// Limits that cut an object into many batches and units, and let everything pass.
fn cut(batch_rows: usize, unit_rows: u64) -> Limits {
    Limits {
        max_rejected_share: 1.0,
        max_batch_rows: batch_rows,
        max_unit_rows: unit_rows,
        max_unit_bytes: unit_rows * 10,
        ..Limits::DEFAULT
    }
}

/// Rows and counts; positions of rejects differ between formats.
fn outcome(bytes: Vec<u8>, limits: &Limits) -> (Vec<String>, [u64; 4], Vec<(&'static str, u64)>) {
    let (batches, account) = read_with(InMemory::new("object", bytes), limits).unwrap();
    let counts = [account.rows_read, account.rows_ok, account.rows_nodata, account.rows_skipdata];
    (rows_of(&batches), counts, rejects(&account))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn text_and_parquet_say_the_same(
        records in prop::collection::vec(any_record(), 1..200),
        variant in variant(),
        batch_rows in prop::sample::select(&[1_usize, 13, 64, 16_384][..]),
        unit_rows in prop::sample::select(&[11_u64, 120, 1 << 20][..]),
    ) {
        let whole = outcome(text(&records), &cut(1 << 14, 1 << 20));
        let limits = cut(batch_rows, unit_rows);
        prop_assert_eq!(&whole, &outcome(text(&records), &limits));
        prop_assert_eq!(&whole, &outcome(gzip(&text(&records)), &limits));
        prop_assert_eq!(&whole, &outcome(parquet(&records, variant), &limits));
    }

    #[test]
    fn examples_do_not_depend_on_units(records in prop::collection::vec(any_record(), 1..200), unit_rows in 5_u64..400) {
        for bytes in [text(&records), parquet(&records, LIKE_AWS)] {
            let account = |limits| read_with(InMemory::new("object", bytes.clone()), &limits).unwrap().1;
            prop_assert_eq!(account(cut(64, 1 << 20)), account(cut(7, unit_rows)));
        }
    }

    #[test]
    fn a_packets_addresses_are_read_from_where_they_differ(
        n_rows in 1..200_usize,
        differs_at in prop::collection::btree_set(0..400_usize, 0..3),
        variant in variant(),
        batch_rows in prop::sample::select(&[1_usize, 13, 64, 16_384][..]),
        unit_rows in prop::sample::select(&[11_u64, 120, 1 << 20][..]),
    ) {
        // Both addresses come first in both columns, so that the dictionaries are the same and only later pages differ.
        let address = |row: usize, swap: bool| ["10.0.0.5", "10.0.0.6"][(row + usize::from(swap)) % 2];
        let records: Vec<_> = (0..n_rows)
            .map(|row| {
                let packet = address(row, differs_at.contains(&row));
                record_with(&[("srcaddr", address(row, false)), ("pkt-srcaddr", packet)])
            })
            .collect();
        let limits = cut(batch_rows, unit_rows);
        prop_assert_eq!(outcome(text(&records), &limits), outcome(parquet(&records, variant), &limits));
    }

    #[test]
    fn any_text_is_rows_or_a_refusal(
        header in prop::sample::subsequence(FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), 12..24),
        body in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut bytes = header.join(" ").into_bytes();
        bytes.push(b'\n');
        bytes.extend(body);
        let limits = cut(16, 1 << 20);
        read_with(InMemory::new("object", bytes), &limits).ok();
    }
}

#[test]
fn batches_of_a_row_group_share_their_dictionaries() {
    let records: Vec<_> = (0..500)
        .map(|row| {
            record_with(&[
                ("dstaddr", &format!("10.1.{}.{}", row % 7, row % 5)),
                ("interface-id", &format!("eni-{}", row % 3)),
            ])
        })
        .collect();
    for bytes in [parquet(&records, LIKE_AWS), gzip(&text(&records))] {
        let (batches, _) = read_with(InMemory::new("object", bytes), &cut(100, 1 << 20)).unwrap();
        assert_eq!(batches.len(), 5);
        for pair in batches.windows(2) {
            assert!(pair[0].dst().has_dictionary(pair[1].dst().values()));
            assert!(pair[0].interface().has_dictionary(pair[1].interface().values()));
            assert!(pair[0].region().unwrap().has_dictionary(pair[1].region().unwrap().values()));
        }
    }
}

#[test]
fn equal_columns_are_read_once() {
    let records = |own: usize| -> Vec<_> {
        let rows = (0..500).map(|row| {
            let [own, far] = [format!("10.0.0.{}", row % own), format!("203.0.113.{}", row % 50)];
            record_with(&[
                ("srcaddr", &format!("10.0.0.{}", row % 7)),
                ("pkt-srcaddr", &own),
                ("dstaddr", &far),
                ("pkt-dstaddr", &far),
            ])
        });
        rows.collect()
    };
    for (own, is_same) in [(7, true), (5, false)] {
        let (batches, _) =
            read_with(InMemory::new("object", parquet(&records(own), LIKE_AWS)), &cut(100, 200)).unwrap();
        assert_eq!(batches.len(), 6);
        for batch in batches {
            assert_eq!(batch.pkt_src().unwrap().is_same(batch.src()), is_same);
            assert!(batch.pkt_dst().unwrap().is_same(batch.dst()));
        }
    }
}

#[test]
fn a_dictionary_of_text_grows() {
    let records: Vec<_> = (0..300).map(|row| record_with(&[("dstaddr", &format!("10.1.{}.1", row / 2))])).collect();
    let (batches, _) = read_with(InMemory::new("object", gzip(&text(&records))), &cut(100, 1 << 20)).unwrap();
    for pair in batches.windows(2) {
        let (before, after) = (pair[0].dst(), pair[1].dst());
        assert_eq!(after.extends(before.values()), before.addresses().len());
        assert_eq!(before.extends(after.values()), 0, "it lacks the new ones");
    }
}
