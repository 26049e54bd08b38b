//! The table: a finding as a block of text for somebody tired at a terminal of 80 columns.
//!
//! Reads without colour; colour only repeats the severity. No line is wider than asked, whatever the names hold.

use std::borrow::Cow;

use crate::finding::{Destination, Finding, Level, Severity, protocol_name};

use super::words::{clock, columns, cut, minute, second, visible, wrap};
use super::{advice, remarks};
use crate::amounts::{bytes, count, day};

/// Destinations shown one by one; the rest is counted. A block then stays on one screen.
const SHOWN_DESTINATIONS: usize = 8;

/// The narrowest a block gets; below it lines would say nothing.
const NARROWEST: usize = 40;

/// Columns left of a block's text: two of indent, five of label, one between.
const GUTTER: usize = 8;

/// How a table may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns a line may take; held above 40.
    pub width: usize,
    /// Whether escape sequences for colour may be written.
    pub color: bool,
    /// Whether account and Region are named: where there are several, names of functions say too little.
    pub names_place: bool,
}

impl Look {
    /// 80 columns, no colour.
    pub const PLAIN: Self = Self { width: 80, color: false, names_place: false };
}

/// Writes a finding as a block of lines, without a line end after the last.
pub fn finding(finding: &Finding, look: Look) -> String {
    let mut block = Block::new(finding, look);
    block.destinations(&finding.destinations);
    block.items("", remarks::unlisted(finding).into_iter());
    block.items("why", finding.evidence.iter().map(|evidence| evidence.statement.as_str()));
    block.item("when", &when(finding));
    if let (Some(deployment), Some(version)) = (&finding.deployment, remarks::version(finding)) {
        let before = advice::deployed(finding).unwrap_or_default();
        let at = minute(deployment.at);
        block.item("after", &format!("deployment of {version}, {before} ({at})"));
    }
    block.items("next", advice::steps(finding).iter().map(String::as_str));
    if let Some(by) = &finding.suppressed_by {
        block.item("hid", by);
    }
    block.id(finding);
    block.lines.join("\n")
}

/// The same of a finding that goes on as it was told before: no more than whoever has to remember it needs.
pub fn going_on(finding: &Finding, look: Look) -> String {
    let mut block = Block::new(finding, look);
    block.item("when", &format!("{}; goes on as told before", when(finding)));
    block.id(finding);
    block.lines.join("\n")
}

struct Block {
    lines: Vec<String>,
    width: usize,
    color: bool,
}

impl Block {
    /// A block that says of whom it is, and the title.
    fn new(finding: &Finding, look: Look) -> Self {
        let mut block = Self { lines: Vec::new(), width: look.width.max(NARROWEST), color: look.color };
        let named = block.head(finding);
        for line in wrap(&visible(&finding.title), block.width - 2) {
            let line = block.bold(&line);
            block.lines.push(format!("  {line}"));
        }
        block.lines.push(String::new());
        if !named {
            block.item("in", &owner_words(finding));
        }
        if look.names_place {
            let of = [&finding.account_id, &finding.region].map(|part| part.as_deref().unwrap_or("unknown"));
            block.item("of", &format!("account {}, Region {}", of[0], of[1]));
        }
        block
    }

    /// The line to accept it by.
    fn id(&mut self, finding: &Finding) {
        self.item("id", &format!("{}, confidence {:.0} %", finding.id, finding.confidence * 100.0));
    }

    /// Writes severity, type, owner and time; gives whether the owner found room.
    fn head(&mut self, finding: &Finding) -> bool {
        let label = format!("{} {:.1}", finding.severity.label().to_uppercase(), finding.severity.value());
        let what = format!("{label}  {}", finding.check);
        let owner = owner_words(finding);
        let owner = visible(&owner);
        let time = minute(finding.first_seen);
        let room = self.width.saturating_sub(columns(&what) + columns(&time) + 2);
        let named = columns(&owner) + 2 <= room;
        let left = if named { format!("{what}  {owner}") } else { what };
        let gap = self.width.saturating_sub(columns(&left) + columns(&time));
        let time = if gap >= 2 { format!("{}{time}", " ".repeat(gap)) } else { String::new() };
        // The label is plain ASCII, so its bytes are its columns.
        let rest = left.get(label.len()..).unwrap_or_default();
        let line = format!("{}{rest}{time}", self.severity(&label, finding.severity));
        self.lines.push(line);
        named
    }

    /// A labelled paragraph.
    fn item(&mut self, label: &str, text: &str) {
        self.paragraph(label, "", text);
    }

