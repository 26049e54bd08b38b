//! What was typed: commands and options, checked one by one and not yet interpreted.
//!
//! What they mean together is in `settings.rs`.

use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use detector::config;
use detector::drill::letters::{Shape, UnknownShape};
use jiff::Timestamp;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_STATUS: &str = "\
Exit status:
  0  ran to the end
  1  a finding met --fail-on
  2  could not finish: a usage error, or an input that could not be read (the others were)";

const EXIT_STATUS_WITHOUT_FINDINGS: &str = "\
Exit status:
  0  ran to the end
  2  could not finish: a usage error, or an input that could not be read (the others were)";

/// Whether an option is about findings, of which some commands have none.
fn is_of_findings(option: &clap::Arg) -> bool {
    ["format", "output", "min_severity", "fail_on"].contains(&option.get_id().as_str())
}

/// What a drill's `--fail-on` looks at.
const DRILL_FAIL_ON: &str = "Exit 1 when a finding of the logs as they are, without the call-outs, is of this severity or above, \
                             1.0 to 10.0";

/// Adds to the help of `--shape` what each letter is.
fn with_titles(option: clap::Arg) -> clap::Arg {
    let first = option.get_help().map(ToString::to_string).unwrap_or_default();
    // A manual page joins lines, but for those that begin with a space.
    let titles = Shape::ALL.map(|shape| format!("\n  {}  {}", shape.letter(), shape.title()));
    option.long_help(format!("{first}\n{}", titles.concat()))
}

/// Finds the calls a compromised dependency of an AWS Lambda function makes, in VPC flow logs.
#[derive(Debug, Parser)]
#[command(name = "callout", version, about, after_help = EXIT_STATUS, styles = STYLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Walk history in event time, learning and judging as the deployed system would have
    #[command(after_help = EXIT_STATUS)]
    Replay(Replay),
    /// Create or extend a baseline; judge nothing
    #[command(after_help = EXIT_STATUS_WITHOUT_FINDINGS)]
    #[command(mut_args(|option| if is_of_findings(&option) { option.hide(true) } else { option }))]
    Learn(Learn),
    /// Judge against a fixed baseline; learn nothing
    #[command(after_help = EXIT_STATUS)]
    Scan(Scan),
    /// Show what is known: the functions, or one function's destinations, ports, volumes, rhythm
    Inspect(Inspect),
    /// Play call-outs of known shapes on your own functions, in memory, and tell which are found
    #[command(after_help = EXIT_STATUS)]
    #[command(mut_arg("format", |option| option.hide_possible_values(true).help("`table` for people, or `json` (callout.drill/1)")))]
    #[command(mut_arg("output", |option| option.help("Write the account there instead of stdout")))]
    #[command(mut_arg("min_severity", |option| option.help("Findings of a severity below count as nothing, 1.0 to 10.0")))]
    #[command(mut_arg("fail_on", |option| option.help(DRILL_FAIL_ON)))]
    #[command(mut_arg("shape", with_titles))]
    Drill(Drill),
    /// Accept a finding: what it is about is learned as normal from now on
    Accept(Accept),
    /// Print a completion script for a shell
    Completions {
        /// The shell it is for
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program or of one command (roff)
    #[command(hide = true)]
    Man {
        /// The command; without it, the program
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) knowledge: Knowledge,
    #[command(flatten)]
    pub(crate) judging: Judging,
    /// Start from this baseline instead of nothing, and go on with what was told before it was saved
    #[arg(long, value_name = "DIR", help_heading = "Baseline")]
    pub(crate) baseline: Option<PathBuf>,
    /// Leave what was learned here
    #[arg(long, value_name = "DIR", help_heading = "Baseline")]
    pub(crate) save_baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// The options about findings are taken too, so that one list of options serves every command; there are none to show.
#[derive(Debug, Args)]
pub(crate) struct Learn {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) knowledge: Knowledge,
    #[command(flatten)]
    pub(crate) judging: Judging,
    /// The baseline to create or extend
    #[arg(long, value_name = "DIR", help_heading = "Baseline")]
    pub(crate) baseline: PathBuf,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, Args)]
pub(crate) struct Scan {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) knowledge: Knowledge,
    #[command(flatten)]
    pub(crate) judging: Judging,
    /// The baseline to judge against
    #[arg(long, value_name = "DIR", help_heading = "Baseline")]
    pub(crate) baseline: PathBuf,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The baseline to show
    #[arg(long, value_name = "DIR")]
    pub(crate) baseline: PathBuf,
    /// Show this function in detail: a name or an ARN; without it, all functions in a table
    pub(crate) function: Option<String>,
    /// How long a function is observed before it is ready, as it is for `replay` and `scan` [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) warm_up: Option<String>,
    /// Settings (TOML), as for `replay` and `scan`
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Colour: on a terminal, always, or never; `NO_COLOR` is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

