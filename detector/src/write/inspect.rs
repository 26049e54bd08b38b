//! What a baseline knows, as a person reads it: the functions in a table, or one function in detail.
//!
//! Renders plain rows the door fills from a baseline; knows nothing of how baselines are kept.

use std::fmt::Write as _;

use super::table::Look;
use super::words::{columns, cut, visible, wrap};
use crate::amounts::{bytes, count, day};

/// The narrowest the tables get: below it their numbers would not fit.
const NARROWEST: usize = 76;

/// Whether a function's behaviour is judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Inside warm-up, or seen too rarely: list matches alone are judged.
    Learning,
    /// Judged.
    Ready,
}

impl State {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Ready => "ready",
        }
    }
}

/// One function of a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name, the names of those that share an interface, or the interface; the whole ARN where several accounts or
    /// regions have a function of that name.
    pub name: String,
    /// Its ARN, those of all that share an interface, or the interface.
    pub ids: Vec<String>,
    /// Whether it is judged.
    pub state: State,
    /// First and last second it was seen, Unix seconds.
    pub since: i64,
    /// See `since`.
    pub last_seen: i64,
    /// Windows with traffic.
    pub n_windows: u64,
    /// Destinations known.
    pub n_destinations: u64,
    /// Networks known.
    pub n_networks: u64,
}

/// A network one function knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its label, as findings print it.
    pub label: String,
    /// First and last second it was reached, Unix seconds.
    pub first_seen: i64,
    /// See `first_seen`.
    pub last_seen: i64,
    /// Days on which it was reached.
    pub n_days: u64,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// Ports used with it, as findings print them: `443/tcp`.
    pub ports: Vec<String>,
}

/// A distribution of what the function does in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// What is counted: `bytes out`, `flows`, `destinations`.
    pub measure: String,
    /// Whether the numbers are bytes.
    pub is_bytes: bool,
    /// Half of the windows stay at or below.
    pub p50: u64,
    /// All but one in a hundred stay at or below.
    pub p99: u64,
    /// The largest ever.
    pub max: u64,
}

/// Everything a baseline knows of one function.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// The row of the table of functions.
    pub function: Function,
    /// Networks, in the order to print.
    pub networks: Vec<Network>,
    /// Distributions, in the order to print.
    pub volumes: Vec<Volume>,
    /// Windows with traffic by hour of the day, UTC.
    pub hours: [u64; 24],
    /// What else is worth a line: its own rhythm, why a check abstains.
    pub notes: Vec<String>,
}

/// Writes the functions of a baseline as a table, without a line end after the last line.
pub fn functions(functions: &[Function], look: Look) -> String {
    if functions.is_empty() {
        return "the baseline knows no function yet".into();
    }
    let ready = functions.iter().filter(|function| function.state == State::Ready).count();
    let mut grid = Grid::new(["function", "state", "since", "last seen", "windows", "dest.", "networks"], 4);
    for function in functions {
        let name = visible(&function.name);
        grid.rows.push([
            // Of several little more than the first name fits.
            match function.ids.len() {
                0 | 1 => name.into_owned(),
                n => format!("one of {n}: {name}"),
            },
            function.state.as_str().into(),
            day(function.since),
            day(function.last_seen),
            function.n_windows.to_string(),
            function.n_destinations.to_string(),
            function.n_networks.to_string(),
        ]);
    }
    format!("{}\n{}, {ready} ready", grid.text(look.width), count(functions.len() as u64, "function"))
}

