//! What a user would hand to the detector about the internet: `asn.tsv` and `ip-ranges.json`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use serde_json::{Value, json};

use super::{Internet, Prefix, aws};
use crate::calendar::{self, Secs};

/// AWS's autonomous system, which announces every prefix of `ip-ranges.json` we use.
const AWS_ASN: u32 = 16_509;

/// Renders the networks as an iptoasn table: `start end asn country name`, gaps of IPv4 space as AS 0 `Not routed`.
pub(crate) fn asn_tsv(internet: &Internet) -> String {
    let mut rows: BTreeMap<Prefix, (u32, &str, &str)> = BTreeMap::new();
    for network in &internet.networks {
        for prefix in network.prefixes.iter().chain(&network.prefix6) {
            rows.insert(*prefix, (network.asn, network.country, &network.owner));
        }
    }
    for range in &aws::RANGES {
        rows.insert(range.prefix, (AWS_ASN, "US", "AMAZON-02"));
    }
    let mut out = String::new();
    let mut line = |start: IpAddr, end: IpAddr, asn: u32, country: &str, name: &str| {
        // Writing to a String cannot fail.
        writeln!(out, "{start}\t{end}\t{asn}\t{country}\t{name}").ok();
    };
    let mut free = Ipv4Addr::new(1, 0, 0, 0);
    for (prefix, (asn, country, owner)) in rows {
        if let (IpAddr::V4(base), IpAddr::V4(last)) = (prefix.base, prefix.last()) {
            if free < base {
                line(free.into(), Ipv4Addr::from(u32::from(base) - 1).into(), 0, "None", "Not routed");
            }
            free = Ipv4Addr::from(u32::from(last).saturating_add(1));
        }
        line(prefix.base, prefix.last(), asn, country, owner);
    }
    out
}

/// Renders AWS's ranges in the form of `ip-ranges.json`, as created at `at`.
pub(crate) fn ip_ranges(at: Secs) -> Value {
    let of_amazon = aws::RANGES.iter().map(|r| aws::Range { service: "AMAZON", ..*r });
    let prefixes: Vec<Value> = aws::RANGES
        .iter()
        .copied()
        .chain(of_amazon)
        .map(|r| {
            json!({"ip_prefix": r.prefix.to_string(), "region": r.region, "service": r.service, "network_border_group": r.region})
        })
        .collect();
    let v6 = |service: &str| json!({"ipv6_prefix": "2a05:d018::/36", "region": aws::REGION, "service": service, "network_border_group": aws::REGION});
    json!({
        "syncToken": at.to_string(),
        "createDate": calendar::written(at, "%Y-%m-%d-%H-%M-%S"),
        "prefixes": prefixes,
        "ipv6_prefixes": [v6("AMAZON"), v6("EC2")],
    })
}
