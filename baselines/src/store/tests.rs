//! Tests of the stored form of baselines.

mod learnable;

use std::fs;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;
use crate::testing::{Mode, Told, dump, traffic};

fn told(n_days: u32) -> Vec<Told> {
    (0..n_days * 12)
        .map(|at| Told {
            window: at * 12,
            owner: (at % 3) as u8,
            to: ((at % 7) as u8, (at / 7 % 3) as u8, (at % 5) as u8),
            port: if at % 9 == 0 { 8000 } else { 443 },
            n_flows: 1 + at % 4,
            bytes: u64::from(at) * 1234,
            ports: (1 << (at % 64), 3 << (at % 60)),
            is_odd: at % 31 == 30,
        })
        .collect()
}

fn learned(told: &[Told]) -> Baselines {
    crate::testing::learned(told, Mode::Watch)
}

fn small() -> Baselines {
    learned(&told(6))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn decode_undoes_encode(told in traffic(12, 150)) {
        let baselines = learned(&told);
        let files = encode(&baselines).unwrap();
        let back = decode(&files).unwrap();
        prop_assert_eq!(dump(&back), dump(&baselines));
        prop_assert_eq!(encode(&back).unwrap(), files);
    }
}

#[test]
fn what_lies_beside_a_baseline_is_stored_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut baselines = small();
    baselines.beside.insert("incidents.json".to_owned(), "{}".into());
    let version = save(dir.path(), &baselines).unwrap();
    assert_eq!(load(dir.path()).unwrap().beside, baselines.beside);
    fs::write(dir.path().join("versions").join(version.to_string()).join("incidents.json"), "[]").unwrap();
    assert!(matches!(load(dir.path()), Err(Error::Damaged { .. })));
    // A name that leads elsewhere is nobody's.
    baselines.beside.insert("../incidents.json".to_owned(), "{}".into());
    assert!(matches!(decode(&encode(&baselines).unwrap()), Err(Error::Damaged { .. })));
}

#[test]
fn an_empty_baseline_is_stored_too() {
    let files = encode(&Baselines::default()).unwrap();
    assert_eq!(dump(&decode(&files).unwrap()), dump(&Baselines::default()));
}

#[test]
fn more_than_a_row_group_is_stored() {
    let mut baselines = Baselines::default();
    let owner = baselines.owner("f");
    let network = |n: u32| crate::ladder::Network { key: format!("AS{n}").into(), label: format!("AS{n} X").into() };
    for n in 0..70_000u32 {
        let peer = baselines
            .ladder
            .peer(crate::ladder::from_ip((0x2d00_0000 + n * 7).to_be_bytes().into()), || network(n % 999));
        let row = crate::observation::Observation { owner, peer, port: 443, protocol: 6, ..Default::default() };
        baselines.learn(owner, crate::window::Window(0), &[row]);
    }
    let files = encode(&baselines).unwrap();
    let back = decode(&files).unwrap();
    assert_eq!(back.n_destinations(), 70_000);
    assert_eq!(encode(&back).unwrap(), files);
}

/// What an encoder told: names and types of columns as any reader of Parquet sees them.
fn plain(files: &[(String, Bytes)], name: &str) -> (Vec<String>, Vec<RecordBatch>) {
    let bytes = &files.iter().find(|(found, _)| found == name).unwrap().1;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let schema =
        builder.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    (schema, builder.build().unwrap().map(Result::unwrap).collect())
}

#[test]
fn tables_are_plain_parquet() {
    let files = encode(&small()).unwrap();
    let tables = TABLES.iter().map(|table| {
        let (schema, _) = plain(&files, &table.file());
        format!("{}\n    {}\n", table.name, schema.join("\n    "))
    });
    assert_eq!(tables.collect::<String>(), include_str!("columns.txt"), "a change is a new version of the format");
    let (_, batches) = plain(&files, "destinations.parquet");
    let addresses = batches[0].column(1).as_string::<i32>();
    assert!(addresses.iter().flatten().any(|address| address == "10.0.0.0"));
}

#[test]
fn any_altered_byte_is_refused() {
    let files = encode(&small()).unwrap();
    for at in 0..files.len() {
        let (name, bytes) = &files[at];
        let step = (bytes.len() / 97).max(1);
        for position in (0..bytes.len()).step_by(step) {
            for flip in [1, 0x20, 0xff] {
                let mut altered = bytes.to_vec();
                altered[position] ^= flip;
                assert!(decode(&with(&files, at, altered)).is_err(), "{name} at {position}");
            }
        }
        for len in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(decode(&with(&files, at, bytes[..len].to_vec())).is_err(), "{name} cut to {len}");
        }
        let missing: Vec<_> = files.iter().filter(|(other, _)| other != name).cloned().collect();
        assert!(matches!(decode(&missing), Err(Error::Missing { origin }) if origin == *name));
    }
}

