//! Objects that are damaged, hostile or something else: an error that says why, or counted rejects; never a panic.

use super::making::{Codec, LIKE_AWS, Record, Variant, gzip, parquet, record, record_with, silent, text};
use super::*;

const HEADER: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
const GOOD: &str = "eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 1760000000 1760000060 ACCEPT OK";

fn check_text(body: &str, expected: &[&str], expected_rejects: &[(&str, u64)]) {
    let limits = Limits { max_rejected_share: 1.0, ..Limits::DEFAULT };
    let (batches, account) = read_with(InMemory::new("object", format!("{HEADER}\n{body}")), &limits).unwrap();
    assert_eq!(rows_of(&batches), expected, "{body}");
    assert_eq!(rejects(&account), expected_rejects, "{body}");
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    GOOD.replace(from, to)
}

#[test]
fn lines_are_taken_as_they_come() {
    let row = "eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 1760000000 1760000060 ACCEPT";
    check_text("", &[], &[]);
    check_text(GOOD, &[row], &[]);
    check_text(&format!("{GOOD}\n{GOOD}\n"), &[row, row], &[]);
    check_text(&format!("{GOOD}\r\n\r\n\n{GOOD}\r\n"), &[row, row], &[]);
    check_text(&GOOD.replace(' ', " \t "), &[row], &[]);
    check_text(&format!("  {GOOD}  \n"), &[row], &[]);
    check_text(&changed("eni-1", "-"), &[&row.replace("eni-1", "-")], &[]);
    check_text(&changed("180", "-"), &[&row.replace("180", "0")], &[]);
    // Objects put together from several have their headers in the middle.
    check_text(&format!("{GOOD}\n{HEADER}\n{GOOD}"), &[row, row], &[]);
    check_text(&format!("{GOOD}\n \t\n{} \n{GOOD}", HEADER.replace(' ', "\t").replace('-', "_")), &[row, row], &[]);
}

#[test]
fn bad_rows_are_counted_by_reason() {
    for (from, to, reason) in [
        ("10.0.0.1", "10.0.0", "bad-address"),
        ("10.0.0.2", "-", "bad-address"),
        ("1024", "65536", "bad-port"),
        ("443", "-1", "bad-port"),
        (" 6 ", " 256 ", "bad-protocol"),
        (" 3 ", " many ", "bad-number"),
        (" 3 ", " - ", "bad-number"),
        ("180", "18446744073709551616", "bad-number"),
        ("1760000000", "1760000000000", "bad-time"),
        ("1760000060", "-", "bad-time"),
        ("1760000060", "1759999999", "end-before-start"),
        ("1760000060", "1760086401", "bad-time"),
        ("1760000000", "5", "bad-time"),
        ("ACCEPT", "ALLOW", "bad-action"),
        ("OK", "FINE", "bad-status"),
        ("OK", "-", "bad-status"),
        ("eni-1", "eni\0-1", "bad-text"),
        ("eni-1", "e\u{1b}[31mni", "bad-text"),
        ("eni-1", "\u{e9}ni", "bad-text"),
        (" OK", "", "wrong-field-count"),
        (" OK", " OK OK", "wrong-field-count"),
        ("443", "44\n3", "wrong-field-count"),
    ] {
        let n = if to.contains('\n') { 2 } else { 1 };
        check_text(&changed(from, to), &[], &[(reason, n)]);
    }
    check_text("\0\0\0\0", &[], &[("wrong-field-count", 1)]);
    check_text("- - - - - - - - 1760000000 1760000060 - NODATA", &[], &[]);
    // Of several the first field's counts, in whatever order the log has them.
    check_text(&changed("10.0.0.1", "x").replace("ACCEPT", "x"), &[], &[("bad-address", 1)]);
}

#[test]
fn a_megabyte_line_is_one_reject() {
    for n in [70_000, 300_000, 3_000_000] {
        let long = "x".repeat(n);
        let body = format!("{HEADER}\n{GOOD}\n{long}\n{GOOD}\n{long}");
        for bytes in [body.clone().into_bytes(), gzip(body.as_bytes())] {
            let (rows, account) = read(bytes).unwrap();
            assert_eq!(rows.len(), 2);
            assert_eq!(rejects(&account), [("line-too-long", 2)]);
        }
    }
}

