//! The steps that run the deployed roles: as the tests build them against an emulated AWS, and as they are released.
//!
//! They are two, because they cost different things: the tests reuse what the other steps built and take two minutes,
//! the release builds the SDK once more, optimised and for another linker, which takes longer than all other steps
//! together.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::rust;
use crate::shell::{self, Workspace, say};
use crate::tally::Tally;
use crate::tools;

/// Where the tests find moto's server and cargo-lambda: `$CALLOUT_TEST_VENV/bin`.
const VENV_VARIABLE: &str = "CALLOUT_TEST_VENV";

/// Where they find another `bootstrap` than cargo's, which is then held to the goals.
const BOOTSTRAP_VARIABLE: &str = "CALLOUT_TEST_BOOTSTRAP";

/// Where they find a case with a large object.
const LARGE_VARIABLE: &str = "CALLOUT_TEST_LARGE";

/// The goal of the design for the deployed zip, in bytes: 12 MB.
const MAX_ZIP_BYTES: u64 = 12_000_000;

/// Rows of the large object: in AWS's Parquet form 99 MB, where AWS closes an object at 75 MB.
const LARGE_ROWS: &str = "6000000";

/// Runs the tests of the target `aws`, which start what they need from the environment made here.
pub(crate) fn end_to_end(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    // SAM's builder calls cargo-lambda without a way to say features: the manifest says them.
    let manifest = rust::detector_manifest(workspace)?;
    let says_feature =
        manifest.pointer("/metadata/lambda/build/features").is_some_and(|features| *features == json!(["aws"]));
    ensure!(
        says_feature,
        "`sam build` would build without the feature `aws`; detector/Cargo.toml needs\n[package.metadata.lambda.build]\nfeatures = [\"aws\"]"
    );
    tally.passed += 1;
    let venv = tools::test_venv(workspace)?;
    let mut command = tests(workspace, &venv)?;
    // More than there are cores: they wait for back-offs and each other's answers more than they work.
    command.args(["--test-threads", "4"]);
    shell::watch(command, |line| tally.add_result_line(line))
}

/// Builds what is deployed as `sam build` does, and measures it: size, start, memory and time for a large object.
pub(crate) fn release(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let venv = tools::test_venv(workspace)?;
    let bootstrap = zip(workspace, &venv)?;
    tally.passed += 1;
    let large = workspace.path("target/large");
    if !large.join("logs").exists() {
        let mut write = workspace.cargo(&["run", "--release", "--locked", "--package", "benches", "--", "large"]);
        write.args(["--rows", LARGE_ROWS, "--objects", "1", "--out"]).arg(&large);
        shell::run(write)?;
    }
    let mut command = tests(workspace, &venv)?;
    // One after the other: they measure time.
    command.args(["measure::", "--nocapture", "--test-threads", "1"]);
    command.env(BOOTSTRAP_VARIABLE, bootstrap).env(LARGE_VARIABLE, large);
    shell::watch(command, |line| tally.add_result_line(line))
}

/// The tests of the target `aws`.
fn tests(workspace: &Workspace, venv: &Path) -> Result<Command> {
    let mut command = workspace.cargo(&["test"]);
    command.args(rust::BUILT).args(["--test", "aws", "--"]);
    command.env(VENV_VARIABLE, venv).env("PATH", path_with(venv)?);
    // The emulator takes any credentials; the tests must never meet real ones.
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        command.env(name, value);
    }
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Builds the zip, prints its size and holds it to the goal; gives the program in it.
fn zip(workspace: &Workspace, venv: &Path) -> Result<PathBuf> {
    let folder = workspace.path("target/lambda/bootstrap");
    let zip = folder.join("bootstrap.zip");
    let mut build = workspace.cargo(&["lambda", "build", "--release", "--locked", "--package", "detector"]);
    build.args(["--bin", "bootstrap", "--features", "aws", "--target", "x86_64-unknown-linux-gnu"]);
    build.args(["--output-format", "zip"]).env("PATH", path_with(venv)?);
    shell::run(build)?;
    let n_bytes = fs::metadata(&zip).with_context(|| format!("`{}`", zip.display()))?.len();
    say(&format!("deployed zip: {n_bytes} bytes, at most {MAX_ZIP_BYTES}"));
    ensure!(n_bytes <= MAX_ZIP_BYTES, "the deployed zip has {n_bytes} bytes; the goal is {MAX_ZIP_BYTES}");
    let mut unpack = workspace.command(venv.join("bin/python"), &["-m", "zipfile", "-e"]);
    unpack.args([&zip, &folder]);
    shell::run(unpack)?;
    let bootstrap = folder.join("bootstrap");
    // Python's zipfile forgets that it is a program.
    shell::run(workspace.command("chmod", &["+x", &bootstrap.to_string_lossy()]))?;
    Ok(bootstrap)
}

/// `PATH` with the tools of the environment first.
fn path_with(venv: &Path) -> Result<OsString> {
    let mut path = vec![venv.join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    Ok(std::env::join_paths(path)?)
}