    /// Labelled paragraphs, each with a dash when there are several.
    fn items<'a>(&mut self, label: &str, texts: impl ExactSizeIterator<Item = &'a str>) {
        let dash = if texts.len() > 1 { "- " } else { "" };
        for (index, text) in texts.enumerate() {
            self.paragraph(if index == 0 { label } else { "" }, dash, text);
        }
    }

    fn paragraph(&mut self, mut label: &str, mut dash: &str, text: &str) {
        let hanging = dash.len();
        for line in wrap(&visible(text), self.width - GUTTER - hanging) {
            self.lines.push(format!("  {label:<5} {dash:<hanging$}{line}"));
            (label, dash) = ("", "");
        }
    }

    fn destinations(&mut self, all: &[Destination]) {
        let rows: Vec<Row> = all.iter().take(SHOWN_DESTINATIONS).map(Row::new).collect();
        let widest = |of: fn(&Row) -> &str| rows.iter().map(|row| columns(of(row))).max().unwrap_or(0);
        let (endpoint, out, back) = (widest(|r| &r.endpoint), widest(|r| &r.out), widest(|r| &r.back));
        let room = (self.width - GUTTER).saturating_sub(endpoint + 2 + 2 + out + 2 + back);
        let network = widest(|r| &r.network).min(room);
        let mut label = "to";
        for row in rows {
            // Sixteen columns hold `AS64500` and the beginning of a name.
            if room >= 16 {
                let name = cut(&row.network, network);
                let pad = " ".repeat(network - columns(&name));
                self.lines.push(format!(
                    "  {label:<5} {:<endpoint$}  {name}{pad}  {:>out$}  {:>back$}",
                    row.endpoint, row.out, row.back
                ));
            } else {
                let numbers = format!("{}  {}", row.out, row.back);
                let room = (self.width - GUTTER).saturating_sub(columns(&numbers) + 4);
                self.lines.push(format!("  {label:<5} {}", cut(&row.endpoint, self.width - GUTTER)));
                self.lines.push(format!("          {}  {numbers}", cut(&row.network, room)));
            }
            label = "";
        }
        if let Some(more) = all.len().checked_sub(SHOWN_DESTINATIONS).filter(|more| *more > 0) {
            self.lines
                .push(format!("  {label:<5} and {} more; --format json lists them", count(more as u64, "destination")));
        }
    }

    fn bold<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.paint("1", text)
    }

    fn severity<'a>(&self, text: &'a str, severity: Severity) -> Cow<'a, str> {
        // Readable on dark and on light.
        let code = match severity.level() {
            Level::Critical => "1;97;41",
            Level::High => "1;31",
            Level::Medium => "1;33",
            Level::Low => "1;36",
        };
        self.paint(code, text)
    }

    fn paint<'a>(&self, code: &str, text: &'a str) -> Cow<'a, str> {
        if self.color { Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m")) } else { Cow::Borrowed(text) }
    }
}

/// One destination, ready to be aligned.
struct Row {
    endpoint: String,
    network: String,
    out: String,
    back: String,
}

impl Row {
    fn new(destination: &Destination) -> Self {
        Self {
            endpoint: endpoint(destination),
            network: visible(&destination.network).into_owned(),
            out: format!("{} out", bytes(destination.bytes_out)),
            back: format!("{} in", bytes(destination.bytes_in)),
        }
    }
}

/// A destination as one word: `203.0.113.7:8000/tcp`, `[2001:db8::5]:443/tcp`, `203.0.113.7/icmp`.
pub(super) fn endpoint(destination: &Destination) -> String {
    let protocol = protocol_name(destination.protocol);
    match (destination.address, destination.port) {
        (address, 0) => format!("{address}/{protocol}"),
        (std::net::IpAddr::V6(address), port) => format!("[{address}]:{port}/{protocol}"),
        (address, port) => format!("{address}:{port}/{protocol}"),
    }
}

/// The owner in a few words.
pub(super) fn owner_words(finding: &Finding) -> String {
    let label = finding.owner.label();
    if label.is_empty() { "unknown interface".into() } else { label }
}

/// First and last record, and in how many windows.
pub(super) fn when(finding: &Finding) -> String {
    let windows = count(u64::from(finding.count), "window");
    let (first, last) = (finding.first_seen, finding.last_seen);
    let last = if day(first) == day(last) { clock(last) } else { second(last) };
    format!("{} to {last} UTC, {windows}", second(first))
}

#[cfg(test)]
mod tests;
