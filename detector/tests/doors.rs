//! The program for people, run as people and scripts run it: streams, exit status, colour, closed pipes.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The first line of a log.
const HEADER: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// The program, without anything of the environment that could colour it.
fn callout() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callout"));
    command.env_clear().env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    callout().args(arguments).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn in_words(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Refused with status 2, nothing on stdout, and all of `parts` on stderr.
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    for part in parts {
        assert!(stderr.contains(part), "`{part}` in: {stderr}");
    }
}

const CLOSING: &str = "read 0 objects, 0 rows (0 rejected); 0 no egress, 0 NODATA, 0 SKIPDATA, 0 interfaces without \
                       an owner, 0 functions still learning, 1 object unreadable; 0 findings, 0 suppressed\n";

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["--version"], &["replay", "--help"], &["help", "scan"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{arguments:?}");
    }
    let help = text(&run(&["replay", "--help"]).stdout);
    for option in [
        "--enis",
        "--functions",
        "--asn",
        "--aws-ranges",
        "--threat-list",
        "--trusted-list",
        "--config",
        "--baseline",
        "--save-baseline",
        "--from",
        "--until",
        "--warm-up",
        "--all-interfaces",
        "--format",
        "--output",
        "--report",
        "--min-severity",
        "--fail-on",
        "--progress",
        "--color",
        "--threads",
    ] {
        assert!(help.contains(option), "{option} in the help");
    }
    assert!(!help.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn usage_errors_end_with_2() {
    refused(&[], &["Usage: callout <COMMAND>"]);
    refused(&["replay"], &["error: ", "<PATH>..."]);
    refused(&["reply", "a"], &["error: unrecognized subcommand 'reply'", "tip: ", "'replay'"]);
    refused(&["replay", "a", "--warm-up", "0s"], &["error: ", "it must be between 1h and 90d"]);
    refused(&["replay", "a", "--fail-on", "11"], &["error: ", "between 1.0 and 10.0"]);
    refused(&["replay", "a", "--from", "today"], &["error: ", "2026-03-31T09:00:00Z"]);
    refused(
        &["replay", "a", "--from", "2026-03-31T00:00:00Z", "--until", "2026-03-01T00:00:00Z"],
        &["error: `--from` is 2026-03-31T00:00:00Z, which is not before `--until` 2026-03-01T00:00:00Z\nhint: "],
    );
}

#[test]
fn a_path_that_is_not_there_is_told_with_a_hint() {
    refused(
        &["replay", "/nonexistent/logs"],
        &["error: /nonexistent/logs: no such file or folder\nhint: give a flow-log file, or a folder", CLOSING],
    );
}

#[test]
fn an_empty_folder_is_told_with_a_hint_and_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(".hidden"), "x").expect("a file");
    let report = tempfile::NamedTempFile::new().expect("a file");
    refused(
        &["replay", in_words(folder.path()), "--report", in_words(report.path())],
        &["there is no file in this folder\nhint: ", "note: 1 files and folders with names beginning", CLOSING],
    );
    let report = fs::read_to_string(report.path()).expect("the report");
    assert!(report.contains("\"n_objects_unreadable\":1,") && report.ends_with("}\n"), "{report}");
}

#[test]
fn a_run_that_learned_nothing_replaces_no_baseline() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, other, baseline] = ["flows.log", "notes.log", "baseline"].map(|name| folder.path().join(name));
    let record = "eni-1 10.0.0.5 203.0.113.7 40000 443 6 5 500 1774948300 1774948330 ACCEPT OK";
    fs::write(&log, format!("{HEADER}\n{record}\n")).expect("a file");
    fs::write(&other, format!("{HEADER}\n")).expect("a file");
    let replay = |log: &Path| run(&["replay", in_words(log), "--save-baseline", in_words(&baseline)]);
    assert!(replay(&log).status.success());
    let before = fs::read(baseline.join("current.json")).expect("a baseline");
    assert!(text(&replay(&other).stderr).contains("note: nothing was learned"));
    assert_eq!(fs::read(baseline.join("current.json")).expect("a baseline"), before);
}