#[test]
fn examples_show_where_and_what() {
    let body = format!("{HEADER}\n{GOOD}\n{}\n{GOOD}\n", changed("443", "99999\u{7}"));
    let (_, account) = read(body).unwrap();
    let example = &account.rows_rejected[&Reason::BadPort].examples[0];
    assert_eq!(example.position, (HEADER.len() + 1 + GOOD.len() + 1) as u64);
    assert!(example.text.starts_with("eni-1 10.0.0.1") && example.text.contains("99999\\u{7}"), "{}", example.text);

    let records = [record(), record_with(&[("dstport", "99999")])];
    let (_, account) = read(parquet(&records, LIKE_AWS)).unwrap();
    let example = &account.rows_rejected[&Reason::BadPort].examples[0];
    assert_eq!((example.position, example.text.as_str()), (1, "dstport 99999"));
}

#[test]
fn too_many_rejects_make_an_object_unreadable() {
    let bad = changed("443", "99999");
    let message = refused(format!("{HEADER}\n{GOOD}\n{bad}\n{bad}\n"));
    assert!(message.contains("2 of 3 rows rejected, most as `bad-port`"), "{message}");
    assert!(read(format!("{HEADER}\n{GOOD}\n{bad}\n")).is_ok());
}

#[test]
fn headers() {
    let read_header = |header: &str| read(format!("{header}\n"));
    assert!(read_header(HEADER).is_ok());
    assert!(read(HEADER).is_ok(), "without a line end");
    assert!(read_header(&format!("\u{feff}{HEADER}\r")).is_ok());
    assert!(read_header(&HEADER.replace('-', "_")).is_ok());
    assert!(read_header(&format!("{HEADER} some-field-of-2030")).is_ok());
    assert!(read(b"".as_slice()).is_ok(), "the marker of a folder");
    for before in ["\u{feff}", "\n", "\u{feff}\r\n \n"] {
        let (rows, account) = read(format!("{before}{HEADER}\n{GOOD}\n")).unwrap();
        assert_eq!((rows.len(), account.n_rejected()), (1, 0), "{before:?}");
    }

    let (rows, _) = read(
        "end dstaddr srcaddr interface-id srcport protocol dstport packets start bytes\n\
                          1760000060 10.0.0.2 10.0.0.1 eni-1 1024 6 443 3 1760000000 180\n",
    )
    .unwrap();
    assert_eq!(rows, ["eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 1760000000 1760000060 ACCEPT"]);
    let (rows, _) = read(
        "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start\n\
                          eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 1760000000\n",
    )
    .unwrap();
    assert_eq!(rows, ["eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 1760000000 1760000000 ACCEPT"]);

    let swapped = HEADER.replace("srcaddr dstaddr", "dstaddr srcaddr");
    for (object, words) in [
        (HEADER.replace("interface-id ", ""), "needed field missing: `interface-id`"),
        (HEADER.replace("srcport dstport ", ""), "needed fields missing: `srcport`, `dstport`"),
        (GOOD.to_owned(), "without a header line"),
        ("version resource-type account-id tgw-id srcaddr".to_owned(), "transit gateway"),
        ("{\"messageType\":\"DATA_MESSAGE\"}".to_owned(), "CloudWatch Logs"),
        (" [1, 2]".to_owned(), "JSON"),
        ("\n\n\n".to_owned(), "nothing but blanks"),
        ("hello world".to_owned(), "neither"),
        ("\0".to_owned(), "neither"),
        (format!("{HEADER}\n{GOOD}\nversion {HEADER}\n"), "second header"),
        (format!("{HEADER}\n{GOOD}\n{}\n", swapped.to_uppercase()), "second header"),
        (format!("{HEADER}\n{GOOD}\n# {swapped}\n"), "second header"),
    ] {
        let message = refused(object.clone() + "\n");
        assert!(message.starts_with("object: ") && message.contains(words), "{object}: {message}");
    }
}

