//! House rules, held by a machine: each test is one sentence of the style, and names every place that breaks it.
//!
//! Exceptions stand beside their rule, each with its reason. A rule about code looks at code: comments and whatever is
//! under `#[cfg(test)]` may name what they like.

use std::fs;
use std::path::{Path, PathBuf};

use detector::finding::CheckId;

use crate::checks::CASES;

/// The stages, none of which knows another.
const STAGES: [&str; 5] = ["read", "resolve", "rollup", "score", "write"];

/// What strings the stages together, and what stands on that.
const ABOVE_STAGES: [&str; 2] = ["pipeline", "drill"];

/// The nouns below the stages.
const NOUNS: [&str; 5] = ["flow", "finding", "config", "coverage", "amounts"];

/// Names that say nothing about the job.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "common", "shared", "helpers", "misc", "manager", "processor", "types", "models"];

/// Longest file, its tests aside.
const MAX_LINES: usize = 600;

/// Widest line of a comment; rustfmt holds code to the same.
const MAX_COLUMNS: usize = 120;

/// One source file.
struct Source {
    /// Its path from the workspace's root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Its name without `.rs`.
    fn stem(&self) -> &str {
        self.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or(&self.path)
    }

    /// Whether all of it is tests: a `mod tests` or `mod testing` that moved out of its file, or an outside test.
    fn is_test(&self) -> bool {
        matches!(self.stem(), "tests" | "testing") || self.path.contains("/tests/")
    }

    /// Its lines of code with their numbers: comments and what is under `#[cfg(test)]` left out.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut lines = (1..).zip(self.text.lines());
        let mut code = Vec::new();
        while let Some((number, line)) = lines.next() {
            if line.trim() == "#[cfg(test)]" {
                let indent = line.len() - line.trim_start().len();
                skip_item(&mut lines, indent);
            } else if !line.trim_start().starts_with("//") {
                code.push((number, line));
            }
        }
        if self.is_test() { Vec::new() } else { code }
    }

    /// Everywhere in the code that `breaks` says a rule is broken, and what it says.
    fn breaches(&self, breaks: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let code = self.code().into_iter();
        code.filter_map(|(number, line)| breaks(line).map(|why| format!("{}:{number}: {why}", self.path))).collect()
    }
}

#[test]
fn every_metric_is_explained_where_operators_look() {
    let guide = fs::read_to_string(root().join("docs/deploy.md")).expect("the guide");
    let of_lambda = sources().into_iter().filter(|source| source.path.starts_with("detector/src/bin/lambda/"));
    let mut n_metrics = 0;
    let mut missing = Vec::new();
    for source in of_lambda {
        for (number, line) in source.code() {
            let calls =
                line.match_indices("metrics.").filter_map(|(at, _)| line[at..].split_once("(\"")?.1.split_once('"'));
            for (name, _) in calls {
                n_metrics += 1;
                if !guide.contains(&format!("`{name}`")) {
                    missing.push(format!("{}:{number}: docs/deploy.md does not name `{name}`", source.path));
                }
            }
        }
    }
    assert!(n_metrics > 20, "only {n_metrics} metrics found");
    none(missing);
}