/// Writes what is known of one function, without a line end after the last line.
pub fn function(detail: &Detail, look: Look) -> String {
    let known = &detail.function;
    let mut lines = wrap(&visible(&known.name), look.width.max(NARROWEST));
    lines.push(format!(
        "{}; first seen {}, last seen {}",
        known.state.as_str(),
        day(known.since),
        day(known.last_seen)
    ));
    lines.push(format!(
        "{}, {}, {}",
        count(known.n_windows, "window"),
        count(known.n_destinations, "destination"),
        count(known.n_networks, "network")
    ));
    for note in &detail.notes {
        lines.extend(wrap(&visible(note), look.width.max(NARROWEST)));
    }
    let mut text = lines.join("\n");
    if !detail.networks.is_empty() {
        let mut grid = Grid::new(["network", "ports", "first seen", "last seen", "days", "sent"], 4);
        for network in &detail.networks {
            let ports = network.ports.join(" ");
            grid.rows.push([
                visible(&network.label).into_owned(),
                cut(&visible(&ports), 16).into_owned(),
                day(network.first_seen),
                day(network.last_seen),
                network.n_days.to_string(),
                bytes(network.bytes_out),
            ]);
        }
        let _infallible = write!(text, "\n\n{}", grid.text(look.width).trim_end());
    }
    if !detail.volumes.is_empty() {
        let mut grid = Grid::new(["in a window", "half", "99 of 100", "most"], 1);
        for volume in &detail.volumes {
            let number = |n: u64| if volume.is_bytes { bytes(n) } else { n.to_string() };
            let measure = visible(&volume.measure).into_owned();
            grid.rows.push([measure, number(volume.p50), number(volume.p99), number(volume.max)]);
        }
        let _infallible = write!(text, "\n\n{}", grid.text(look.width).trim_end());
    }
    let _infallible = write!(text, "\n\nhour  0     6     12    18   23 UTC\n      {}", sparkline(&detail.hours));
    text
}

/// One character an hour: nothing at all is a dot, anything else a block of at least one eighth.
fn sparkline(hours: &[u64; 24]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = hours.iter().copied().max().unwrap_or(0);
    hours
        .iter()
        .map(|&n| {
            // An empty hour, then eighths of the fullest, rounded up; u128 holds every product.
            let eighths = (u128::from(n) * 8).div_ceil(u128::from(most.max(1))) as usize;
            eighths.checked_sub(1).and_then(|index| BLOCKS.get(index)).copied().unwrap_or('·')
        })
        .collect()
}

/// A table without lines. The first column gives way when there is no room; columns from `numbers` on stand right.
struct Grid<const N: usize> {
    header: [&'static str; N],
    numbers: usize,
    rows: Vec<[String; N]>,
}

impl<const N: usize> Grid<N> {
    fn new(header: [&'static str; N], numbers: usize) -> Self {
        Self { header, numbers, rows: Vec::new() }
    }

    /// The rows as lines, each with a line end.
    fn text(&self, width: usize) -> String {
        let mut widths = self.header.map(columns);
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = columns(cell).max(*widest);
            }
        }
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        if let Some(first) = widths.first_mut() {
            *first = width.max(NARROWEST).saturating_sub(others).min(*first);
        }
        let mut text = String::new();
        self.line(&mut text, &widths, self.header.iter().copied());
        for row in &self.rows {
            self.line(&mut text, &widths, row.iter().map(String::as_str));
        }
        text
    }

