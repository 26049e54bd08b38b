//! The step that builds what is deployed and runs it against an emulated AWS, with its set-up.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::rust;
use crate::shell::{self, Workspace, say};
use crate::tally::Tally;
use crate::tools;

/// Where the tests find moto's server, cargo-lambda and its linker: `$CALLOUT_TEST_VENV/bin`.
const VENV_VARIABLE: &str = "CALLOUT_TEST_VENV";

/// Where they find the zip that is deployed.
const ZIP_VARIABLE: &str = "CALLOUT_TEST_ZIP";

/// The goal of the design for the deployed zip, in bytes: 12 MB.
const MAX_ZIP_BYTES: u64 = 12_000_000;

/// Builds the zip, then runs the tests of the target `aws`, which start what they need from the environment made here.
pub(crate) fn end_to_end(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let manifest = rust::detector_manifest(workspace)?;
    if manifest.pointer("/features/aws").is_none() {
        say("there is no feature `aws` yet: nothing run");
        return Ok(());
    }
    // SAM's builder calls cargo-lambda without a way to say features: the manifest says them.
    let says_feature =
        manifest.pointer("/metadata/lambda/build/features").is_some_and(|features| *features == json!(["aws"]));
    ensure!(
        says_feature,
        "`sam build` would build without the feature `aws`; detector/Cargo.toml needs\n[package.metadata.lambda.build]\nfeatures = [\"aws\"]"
    );
    let venv = tools::test_venv(workspace)?;
    let path = path_with(&venv)?;
    let zip = zip(workspace, &path)?;
    tally.passed += 2;

    let mut targets = manifest.pointer("/targets").and_then(|targets| targets.as_array()).into_iter().flatten();
    if !targets.any(|target| target["name"] == "aws" && target["kind"] == json!(["test"])) {
        say("the detector has no test target `aws` yet: nothing run");
        return Ok(());
    }
    let arguments = ["test", "--locked", "--package", "detector", "--features", "aws", "--test", "aws"];
    let mut command = workspace.cargo(&arguments);
    command.args(["--", "--nocapture"]).env(VENV_VARIABLE, &venv).env(ZIP_VARIABLE, &zip).env("PATH", &path);
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
    shell::watch(command, |line| tally.add_result_line(line))
}

/// Builds the zip as `sam build` does, prints its size and holds it to the goal.
fn zip(workspace: &Workspace, path: &OsString) -> Result<PathBuf> {
    let zip = workspace.path("target/lambda/bootstrap/bootstrap.zip");
    let mut build = workspace.cargo(&["lambda", "build", "--release", "--locked", "--package", "detector"]);
    build.args(["--bin", "bootstrap", "--features", "aws", "--target", "x86_64-unknown-linux-gnu"]);
    build.args(["--output-format", "zip"]).env("PATH", path);
    shell::run(build)?;
    let n_bytes = fs::metadata(&zip).with_context(|| format!("`{}`", zip.display()))?.len();
    say(&format!("deployed zip: {n_bytes} bytes, at most {MAX_ZIP_BYTES}"));
    ensure!(n_bytes <= MAX_ZIP_BYTES, "the deployed zip has {n_bytes} bytes; the goal is {MAX_ZIP_BYTES}");
    Ok(zip)
}

/// `PATH` with the tools of the environment first.
fn path_with(venv: &Path) -> Result<OsString> {
    let mut path = vec![venv.join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    Ok(std::env::join_paths(path)?)
}
