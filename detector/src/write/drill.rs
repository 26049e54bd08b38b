//! Drills as people and scripts read them: one line a shape, or one JSON object.
//!
//! Renders what a drill gave; knows nothing of how call-outs are played.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Serialize;

use super::json_line;
use super::table::Look;
use super::words::{columns, cut, visible, wrap};
use crate::amounts::{count, span};
use crate::finding::{CheckId, Fingerprint, Severity, port_words, protocol_name};

/// The form's version.
const SCHEMA: &str = "callout.drill/1";

/// Destinations listed in JSON; a scan has hundreds.
const MAX_LISTED: usize = 50;

/// The narrowest the table gets.
const NARROWEST: usize = 80;

/// One shape, drilled or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Drill {
    /// Its letter.
    pub shape: char,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What came of it, or why it was not played.
    pub play: Result<Play, &'static str>,
}

/// A call-out that was played.
#[derive(Clone, Debug, PartialEq)]
pub struct Play {
    /// Whom it was played on.
    pub function: String,
    /// Address, port and protocol of everything it reached, sorted.
    pub destinations: Vec<(IpAddr, u16, u8)>,
    /// Its first and last packet, Unix seconds.
    pub start: i64,
    /// See `start`.
    pub end: i64,
    /// The finding that names the function and a destination.
    pub found: Option<Found>,
    /// Findings that are about something else and were not there without it.
    pub added: Vec<Fingerprint>,
    /// Findings that were there without it and no longer are.
    pub hidden: Vec<Fingerprint>,
}

/// How a call-out was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The first finding about it.
    pub id: Fingerprint,
    /// What spoke, in all findings about it.
    pub checks: Vec<CheckId>,
    /// From its first packet to the end of the window that raised the finding; `None` when it joined an older finding.
    pub after_secs: Option<i64>,
    /// How bad, if true.
    pub severity: Severity,
    /// How sure.
    pub confidence: f64,
    /// Whether a deployment is named with it.
    pub names_deployment: bool,
}

/// Writes drills as a table with a line that sums them up, without a line end after the last line.
pub fn table(drills: &[Drill], look: Look) -> String {
    let width = look.width.max(NARROWEST);
    let titles = drills.iter().map(|drill| columns(drill.title)).max().unwrap_or(0).max(8);
    let functions = width - titles - 36;
    let row = |cells: [&str; 6]| {
        let pad = |text: &str, to: usize| format!("{}{}", cut(text, to), " ".repeat(to.saturating_sub(columns(text))));
        let [call_out, function, found, after, severity, sure] = cells;
        let (call_out, function) = (pad(call_out, titles + 3), pad(function, functions));
        format!("{call_out}  {function}  {found:<5}  {after:>10}  {severity:>4}  {sure:>4}").trim_end().to_owned()
    };
    let mut text = row(["   call-out", "function", "found", "after", "sev.", "sure"]);
    for drill in drills {
        let call_out = format!("{}  {}", drill.shape, drill.title);
        let line = match &drill.play {
            Err(_) => row([&call_out, "-", "-", "", "", ""]),
            Ok(Play { function, found: None, .. }) => row([&call_out, &visible(function), "no", "", "", ""]),
            Ok(Play { function, found: Some(found), .. }) => {
                let after = found.after_secs.map_or("-".into(), |secs| span(secs.max(0) as u64));
                let (severity, sure) =
                    (format!("{:.1}", found.severity.value()), format!("{:.0} %", found.confidence * 100.0));
                row([&call_out, &visible(function), "yes", &after, &severity, &sure])
            }
        };
        let _infallible = write!(text, "\n{line}");
        for note in notes(drill) {
            for part in wrap(&note, width - 3) {
                let _infallible = write!(text, "\n   {part}");
            }
        }
    }
    let _infallible = write!(text, "\n\n{}", summary(drills));
    text
}

/// What stands below a row.
fn notes(drill: &Drill) -> Vec<String> {
    let play = match &drill.play {
        Err(reason) => return vec![format!("not drilled: {reason}")],
        Ok(play) => play,
    };
    let mut to = play
        .destinations
        .first()
        .map_or(String::new(), |(address, port, protocol)| format!("{address} {}", port_words(*port, *protocol)));
    let more = play.destinations.len().saturating_sub(1);
    if more > 0 {
        let _infallible = write!(to, " and {more} more");
    }
    let by = play.found.as_ref().map_or(String::new(), |found| {
        let checks: Vec<&str> = found.checks.iter().map(|check| check.as_str()).collect();
        let deployment = if found.names_deployment { ", naming the deployment" } else { "" };
        let joined = if found.after_secs.is_none() { ", in a finding that was open already" } else { "" };
        format!("by {}{joined}{deployment}; ", checks.join(", "))
    });
    let mut notes = vec![format!("{by}to {to}")];
    if !play.added.is_empty() {
        notes.push(format!("and {} about something else", count(play.added.len() as u64, "finding")));
    }
    if !play.hidden.is_empty() {
        notes.push(format!("{} no longer told", count(play.hidden.len() as u64, "other finding")));
    }
    notes
}

/// How many were drilled and found, and what came with them.
fn summary(drills: &[Drill]) -> String {
    let played: Vec<&Play> = drills.iter().filter_map(|drill| drill.play.as_ref().ok()).collect();
    let n_found = played.iter().filter(|play| play.found.is_some()).count();
    let n_added: usize = played.iter().map(|play| play.added.len()).sum();
    let added = count(n_added as u64, "finding");
    format!("found {n_found} of {}; {added} added about something else", count(played.len() as u64, "call-out"))
}