fn with(files: &[(String, Bytes)], at: usize, bytes: Vec<u8>) -> Vec<(String, Bytes)> {
    let mut files = files.to_vec();
    files[at].1 = bytes.into();
    files
}

/// The files with one replaced and the manifest telling so: what only a hostile writer makes.
fn forged(files: &[(String, Bytes)], at: usize, bytes: Vec<u8>) -> Vec<(String, Bytes)> {
    let mut files = with(files, at, bytes);
    let last = files.len() - 1;
    let mut manifest = Manifest::parse(MANIFEST, &files[last].1).unwrap();
    manifest.tables[at].sha256 = manifest::sha256(&files[at].1);
    files[last].1 = manifest.render().into();
    files
}

#[test]
fn forged_tables_are_refused_or_read_and_never_panic() {
    let files = encode(&small()).unwrap();
    let (mut n_refused, mut n_read) = (0, 0);
    for at in 0..files.len() - 1 {
        let bytes = &files[at].1;
        for position in (0..bytes.len()).step_by((bytes.len() / 29).max(1)) {
            for flip in [1, 0xff] {
                let mut altered = bytes.to_vec();
                altered[position] ^= flip;
                match decode(&forged(&files, at, altered)) {
                    Ok(_) => n_read += 1,
                    Err(_) => n_refused += 1,
                }
            }
        }
        for other in 0..files.len() - 1 {
            let swapped = forged(&files, at, files[other].1.to_vec());
            assert_eq!(decode(&swapped).is_ok(), at == other, "{} as {}", files[other].0, files[at].0);
        }
    }
    assert!(n_refused > n_read, "{n_refused} refused, {n_read} read");
}

#[test]
fn what_is_newer_or_foreign_is_refused_by_name() {
    let mut files = encode(&small()).unwrap();
    let check = |files: &[(String, Bytes)], expected: &str| {
        assert_eq!(decode(files).unwrap_err().to_string(), expected);
    };
    let last = files.len() - 1;
    files[last].1 = Bytes::from_static(b"{\"schema\":\"callout.baseline/2\",\"more\":[]}");
    check(
        &files,
        "manifest.json was written by a newer callout; it is `callout.baseline/2`, this callout reads `callout.baseline/1`: \
         update callout",
    );
    files[last].1 = Bytes::from_static(b"{\"schema\":\"callout.finding/1\"}");
    check(&files, "manifest.json is not callout's: it says it is `callout.finding/1`, not `callout.baseline/1`");
    files.pop();
    check(&files, "manifest.json is missing; restore it, or learn the baseline anew");
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_keeps_the_current_version_and_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/on/the/way");
    assert!(matches!(load(&dir), Err(Error::Absent { .. })));
    let versions: Vec<Version> = (2..6).map(|n_days| save(&dir, &learned(&told(n_days))).unwrap()).collect();
    let (loaded, version) = load_version(&dir).unwrap();
    assert_eq!(dump(&loaded), dump(&learned(&told(5))));
    assert_eq!(Some(&version), versions.last());
    let mut kept = vec![versions[2].to_string(), versions[3].to_string()];
    kept.sort();
    assert_eq!(names(&dir.join("versions")), kept);
    assert_eq!(names(&dir), ["current.json", "lock", "versions"]);
    // The same again changes nothing, and keeps the one before; somebody else's file is no version.
    fs::write(dir.join("versions/.DS_Store"), b"").unwrap();
    assert_eq!(save(&dir, &loaded).unwrap(), version);
    kept.insert(0, ".DS_Store".to_owned());
    assert_eq!(names(&dir.join("versions")), kept);
}

#[test]
fn a_crash_leaves_the_old_version_or_the_new_one() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let old = save(dir, &small()).unwrap();
    // Died while writing the version: an unfinished folder.
    let incoming = dir.join("versions/incoming");
    fs::create_dir(&incoming).unwrap();
    fs::write(incoming.join("owners.parquet"), b"PAR1 and no more").unwrap();
    assert_eq!(load_version(dir).unwrap().1, old);
    // Died after renaming it, before the pointer was replaced.
    fs::create_dir(dir.join("versions").join("ab".repeat(32))).unwrap();
    fs::write(dir.join("current.json.incoming"), b"{\"sch").unwrap();
    assert_eq!(load_version(dir).unwrap().1, old);
    let new = save(dir, &learned(&told(9))).unwrap();
    assert_eq!(load_version(dir).unwrap().1, new);
    assert_eq!(names(&dir.join("versions")).len(), 2, "what crashes left is cleared away");
    assert_eq!(names(dir), ["current.json", "lock", "versions"]);
}

#[test]
fn what_was_changed_meanwhile_is_not_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let first = save_if_unchanged(dir, &small(), None).unwrap();
    assert!(matches!(save_if_unchanged(dir, &small(), None), Err(Error::Changed { .. })));
    let second = save_if_unchanged(dir, &learned(&told(7)), Some(&first)).unwrap();
    let refused = save_if_unchanged(dir, &learned(&told(8)), Some(&first));
    assert!(matches!(refused, Err(Error::Changed { .. })));
    assert_eq!(version(dir).unwrap(), Some(second));
}