#[test]
fn what_was_left_out_for_want_of_a_file_is_told_once_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, enis, ranges] = ["flows.log", "enis.json", "ranges.json"].map(|name| folder.path().join(name));
    let of = |eni: &str| format!("{eni} 10.0.0.5 203.0.113.7 40000 443 6 5 500 1774948300 1774948330 ACCEPT OK");
    let records = ["eni-of-api", "eni-of-api", "eni-of-nat", "eni-gone"].map(of).join("\n");
    fs::write(&log, format!("{HEADER}\n{records}\n")).expect("a file");
    let known = r#"{"NetworkInterfaces":[
        {"NetworkInterfaceId":"eni-of-api","InterfaceType":"lambda","SubnetId":"subnet-1","Groups":[{"GroupId":"sg-1"}]},
        {"NetworkInterfaceId":"eni-of-nat","InterfaceType":"nat_gateway","SubnetId":"subnet-1"}]}"#;
    fs::write(&enis, known).expect("a file");
    let prefixes =
        r#"[{"ip_prefix":"192.0.2.0/24","region":"eu-west-1","service":"S3","network_border_group":"eu-west-1"}]"#;
    fs::write(&ranges, format!(r#"{{"prefixes":{prefixes},"ipv6_prefixes":[]}}"#)).expect("a file");
    let notes = |more: &[&str]| {
        let output = run(&[&["replay", in_words(&log), "--enis", in_words(&enis)], more].concat());
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let is_told = |words: &str| stderr.matches(words).count();
        [is_told("note: 1 row (25.0 %) of 1 interface that"), is_told("note: without --asn and --aws-ranges ")]
    };
    assert_eq!(notes(&[]), [1, 1]);
    assert_eq!(notes(&["--all-interfaces"]), [0, 1], "another service's is known, and the others are judged");
    assert_eq!(notes(&["--aws-ranges", in_words(&ranges)]), [1, 0]);
    let functions = folder.path().join("functions.json");
    fs::write(&functions, crate::log::FUNCTIONS).expect("a file");
    let notes = |more: &[&str]| {
        let stderr =
            text(&run(&[&["replay", in_words(&log), "--functions", in_words(&functions)], more].concat()).stderr);
        stderr.matches("note: --functions without --enis ").count()
    };
    assert_eq!([notes(&[]), notes(&["--enis", in_words(&enis)])], [1, 0]);
}

#[test]
fn outside_the_span_nobody_asks_whose_an_interface_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, enis] = ["flows.log", "enis.json"].map(|name| folder.path().join(name));
    let of = |(eni, day): (&str, i64)| {
        let start = 1_774_915_200 + day * 86_400;
        format!("{eni} 10.0.0.5 203.0.113.7 40000 443 6 5 500 {start} {} ACCEPT OK", start + 30)
    };
    let told = [("eni-of-api", 0), ("eni-gone", 0), ("eni-older", 0), ("eni-of-nat", 0), ("eni-gone", 1)];
    let known = r#"{"NetworkInterfaces":[
        {"NetworkInterfaceId":"eni-of-api","InterfaceType":"lambda","SubnetId":"subnet-1","Groups":[{"GroupId":"sg-1"}]},
        {"NetworkInterfaceId":"eni-of-nat","InterfaceType":"nat_gateway","SubnetId":"subnet-1"}]}"#;
    fs::write(&enis, known).expect("a file");
    // Where no interface is judged, rows are counted without looking at them.
    for told in [&told[..], &told[1..]] {
        fs::write(&log, format!("{HEADER}\n{}\n", told.iter().copied().map(of).collect::<Vec<_>>().join("\n")))
            .expect("a file");
        let replay = |from: &str| {
            let arguments = ["replay", in_words(&log), "--enis", in_words(&enis), "--from", from];
            text(&run(&arguments).stderr)
        };
        let (one, none) = (replay("2026-04-01T00:00:00Z"), replay("2026-05-01T00:00:00Z"));
        let n = told.len();
        assert!(
            one.contains(&format!(" 1 interface without an owner, 0 functions still learning, {} rows outside", n - 1)),
            "{one}"
        );
        assert!(one.contains("note: 1 row (100.0 %) of 1 interface that"), "{one}");
        assert!(
            none.contains(&format!(" 0 interfaces without an owner, 0 functions still learning, {n} rows outside")),
            "{none}"
        );
        assert!(!one.contains("other services") && !none.contains("other services"), "{one}{none}");
    }
}

#[test]
fn a_stray_record_widens_no_span() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, report] = ["flows.log", "report.json"].map(|name| folder.path().join(name));
    // A day of calls, one of a clock that begins at 0, and one that is decades ahead.
    let starts = (0..144).map(|n| 1_774_915_200 + n * 600).chain([0, 4_070_908_800]);
    let of = |start: i64| format!("eni-1 10.0.0.5 203.0.113.7 40000 443 6 5 500 {start} {} ACCEPT OK", start + 30);
    fs::write(&log, format!("{HEADER}\n{}\n", starts.map(of).collect::<Vec<_>>().join("\n"))).expect("a file");
    let output = run(&["replay", in_words(&log), "--report", in_words(&report)]);
    assert!(text(&output.stderr).contains("2 rows years from all others"), "{}", text(&output.stderr));
    let report = fs::read_to_string(&report).expect("the report");
    let span = r#""span":{"start":"2026-03-31T00:00:00Z","end":"2026-03-31T23:50:30Z"}"#;
    assert!(report.contains(span), "{report}");
}