/// The options of `replay`, so that what is drilled is what is told: findings below `--min-severity` count as nothing,
/// and `--fail-on` looks at the findings of the logs as they are.
#[derive(Debug, Args)]
pub(crate) struct Drill {
    #[command(flatten)]
    pub(crate) input: Input,
    /// The shape: a letter, several divided by commas, or `all`
    #[arg(long, value_name = "NAME", default_value = "all", value_parser = shapes, help_heading = "Drill")]
    pub(crate) shape: Shapes,
    /// Play on this function, by name or ARN; else one that suits is chosen for each shape
    #[arg(long, value_name = "NAME", help_heading = "Drill")]
    pub(crate) function: Option<String>,
    /// Another number gives other functions, moments, sizes and destinations
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Drill")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) knowledge: Knowledge,
    #[command(flatten)]
    pub(crate) judging: Judging,
    /// Start from this baseline instead of nothing
    #[arg(long, value_name = "DIR", help_heading = "Baseline")]
    pub(crate) baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// The finding's id, or the first eight of its digits or more
    ///
    /// It is the last line of a finding, `id` in JSON, and `callout inspect` shows it with the function.
    pub(crate) id: String,
    /// The baseline to change
    #[arg(long, value_name = "DIR")]
    pub(crate) baseline: PathBuf,
    /// Only show what would become normal
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Colour: on a terminal, always, or never; `NO_COLOR` is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

/// What to read.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// Flow-log objects: files, or folders searched downwards (hidden files are left out)
    ///
    /// Parquet, text, or either inside gzip, recognised by content; any field order, any S3 key layout. The order of
    /// the files changes nothing.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only records from this time on (RFC 3339, such as 2026-03-31T09:00:00Z)
    #[arg(long, value_name = "T", value_parser = time)]
    pub(crate) from: Option<Timestamp>,
    /// Only records before this time (RFC 3339)
    #[arg(long, value_name = "T", value_parser = time)]
    pub(crate) until: Option<Timestamp>,
    /// Judge every network interface, not only Lambda's; the default without --enis
    #[arg(long)]
    pub(crate) all_interfaces: bool,
}

/// What explains addresses and interfaces.
#[derive(Debug, Args)]
#[command(next_help_heading = "Knowledge")]
pub(crate) struct Knowledge {
    /// What `aws ec2 describe-network-interfaces` printed (JSON); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) enis: Vec<PathBuf>,
    /// What `aws lambda list-functions --function-version ALL` printed (JSON); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) functions: Vec<PathBuf>,
    /// Owners of networks: a MaxMind-format .mmdb, or an iptoasn TSV (plain or gzip)
    #[arg(long, value_name = "FILE")]
    pub(crate) asn: Option<PathBuf>,
    /// AWS ip-ranges.json
    #[arg(long, value_name = "FILE")]
    pub(crate) aws_ranges: Option<PathBuf>,
    /// Known bad: one address or CIDR block a line, # comments; repeatable
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) threat_list: Vec<NamedFile>,
    /// Known good, the same form; repeatable
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) trusted_list: Vec<NamedFile>,
}

impl Knowledge {
    /// The files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let lists = self.threat_list.iter().chain(&self.trusted_list).map(|list| &list.file);
        let tables = self.asn.iter().chain(&self.aws_ranges);
        self.enis.iter().chain(&self.functions).chain(tables).chain(lists).map(PathBuf::as_path)
    }
}

/// What counts as a finding, and where findings go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Findings")]
pub(crate) struct Judging {
    /// How long a function is observed before its behaviour is judged, 1h to 90d [default: 7d]
    ///
    /// Matches of a threat list are judged at once.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) warm_up: Option<String>,
    /// The form of a finding; all but `table` are one JSON object a line
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(crate) format: Form,
    /// Write findings there instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out findings of a severity below, 1.0 to 10.0
    #[arg(long, value_name = "N", value_parser = severity)]
    pub(crate) min_severity: Option<f64>,
    /// Exit 1 when a finding is of this severity or above, 1.0 to 10.0
    #[arg(long, value_name = "N", value_parser = severity)]
    pub(crate) fail_on: Option<f64>,
}

/// How to run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct Run {
    /// Settings (TOML); every key is optional, unknown ones are refused
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Write the account of the run there, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Progress on stderr: on a terminal, always, or never
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) progress: When,
    /// Colour: on a terminal, always, or never; `NO_COLOR` is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

/// When something meant for eyes is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

/// The forms of a finding, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A block of text for people
    Table,
    /// callout.finding/1
    Json,
    /// OCSF Detection Finding (2004)
    Ocsf,
    /// AWS Security Finding Format
    Asff,
    /// The shape of a GuardDuty finding
    Guardduty,
    /// Amazon Q Developer custom notification
    Chat,
}

/// `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFile {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

/// The shapes to drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shapes(pub(crate) Vec<Shape>);

fn shapes(text: &str) -> Result<Shapes, String> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Shapes(Shape::ALL.to_vec()));
    }
    let mut chosen = Vec::new();
    for name in text.split(',').map(str::trim) {
        let shape = name.parse().map_err(|unknown: UnknownShape| {
            let letters = Shape::letters();
            format!("{unknown}; known are `all` and {letters}: `callout drill --help` says what they are")
        })?;
        if !chosen.contains(&shape) {
            chosen.push(shape);
        }
    }
    Ok(Shapes(chosen))
}

