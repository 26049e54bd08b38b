//! `callout.finding/1`: a finding as scripts rely on it, one object a line, and back.
//!
//! The forms here are structs of their own: what the outside relies on does not move when the nouns do.

use std::net::IpAddr;
use std::sync::Arc;

use baselines::store::schema_of;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{json_line, rfc3339};
use crate::finding::{
    Activity, CheckId, Deployment, Destination, Evidence, Finding, Fingerprint, Owner, OwnerKind, Quantity, Severity,
    protocol_name,
};

/// The form's name and version.
const SCHEMA: &str = "callout.finding/1";

/// Why a stored finding could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not the fields of a finding.
    #[error("no finding in `callout.finding/1` form")]
    Form(#[source] serde_json::Error),
    /// Another form or another version of it.
    #[error("schema is `{found}`; this program reads `callout.finding/1`")]
    Schema {
        /// What the object says it is.
        found: String,
    },
    /// A field holds what it cannot mean.
    #[error("`{field}` is `{value}`; that is {need}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// Why that does not do.
        need: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct Form {
    schema: String,
    id: String,
    #[serde(rename = "type")]
    check: String,
    activity: String,
    #[serde(serialize_with = "number")]
    severity: f64,
    severity_label: String,
    #[serde(serialize_with = "number", deserialize_with = "maybe_nan")]
    confidence: f64,
    title: String,
    description: String,
    account_id: Option<Arc<str>>,
    region: Option<Arc<str>>,
    vpc_id: Option<Arc<str>>,
    owner: OwnerForm,
    destinations: Vec<DestinationForm>,
    window: WindowForm,
    first_seen: String,
    last_seen: String,
    count: u32,
    evidence: Vec<EvidenceForm>,
    deployment: Option<DeploymentForm>,
    suppressed_by: Option<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
struct OwnerForm {
    kind: String,
    functions: Vec<Arc<str>>,
    arns: Vec<Arc<str>>,
    eni_ids: Vec<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
struct DestinationForm {
    address: IpAddr,
    port: u16,
    protocol: String,
    network: Arc<str>,
    aws_service: Option<Arc<str>>,
    n_flows: u64,
    bytes_out: u64,
    bytes_in: u64,
    first_seen: String,
    last_seen: String,
}

#[derive(Serialize, Deserialize)]
struct WindowForm {
    start: String,
    end: String,
}

#[derive(Serialize, Deserialize)]
struct EvidenceForm {
    measure: String,
    #[serde(serialize_with = "number", deserialize_with = "maybe_nan")]
    observed: f64,
    #[serde(serialize_with = "number", deserialize_with = "maybe_nan")]
    expected: f64,
    unit: String,
    statement: String,
    check: String,
    #[serde(serialize_with = "number", deserialize_with = "maybe_nan")]
    surprise: f64,
}

#[derive(Serialize, Deserialize)]
struct DeploymentForm {
    version: Arc<str>,
    code_sha256: Arc<str>,
    at: String,
}

/// Writes whole numbers without a fraction, infinities as the largest number there is, and NaN as null.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    /// Up to 2^53 every whole number has its own f64, and readers in other languages keep it.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        serializer.serialize_none()
    } else if value.fract().abs() < f64::MIN_POSITIVE && value.abs() <= WHOLE {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(value.clamp(f64::MIN, f64::MAX))
    }
}

fn maybe_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Writes a finding as one line of JSON, without a line end.
///
/// # Panics
/// Never: strings, numbers and lists always have a JSON form.
pub fn render(finding: &Finding) -> String {
    let form = Form {
        schema: SCHEMA.into(),
        id: finding.id.to_string(),
        check: finding.check.as_str().into(),
        activity: finding.activity.as_str().into(),
        severity: finding.severity.value(),
        severity_label: finding.severity.label().into(),
        confidence: finding.confidence,
        title: finding.title.clone(),
        description: finding.description.clone(),
        account_id: finding.account_id.clone(),
        region: finding.region.clone(),
        vpc_id: finding.vpc_id.clone(),
        owner: OwnerForm {
            kind: finding.owner.kind.as_str().into(),
            functions: finding.owner.functions.clone(),
            arns: finding.owner.arns.clone(),
            eni_ids: finding.owner.eni_ids.clone(),
        },
        destinations: finding.destinations.iter().map(DestinationForm::from).collect(),
        window: WindowForm { start: rfc3339(finding.window.0), end: rfc3339(finding.window.1) },
        first_seen: rfc3339(finding.first_seen),
        last_seen: rfc3339(finding.last_seen),
        count: finding.count,
        evidence: finding.evidence.iter().map(EvidenceForm::from).collect(),
        deployment: finding.deployment.as_ref().map(|deployment| DeploymentForm {
            version: deployment.version.clone(),
            code_sha256: deployment.code_sha256.clone(),
            at: rfc3339(deployment.at),
        }),
        suppressed_by: finding.suppressed_by.clone(),
    };
    json_line(&form)
}

impl From<&Destination> for DestinationForm {
    fn from(destination: &Destination) -> Self {
        Self {
            address: destination.address,
            port: destination.port,
            protocol: protocol_name(destination.protocol),
            network: destination.network.clone(),
            aws_service: destination.aws_service.clone(),
            n_flows: destination.n_flows,
            bytes_out: destination.bytes_out,
            bytes_in: destination.bytes_in,
            first_seen: rfc3339(destination.first_seen),
            last_seen: rfc3339(destination.last_seen),
        }
    }
}

impl From<&Evidence> for EvidenceForm {
    fn from(evidence: &Evidence) -> Self {
        Self {
            measure: evidence.measure.into(),
            observed: evidence.observed.value(),
            expected: evidence.expected.value(),
            unit: evidence.observed.unit().into(),
            statement: evidence.statement.clone(),
            check: evidence.check.as_str().into(),
            surprise: evidence.surprise,
        }
    }
}

/// Reads a finding back from what [`render`] wrote.
///
/// # Errors
/// [`Error`] when the text is no finding of this form and version.
pub fn parse(text: &str) -> Result<Finding, Error> {
    let found = schema_of(text.as_bytes()).map_err(Error::Form)?;
    if found != SCHEMA {
        return Err(Error::Schema { found });
    }
    let form: Form = serde_json::from_str(text).map_err(Error::Form)?;
    Ok(Finding {
        id: fingerprint(&form.id)?,
        check: check("type", &form.check)?,
        activity: [Activity::Create, Activity::Update]
            .into_iter()
            .find(|activity| activity.as_str() == form.activity)
            .ok_or_else(|| refuse("activity", &form.activity, "neither `create` nor `update`"))?,
        severity: Severity::new(form.severity),
        confidence: form.confidence,
        title: form.title,
        description: form.description,
        account_id: form.account_id,
        region: form.region,
        vpc_id: form.vpc_id,
        owner: Owner {
            kind: [OwnerKind::Function, OwnerKind::Shared, OwnerKind::Interface]
                .into_iter()
                .find(|kind| kind.as_str() == form.owner.kind)
                .ok_or_else(|| refuse("owner.kind", &form.owner.kind, "not `function`, `shared` or `interface`"))?,
            functions: form.owner.functions,
            arns: form.owner.arns,
            eni_ids: form.owner.eni_ids,
        },
        destinations: form.destinations.into_iter().map(destination).collect::<Result<_, _>>()?,
        window: (time("window.start", &form.window.start)?, time("window.end", &form.window.end)?),
        first_seen: time("first_seen", &form.first_seen)?,
        last_seen: time("last_seen", &form.last_seen)?,
        count: form.count,
        evidence: form.evidence.into_iter().map(evidence).collect::<Result<_, _>>()?,
        deployment: form.deployment.map(deployment).transpose()?,
        suppressed_by: form.suppressed_by,
    })
}

fn refuse(field: &'static str, value: &str, need: &'static str) -> Error {
    Error::Field { field, value: value.to_owned(), need }
}

fn fingerprint(text: &str) -> Result<Fingerprint, Error> {
    Fingerprint::parse(text).ok_or_else(|| refuse("id", text, "not 32 hexadecimal digits"))
}

fn check(field: &'static str, text: &str) -> Result<CheckId, Error> {
    CheckId::parse(text).ok_or_else(|| refuse(field, text, "no check of this version"))
}

fn time(field: &'static str, text: &str) -> Result<i64, Error> {
    text.parse::<Timestamp>().map(Timestamp::as_second).map_err(|_| refuse(field, text, "no RFC 3339 time"))
}

fn destination(form: DestinationForm) -> Result<Destination, Error> {
    Ok(Destination {
        address: form.address,
        port: form.port,
        protocol: (0..=u8::MAX)
            .find(|&number| protocol_name(number) == form.protocol)
            .ok_or_else(|| refuse("protocol", &form.protocol, "neither a protocol's name nor its number"))?,
        network: form.network,
        aws_service: form.aws_service,
        n_flows: form.n_flows,
        bytes_out: form.bytes_out,
        bytes_in: form.bytes_in,
        first_seen: time("first_seen", &form.first_seen)?,
        last_seen: time("last_seen", &form.last_seen)?,
    })
}

fn evidence(form: EvidenceForm) -> Result<Evidence, Error> {
    Ok(Evidence {
        check: check("check", &form.check)?,
        measure: measure(&form.measure)?,
        observed: quantity(&form.unit, form.observed)?,
        expected: quantity(&form.unit, form.expected)?,
        surprise: form.surprise,
        statement: form.statement,
    })
}

fn deployment(form: DeploymentForm) -> Result<Deployment, Error> {
    Ok(Deployment { version: form.version, code_sha256: form.code_sha256, at: time("deployment.at", &form.at)? })
}

fn quantity(unit: &str, value: f64) -> Result<Quantity, Error> {
    Quantity::parse(value, unit).ok_or_else(|| refuse("unit", unit, "no unit of this version"))
}

fn measure(name: &str) -> Result<&'static str, Error> {
    crate::finding::measure(name)
        .ok_or_else(|| refuse("measure", name, "not a name in snake case of at most 64 characters, or one too many"))
}

#[cfg(test)]
mod tests;
