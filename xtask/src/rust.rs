//! The steps that ask cargo: format, lints, tests, features, documentation, dependencies.

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

/// The tests: of the workspace, again with every feature if there is one, and the low floors optimised, since overflow
/// differs there. The tests against an emulated AWS are a step of their own.
pub(crate) fn test(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    test_with(workspace, tally, &["--workspace"])?;
    if has_feature(workspace, "aws")? {
        test_with(workspace, tally, &["--package", "detector", "--all-features", "--lib", "--bins", "--test", "main"])?;
    }
    test_with(workspace, tally, &["--package", "baselines", "--release"])
}

/// The house rules alone.
pub(crate) fn tidy(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    test_with(workspace, tally, &["--package", "detector", "--test", "main", "tidy::"])
}

/// Runs `cargo test`, through all its binaries even if one fails, and counts.
pub(crate) fn test_with(workspace: &Workspace, tally: &mut Tally, arguments: &[&str]) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--locked", "--no-fail-fast"]);
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

/// Whether the detector has that feature.
pub(crate) fn has_feature(workspace: &Workspace, feature: &str) -> Result<bool> {
    Ok(detector_manifest(workspace)?.pointer(&format!("/features/{feature}")).is_some())
}

/// The detector's manifest, as cargo reads it.
pub(crate) fn detector_manifest(workspace: &Workspace) -> Result<Value> {
    let metadata = shell::output(workspace.cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut packages = metadata.pointer("/packages").and_then(Value::as_array).into_iter().flatten();
    let detector = packages.find(|package| package["name"] == "detector");
    detector.cloned().context("the workspace has no package `detector`")
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