/// Skips the item an attribute stands on: to its `;`, or to the brace that closes it, which rustfmt indents like it.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, indent: usize) {
    let mut is_block = false;
    for (_, line) in lines {
        let at_indent = line.len() - line.trim_start().len() == indent;
        is_block |= line.ends_with('{');
        if line.ends_with(';') && !is_block || line.trim_end_matches([';', ',']).ends_with('}') && at_indent {
            return;
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace").to_owned()
}

/// Every source file of the workspace, in order.
fn sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["baselines", "detector", "benches", "xtask"].map(|member| root.join(member)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let relative = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                sources.push(Source { path: relative, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 50, "only {} source files found", sources.len());
    sources
}

/// Fails with every breach, one a line.
fn none(breaches: impl IntoIterator<Item = String>) {
    let breaches: Vec<String> = breaches.into_iter().collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// The modules of the crate that a line of code names: `a` and `b` in `use crate::a::X`, `crate::{a, b::Y}`.
fn crate_modules(line: &str) -> Vec<&str> {
    let word = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut modules = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            modules.push(&rest[..word(rest)]);
            continue;
        };
        let mut depth = 0_u32;
        let parts = group.split(move |c| {
            depth += u32::from(c == '{');
            depth = depth.saturating_sub(u32::from(c == '}'));
            c == ',' && depth == 0
        });
        modules.extend(parts.map(str::trim_start).map(|part| &part[..word(part)]));
    }
    modules
}

/// The part of the engine a file belongs to: `read` for `detector/src/read/text.rs`, and its depth in there.
fn part(path: &str) -> Option<(&str, usize)> {
    let inside = path.strip_prefix("detector/src/")?.strip_suffix(".rs")?;
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    let mut names = inside.split('/');
    Some((names.next()?, names.count()))
}

#[test]
fn every_module_says_what_it_is() {
    // A moved-out `mod tests` says nothing, as it would not inside its file.
    let sources = sources();
    let silent = sources.iter().filter(|source| source.stem() != "tests" && !source.text.starts_with("//! "));
    none(silent.map(|source| format!("{}: no `//!` header", source.path)));
}

#[test]
fn no_file_is_too_long() {
    none(sources().iter().filter_map(|source| {
        let before_tests = source.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        let is_long = before_tests > MAX_LINES && !source.is_test();
        is_long.then(|| format!("{}: {before_tests} lines before its tests", source.path))
    }));
}

#[test]
fn no_comment_is_wider_than_code() {
    // Tables and drawings are as wide as they are.
    let is_drawn = |comment: &str| comment.starts_with('|') || comment.contains("  ") || comment.contains('▶');
    none(sources().iter().flat_map(|source| {
        let comments = (1..).zip(source.text.lines()).filter(|(_, line)| {
            let comment = line.trim_start().strip_prefix("//").map(|text| text.trim_start_matches(['/', '!']).trim());
            comment.is_some_and(|comment| !is_drawn(comment)) && line.chars().count() > MAX_COLUMNS
        });
        comments.map(|(number, _)| format!("{}:{number}: wider than {MAX_COLUMNS}", source.path)).collect::<Vec<_>>()
    }));
}

#[test]
fn names_say_what_the_job_is() {
    none(sources().iter().flat_map(|source| {
        let words = source.path.trim_end_matches(".rs").split('/');
        let named = words.filter(|word| EMPTY_NAMES.contains(word)).map(|word| format!("{}: `{word}`", source.path));
        let inline = source.breaches(|line| {
            let (_, module) = line.split_once("mod ")?;
            let module = module.trim_end_matches(['{', ';', ' ']);
            EMPTY_NAMES.contains(&module).then(|| format!("module `{module}`"))
        });
        named.chain(inline).collect::<Vec<_>>()
    }));
}

#[test]
fn a_stage_knows_no_other_stage_and_no_higher_floor() {
    let sources = sources();
    let stages = sources.iter().filter_map(|source| Some((source, part(&source.path)?)));
    none(stages.filter(|(_, (stage, _))| STAGES.contains(stage)).flat_map(|(source, (stage, depth))| {
        source.breaches(|line| {
            let foreign = crate_modules(line)
                .into_iter()
                .find(|name| *name != stage && (STAGES.contains(name) || ABOVE_STAGES.contains(name)));
            if let Some(foreign) = foreign {
                return Some(format!("`{stage}` names `{foreign}`"));
            }
            let leaves = line.contains(&"super::".repeat(depth + 1));
            leaves.then(|| format!("`{stage}` is left through `super`; say `crate::`"))
        })
    }));
}

#[test]
fn nouns_know_no_stage() {
    let sources = sources();
    let nouns = sources.iter().filter_map(|source| Some((source, part(&source.path)?.0)));
    none(nouns.filter(|(_, noun)| NOUNS.contains(noun)).flat_map(|(source, noun)| {
        source.breaches(|line| {
            let foreign =
                crate_modules(line).into_iter().find(|name| STAGES.contains(name) || ABOVE_STAGES.contains(name))?;
            Some(format!("the noun `{noun}` names `{foreign}`"))
        })
    }));
}

#[test]
fn baselines_knows_no_detector() {
    let manifest = fs::read_to_string(root().join("baselines/Cargo.toml")).expect("a manifest");
    let depends = manifest.lines().filter(|line| line.starts_with("detector") || line.starts_with("benches"));
    none(depends.map(|line| format!("baselines/Cargo.toml: {line}")));
}

#[test]
fn only_the_lambda_door_knows_aws() {
    let crates = ["aws_sdk_", "aws_config", "aws_smithy_", "aws_types", "aws_lambda_events", "lambda_runtime"];
    let sources = sources();
    let outside = sources
        .iter()
        .filter(|source| !source.path.starts_with("detector/src/bin/lambda/") && !source.path.starts_with("xtask/"));
    none(outside.flat_map(|source| {
        source.breaches(|line| crates.iter().find(|name| line.contains(**name)).map(|name| format!("`{name}`")))
    }));
}

#[test]
fn the_core_reads_no_clock_and_no_environment() {
    let banned = ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "env::var", "env::args"];
    let sources = sources();
    let core = sources.iter().filter(|source| {
        let is_engine = source.path.starts_with("detector/src/") && !source.path.starts_with("detector/src/bin/");
        is_engine || source.path.starts_with("baselines/src/")
    });
    none(core.flat_map(|source| {
        source.breaches(|line| banned.iter().find(|name| line.contains(**name)).map(|name| format!("`{name}`")))
    }));
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    // Spelled in two halves, so that this file does not accuse itself.
    let marks = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["#[ig", "nore"],
        ["should", "_panic"],
        ["db", "g!("],
        ["to", "do!("],
        ["unimple", "mented!("],
    ]
    .map(|halves| halves.concat());
    none(sources().iter().flat_map(|source| {
        let lines = (1..).zip(source.text.lines());
        let marked = lines.filter_map(|(number, line)| {
            let mark = marks.iter().find(|mark| line.contains(mark.as_str()))?;
            Some(format!("{}:{number}: `{mark}`", source.path))
        });
        marked.collect::<Vec<_>>()
    }));
}

