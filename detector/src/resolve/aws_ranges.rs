//! AWS ranges: which AWS service and region an address belongs to, from AWS's `ip-ranges.json`.
//!
//! Where it sits: loaded by `networks`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde::Deserialize;

use super::Error;
use super::ranges::{Blocks, Ranges};
use super::unpack::{unpack, without_bom};

/// An AWS service and region, as `ip-ranges.json` spells them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AwsBlock {
    /// `EC2`, `S3`, `CLOUDFRONT`, …; `AMAZON` when nothing narrower is said.
    pub service: Arc<str>,
    /// `eu-west-1`, …, or `GLOBAL`; empty where only the log names the service.
    pub region: Arc<str>,
}

/// Address → service and region.
///
/// # Guarantees
/// The longest match answers. Of services with the same block: any before `EC2`, `EC2` before `AMAZON` (every block of
/// a service is listed under `AMAZON` again, and one under `S3` and `EC2` is used by S3 alone), then the first by name,
/// as with `CLOUDFRONT` and `CLOUDFRONT_ORIGIN_FACING`.
///
/// # Source
/// Amazon VPC User Guide, "AWS IP address ranges".
#[derive(Debug)]
pub(super) struct AwsRanges {
    ranges: Ranges,
    blocks: Vec<AwsBlock>,
    /// When AWS wrote the list; `None` where it does not say.
    pub(super) written: Option<i64>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default, borrow, rename = "createDate")]
    written: Cow<'a, str>,
    #[serde(borrow)]
    prefixes: Vec<Prefix<'a>>,
    #[serde(borrow)]
    ipv6_prefixes: Vec<Prefix<'a>>,
}

#[derive(Deserialize)]
struct Prefix<'a> {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    #[serde(borrow)]
    block: Cow<'a, str>,
    #[serde(borrow)]
    service: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
}

/// Lower is preferred, where the block is the same.
fn rank(service: &str) -> u8 {
    match service {
        "AMAZON" => 2,
        "EC2" => 1,
        _ => 0,
    }
}

impl AwsRanges {
    pub(super) fn load(origin: &str, bytes: &[u8]) -> Result<Self, Error> {
        let bytes = unpack(origin, bytes)?;
        let file: File<'_> = serde_json::from_slice(without_bom(&bytes))
            .map_err(|source| Error::NotAwsRanges { origin: origin.to_owned(), source })?;
        // Numbered in the order of preference: of equal blocks the lowest number answers.
        let mut names = BTreeMap::new();
        for Prefix { service, region, .. } in file.prefixes.iter().chain(&file.ipv6_prefixes) {
            names.insert((rank(service), &**service, &**region), 0);
        }
        for (number, slot) in (0..).zip(names.values_mut()) {
            *slot = number;
        }
        let mut blocks = Blocks::default();
        for Prefix { block, service, region } in file.prefixes.iter().chain(&file.ipv6_prefixes) {
            let parsed = block.parse().map_err(|source| Error::NotBlock {
                origin: origin.to_owned(),
                value: block.to_string(),
                source,
            })?;
            if let Some(number) = names.get(&(rank(service), &**service, &**region)) {
                blocks.add(parsed, *number);
            }
        }
        let blocks_named =
            names.keys().map(|(_, service, region)| AwsBlock { service: (*service).into(), region: (*region).into() });
        let written = civil::DateTime::strptime("%Y-%m-%d-%H-%M-%S", &*file.written).ok();
        let written = written.and_then(|written| TimeZone::UTC.to_timestamp(written).ok()).map(Timestamp::as_second);
        Ok(Self { blocks: blocks_named.collect(), ranges: blocks.into(), written })
    }

