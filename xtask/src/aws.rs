//! The step that runs the deployed pair against an emulated AWS, with its set-up.

use anyhow::Result;

use crate::rust;
use crate::shell::{self, Workspace, say};
use crate::tally::Tally;
use crate::tools;

/// Where the tests find moto's server, cargo-lambda and its linker: `$CALLOUT_TEST_VENV/bin`.
const VENV_VARIABLE: &str = "CALLOUT_TEST_VENV";

/// Runs `detector/tests/aws.rs` (or `tests/aws/`), which starts what it needs from the environment made here.
pub(crate) fn end_to_end(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let exists =
        ["detector/tests/aws.rs", "detector/tests/aws/main.rs"].iter().any(|path| workspace.path(path).exists());
    if !exists || !rust::has_feature(workspace, "aws")? {
        say("no test of the deployed pair yet: nothing run");
        return Ok(());
    }
    let venv = tools::test_venv(workspace)?;
    let mut path = vec![venv.join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let arguments = ["test", "--locked", "--package", "detector", "--features", "aws", "--test", "aws"];
    let mut command = workspace.cargo(&arguments);
    command.args(["--", "--nocapture"]).env(VENV_VARIABLE, &venv).env("PATH", std::env::join_paths(path)?);
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