#[test]
fn every_check_has_its_file_and_its_section() {
    let root = root();
    let detection = fs::read_to_string(root.join("docs/detection.md")).ok();
    none(CheckId::ALL.into_iter().flat_map(|check| {
        let file = format!("detector/src/score/{}.rs", check.as_str().replace('-', "_"));
        let no_file = (!root.join(&file).exists()).then(|| format!("`{check}`: no {file}"));
        let headed = |page: &String| {
            let mut headings = page.lines().filter(|line| line.starts_with('#'));
            headings.any(|line| line.trim_start_matches('#').split([' ', '`', ':']).any(|word| word == check.as_str()))
        };
        let no_section = detection
            .as_ref()
            .filter(|page| !headed(page))
            .map(|_| format!("`{check}`: no section in docs/detection.md"));
        [no_file, no_section].into_iter().flatten()
    }));
}

#[test]
fn every_check_has_a_case_it_catches_and_a_near_miss() {
    none(CheckId::ALL.into_iter().flat_map(|check| {
        let has = |is_caught: bool| CASES.iter().any(|case| case.check == check && case.caught.is_some() == is_caught);
        let uncaught = (!has(true)).then(|| format!("`{check}`: no case in detector/tests/checks.rs that it catches"));
        let no_miss = (!has(false)).then(|| format!("`{check}`: no near miss in detector/tests/checks.rs"));
        [uncaught, no_miss].into_iter().flatten()
    }));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let root = root();
    none(["baselines", "detector", "benches", "xtask"].into_iter().filter_map(|member| {
        let manifest = fs::read_to_string(root.join(member).join("Cargo.toml")).expect("a manifest");
        (!manifest.contains("[lints]\nworkspace = true"))
            .then(|| format!("{member}/Cargo.toml: lints are not the workspace's"))
    }));
    let lints = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    // With clippy's `-D warnings`, these hold the documentation of what is public and the absence of unsafe code.
    none(
        ["missing_docs = ", "unsafe_code = \"deny\"", "unreachable_pub = "]
            .into_iter()
            .filter(|lint| !lints.contains(*lint))
            .map(|lint| format!("Cargo.toml: no lint `{lint}`")),
    );
}

/// The rules themselves: what they see and what they let pass.
mod rules {
    use super::{Source, crate_modules, part};

    #[test]
    fn names_of_modules_are_seen_alone_and_in_groups() {
        assert_eq!(crate_modules("use crate::flow::FlowBatch;"), ["flow"]);
        assert_eq!(crate_modules("use crate::{flow, score::{View, Oddity}, write};"), ["flow", "score", "write"]);
        assert_eq!(crate_modules("    let x = crate::score::judge(crate::flow::A);"), ["score", "flow"]);
        assert_eq!(crate_modules("use super::batch;"), [""; 0]);
    }

    #[test]
    fn a_file_knows_its_stage_and_depth() {
        assert_eq!(part("detector/src/read/mod.rs"), Some(("read", 0)));
        assert_eq!(part("detector/src/read/text.rs"), Some(("read", 1)));
        assert_eq!(part("detector/src/read/parquet/mod.rs"), Some(("read", 1)));
        assert_eq!(part("detector/src/config.rs"), Some(("config", 0)));
        assert_eq!(part("baselines/src/lib.rs"), None);
    }

    #[test]
    fn code_is_neither_comment_nor_test() {
        let text = "//! Head.\n#[cfg(test)]\nmod testing;\nfn a() {}\n// aside\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source { path: "detector/src/read/x.rs".into(), text: text.into() };
        assert_eq!(source.code(), [(4, "fn a() {}"), (10, "fn c() {}")]);
    }
}