#[test]
fn the_closing_line_is_the_last() {
    let output = run(&["replay", "/nonexistent/logs"]);
    assert!(text(&output.stderr).ends_with(CLOSING), "{}", text(&output.stderr));
}

#[test]
fn settings_are_refused_before_anything_is_read() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "warm_up = \"0s\"\n").expect("a file");
    let path = in_words(file.path());
    let message = format!("error: {path}: `warm_up` is 0s; it must be between 1h and 90d\nhint: ");
    refused(&["replay", "/nonexistent/logs", "--config", path], &[&message]);
    fs::write(file.path(), "warmup = \"7d\"\n").expect("a file");
    refused(&["replay", "/nonexistent/logs", "--config", path], &["unknown field `warmup`", "line 1", "hint: "]);
    refused(
        &["replay", "/nonexistent/logs", "--config", "/nonexistent/config"],
        &["error: could not read the settings /nonexistent/config: No such file", "hint: "],
    );
}

#[test]
fn knowledge_and_baselines_must_be_there() {
    refused(
        &["replay", "x", "--enis", "/nonexistent/enis"],
        &["error: could not read `--enis /nonexistent/enis`: No such file", "hint: "],
    );
    refused(
        &["scan", "x", "--baseline", "/nonexistent/dir"],
        &["error: /nonexistent/dir: there is no baseline\nhint: `callout learn PATH... --baseline DIR` creates one"],
    );
    refused(&["inspect", "--baseline", "/nonexistent/dir"], &["there is no baseline\nhint: "]);
}

#[test]
fn where_there_are_no_findings_no_file_is_for_them() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "kept").expect("a file");
    refused(
        &["learn", "x", "--baseline", "/nonexistent/dir", "--output", in_words(file.path())],
        &["error: `learn` judges nothing and has no findings for `--output`\nhint: --report FILE "],
    );
    assert_eq!(fs::read(file.path()).expect("a file"), b"kept");
}

#[test]
fn outputs_that_cannot_be_written_are_told_before_the_run() {
    for option in ["--output", "--report"] {
        refused(
            &["replay", "/nonexistent/logs", option, "/nonexistent/dir/file"],
            &[&format!("error: could not create `{option} /nonexistent/dir/file`"), "hint: "],
        );
    }
}

#[test]
fn no_file_that_a_stream_goes_to_is_an_output_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let [log, file] = ["flows.log", "file"].map(|name| folder.path().join(name));
    fs::write(&log, format!("{HEADER}\n")).expect("a file");
    for (arguments, stream) in [
        (["--output", "/dev/stdout"], "stdout"),
        (["--report", "/dev/stdout"], "stdout"),
        (["--report", in_words(&file)], "stdout"),
        (["--report", "/dev/stderr"], "stderr"),
    ] {
        let mut command = callout();
        command.args(["replay", in_words(&log)]).args(arguments);
        let to = fs::File::create(&file).expect("a file");
        let command = if stream == "stdout" { command.stdout(to) } else { command.stderr(to) };
        let output = command.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = text(&output.stderr) + &fs::read_to_string(&file).expect("text");
        assert!(
            told.contains(&format!("error: `{}` names the file that {stream} goes to\nhint: ", arguments[0])),
            "{told}"
        );
    }
    // What is no file has nothing to lose.
    let output = run(&["replay", in_words(&log), "--output", "/dev/null", "--report", "/dev/stdout"]);
    assert!(output.status.success() && output.stdout.starts_with(b"{\"schema\":\"callout.report/1\""));
    assert!(run(&["replay", in_words(&log), "--output", "/dev/stdout", "--report", "/dev/null"]).status.success());
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let stderr = |command: &mut Command| text(&command.output().expect("the program runs").stderr);
    let path = ["replay", "/nonexistent/logs"];
    assert!(!stderr(callout().args(path)).contains('\u{1b}'));
    assert!(stderr(callout().args(path).args(["--color", "always"])).starts_with("\u{1b}[1;31merror:\u{1b}[0m "));
    assert!(!stderr(callout().args(path).args(["--color", "never"])).contains('\u{1b}'));
    assert!(!stderr(callout().args(path).env("NO_COLOR", "1")).contains('\u{1b}'));
    assert!(!stderr(callout().env("NO_COLOR", "1").arg("--bogus")).contains('\u{1b}'));
}

#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [&["completions", "bash"][..], &["man"], &["--help"]] {
        let mut child =
            callout().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        drop(child.stdout.take());
        let status = child.wait().expect("it ends");
        let mut stderr = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(text(&run(&["completions", shell]).stdout).contains("save-baseline"), "{shell}");
    }
    assert!(text(&run(&["man"]).stdout).contains(".TH callout 1"));
    assert!(text(&run(&["man", "replay"]).stdout).contains("save\\-baseline"));
    refused(&["man", "reply"], &["error: there is no command `reply`\nhint: "]);
}
