//! Suppressions: a user's standing decision to hide a class of findings, with a reason and an end.
//!
//! They hide and never delete: what is hidden is counted, and still rendered by the forms that show it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::civil::Date;
use serde::Deserialize;

use super::Error;
use crate::finding::{CheckId, Destination, Finding};

/// What a file may say of one suppression.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    check: Option<String>,
    function: Option<String>,
    network: Option<String>,
    until: Option<RawDate>,
    reason: Option<String>,
}

/// TOML has dates of its own; many people quote them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawDate {
    Toml(toml::value::Datetime),
    Text(String),
}

/// Which destinations a suppression speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkPattern {
    /// Addresses inside a CIDR block; a bare address is a block of one.
    Block(IpNet),
    /// A network by the label findings print: the whole label, or its first words (`AS64500`, `AWS EC2`).
    Label(Arc<str>),
}

impl NetworkPattern {
    fn holds(&self, destination: &Destination) -> bool {
        match self {
            Self::Block(block) => block.contains(&destination.address),
            Self::Label(label) => destination
                .network
                .strip_prefix(label.as_ref())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
        }
    }
}

/// A standing decision to hide findings. What is `None` does not restrict it; at least one of the three is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Only findings of this type.
    pub check: Option<CheckId>,
    /// Only findings of this function: a name or an ARN, `*` stands for any characters.
    pub function: Option<Arc<str>>,
    /// Only findings all of whose destinations lie here.
    pub network: Option<NetworkPattern>,
    /// The last day, UTC, on which it hides anything.
    pub until: Date,
    /// Why; also the name under which a hidden finding is told.
    pub reason: Arc<str>,
}

impl Suppression {
    pub(super) fn check(index: usize, raw: Raw) -> Result<Self, Error> {
        let key = |name: &str| format!("suppressions[{index}].{name}");
        let check = match raw.check {
            None => None,
            Some(id) => Some(CheckId::parse(&id).ok_or_else(|| Error::NotAllowed {
                key: key("check"),
                value: id,
                allowed: format!("one of {}", CheckId::ALL.map(CheckId::as_str).join(", ")),
            })?),
        };
        let function = raw.function.map(|name| non_empty(&key("function"), &name)).transpose()?;
        let network = raw.network.map(|text| network(&key("network"), &text)).transpose()?;
        if check.is_none() && function.is_none() && network.is_none() {
            return Err(Error::Missing {
                key: format!("suppressions[{index}]"),
                need: "give at least one of `check`, `function` and `network`: it would hide every finding",
            });
        }
        let until = match raw.until {
            Some(text) => date(&key("until"), &text)?,
            None => {
                return Err(Error::Missing {
                    key: key("until"),
                    need: "give the last day it holds, such as 2027-03-31: no decision holds for ever",
                });
            }
        };
        let reason = raw.reason.unwrap_or_default();
        if reason.trim().is_empty() {
            return Err(Error::Missing { key: key("reason"), need: "say why these findings may be hidden" });
        }
        Ok(Self { check, function, network, until, reason: reason.trim().into() })
    }

    /// Whether this decision hides the finding.
    ///
    /// A finding of several functions, or with several destinations, is hidden only when the decision holds for all
    /// of them: what it does not speak of stays visible.
    pub fn hides(&self, finding: &Finding) -> bool {
        self.check.is_none_or(|check| check == finding.check)
            && self.function.as_ref().is_none_or(|pattern| names_all(pattern, finding))
            && self.network.as_ref().is_none_or(|network| {
                !finding.destinations.is_empty() && finding.destinations.iter().all(|d| network.holds(d))
            })
            && self.holds_at(finding.last_seen)
    }

    fn holds_at(&self, unix_secs: i64) -> bool {
        jiff::Timestamp::from_second(unix_secs)
            .is_ok_and(|time| time.to_zoned(jiff::tz::TimeZone::UTC).date() <= self.until)
    }
}

fn names_all(pattern: &str, finding: &Finding) -> bool {
    let owner = &finding.owner;
    if owner.functions.is_empty() {
        return !owner.eni_ids.is_empty() && owner.eni_ids.iter().all(|eni| wildcard(pattern, eni));
    }
    owner
        .functions
        .iter()
        .enumerate()
        .all(|(index, name)| wildcard(pattern, name) || owner.arns.get(index).is_some_and(|arn| wildcard(pattern, arn)))
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters. Linear in the product of both lengths.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

fn non_empty(key: &str, text: &str) -> Result<Arc<str>, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::Missing { key: key.to_owned(), need: "write a name, or leave the key out" });
    }
    Ok(text.into())
}

fn network(key: &str, text: &str) -> Result<NetworkPattern, Error> {
    let text = non_empty(key, text)?;
    if let Ok(block) = text.parse::<IpNet>() {
        return Ok(NetworkPattern::Block(block.trunc()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(NetworkPattern::Block(address.to_canonical().into()));
    }
    // Labels begin with a word; what looks like an address and is none is a typing error that would hide nothing.
    // A block may follow the word (`private 10.0.0.0/16`), and companies' names hold a stroke (`AS64500 Example A/S`).
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_like_address = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b':';
    if first.contains('/') || first.bytes().all(is_like_address) || first.parse::<IpAddr>().is_ok() {
        return Err(Error::NotAllowed {
            key: key.to_owned(),
            value: text.to_string(),
            allowed: "a CIDR block such as `203.0.113.0/24`, an address, or a network label such as `AS64500`".into(),
        });
    }
    Ok(NetworkPattern::Label(text))
}

fn date(key: &str, raw: &RawDate) -> Result<Date, Error> {
    let (text, parsed) = match raw {
        RawDate::Toml(value) => (value.to_string(), value.time.is_none()),
        RawDate::Text(text) => (text.clone(), true),
    };
    let not_a_date =
        || Error::NotAllowed { key: key.to_owned(), value: text.clone(), allowed: "a date such as 2027-03-31".into() };
    if !parsed || text.len() != "2027-03-31".len() {
        return Err(not_a_date());
    }
    text.parse().map_err(|_| not_a_date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_block_an_address_or_a_label_that_findings_print() {
        for label in ["AS64500", "AS64500 Example A/S", "AWS EC2", "private 10.0.0.0/16", "link-local fe80::/64"] {
            assert_eq!(network("network", label), Ok(NetworkPattern::Label(label.into())), "{label}");
        }
        for block in ["10.0.0.0/8", "203.0.113.7", "fd00::/8"] {
            assert!(matches!(network("network", block), Ok(NetworkPattern::Block(_))), "{block}");
        }
        let [mapped, v4] = ["::ffff:203.0.113.7", "203.0.113.7"].map(|text| network("network", text));
        assert_eq!(mapped, v4);
        for neither in ["10.0.0.0/33", "10.0.0.0 /8", "fd00::1 /64", "10.0.0", "203.0.113.0/24x", "::/x"] {
            assert!(network("network", neither).is_err(), "{neither}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("*", "abc"),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "abc"),
            ("a*b*c", "aXbYc"),
            ("**", "x"),
            ("ab*ba", "abba"),
            ("*ab", "abab"),
        ] {
            assert!(wildcard(pattern, text), "{pattern} should fit {text}");
        }
        for (pattern, text) in
            [("a", "ab"), ("a", ""), ("", "a"), ("a*", "ba"), ("*c", "cb"), ("ab*ba", "aba"), ("a*b*c", "acb")]
        {
            assert!(!wildcard(pattern, text), "{pattern} should not fit {text}");
        }
    }
}