    fn line<'a>(&self, text: &mut String, widths: &[usize; N], cells: impl Iterator<Item = &'a str>) {
        let mut line = String::new();
        for (index, (cell, &width)) in cells.zip(widths).enumerate() {
            let cell = cut(cell, width);
            let pad = " ".repeat(width.saturating_sub(columns(&cell)));
            let gap = if index == 0 { "" } else { "  " };
            let (before, after) = if index >= self.numbers { (pad.as_str(), "") } else { ("", pad.as_str()) };
            line.extend([gap, before, cell.as_ref(), after]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const SINCE: i64 = 1_773_100_800;

    fn known(name: &str, state: State) -> Function {
        Function {
            name: name.into(),
            ids: vec![name.into()],
            state,
            since: SINCE,
            last_seen: SINCE + 21 * DAY,
            n_windows: 3024,
            n_destinations: 17,
            n_networks: 4,
        }
    }

    fn detail() -> Detail {
        let mut hours = [12; 24];
        hours[0] = 0;
        hours[13] = 96;
        Detail {
            function: known("activities-api", State::Ready),
            networks: vec![
                Network {
                    label: "AWS DYNAMODB eu-west-1".into(),
                    first_seen: SINCE,
                    last_seen: SINCE + 21 * DAY,
                    n_days: 21,
                    bytes_out: 84_000_321,
                    ports: vec!["443/tcp".into()],
                },
                Network {
                    label: "AS64501 A Content Network With A Rather Long Name Indeed".into(),
                    first_seen: SINCE + 3 * DAY,
                    last_seen: SINCE + 20 * DAY,
                    n_days: 9,
                    bytes_out: 320,
                    ports: vec!["443/tcp".into(), "8443/tcp".into()],
                },
            ],
            volumes: vec![
                Volume { measure: "bytes out".into(), is_bytes: true, p50: 18_211, p99: 402_000, max: 1_800_000 },
                Volume { measure: "destinations".into(), is_bytes: false, p50: 3, p99: 7, max: 9 },
            ],
            hours,
            notes: vec!["runs about every 5 min".into()],
        }
    }

    #[test]
    fn the_functions_of_a_baseline() {
        let shared = Function { ids: vec!["a".into(), "b".into()], ..known("ads, maps", State::Ready) };
        let got = functions(
            &[known("activities-api", State::Ready), known("routes-api", State::Learning), shared],
            Look::PLAIN,
        );
        let expected = "\
function             state     since       last seen   windows  dest.  networks
activities-api       ready     2026-03-10  2026-03-31     3024     17         4
routes-api           learning  2026-03-10  2026-03-31     3024     17         4
one of 2: ads, maps  ready     2026-03-10  2026-03-31     3024     17         4

3 functions, 2 ready";
        assert_eq!(got, expected, "got:\n{got}\n");
        assert_eq!(functions(&[], Look::PLAIN), "the baseline knows no function yet");
    }

    #[test]
    fn one_function_in_detail() {
        let got = function(&detail(), Look::PLAIN);
        let expected = "\
activities-api
ready; first seen 2026-03-10, last seen 2026-03-31
3024 windows, 17 destinations, 4 networks
runs about every 5 min

network                  ports             first seen  last seen   days     sent
AWS DYNAMODB eu-west-1   443/tcp           2026-03-10  2026-03-31    21  84.0 MB
AS64501 A Content Netw…  443/tcp 8443/tcp  2026-03-13  2026-03-30     9    320 B

in a window      half  99 of 100    most
bytes out     18.2 kB   402.0 kB  1.8 MB
destinations        3          7       9

hour  0     6     12    18   23 UTC
      ·▁▁▁▁▁▁▁▁▁▁▁▁█▁▁▁▁▁▁▁▁▁▁";
        assert_eq!(got, expected, "got:\n{got}\n");
    }

    #[test]
    fn lines_keep_their_width_and_names_their_place() {
        let mut odd = detail();
        odd.function.name = "\u{1b}[2J".repeat(30);
        odd.networks[0].label = "网络".repeat(60);
        for width in [0, 76, 80, 120] {
            let look = Look { width, ..Look::PLAIN };
            for text in [function(&odd, look), functions(std::slice::from_ref(&odd.function), look)] {
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
                for line in text.lines() {
                    assert!(crate::write::words::columns(line) <= width.max(NARROWEST), "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn an_hour_without_traffic_is_a_dot() {
        let mut hours = [0; 24];
        assert_eq!(sparkline(&hours), "·".repeat(24));
        hours[3] = u64::MAX;
        hours[4] = 1;
        hours[5] = u64::MAX / 2;
        assert_eq!(sparkline(&hours).chars().skip(2).take(5).collect::<String>(), "·█▁▄·");
    }
}
