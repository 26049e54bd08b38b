//! The step that checks the SAM templates: linters, and every grant against the list that was read in review.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::grants;
use crate::shell::{self, Workspace, say};
use crate::tally::Tally;
use crate::tools;

/// The templates, all of them.
const TEMPLATES: [&str; 3] = ["template.yaml", "template-central.yaml", "template-inventory.yaml"];

/// What the templates grant, as somebody read and accepted it.
const EXPECTED: &str = "xtask/grants.txt";

/// cfn-lint and checkov find nothing that is not excepted with a reason; the grants are the expected ones.
pub(crate) fn check(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let (venv, checkov) = (tools::test_venv(workspace)?, tools::checkov_venv(workspace)?);
    let mut lint = workspace.command(venv.join("bin/cfn-lint"), &["--non-zero-exit-code", "informational", "--"]);
    lint.args(TEMPLATES);
    shell::run(lint)?;
    let mut scan =
        workspace.command(checkov.join("bin/checkov"), &["--framework", "cloudformation", "--compact", "--quiet"]);
    scan.args(["--skip-download", "--file"]).args(TEMPLATES);
    shell::run(scan)?;
    tally.passed += 2 * TEMPLATES.len() as u64;

    let granted = all_grants(workspace, &venv)?;
    let expected = fs::read_to_string(workspace.path(EXPECTED)).with_context(|| format!("reading `{EXPECTED}`"))?;
    let differences = differences(&expected, &granted);
    ensure!(
        differences.is_empty(),
        "the templates grant something else than `{EXPECTED}` says:\n{}\nread each line; if all of them are meant, \
         `cargo xtask grants` writes them down",
        differences.join("\n")
    );
    let n_grants = granted.lines().filter(|line| !line.is_empty()).count();
    say(&format!("{n_grants} grants, each as expected; no wildcard, no service without its source, TLS everywhere"));
    tally.passed += n_grants as u64;
    Ok(())
}

/// Writes down what the templates grant now; the change is read in review.
pub(crate) fn accept(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    let granted = all_grants(workspace, &tools::test_venv(workspace)?)?;
    fs::write(workspace.path(EXPECTED), granted).with_context(|| format!("writing `{EXPECTED}`"))
}

/// The grants of all templates, one a line; an error if a house rule objects to one.
fn all_grants(workspace: &Workspace, venv: &Path) -> Result<String> {
    let mut all = String::new();
    for template in TEMPLATES {
        let transform = workspace.command(venv.join("bin/python"), &["xtask/transform.py", template]);
        let transformed: Value = serde_json::from_str(&shell::output(transform)?)?;
        let objections = grants::objections(&transformed);
        ensure!(objections.is_empty(), "{template} grants what it must not:\n  {}", objections.join("\n  "));
        for line in grants::list(&transformed) {
            all += &[template, " ", &line, "\n"].concat();
        }
    }
    Ok(all)
}

/// Lines that are only in one of the two, as a diff shows them.
fn differences(expected: &str, granted: &str) -> Vec<String> {
    let only = |these: &str, those: &str, mark: &str| {
        let mut others: Vec<&str> = those.lines().collect();
        let mut only = Vec::new();
        for line in these.lines() {
            match others.iter().position(|other| *other == line) {
                Some(at) => drop(others.swap_remove(at)),
                None => only.push(format!("{mark} {line}")),
            }
        }
        only
    };
    [only(granted, expected, "+"), only(expected, granted, "-")].concat()
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn an_added_a_lost_and_a_doubled_grant_are_differences() {
        assert!(differences("a\nb\n", "b\na\n").is_empty());
        assert_eq!(differences("a\nb\n", "a\nc\n"), ["+ c", "- b"]);
        assert_eq!(differences("a\n", "a\na\n"), ["+ a"]);
        assert_eq!(differences("", "a\n"), ["+ a"]);
    }
}
