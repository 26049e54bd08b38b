//! Inventory files: what the AWS CLI prints about interfaces and functions, and our own snapshots of both.
//!
//! Where it sits: parses for `enis` and `functions`; nothing else knows the JSON.
//! What it does not do: it joins nothing.
//!
//! A snapshot is what the commands print, in one object, with the time (either list may be missing):
//!
//! ```json
//! {"schema":"callout.inventory/1","taken_at":"2026-03-31T08:58:02Z","NetworkInterfaces":[…],"Functions":[…]}
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::Error;
use super::functions::{Function, identity};
use super::unpack::{unpack, without_bom};

/// The schema of our own snapshots.
pub(super) const SCHEMA: &str = "callout.inventory/1";

/// Which of the two commands a file is said to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Enis,
    Functions,
}

impl Wanted {
    fn field(self) -> &'static str {
        match self {
            Self::Enis => "NetworkInterfaces",
            Self::Functions => "Functions",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Enis => "aws ec2 describe-network-interfaces",
            Self::Functions => "aws lambda list-functions --function-version ALL",
        }
    }
}

/// One JSON document: a page of the CLI, or a snapshot.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// When it was taken, in Unix seconds; only snapshots say.
    pub(super) taken_at: Option<i64>,
    pub(super) enis: Vec<RawEni>,
    pub(super) functions: Vec<(Function, RawFunction)>,
    /// Whether it says that more pages follow.
    pub(super) unfinished: bool,
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct RawPage {
    schema: Option<String>,
    taken_at: Option<String>,
    #[serde(rename = "NetworkInterfaces")]
    enis: Option<Vec<RawEni>>,
    #[serde(rename = "Functions")]
    functions: Option<Vec<RawFunction>>,
    #[serde(rename = "NextToken")]
    next_token: Option<String>,
    /// What Lambda calls it, where the AWS CLI does not page itself.
    #[serde(rename = "NextMarker")]
    next_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawEni {
    #[serde(rename = "NetworkInterfaceId")]
    pub(super) id: String,
    pub(super) owner_id: Option<String>,
    pub(super) subnet_id: Option<String>,
    pub(super) groups: Option<Vec<RawGroup>>,
    pub(super) interface_type: Option<String>,
    pub(super) description: Option<String>,
    pub(super) attachment: Option<RawAttachment>,
    private_ip_address: Option<Ipv4Addr>,
    private_ip_addresses: Option<Vec<RawIpv4>>,
    ipv6_addresses: Option<Vec<RawIpv6>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawGroup {
    pub(super) group_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawAttachment {
    pub(super) attach_time: Option<String>,
    pub(super) instance_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawIpv4 {
    private_ip_address: Option<Ipv4Addr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawIpv6 {
    ipv6_address: Option<Ipv6Addr>,
}

impl RawEni {
    /// All private addresses, IPv4 mapped.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        let more = self.private_ip_addresses.iter().flatten().filter_map(|entry| entry.private_ip_address);
        let ipv4 = self.private_ip_address.into_iter().chain(more).map(|address| address.to_ipv6_mapped());
        ipv4.chain(self.ipv6_addresses.iter().flatten().filter_map(|entry| entry.ipv6_address))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawFunction {
    pub(super) function_arn: String,
    pub(super) runtime: Option<String>,
    pub(super) version: Option<String>,
    #[serde(rename = "CodeSha256")]
    pub(super) code_sha256: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) vpc_config: Option<RawVpcConfig>,
    pub(super) layers: Option<Vec<RawLayer>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawVpcConfig {
    pub(super) subnet_ids: Option<Vec<String>>,
    pub(super) security_group_ids: Option<Vec<String>>,
    pub(super) vpc_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawLayer {
    pub(super) arn: Option<String>,
}

/// Reads a file: one document or several after each other, each the CLI's or a snapshot.
pub(super) fn parse(origin: &str, bytes: &[u8], wanted: Wanted) -> Result<Vec<Page>, Error> {
    let unlike = |source| Error::NotInventory {
        origin: origin.to_owned(),
        field: wanted.field(),
        command: wanted.command(),
        source,
    };
    let bytes = unpack(origin, bytes)?;
    let text = without_bom(&bytes);
    // The parser would take a list for the values of the fields, in order, and complain of one of these.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(unlike(None));
    }
    let mut pages = Vec::new();
    for page in serde_json::Deserializer::from_slice(text).into_iter::<RawPage>() {
        let page = page.map_err(|source| unlike(Some(source)))?;
        let taken_at = match &page.schema {
            Some(_) => Some(taken_at(origin, &page)?),
            None => None,
        };
        let field_is_there = match wanted {
            Wanted::Enis => page.enis.is_some(),
            Wanted::Functions => page.functions.is_some(),
        };
        // A snapshot may hold either half.
        if !field_is_there && taken_at.is_none() {
            return Err(unlike(None));
        }
        let functions = page.functions.unwrap_or_default().into_iter();
        let functions =
            functions.map(|raw| Ok((identity(origin, &raw.function_arn)?, raw))).collect::<Result<_, Error>>()?;
        pages.push(Page {
            taken_at,
            enis: page.enis.unwrap_or_default(),
            functions,
            unfinished: page.next_token.is_some() || page.next_marker.is_some(),
        });
    }
    if pages.is_empty() { Err(unlike(None)) } else { Ok(pages) }
}

fn taken_at(origin: &str, page: &RawPage) -> Result<i64, Error> {
    let schema = page.schema.clone().unwrap_or_default();
    if schema != SCHEMA {
        return Err(Error::Schema { origin: origin.to_owned(), schema });
    }
    let value = page.taken_at.clone().unwrap_or_default();
    unix_secs(&value).ok_or_else(|| Error::TakenAt { origin: origin.to_owned(), value })
}

/// Reads a time in either of AWS's forms: RFC 3339, and Lambda's `LastModified` with an offset without a colon
/// (`2026-03-31T08:58:02.000+0000`).
pub(super) fn unix_secs(text: &str) -> Option<i64> {
    let time = text.parse().or_else(|_| jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text));
    time.ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        for text in [
            "2026-03-31T08:58:02.000+0000",
            "2026-03-31T08:58:02+0000",
            "2026-03-31T10:58:02.123+0200",
            "2026-03-31T08:58:02Z",
            "2026-03-31T08:58:02.500Z",
            "2026-03-31T08:58:02+00:00",
        ] {
            assert_eq!(unix_secs(text), Some(1_774_947_482), "{text}");
        }
        for text in ["", "2026-03-31", "yesterday", "1774947482"] {
            assert_eq!(unix_secs(text), None, "{text}");
        }
    }

    #[test]
    fn pages_after_each_other_are_one_file() {
        let text = "\u{feff}{\"NetworkInterfaces\":[],\"NextToken\":\"t\"}\n{\"NetworkInterfaces\":[{\"NetworkInterfaceId\":\"eni-1\"}]}";
        let pages = parse("f", text.as_bytes(), Wanted::Enis).unwrap();
        assert_eq!(
            pages.iter().map(|page| (page.enis.len(), page.unfinished)).collect::<Vec<_>>(),
            [(0, true), (1, false)]
        );
    }

    #[test]
    fn what_the_cli_does_not_print_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "eni-1\teni-2",
            "NetworkInterfaces:\n- x",
            "{\"Functions\":[]}",
            "{\"NetworkInterfaces\":[{}]}",
        ] {
            let error = parse("enis.json", text.as_bytes(), Wanted::Enis).unwrap_err();
            assert!(matches!(error, Error::NotInventory { field: "NetworkInterfaces", .. }), "{text}: {error}");
        }
        let error = parse("enis.json", b"\n[{\"NetworkInterfaceId\":\"eni-1\"}]", Wanted::Enis).unwrap_err();
        assert!(
            std::error::Error::source(&error).is_none(),
            "of a list alone the parser says nothing of use: {error:?}"
        );
        let error = parse("functions.json", b"{}", Wanted::Functions).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`functions.json` is not what `aws lambda list-functions --function-version ALL` prints: a JSON object with `Functions`; \
             run `aws lambda list-functions --function-version ALL --output json > FILE`"
        );
    }

    #[test]
    fn snapshots_name_their_schema_and_time() {
        let good = br#"{"schema":"callout.inventory/1","taken_at":"2026-03-31T08:58:02Z","Functions":[]}"#;
        assert_eq!(parse("f", good, Wanted::Enis).unwrap()[0].taken_at, Some(1_774_947_482));
        let newer = br#"{"schema":"callout.inventory/2","taken_at":"2026-03-31T08:58:02Z"}"#;
        assert!(matches!(parse("f", newer, Wanted::Enis), Err(Error::Schema { .. })));
        for timeless in [r#"{"schema":"callout.inventory/1"}"#, r#"{"schema":"callout.inventory/1","taken_at":"now"}"#]
        {
            assert!(matches!(parse("f", timeless.as_bytes(), Wanted::Enis), Err(Error::TakenAt { .. })), "{timeless}");
        }
    }
}