#[test]
fn writers_take_turns_and_readers_see_whole_versions() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let all: Vec<Baselines> = (1..5).map(|n_days| learned(&told(n_days))).collect();
    save(dir, &all[0]).unwrap();
    let dumps: Vec<Vec<String>> = all.iter().map(dump).collect();
    std::thread::scope(|scope| {
        for baselines in &all {
            scope.spawn(|| (0..3).for_each(|_| drop(save(dir, baselines).unwrap())));
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..6 {
                    // A reader that is overtaken again and again gives up and says so.
                    match load(dir) {
                        Ok(loaded) => assert!(dumps.contains(&dump(&loaded))),
                        Err(error) => assert!(matches!(error, Error::Changed { .. }), "{error}"),
                    }
                }
            });
        }
    });
    assert!(dumps.contains(&dump(&load(dir).unwrap())));
}

#[test]
fn damage_on_disk_is_named_by_its_path() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let version = save(dir, &small()).unwrap();
    let folder = dir.join("versions").join(version.to_string());
    for name in names(&folder) {
        let path = folder.join(&name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let error = load(dir).unwrap_err();
        assert!(matches!(&error, Error::Damaged { origin, .. } if *origin == path.display().to_string()), "{error}");
        fs::remove_file(&path).unwrap();
        let error = load(dir).unwrap_err();
        assert!(matches!(&error, Error::Missing { origin } if *origin == path.display().to_string()), "{error}");
        fs::write(&path, whole).unwrap();
    }
    // Saving the same content mends a damaged version.
    fs::write(folder.join("ports.parquet"), b"").unwrap();
    assert_eq!(save(dir, &small()).unwrap(), version);
    assert_eq!(dump(&load(dir).unwrap()), dump(&small()));
}

#[test]
fn one_version_is_read_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let version = save(root.path(), &small()).unwrap();
    let folder = root.path().join("versions").join(version.to_string());
    let (read, of) = load_version(&folder).unwrap();
    assert_eq!((dump(&read), of), (dump(&small()), version));
    // What was stored in it would hide it.
    for stored in [save(&folder, &small()), save_if_unchanged(&folder, &small(), None)] {
        assert!(matches!(stored.unwrap_err(), Error::OneVersion { .. }));
    }
    assert!(check_holder(&folder).is_err() && check_holder(root.path()).is_ok() && !folder.join("versions").exists());
    fs::write(folder.join("ports.parquet"), b"").unwrap();
    assert!(matches!(load(&folder).unwrap_err(), Error::Damaged { .. }));
}

#[test]
fn a_lost_pointer_is_no_beginning() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    save(dir, &small()).unwrap();
    let before = names(&dir.join("versions"));
    fs::remove_file(dir.join("current.json")).unwrap();
    for error in [save(dir, &learned(&told(3))).unwrap_err(), load(dir).unwrap_err(), version(dir).unwrap_err()] {
        assert!(matches!(&error, Error::Damaged { origin, .. } if origin.ends_with("current.json")), "{error}");
    }
    assert_eq!(names(&dir.join("versions")), before);
}

#[test]
fn an_unknown_pointer_is_neither_followed_nor_replaced() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let version = save(dir, &small()).unwrap();
    let good = fs::read_to_string(dir.join("current.json")).unwrap();
    for bad in [
        String::new(),
        "{}".into(),
        "not json".into(),
        good.replace("pointer/1", "pointer/2"),
        good.replace("callout.", "somebody."),
        good.replace(&version.to_string(), "../../../etc"),
        good.replace(&version.to_string(), &"0".repeat(63)),
        good.replace('}', ",\"more\":1}"),
    ] {
        fs::write(dir.join("current.json"), &bad).unwrap();
        let error = load(dir).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::Newer { .. } | Error::Foreign { .. }), "{bad}: {error}");
        assert!(save(dir, &small()).is_err(), "{bad}");
        assert_eq!(fs::read_to_string(dir.join("current.json")).unwrap(), bad);
    }
    // Of a newer form, under a pointer of the known one.
    let newer = br#"{"schema":"callout.baseline/2"}"#;
    let version_of_newer = super::manifest::sha256(newer);
    fs::create_dir(dir.join("versions").join(&version_of_newer)).unwrap();
    fs::write(dir.join("versions").join(&version_of_newer).join("manifest.json"), newer).unwrap();
    fs::write(dir.join("current.json"), good.replace(&version.to_string(), &version_of_newer)).unwrap();
    assert!(matches!(save(dir, &small()), Err(Error::Newer { .. })));
    // Names a version that is not there.
    fs::write(dir.join("current.json"), good.replace(&version.to_string(), &"0".repeat(64))).unwrap();
    assert!(matches!(load(dir), Err(Error::Missing { .. })));
}