#[test]
fn gzip_that_is_damaged() {
    let records: Vec<_> = (0..3000).map(|row| record_with(&[("srcport", &(row * 7).to_string())])).collect();
    let whole = gzip(&text(&records));
    let (rows, _) = read(whole.clone()).unwrap();
    for cut in [1, 4, 9, whole.len() / 3, whole.len() / 2, whole.len() - 9, whole.len() - 8, whole.len() - 1] {
        let message = refused(whole[..cut].to_vec());
        assert!(message.contains("cut off") || message.contains("neither"), "{cut}: {message}");
    }
    for at in [whole.len() / 2, whole.len() - 6, whole.len() - 2] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        assert!(read(flipped).is_err());
    }
    let mut garbage = whole.clone();
    garbage.extend(b"garbage");
    assert!(read(garbage).is_err());
    // Several members are one stream; each object put together has its own header.
    let two = [whole.clone(), whole.clone()].concat();
    assert_eq!(read(two).unwrap().0.len(), 2 * rows.len());
    for n_zeros in [1, 8, 3 << 20] {
        let padded = [&whole[..], &vec![0; n_zeros]].concat();
        assert_eq!(read(padded.clone()).unwrap().0, rows, "{n_zeros} zeros of padding");
        assert!(read([&padded[..], b"garbage"].concat()).is_err());
    }
    assert!(refused(gzip(&whole)).contains("gzip inside gzip"));
    assert_eq!(read(gzip(&parquet(&records, LIKE_AWS))).unwrap().0, rows);
    assert!(read(gzip(b"")).unwrap().0.is_empty());
}

#[test]
fn text_of_nothing_but_line_ends_is_refused() {
    let mut lines = format!("{HEADER}\n{GOOD}\n").into_bytes();
    let n_bytes = lines.len();
    lines.resize(n_bytes + 10_000_000, b'\n');
    assert_eq!(read(lines.clone()).expect("as many as there may be").0.len(), 1);
    lines.push(b'\n');
    assert!(refused(lines).contains("more than 10000000 blank lines"));
}

#[test]
fn a_bomb_is_refused() {
    let mut lines = format!("{HEADER}\n").into_bytes();
    lines.resize(64 << 20, b' ');
    let bomb = gzip(&lines);
    assert!(bomb.len() < 100_000);
    assert!(refused(bomb.clone()).contains("bomb"));
    let mut parquet = b"PAR1".to_vec();
    parquet.resize(64 << 20, 0);
    assert!(refused(gzip(&parquet)).contains("bomb"));
    let limits = Limits { max_inflated_bytes: 1 << 20, max_inflated_ratio: u64::MAX, ..Limits::DEFAULT };
    assert!(matches!(read_with(InMemory::new("object", bomb), &limits), Err(Error::Bomb { .. })));
}

fn sample() -> Vec<Record> {
    let mut records: Vec<_> = (0..400_u32)
        .map(|row| {
            record_with(&[
                ("srcaddr", &format!("10.{}.{}.{}", row % 3, row % 50, row % 7)),
                ("srcport", &(1024 + row * 3).to_string()),
                ("bytes", &(40 + u64::from(row) * 977 % 5000).to_string()),
                ("traffic-path", if row % 2 == 0 { "-" } else { "8" }),
            ])
        })
        .collect();
    records.push(silent("NODATA"));
    records.push(silent("SKIPDATA"));
    records
}

fn variants() -> [Variant; 6] {
    [
        LIKE_AWS,
        Variant { is_v2: true, page_rows: 50, codec: Codec::Snappy, ..LIKE_AWS },
        Variant { has_dictionary: false, codec: Codec::Zstd, page_rows: 50, ..LIKE_AWS },
        Variant { has_dictionary: false, is_delta: true, codec: Codec::None, ..LIKE_AWS },
        Variant { codec: Codec::None, page_rows: 50, has_null_text: true, ..LIKE_AWS },
        Variant { codec: Codec::None, is_v2: true, dictionary_bytes: 64, page_rows: 50, ..LIKE_AWS },
    ]
}

#[test]
fn without_a_status_a_record_without_sender_is_no_data() {
    let mut records = vec![record(), silent("NODATA"), record(), silent("SKIPDATA")];
    records.resize(1000, silent("NODATA"));
    let without_status = |bytes: &[u8]| {
        // A field of another name is as good as none.
        let mut bytes = bytes.to_vec();
        for name in ["log-status", "log_status"] {
            while let Some(at) = bytes.windows(name.len()).position(|window| window == name.as_bytes()) {
                bytes[at + name.len() - 1] = b'x';
            }
        }
        bytes
    };
    let nulls = Variant { has_null_text: true, ..LIKE_AWS };
    let plain = Variant { has_dictionary: false, ..LIKE_AWS };
    for bytes in [text(&records), parquet(&records, LIKE_AWS), parquet(&records, nulls), parquet(&records, plain)] {
        let (rows, account) = read(without_status(&bytes)).expect("readable");
        assert_eq!((rows.len(), account.rows_nodata, rejects(&account)), (2, 998, vec![]));
        assert_eq!(read(bytes).expect("readable").1.rows_skipdata, 1, "where it says so");
    }
}