/// Writes a drill as one JSON object on one line, without a line end.
///
/// # Panics
/// Never: strings, numbers and lists always have a JSON form.
pub fn json(drill: &Drill) -> String {
    #[derive(Serialize)]
    struct Form<'a> {
        schema: &'static str,
        shape: char,
        title: &'a str,
        not_drilled: Option<&'a str>,
        function: Option<&'a str>,
        start: Option<String>,
        end: Option<String>,
        n_destinations: usize,
        destinations: Vec<Destination>,
        found: bool,
        finding: Option<String>,
        checks: Vec<&'static str>,
        after_secs: Option<i64>,
        severity: Option<f64>,
        confidence: Option<f64>,
        names_deployment: bool,
        n_added: usize,
        added: Vec<String>,
        hidden: Vec<String>,
    }
    #[derive(Serialize)]
    struct Destination {
        address: String,
        port: u16,
        protocol: String,
    }
    let play = drill.play.as_ref().ok();
    let found = play.and_then(|play| play.found.as_ref());
    let ids = |ids: &[Fingerprint]| ids.iter().map(ToString::to_string).collect();
    let destinations = play.map_or(&[][..], |play| &play.destinations);
    let form = Form {
        schema: SCHEMA,
        shape: drill.shape,
        title: drill.title,
        not_drilled: drill.play.as_ref().err().copied(),
        function: play.map(|play| play.function.as_str()),
        start: play.map(|play| super::rfc3339(play.start)),
        end: play.map(|play| super::rfc3339(play.end)),
        n_destinations: destinations.len(),
        destinations: destinations
            .iter()
            .take(MAX_LISTED)
            .map(|(address, port, protocol)| Destination {
                address: address.to_string(),
                port: *port,
                protocol: protocol_name(*protocol),
            })
            .collect(),
        found: found.is_some(),
        finding: found.map(|found| found.id.to_string()),
        checks: found.map_or(Vec::new(), |found| found.checks.iter().map(|check| check.as_str()).collect()),
        after_secs: found.and_then(|found| found.after_secs),
        severity: found.map(|found| found.severity.value()),
        confidence: found.map(|found| found.confidence),
        names_deployment: found.is_some_and(|found| found.names_deployment),
        n_added: play.map_or(0, |play| play.added.len()),
        added: play.map_or(Vec::new(), |play| ids(&play.added)),
        hidden: play.map_or(Vec::new(), |play| ids(&play.hidden)),
    };
    json_line(&form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drills() -> Vec<Drill> {
        let play = Play {
            function: "support-agent".into(),
            destinations: vec![("198.18.7.9".parse().expect("an address"), 8080, 6)],
            start: 1_774_861_200,
            end: 1_774_864_800,
            found: None,
            added: Vec::new(),
            hidden: Vec::new(),
        };
        let found = Found {
            id: Fingerprint(0x2a),
            checks: vec![CheckId::NewDestination, CheckId::Beacon],
            after_secs: Some(8_880),
            severity: Severity::new(7.4),
            confidence: 0.93,
            names_deployment: true,
        };
        let many = (1..4).map(|n| ([10, 0, 0, n].into(), 22, 6)).collect();
        vec![
            Drill {
                shape: 'C',
                title: "new network, odd port",
                play: Ok(Play { found: Some(found), added: vec![Fingerprint(7)], ..play.clone() }),
            },
            Drill {
                shape: 'Q',
                title: "scan inside the VPC",
                play: Ok(Play { function: "a-function-of-a-very-long-name-indeed".into(), destinations: many, ..play }),
            },
            Drill { shape: 'L', title: "sleeper", play: Err("the logs are shorter than a sleeper's week") },
        ]
    }

    #[test]
    fn the_table_of_drills() {
        let got = table(&drills(), Look::PLAIN);
        let expected = [
            "   call-out               function                 found       after  sev.  sure",
            "C  new network, odd port  support-agent            yes    2 h 28 min   7.4  93 %",
            "   by new-destination, beacon, naming the deployment; to 198.18.7.9 port",
            "   8080/tcp",
            "   and 1 finding about something else",
            "Q  scan inside the VPC    a-function-of-a-very-l…  no",
            "   to 10.0.0.1 port 22/tcp and 2 more",
            "L  sleeper                -                        -",
            "   not drilled: the logs are shorter than a sleeper's week",
            "",
            "found 1 of 2 call-outs; 1 finding added about something else",
        ]
        .join("\n");
        assert_eq!(got, expected, "got:\n{got}\n");
        assert!(got.lines().all(|line| columns(line) <= 80), "{got}");
    }

    #[test]
    fn a_drill_as_json() {
        let lines: Vec<serde_json::Value> =
            drills().iter().map(|drill| serde_json::from_str(&json(drill)).expect("JSON")).collect();
        assert_eq!(lines[0]["schema"], "callout.drill/1");
        assert_eq!((&lines[0]["found"], &lines[0]["after_secs"]), (&true.into(), &8_880.into()));
        assert_eq!(lines[0]["checks"], serde_json::json!(["new-destination", "beacon"]));
        assert_eq!(lines[0]["added"], serde_json::json!(["00000000000000000000000000000007"]));
        assert_eq!(lines[1]["n_destinations"], 3);
        assert!(lines[1]["finding"].is_null() && lines[1]["not_drilled"].is_null());
        assert_eq!(lines[2]["not_drilled"], "the logs are shorter than a sleeper's week");
        assert!(lines[2]["function"].is_null());
    }
}