    pub(super) fn get(&self, address: Ipv6Addr) -> Option<&AwsBlock> {
        self.blocks.get(self.ranges.get(address)? as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ipnet::IpNet;

    use super::super::testing::{ip, shared_folder};
    use super::*;

    fn check(ranges: &AwsRanges, address: &str, expected: Option<(&str, &str)>) {
        let found = ranges.get(ip(address)).map(|block| (&*block.service, &*block.region));
        assert_eq!(found, expected, "{address}");
    }

    fn file(prefixes: &[(&str, &str, &str)]) -> String {
        let entries: Vec<_> = prefixes
            .iter()
            .map(|(prefix, service, region)| {
                serde_json::json!({"ip_prefix": prefix, "region": region, "network_border_group": region, "service": service})
            })
            .collect();
        let ipv6 = serde_json::json!({"ipv6_prefix": "2600:1f00::/24", "region": "eu-west-1", "service": "EC2"});
        serde_json::json!({"syncToken": "1", "createDate": "x", "prefixes": entries, "ipv6_prefixes": [ipv6]})
            .to_string()
    }

    #[test]
    fn the_most_telling_service_wins() {
        let text = file(&[
            ("192.0.2.0/24", "AMAZON", "eu-west-1"),
            ("192.0.2.0/24", "S3", "eu-west-1"),
            ("192.0.2.0/24", "EC2", "eu-west-1"),
            ("198.51.100.0/24", "AMAZON", "us-east-1"),
            ("198.51.100.0/24", "EC2", "us-east-1"),
            ("198.51.100.128/25", "DYNAMODB", "us-east-1"),
            ("203.0.113.0/24", "AMAZON", "GLOBAL"),
        ]);
        let ranges = AwsRanges::load("f", text.as_bytes()).unwrap();
        check(&ranges, "192.0.2.1", Some(("S3", "eu-west-1")));
        check(&ranges, "198.51.100.1", Some(("EC2", "us-east-1")));
        check(&ranges, "198.51.100.129", Some(("DYNAMODB", "us-east-1")));
        check(&ranges, "203.0.113.9", Some(("AMAZON", "GLOBAL")));
        check(&ranges, "2600:1f00::9", Some(("EC2", "eu-west-1")));
        check(&ranges, "8.8.8.8", None);
    }

    #[test]
    fn a_list_says_when_it_was_written() {
        let written = |date: &str| {
            let text = format!(r#"{{{date} "prefixes": [], "ipv6_prefixes": []}}"#);
            AwsRanges::load("f", text.as_bytes()).unwrap().written
        };
        assert_eq!(written(r#""createDate": "2026-03-22-00-03-01","#), Some(1_774_137_781));
        assert_eq!((written(r#""createDate": "x","#), written("")), (None, None));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(matches!(AwsRanges::load("f", b"{}"), Err(Error::NotAwsRanges { .. })));
        assert!(matches!(AwsRanges::load("f", b"prefix"), Err(Error::NotAwsRanges { .. })));
        let text = file(&[("192.0.2.0/33", "S3", "eu-west-1")]);
        assert!(matches!(AwsRanges::load("f", text.as_bytes()), Err(Error::NotBlock { .. })));
    }

    #[test]
    fn a_mark_before_it_and_escapes_in_it_are_read() {
        let text = "\u{feff}{\"prefixes\":[{\"ip_prefix\":\"192.0.2.0\\/24\",\"service\":\"S3\",\"region\":\"eu\\u002dwest-1\"}],\"ipv6_prefixes\":[]}";
        let ranges = AwsRanges::load("f", text.as_bytes()).unwrap();
        check(&ranges, "192.0.2.7", Some(("S3", "eu-west-1")));
    }

    /// The rule again, block by block.
    #[test]
    fn four_dates_agree_with_a_naive_reading() {
        let Some(files) = shared_folder("aws-ip-ranges") else { return };
        let mut n_files = 0;
        for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".json.gz")) {
            n_files += 1;
            let ranges = AwsRanges::load(name, bytes).unwrap();
            let text = unpack(name, bytes).unwrap();
            let file: File<'_> = serde_json::from_slice(&text).unwrap();
            let mut best: HashMap<IpNet, (u8, &str, &str)> = HashMap::new();
            for Prefix { block, service, region } in file.prefixes.iter().chain(&file.ipv6_prefixes) {
                let entry = (rank(service), &**service, &**region);
                best.entry(block.parse().unwrap()).and_modify(|old| *old = entry.min(*old)).or_insert(entry);
            }
            for address in best.keys().flat_map(|block| [block.network(), block.broadcast()]) {
                let longest = (0..=128).rev().find_map(|length| best.get(&IpNet::new(address, length).ok()?.trunc()));
                let expected = longest.map(|(_, service, region)| (*service, *region));
                check(&ranges, &address.to_string(), expected);
            }
        }
        assert_eq!(n_files, 4);
    }

    #[test]
    fn addresses_join_aws_between_two_dates() {
        let Some(files) = shared_folder("aws-ip-ranges") else { return };
        let bytes = |date: &str| &files.iter().find(|(name, _)| name.contains(date)).unwrap().1;
        let (old, new) = (bytes("2022-12-30"), bytes("2026-08-22"));
        let text = unpack("f", new).unwrap();
        let file: File<'_> = serde_json::from_slice(&text).unwrap();
        let (old, new) = (AwsRanges::load("old", old).unwrap(), AwsRanges::load("new", new).unwrap());
        let starts = file.prefixes.iter().map(|prefix| prefix.block.split('/').next().unwrap());
        let joined: Vec<&str> = starts.filter(|start| old.get(ip(start)).is_none()).collect();
        assert!(joined.len() > 1000, "{}", joined.len());
        assert!(joined.iter().all(|start| new.get(ip(start)).is_some()));
    }
}