#[test]
fn parquet_that_is_cut_or_flipped_is_an_error_or_rows() {
    let records = sample();
    for variant in variants() {
        let whole = parquet(&records, variant);
        let (expected, _) = read(whole.clone()).unwrap();
        assert_eq!(expected.len(), 400);
        for cut in (0..whole.len()).step_by(whole.len() / 40).skip(1) {
            assert!(read(whole[..cut].to_vec()).is_err(), "{variant:?} cut at {cut}");
            // A hole in the middle: the footer is there and what it says is not.
            read([&whole[..cut / 2], &whole[cut..]].concat()).ok();
        }
        for at in (4..whole.len()).step_by(whole.len() / 120 + 1) {
            for bit in [0, 6] {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                read(flipped).ok();
            }
            let mut filled = whole.clone();
            filled[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff);
            read(filled).ok();
        }
    }
}

#[test]
fn a_flipped_bit_inside_a_page_is_never_read_as_data() {
    const GZIP_HEADER: [u8; 3] = [0x1f, 0x8b, 8];
    const HEADER_BYTES: usize = 10;
    let good = parquet(&sample(), LIKE_AWS);
    let (expected, _) = read(good.clone()).unwrap();
    let at_pages = good.windows(GZIP_HEADER.len()).enumerate().filter(|(_, bytes)| *bytes == GZIP_HEADER);
    let mut n_refused = 0;
    for (at, _) in at_pages {
        for bit in 0..16 {
            let mut bad = good.clone();
            bad[at + HEADER_BYTES + bit / 8] ^= 1 << (bit % 8);
            match read(bad) {
                // The page of a column that nobody needs.
                Ok((rows, _)) => assert_eq!(rows, expected, "bit {bit} of the page at {at}"),
                Err(_) => n_refused += 1,
            }
        }
    }
    assert!(n_refused > 10 * 16, "each needed column has a page: {n_refused}");
}

/// Records whose times have a column type of so many units a second, each with half a second more than given.
fn parquet_with_times(
    (physical, annotation): (&str, &str),
    has_dictionary: bool,
    times: [&[i64]; 2],
    per_second: i64,
) -> Vec<u8> {
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::{ByteArray, Int96};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    let schema = format!(
        "message m {{ required binary interface_id (UTF8); required binary srcaddr (UTF8); required binary dstaddr (UTF8);
         required int32 srcport; required int32 dstport; required int32 protocol; required int64 packets;
         required int64 bytes; required {physical} start {annotation}; required {physical} end {annotation}; }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(has_dictionary).build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    let n = times[0].len();
    let numbers = [0, 0, 0, 1024, 443, 6, 3, 180];
    for at in 0_usize.. {
        let Some(mut column) = group.next_column().unwrap() else { break };
        let times = times.get(at.wrapping_sub(numbers.len()));
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let value = ByteArray::from(["eni-1", "10.0.0.1", "10.0.0.2"][at]);
                writer.write_batch(&vec![value; n], None, None).unwrap();
            }
            ColumnWriter::Int32ColumnWriter(writer) => {
                writer.write_batch(&vec![numbers[at]; n], None, None).unwrap();
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                let values = times.map_or_else(
                    || vec![i64::from(numbers[at]); n],
                    |times| times.iter().map(|secs| secs * per_second + per_second / 2).collect(),
                );
                writer.write_batch(&values, None, None).unwrap();
            }
            ColumnWriter::Int96ColumnWriter(writer) => {
                let of = |secs: i64| {
                    let nanos = secs.rem_euclid(86_400) as u64 * 1_000_000_000 + 500_000_000;
                    let mut time = Int96::new();
                    time.set_data(nanos as u32, (nanos >> 32) as u32, (secs.div_euclid(86_400) + 2_440_588) as u32);
                    time
                };
                let values: Vec<Int96> = times.unwrap().iter().copied().map(of).collect();
                writer.write_batch(&values, None, None).unwrap();
            }
            _ => unreachable!("no other type in the schema"),
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}

