//! The steps that ask cargo: format, lints, tests, features, documentation, dependencies.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::shell::{self, Workspace, say};
use crate::tally::Tally;
use crate::tools;

/// `cargo fmt`.
pub(crate) fn fmt(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    tools::component(workspace, "fmt", "rustfmt")?;
    shell::run(workspace.cargo(&["fmt", "--all", "--check"]))?;
    tally.passed += 1;
    Ok(())
}

/// `cargo clippy`, every target, every feature, warnings refused.
pub(crate) fn clippy(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    tools::component(workspace, "clippy", "clippy")?;
    let arguments = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"];
    shell::run(workspace.cargo(&arguments))?;
    tally.passed += 1;
    Ok(())
}

/// Crates and features of all steps that build to run: each dependency is then compiled once. Cargo unites the features
/// of what is selected, and each other selection compiles half of them anew.
pub(crate) const BUILT: [&str; 3] = ["--locked", "--workspace", "--all-features"];

/// The tests, but for those against an emulated AWS, which are a step of their own; and the libraries' again over the
/// low floors as they are released, optimised and with numbers that wrap. The feature `aws` adds a program and changes
/// nothing in the others.
pub(crate) fn test(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    test_with(workspace, tally, &[&BUILT[..], &["--lib", "--bins", "--test", "main"]].concat())?;
    test_with(workspace, tally, &[&BUILT[..], &["--doc"]].concat())?;
    // In the profile of the others, whose dependencies are built: those of another would take longer than all that is
    // tested.
    let released = ["opt-level=2", "overflow-checks=false", "debug-assertions=false"];
    let released = released.map(|setting| format!("--config=profile.dev.package.baselines.{setting}"));
    test_with(workspace, tally, &[&BUILT[..], &["--lib"], &released.each_ref().map(String::as_str)[..]].concat())
}

/// The house rules alone.
pub(crate) fn tidy(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    test_with(workspace, tally, &[&BUILT[..], &["--test", "main", "tidy::"]].concat())
}

/// Runs `cargo test`, through all its binaries even if one fails, and counts.
pub(crate) fn test_with(workspace: &Workspace, tally: &mut Tally, arguments: &[&str]) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--no-fail-fast"]);
    command.args(arguments);
    shell::watch(command, |line| tally.add_result_line(line))
}

/// Without the feature `aws` the engine builds and links no AWS crate.
pub(crate) fn features(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    shell::run(workspace.cargo(&["check", "--package", "detector", "--no-default-features", "--locked"]))?;
    let arguments =
        ["tree", "--package", "detector", "--no-default-features", "--edges", "normal", "--prefix", "none", "--locked"];
    let tree = shell::output(workspace.cargo(&arguments))?;
    let linked = aws_crates(&tree);
    ensure!(linked.is_empty(), "linked without the feature `aws`: {}", linked.join(", "));
    say("no AWS crate is linked without the feature `aws`");
    tally.passed += 2;
    Ok(())
}

/// The AWS crates in what `cargo tree --prefix none` prints.
fn aws_crates(tree: &str) -> Vec<&str> {
    let crates = tree.lines().filter_map(|line| line.split_whitespace().next());
    crates.filter(|name| name.starts_with("aws-") || *name == "lambda_runtime").collect()
}

/// `cargo doc`, private items too, warnings refused.
pub(crate) fn doc(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let arguments = ["doc", "--workspace", "--all-features", "--no-deps", "--document-private-items", "--locked"];
    let mut command = workspace.cargo(&arguments);
    command.env("RUSTDOCFLAGS", "-D warnings");
    shell::run(command)?;
    tally.passed += 1;
    Ok(())
}

/// cargo-deny on what needs no network: banned crates, licences, sources. Advisories change without the code changing;
/// `target/tools/bin/cargo-deny check advisories` asks for them.
pub(crate) fn deny(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let deny = tools::cargo_deny(workspace)?;
    // cargo-deny looks at every platform, a build only at its own: fetch the rest first.
    shell::run(workspace.cargo(&["fetch", "--locked"]))?;
    let checks = ["bans", "licenses", "sources"];
    let mut command = workspace.command(deny, &["--offline", "--workspace", "--all-features", "--locked", "check"]);
    command.args(checks);
    shell::run(command)?;
    tally.passed += checks.len() as u64;
    Ok(())
}

/// The detector's manifest, as cargo reads it.
pub(crate) fn detector_manifest(workspace: &Workspace) -> Result<Value> {
    let metadata = metadata(workspace)?;
    let mut packages = metadata.pointer("/packages").and_then(Value::as_array).into_iter().flatten();
    let detector = packages.find(|package| package["name"] == "detector");
    detector.cloned().context("the workspace has no package `detector`")
}

/// Builds `callout` as the tests had it built; gives where it lies.
pub(crate) fn callout(workspace: &Workspace) -> Result<PathBuf> {
    // Beside a test: alone it would be built without the features of what only tests use, and so would all it depends
    // on.
    let mut build = workspace.cargo(&["test", "--quiet", "--no-run", "--test", "main"]);
    build.args(BUILT);
    shell::run(build)?;
    let target = metadata(workspace)?;
    let target =
        target.pointer("/target_directory").and_then(Value::as_str).context("cargo names no target directory")?;
    Ok(Path::new(target).join("debug/callout"))
}

/// What cargo says about the workspace.
fn metadata(workspace: &Workspace) -> Result<Value> {
    let metadata = shell::output(workspace.cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    Ok(serde_json::from_str(&metadata)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_crates_are_seen_wherever_they_stand() {
        let tree =
            "detector v0.1.0 (/home/me/callout/detector)\nanyhow v1.0.104\naws-config v1.13.0\nserde v1.0.229 (*)\n";
        assert_eq!(aws_crates(tree), ["aws-config"]);
        assert!(aws_crates("detector v0.1.0 (/home/aws-fan/detector)\nserde v1.0.229").is_empty());
    }
}
