//! Asn: which autonomous system announces an address, from a database the user brings.
//!
//! Where it sits: loaded by `networks`. Two forms, told apart by content: a MaxMind-format database (GeoLite2-ASN,
//! GeoIP2-ISP, `IPinfo` Lite), or an iptoasn table, either of them inside gzip.
//! What it does not do: it holds no country and no reputation, and ships no data of its own (the licences differ).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ipnet::IpNet;
use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;

use super::ranges::{Blocks, Ranges};
use super::unpack::{unpack, without_bom};
use super::{Error, Loaded};

/// Starts the metadata of a MaxMind-format database (<https://maxmind.github.io/MaxMind-DB/>, "Database Metadata").
const MMDB_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Networks of a tree per node, at most: each node has two records, and the crate's own verifier leaves the same
/// margin. A damaged tree that meets itself would otherwise be walked forever.
const NETWORKS_PER_NODE: usize = 3;

/// Address → number and name of its autonomous system.
#[derive(Debug)]
pub(super) struct AsnTable {
    ranges: Ranges,
    systems: Vec<(u32, Arc<str>)>,
}

impl AsnTable {
    pub(super) fn load(origin: &str, bytes: &[u8]) -> Result<(Self, Loaded), Error> {
        let bytes = unpack(origin, bytes)?;
        if memchr::memmem::rfind(&bytes, MMDB_MARKER).is_some() {
            from_mmdb(origin, &bytes)
        } else {
            from_tsv(origin, &bytes)
        }
    }

    pub(super) fn get(&self, address: Ipv6Addr) -> Option<&(u32, Arc<str>)> {
        self.systems.get(self.ranges.get(address)? as usize)
    }
}

/// The table while it is read: systems get dense numbers, and each the first name it is given.
#[derive(Default)]
struct Building {
    blocks: Blocks,
    systems: Vec<(u32, Arc<str>)>,
    numbers: HashMap<u32, u32>,
}

impl Building {
    fn system(&mut self, asn: u32, name: &str) -> u32 {
        let next = self.systems.len() as u32;
        let number = *self.numbers.entry(asn).or_insert(next);
        match self.systems.get_mut(number as usize) {
            Some((_, known)) if known.is_empty() && !name.is_empty() => *known = name.trim().into(),
            Some(_) => {}
            None => self.systems.push((asn, name.trim().into())),
        }
        number
    }

    fn finish(self) -> AsnTable {
        AsnTable { ranges: self.blocks.into(), systems: self.systems }
    }
}

/// Reads iptoasn's table: `first last asn country name`, tab-separated, both ends included, no header.
fn from_tsv(origin: &str, bytes: &[u8]) -> Result<(AsnTable, Loaded), Error> {
    let text = String::from_utf8_lossy(without_bom(bytes));
    let mut building = Building::default();
    let mut loaded = Loaded::default();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((first, last, asn, name)) = tsv_line(line) else {
            loaded.reject(index, line);
            continue;
        };
        loaded.entries += 1;
        // 0 stands for "not routed", which is nobody's.
        if asn == 0 {
            continue;
        }
        let system = building.system(asn, name);
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => building.blocks.add_ipv4(first.to_bits(), last.to_bits(), system),
            (IpAddr::V6(first), IpAddr::V6(last)) => building.blocks.add_ipv6(first.to_bits(), last.to_bits(), system),
            _ => debug_assert!(false, "tsv_line answers two addresses of one family"),
        }
    }
    if loaded.entries == 0 {
        return Err(Error::NotAsn { origin: origin.to_owned(), rejected: loaded.rejected });
    }
    Ok((building.finish(), loaded))
}

fn tsv_line(line: &str) -> Option<(IpAddr, IpAddr, u32, &str)> {
    let mut fields = line.split('\t');
    let first: IpAddr = fields.next()?.parse().ok()?;
    let last: IpAddr = fields.next()?.parse().ok()?;
    let asn = fields.next()?.parse().ok()?;
    let name = fields.nth(1).unwrap_or("");
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last, asn, name))
}