fn named_file(text: &str) -> Result<NamedFile, String> {
    match text.split_once('=') {
        Some((name, file)) if !name.trim().is_empty() && !file.is_empty() => {
            Ok(NamedFile { name: name.trim().to_owned(), file: PathBuf::from(file) })
        }
        _ => Err("write NAME=FILE, such as tor=exit-nodes.txt; findings show the name".into()),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write date, time and zone, such as 2026-03-31T09:00:00Z".into())
}

fn duration(text: &str) -> Result<String, String> {
    match config::parse_duration(text) {
        None => Err("write a number and a unit, such as 7d, 24h or 90m".into()),
        Some(secs) if !config::WARM_UP_SECS.contains(&secs) => Err(format!(
            "it must be between {} and {}",
            config::format_duration(*config::WARM_UP_SECS.start()),
            config::format_duration(*config::WARM_UP_SECS.end())
        )),
        Some(_) => Ok(text.to_owned()),
    }
}

fn severity(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value| (1.0..=10.0).contains(value))
        .ok_or_else(|| "it must be between 1.0 and 10.0; High begins at 7.0".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("callout").chain(line.split_whitespace()))
    }

    fn replay(line: &str) -> Replay {
        match parse(line).expect(line).command {
            Command::Replay(replay) => replay,
            other => panic!("{other:?} is no replay"),
        }
    }

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_is_taken() {
        let typed = replay(
            "replay a b --enis e1 --enis e2 --functions f --asn n --aws-ranges r --threat-list tor=t \
             --threat-list own=o --trusted-list ok=k --config c --baseline d --save-baseline s \
             --from 2026-03-01T00:00:00Z --until 2026-03-31T00:00:00+02:00 --warm-up 3d --all-interfaces \
             --format ocsf --output out --report rep --min-severity 4 --fail-on 7.5 --progress never \
             --color always --threads 4",
        );
        assert_eq!(typed.input.paths, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(typed.knowledge.enis.len(), 2);
        assert_eq!(typed.knowledge.threat_list[1], NamedFile { name: "own".into(), file: "o".into() });
        assert_eq!(typed.judging.format, Form::Ocsf);
        assert_eq!(typed.judging.warm_up.as_deref(), Some("3d"));
        assert_eq!(typed.input.until.map(|t| t.to_string()).as_deref(), Some("2026-03-30T22:00:00Z"));
        assert_eq!((typed.judging.min_severity, typed.judging.fail_on), (Some(4.0), Some(7.5)));
        assert_eq!((typed.run.progress, typed.run.color, typed.run.threads), (When::Never, When::Always, Some(4)));
    }

    #[test]
    fn shapes_are_letters_or_all() {
        let of = |letters: [&str; 3]| Shapes(letters.map(|letter| letter.parse().expect("a shape")).to_vec());
        assert_eq!(shapes("b,C, q,B"), Ok(of(["B", "C", "Q"])));
        assert_eq!(shapes("all"), Ok(Shapes(Shape::ALL.to_vec())));
        let said =
            "there is no shape `N`; known are `all` and A to L, P to S: `callout drill --help` says what they are";
        assert_eq!(shapes("a,N"), Err(said.into()));
    }

    #[test]
    fn the_help_of_a_drill_is_of_drills() {
        let mut drill = Cli::command().find_subcommand("drill").expect("a command").clone();
        let help = drill.render_long_help().to_string();
        for shape in Shape::ALL {
            assert!(help.contains(&format!("{}  {}\n", shape.letter(), shape.title())), "{help}");
        }
        assert!(help.contains("without the call-outs"), "{help}");
    }

    #[test]
    fn nothing_but_a_path_is_needed() {
        let typed = replay("replay logs");
        assert_eq!(typed.judging.format, Form::Table);
        assert_eq!((typed.run.progress, typed.run.color), (When::Auto, When::Auto));
        assert!(typed.run.threads.is_none() && typed.judging.warm_up.is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "",
            "replay",
            "learn a",
            "scan a",
            "inspect",
            "accept",
            "accept 0123abcd",
            "replay a --threads 0",
            "replay a --threads 1025",
            "replay a --warm-up 0s",
            "replay a --warm-up 91d",
            "replay a --warm-up week",
            "replay a --min-severity 11",
            "replay a --fail-on 0.5",
            "replay a --fail-on NaN",
            "replay a --fail-on high",
            "replay a --from yesterday",
            "replay a --from 2026-03-31",
            "replay a --threat-list file",
            "replay a --threat-list =file",
            "replay a --threat-list name=",
            "replay a --format xml",
            "replay a --sensitivity high",
            "learn a --baseline d --save-baseline e",
            "scan a --baseline d --save-baseline e",
            "completions tcsh",
            "drill",
            "drill a --shape X",
            "drill a --shape AB",
            "drill a --shape ",
            "drill a --seed -1",
            "drill a --save-baseline e",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.use_stderr(), "{line}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_option_has_a_help_text() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
