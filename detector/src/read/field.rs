//! Which of an object's columns are read: by name, in any order, from any subset.
//!
//! Where it sits: `text` and `parquet` give the names they find, and get back where each field of a batch comes from.
//! What it does not do: it never goes by position or by the number of fields.

use std::sync::Arc;

use crate::flow::Field;
use crate::read::Error;

/// The name of the field that says whether a record is traffic.
pub(super) const STATUS_NAME: &str = "log-status";

/// A field's name as AWS spells it in text; Parquet has `_` for `-`.
pub(super) fn name(field: Field) -> &'static str {
    match field {
        Field::Interface => "interface-id",
        Field::Src => "srcaddr",
        Field::Dst => "dstaddr",
        Field::SrcPort => "srcport",
        Field::DstPort => "dstport",
        Field::Protocol => "protocol",
        Field::Packets => "packets",
        Field::Bytes => "bytes",
        Field::Start => "start",
        Field::End => "end",
        Field::Action => "action",
        Field::PktSrc => "pkt-srcaddr",
        Field::PktDst => "pkt-dstaddr",
        Field::TcpFlags => "tcp-flags",
        Field::Direction => "flow-direction",
        Field::AwsService => "pkt-dst-aws-service",
        Field::Account => "account-id",
        Field::Region => "region",
        Field::Vpc => "vpc-id",
    }
}

/// Whether an object without the field is refused. `end` and `action` are not needed: without `end` a record ends where
/// it starts, without `action` it was accepted.
fn is_needed(field: Field) -> bool {
    field.is_required() && !matches!(field, Field::End | Field::Action)
}

/// Where each field stands among an object's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    fields: [Option<usize>; Field::COUNT],
    /// Where `log-status` stands; without it a record that names no sender is `NODATA`.
    pub(super) status: Option<usize>,
    /// How many columns the object has.
    pub(super) n_columns: usize,
}

impl Places {
    /// Finds the fields among column names. Unknown names are ignored; of two that mean the same field the one that is
    /// spelled in lower case counts, then the first.
    ///
    /// # Errors
    /// [`Error::OtherLog`] for the formats that resemble VPC flow logs and are none; [`Error::MissingField`].
    pub(super) fn find<'a>(object: &Arc<str>, names: impl Iterator<Item = &'a str>) -> Result<Self, Error> {
        let spelled: Vec<String> = names.map(hyphened).collect();
        let names: Vec<String> = spelled.iter().map(|name| name.to_ascii_lowercase()).collect();
        refuse_relatives(object, &names)?;
        let place = |name: &str| {
            let among = |names: &[String]| names.iter().position(|other| other == name);
            among(&spelled).or_else(|| among(&names))
        };
        let fields = Field::ALL.map(|field| place(name(field)));
        let missing: Vec<_> =
            Field::ALL.into_iter().zip(&fields).filter(|(field, at)| is_needed(*field) && at.is_none()).collect();
        if !missing.is_empty() {
            let fields = missing.into_iter().map(|(field, _)| name(field)).collect();
            return Err(Error::MissingField { object: Arc::clone(object), fields });
        }
        Ok(Self { fields, status: place(STATUS_NAME), n_columns: names.len() })
    }

    /// Where a field stands.
    pub(super) fn of(&self, field: Field) -> Option<usize> {
        self.fields.get(field as usize).copied().flatten()
    }
}

/// Whether a name is one of the fields read.
pub(super) fn is_known(found: &str) -> bool {
    let found = spelled(found);
    found == STATUS_NAME || Field::ALL.into_iter().any(|field| found == name(field))
}

/// A name as AWS spells it in text.
pub(super) fn spelled(name: &str) -> String {
    hyphened(name).to_ascii_lowercase()
}

/// The same, with its capitals.
fn hyphened(name: &str) -> String {
    name.trim().replace('_', "-")
}

/// Says what the object is when it is one of the formats people mistake for VPC flow logs.
fn refuse_relatives(object: &Arc<str>, names: &[String]) -> Result<(), Error> {
    let has = |name: &str| names.iter().any(|other| other == name);
    let what = if has("class-uid") || (has("metadata") && has("traffic")) || has("connection-info") {
        "a Security Lake object (OCSF network activity), not a VPC flow log; point at the flow log's own bucket"
    } else if has("tgw-id") || has("tgw-attachment-id") || (has("resource-type") && !has("interface-id")) {
        "a transit gateway flow log, which has no interfaces; create a VPC flow log"
    } else if has("query-name") {
        "a Route 53 Resolver query log, not a VPC flow log"
    } else {
        return Ok(());
    };
    Err(Error::OtherLog { object: Arc::clone(object), what })
}