/// The fields of a record that name a system; `MaxMind`'s two, and `IPinfo`'s two (`"AS15169"`, `"Google LLC"`).
#[derive(Deserialize)]
struct Record {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
    asn: Option<String>,
    as_name: Option<String>,
}

impl Record {
    fn system(&self) -> Option<(u32, &str)> {
        let asn =
            self.autonomous_system_number.or_else(|| self.asn.as_deref()?.trim_start_matches("AS").parse().ok())?;
        let name = self.autonomous_system_organization.as_deref().or(self.as_name.as_deref()).unwrap_or("");
        (asn != 0).then_some((asn, name))
    }
}

/// Reads every network of the tree once, so that a later lookup neither decodes nor fails.
fn from_mmdb(origin: &str, bytes: &[u8]) -> Result<(AsnTable, Loaded), Error> {
    // The decoder indexes by what the file says; a panic in it is damage of the file, not of ours.
    catch_unwind(AssertUnwindSafe(|| walk(origin, bytes)))
        .unwrap_or_else(|_| Err(Error::MmdbTree { origin: origin.to_owned() }))
}

fn walk(origin: &str, bytes: &[u8]) -> Result<(AsnTable, Loaded), Error> {
    let damaged = |source: MaxMindDbError| Error::Mmdb { origin: origin.to_owned(), source };
    let reader = Reader::from_source(bytes).map_err(damaged)?;
    let limit = (reader.metadata().node_count as usize).saturating_mul(NETWORKS_PER_NODE);
    let mut building = Building::default();
    let mut loaded = Loaded::default();
    // Many networks share a record; each is decoded once.
    let mut decoded: HashMap<usize, Option<u32>> = HashMap::new();
    // Networks without data are counted as well, or a tree of nothing but loops would never reach the limit.
    let options = WithinOptions::default().include_networks_without_data();
    for (index, found) in reader.networks(options).map_err(damaged)?.enumerate() {
        if index > limit {
            return Err(Error::MmdbTree { origin: origin.to_owned() });
        }
        let found = found.map_err(damaged)?;
        let Some(offset) = found.offset() else { continue };
        let system = if let Some(system) = decoded.get(&offset) {
            *system
        } else {
            let record: Option<Record> = found.decode().map_err(damaged)?;
            let system = record.as_ref().and_then(Record::system).map(|(asn, name)| building.system(asn, name));
            decoded.insert(offset, system);
            system
        };
        if let Some(system) = system {
            let network = found.network().map_err(damaged)?;
            let Ok(block) = IpNet::new(network.ip(), network.prefix()) else {
                return Err(Error::MmdbTree { origin: origin.to_owned() });
            };
            building.blocks.add(block, system);
            loaded.entries += 1;
        }
    }
    if loaded.entries == 0 {
        return Err(Error::NoAsn { origin: origin.to_owned(), database: reader.metadata().database_type.clone() });
    }
    Ok((building.finish(), loaded))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ip, shared_data};
    use super::super::unpack::gzip;
    use super::*;

    const TSV: &str = "1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n\
                       1.0.1.0\t1.0.3.255\t0\tNone\tNot routed\n\
                       1.0.4.0\t1.0.5.9\t38803\tAU\tGTELECOM Pty Ltd\r\n\
                       2001:200::\t2001:200:5ff:ffff:ffff:ffff:ffff:ffff\t2500\tJP\tWIDE Project\n";

    fn check(table: &AsnTable, address: &str, expected: Option<(u32, &str)>) {
        assert_eq!(table.get(ip(address)).map(|(asn, name)| (*asn, &**name)), expected, "{address}");
    }

    #[test]
    fn tsv_ranges_include_both_ends() {
        for bytes in [TSV.as_bytes().to_vec(), gzip(TSV.as_bytes()), format!("\u{feff}{TSV}").into_bytes()] {
            let (table, loaded) = AsnTable::load("f", &bytes).unwrap();
            assert_eq!((loaded.entries, loaded.rejected), (4, 0));
            check(&table, "1.0.0.0", Some((13335, "CLOUDFLARENET")));
            check(&table, "1.0.0.255", Some((13335, "CLOUDFLARENET")));
            check(&table, "1.0.2.1", None);
            check(&table, "1.0.5.9", Some((38803, "GTELECOM Pty Ltd")));
            check(&table, "1.0.5.10", None);
            check(&table, "2001:200:5ff::1", Some((2500, "WIDE Project")));
            check(&table, "2001:200:600::", None);
        }
    }

    #[test]
    fn tsv_lines_that_do_not_parse_are_counted() {
        let text = "1.0.0.0\t1.0.0.255\t13335\tUS\tA\nrubbish\n1.0.1.9\t1.0.1.0\t7\tUS\tbackwards\n1.0.1.0\t::1\t7\tUS\tmixed\n";
        let (_, loaded) = AsnTable::load("f", text.as_bytes()).unwrap();
        assert_eq!((loaded.entries, loaded.rejected), (1, 3));
        assert_eq!(loaded.first_reject, Some((2, "rubbish".to_owned())));
        assert!(matches!(AsnTable::load("f", b"rubbish\n"), Err(Error::NotAsn { rejected: 1, .. })));
        assert!(matches!(AsnTable::load("f", b""), Err(Error::NotAsn { rejected: 0, .. })));
    }

    #[test]
    fn geolite_database_answers_as_its_source_says() {
        let Some(bytes) = shared_data("maxmind-test-mmdb/test-data/GeoLite2-ASN-Test.mmdb") else { return };
        let (table, loaded) = AsnTable::load("f", &bytes).unwrap();
        assert!(loaded.entries > 100, "{loaded:?}");
        check(&table, "1.128.0.1", Some((1221, "Telstra Pty Ltd")));
        check(&table, "12.81.92.7", Some((7018, "AT&T Services")));
        check(&table, "2600:6000::1", Some((237, "Merit Network Inc.")));
        check(&table, "127.0.0.1", None);
        // Every network of the source, by its first address. Some records name their system and others of it do not.
        let source = shared_data("maxmind-test-mmdb/source-data/GeoLite2-ASN-Test.json.gz").unwrap();
        let source: Vec<HashMap<String, Record>> = serde_json::from_slice(&unpack("f", &source).unwrap()).unwrap();
        let mut n_checked = 0;
        for (network, record) in source.iter().flatten() {
            let address = network.split('/').next().unwrap().trim_start_matches("::ffff:");
            if !address.is_empty() && !address.starts_with("::") {
                let found = table.get(ip(address)).map(|(asn, _)| *asn);
                assert_eq!(found, record.system().map(|(asn, _)| asn), "{network}");
                n_checked += 1;
            }
        }
        assert!(n_checked > 100, "{n_checked}");
    }

    #[test]
    fn databases_good_and_bad_never_panic() {
        let with_asn = ["GeoLite2-ASN-Test.mmdb", "GeoIP2-ISP-Test.mmdb"];
        for folder in ["test-data", "bad-data/libmaxminddb", "bad-data/maxminddb-golang", "bad-data/maxminddb-python"] {
            let Some(files) = super::super::testing::shared_folder(&format!("maxmind-test-mmdb/{folder}")) else {
                return;
            };
            for (file, bytes) in files {
                let outcome = AsnTable::load(&file, &bytes);
                if with_asn.contains(&file.as_str()) {
                    assert!(outcome.is_ok(), "{file}: {outcome:?}");
                } else {
                    assert!(outcome.is_err(), "{file}: {outcome:?}");
                }
            }
        }
    }

    #[test]
    fn a_cut_or_flipped_database_is_an_error_or_a_table() {
        let Some(bytes) = shared_data("maxmind-test-mmdb/test-data/GeoLite2-ASN-Test.mmdb") else { return };
        for cut in (0..bytes.len()).step_by(97) {
            let _outcome = AsnTable::load("f", &bytes[..cut]);
            let mut flipped = bytes.clone();
            flipped[cut] ^= 0xff;
            let _outcome = AsnTable::load("f", &flipped);
        }
    }
}