#[test]
fn times_may_be_timestamps_of_any_unit() {
    let times: [&[i64]; 2] = [&[1_760_000_000, 1_760_000_001, -1], &[1_760_000_060, 1_760_000_061, 50]];
    let row = |start| format!("eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 {start} {} ACCEPT", start + 60);
    let expected = [row(1_760_000_000), row(1_760_000_001)];
    let limits = Limits { max_rejected_share: 1.0, ..Limits::DEFAULT };
    for (kind, per_second) in [
        (("int64", "(TIMESTAMP(MILLIS,true))"), 1000),
        (("int64", "(TIMESTAMP(MICROS,false))"), 1_000_000),
        (("int64", "(TIMESTAMP(NANOS,true))"), 1_000_000_000),
        (("int64", "(TIMESTAMP_MILLIS)"), 1000),
        (("int96", ""), 1),
        (("int64", ""), 1),
    ] {
        for has_dictionary in [true, false] {
            let bytes = parquet_with_times(kind, has_dictionary, times, per_second);
            let (batches, account) = read_with(InMemory::new("object", bytes), &limits).unwrap();
            assert_eq!(rows_of(&batches), expected, "{kind:?}");
            assert_eq!(rejects(&account), [("bad-time", 1)], "{kind:?}");
        }
    }
    // Milliseconds that nothing calls so stay what they were: no time.
    let bytes = parquet_with_times(("int64", ""), true, times, 1000);
    let (_, account) = read_with(InMemory::new("object", bytes), &limits).unwrap();
    assert_eq!(rejects(&account), [("bad-time", 3)]);
}

#[test]
fn parquet_of_a_wrong_kind() {
    use arrow_array::{Date32Array, Float64Array, Int32Array, NullArray, RecordBatch, StringArray};
    use arrow_array::{TimestampMillisecondArray, UInt64Array};
    let write = |columns: Vec<(&str, arrow_array::ArrayRef)>| {
        let columns = columns.into_iter().map(|(name, column)| (name, column.clone(), column.logical_null_count() > 0));
        making::write(&RecordBatch::try_from_iter_with_nullable(columns).unwrap(), LIKE_AWS)
    };
    let text = |value: &str| -> arrow_array::ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let number = |value| -> arrow_array::ArrayRef { Arc::new(Int32Array::from(vec![value])) };
    let good = || {
        vec![
            ("interface_id", text("eni-1")),
            ("srcaddr", text("10.0.0.1")),
            ("dstaddr", text("10.0.0.2")),
            ("srcport", number(1024)),
            ("dstport", number(443)),
            ("protocol", number(6)),
            ("packets", number(3)),
            ("bytes", number(180)),
            ("start", number(1_760_000_000)),
        ]
    };
    let row = "eni-1 10.0.0.1 10.0.0.2 1024 443 6 3 180 1760000000 1760000000 ACCEPT";
    assert_eq!(read(write(good())).unwrap().0, [row]);
    // Account ids that lost their zeros on the way through a number.
    let with_account = [good(), vec![("account_id", number(12))]].concat();
    assert_eq!(read(write(with_account)).unwrap().0, [format!("{row} 000000000012")]);
    let without_account: arrow_array::ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN]));
    assert_eq!(read(write([good(), vec![("account_id", without_account)]].concat())).unwrap().0, [format!("{row} -")]);
    // Another tool's column beside AWS's own.
    assert_eq!(read(write([vec![("Bytes", number(7))], good()].concat())).unwrap().0, [row]);
    // What arrow makes of columns without any value: all there is in a file of `NODATA`.
    let none: arrow_array::ArrayRef = Arc::new(NullArray::new(1));
    let mut silent: Vec<_> = good().into_iter().map(|(name, _)| (name, none.clone())).collect();
    silent[0].1 = text("eni-1");
    silent.extend([("log_status", text("NODATA")), ("region", none)]);
    let (rows, account) = read(write(silent)).unwrap();
    assert_eq!((rows.len(), account.rows_nodata, account.n_rejected()), (0, 1, 0));

    assert!(refused(write(good().split_off(1))).contains("needed field missing: `interface-id`"));
    let time: arrow_array::ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_760_000_000_000]));
    let date: arrow_array::ArrayRef = Arc::new(Date32Array::from(vec![20_370]));
    let count: arrow_array::ArrayRef = Arc::new(UInt64Array::from(vec![10]));
    let nested: arrow_array::ArrayRef =
        Arc::new(arrow_array::StructArray::try_from(vec![("v", text("10.0.0.1"))]).unwrap());
    for (at, column, words) in [
        (8, &date, "field `start` is DATE (INT32); it is read as seconds (INT64) or TIMESTAMP"),
        (7, &time, "field `bytes` is TIMESTAMP (INT64); it is read as whole numbers (INT32 or INT64)"),
        (0, &date, "field `interface-id` is DATE (INT32); it is read as text (STRING) or whole numbers"),
        (1, &count, "field `srcaddr` is INTEGER (INT64); it is read as text (STRING)"),
        (1, &number(10), "field `srcaddr` is INT32; it is read as text (STRING)"),
        (1, &nested, "field `srcaddr` is nested; it is read as text (STRING)"),
    ] {
        let mut bad = good();
        bad[at].1 = Arc::clone(column);
        let message = refused(write(bad));
        assert!(message.ends_with(words), "{message}");
    }
    let tgw = [good().split_off(1), vec![("tgw_id", text("tgw-1"))]].concat();
    assert!(refused(write(tgw)).contains("transit gateway"));
    let ocsf = vec![("class_uid", number(4001)), ("srcaddr", text("x"))];
    assert!(refused(write(ocsf)).contains("Security Lake"));
}

