//! An alert: what the detector or a reference method said, in the form the judge reads.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::Context as _;
use serde::Deserialize;

use crate::{calendar::Secs, fleet::Fleet};

/// One alert.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    /// Numbers of the functions it names.
    pub(super) functions: Vec<usize>,
    pub(super) destinations: Vec<(IpAddr, u16)>,
    pub(super) first_seen: Secs,
    pub(super) last_seen: Secs,
    /// When it could have been sent: the end of the first window of the incident.
    pub(super) raised: Secs,
    pub(super) confidence: Option<f64>,
    pub(super) severity: Option<String>,
    /// The check that raised it.
    pub(super) check: String,
}

/// The fields of a `callout.finding/1` that are judged.
#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    #[serde(rename = "type")]
    check: String,
    severity_label: String,
    confidence: f64,
    owner: Owner,
    destinations: Vec<Destination>,
    window: Window,
    first_seen: String,
    last_seen: String,
}

#[derive(Debug, Deserialize)]
struct Owner {
    #[serde(default)]
    functions: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Destination {
    address: String,
    port: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Window {
    start: String,
}

/// The grid of the detector's windows: an alert can be sent when the one that raised it is over.
const WINDOW_SECS: Secs = 600;

/// Reads findings, one JSON object a line; the updates of a finding are folded into it.
pub(super) fn parse(fleet: &Fleet, lines: &str) -> anyhow::Result<Vec<Alert>> {
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    for (n, line) in lines.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let finding: Finding = serde_json::from_str(line).with_context(|| format!("reading finding {}", n + 1))?;
        let alert = Alert::of(fleet, &finding).with_context(|| format!("reading finding {}", n + 1))?;
        match alerts.get_mut(&finding.id) {
            None => {
                alerts.insert(finding.id, alert);
            }
            Some(known) => {
                known.destinations.extend(alert.destinations);
                known.first_seen = known.first_seen.min(alert.first_seen);
                known.last_seen = known.last_seen.max(alert.last_seen);
                known.raised = known.raised.min(alert.raised);
                known.confidence = alert.confidence;
                known.severity = alert.severity;
            }
        }
    }
    Ok(alerts.into_values().collect())
}

impl Alert {
    fn of(fleet: &Fleet, finding: &Finding) -> anyhow::Result<Self> {
        let named = |name: &String| fleet.functions.iter().position(|f| f.name == *name);
        let mut destinations = Vec::new();
        for d in &finding.destinations {
            let address = d.address.parse().with_context(|| format!("`{}` is no address", d.address))?;
            destinations.push((address, d.port.unwrap_or(0)));
        }
        Ok(Self {
            functions: finding.owner.functions.iter().filter_map(named).collect(),
            destinations,
            first_seen: secs(&finding.first_seen)?,
            last_seen: secs(&finding.last_seen)?,
            raised: secs(&finding.window.start)? + WINDOW_SECS,
            confidence: Some(finding.confidence),
            severity: Some(finding.severity_label.clone()),
            check: finding.check.clone(),
        })
    }
}

fn secs(time: &str) -> anyhow::Result<Secs> {
    let timestamp: jiff::Timestamp = time.parse().with_context(|| format!("`{time}` is no time"))?;
    Ok(timestamp.as_second())
}
