//! Real objects: each is read, or refused with a message that says why.

use std::path::{Path, PathBuf};

use super::*;

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// What is expected of a file: rows of traffic and others, or words of the refusal.
enum Expected {
    Rows { ok: u64, nodata: u64 },
    Refused(&'static str),
}

fn expected(name: &str) -> Expected {
    use Expected::{Refused, Rows};
    match name {
        "111111111111_vpcflowlogs_eu-west-3_fl-032a163fae170ae52_20220831T1255Z_2ad4bef5.parquet" => {
            Rows { ok: 7, nodata: 0 }
        }
        "test_parquet.parquet" => Rows { ok: 8, nodata: 0 },
        "flows.parquet" => Rows { ok: 1, nodata: 2 },
        "test_ocsf.parquet" => Refused("Security Lake"),
        _ if name.ends_with(".gz.parquet") && name.starts_with("example") => Refused("Security Lake"),
        "vpc_flow-input3.parquet" => Rows { ok: 0, nodata: 1 },
        _ if name.starts_with("vpc_flow-input") => Rows { ok: 1, nodata: 0 },
        "part-00000.gz.parquet" => Rows { ok: 150_000, nodata: 0 },
        "valid_vpc_flow_log.log" => Rows { ok: 0, nodata: 1 },
        "valid_vpc_flow_log_ecs.log" => Rows { ok: 1, nodata: 0 },
        "valid_vpc_flow_cw.json" | "valid_vpc_flow_cw_custom.json" => Refused("CloudWatch Logs"),
        _ if name.contains(".json") => Refused("JSON"),
        _ => Refused("not"),
    }
}

#[test]
fn every_file_is_read_or_refused_for_a_reason() {
    let Some(shared) = shared() else { return };
    let mut paths = Vec::new();
    files(&shared, &mut paths);
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        match (expected(name), read(std::fs::read(&path).unwrap())) {
            (Expected::Rows { ok, nodata }, Ok((_, account))) => {
                assert_eq!((account.rows_ok, account.rows_nodata), (ok, nodata), "{name}: {account:?}");
            }
            (Expected::Refused(words), Err(error)) => {
                let message = error.to_string();
                assert!(message.contains(words) || message.contains("neither"), "{name}: {message}");
            }
            (Expected::Refused(_), Ok(_)) => panic!("{name} was read"),
            (Expected::Rows { .. }, Err(error)) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_real_delivery_reads_as_it_was_written() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("aws-vpc-parquet-sekoia");
    let delivery = "111111111111_vpcflowlogs_eu-west-3_fl-032a163fae170ae52_20220831T1255Z_2ad4bef5.parquet";
    let (rows, _) = read(std::fs::read(folder.join(delivery)).unwrap()).unwrap();
    let first =
        "eni-03ef80ddb18bc0997 64.62.197.99 172.31.17.39 58938 20547 6 1 40 1661950735 1661950746 REJECT 111111111111";
    assert_eq!(rows.first().map(String::as_str), Some(first));
    // The same rows and one more, by another writer and without a dictionary.
    let (others, _) = read(std::fs::read(folder.join("test_parquet.parquet")).unwrap()).unwrap();
    assert_eq!(others.get(..rows.len()), Some(&rows[..]));
}