#[test]
fn parquet_that_claims_too_much() {
    let whole = parquet(&sample(), LIKE_AWS);
    assert!(refused(b"PAR1PAR1".to_vec()).contains("Parquet"));
    assert!(refused(b"PAR1".to_vec()).contains("cut off"));
    let mut footer = whole.clone();
    let at = footer.len() - 8;
    footer[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(footer).contains("the footer claims"));
    let mut encrypted = whole.clone();
    encrypted[at + 4..].copy_from_slice(b"PARE");
    assert!(refused(encrypted.clone()).contains("encrypted"));
    encrypted[..4].copy_from_slice(b"PARE");
    assert!(refused(encrypted).contains("encrypted"));
    let limits = Limits { max_pages_bytes: 100, ..Limits::DEFAULT };
    let error = read_with(InMemory::new("object", whole), &limits).unwrap_err();
    assert!(error.to_string().contains("a page claims"), "{error}");
}

#[test]
fn pages_have_a_limit_together() {
    let whole = parquet(&sample(), Variant { has_dictionary: false, ..LIKE_AWS });
    let with = |max_pages_bytes| {
        let limits = Limits { max_pages_bytes, ..Limits::DEFAULT };
        read_with(InMemory::new("object", whole.clone()), &limits)
    };
    let mut max_bytes = 100;
    let mut last = None;
    while let Err(error) = with(max_bytes) {
        last = Some((max_bytes, error.to_string()));
        max_bytes += max_bytes / 8;
    }
    let (max_bytes, message) = last.unwrap();
    let numbers: Vec<usize> =
        message.split_ascii_whitespace().filter_map(|word| word.trim_end_matches(',').parse().ok()).collect();
    let [page, together, max] = numbers[..] else { panic!("{message}") };
    assert!(page < max_bytes && together > max_bytes && max == max_bytes, "{message}");
}

#[test]
fn row_counts_that_are_absurd() {
    use ::parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
    let whole = parquet(&sample(), LIKE_AWS);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(whole.clone())).unwrap();
    let footer_bytes = u32::from_le_bytes(*whole[..whole.len() - 4].last_chunk().unwrap()) as usize;
    let data = &whole[..whole.len() - 8 - footer_bytes];
    for (n_rows, words) in [
        (-1, "claims -1 rows"),
        (i64::MAX, "claims"),
        (1 << 31, "claims"),
        (1 << 20, "in a row group of 1048576 rows"),
        (403, "in a row group of 403 rows"),
        (1, "in a row group of 1 rows"),
    ] {
        let groups =
            metadata.row_groups().iter().map(|group| group.clone().into_builder().set_num_rows(n_rows).build());
        let groups: Vec<_> = groups.collect::<Result<_, _>>().unwrap();
        let claimed = metadata.clone().into_builder().set_row_groups(groups).build();
        let mut bytes = data.to_vec();
        ParquetMetaDataWriter::new(&mut bytes, &claimed).finish().unwrap();
        let message = refused(bytes);
        assert!(message.contains(words), "{n_rows}: {message}");
    }
}
