//! The tools the steps call, installed where they are missing: Debian packages into the system, all else into
//! `target/`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

use crate::shell::{self, Workspace, say};
use crate::tally::Tally;

/// The cargo-deny the allow-lists of `deny.toml` were written for.
const CARGO_DENY: &str = "0.20.2";

/// Installs all of it, for a machine that will be without a network later.
pub(crate) fn everything(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    component(workspace, "fmt", "rustfmt")?;
    component(workspace, "clippy", "clippy")?;
    cargo_deny(workspace)?;
    test_venv(workspace)?;
    checkov_venv(workspace)?;
    shell::run(workspace.cargo(&["fetch", "--locked"]))
}

/// A part of the Rust toolchain, by the cargo command it brings.
pub(crate) fn component(workspace: &Workspace, command: &str, component: &str) -> Result<()> {
    if shell::succeeds(workspace.cargo(&[command, "--version"])) {
        return Ok(());
    }
    shell::run(workspace.command("rustup", &["component", "add", component]))
}

/// cargo-deny, of the version above, built once into `target/tools`.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let program = workspace.path("target/tools/bin/cargo-deny");
    let present = shell::output(workspace.command(&program, &["--version"]));
    if !present.is_ok_and(|version| version.trim().ends_with(CARGO_DENY)) {
        let version = format!("cargo-deny@{CARGO_DENY}");
        // Unoptimised: it builds in a third of the time and answers as fast as anyone needs.
        let mut install = workspace.cargo(&["install", "--debug", "--locked", "--root", "target/tools", &version]);
        install.env("CARGO_PROFILE_DEV_DEBUG", "false");
        shell::run(install)?;
    }
    Ok(program)
}

/// The Python tools of the template checks and of the tests against an emulated AWS: moto's server, cargo-lambda with
/// its linker, cfn-lint, the SAM translator.
pub(crate) fn test_venv(workspace: &Workspace) -> Result<PathBuf> {
    venv(workspace, "target/venv", "xtask/requirements.txt")
}

/// checkov, apart, because it holds back versions the others need.
pub(crate) fn checkov_venv(workspace: &Workspace) -> Result<PathBuf> {
    venv(workspace, "target/venv-checkov", "xtask/requirements-checkov.txt")
}

/// A Python environment with just these requirements; made anew when they changed.
fn venv(workspace: &Workspace, folder: &str, requirements: &str) -> Result<PathBuf> {
    let (venv, stamp) = (workspace.path(folder), workspace.path(folder).join("installed.txt"));
    let wanted =
        fs::read_to_string(workspace.path(requirements)).with_context(|| format!("reading `{requirements}`"))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(venv);
    }
    python(workspace)?;
    shell::run(workspace.command("python3", &["-m", "venv", "--clear", folder]))?;
    // Every version is pinned, those of dependencies too, so there is nothing for pip to resolve.
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", requirements];
    shell::run(workspace.command(venv.join("bin/python"), &pip))?;
    shell::run(workspace.command(venv.join("bin/python"), &["-m", "pip", "check"]))?;
    fs::write(&stamp, wanted).with_context(|| format!("writing `{}`", stamp.display()))?;
    Ok(venv)
}

/// Python with its module for environments, which Debian packs apart.
fn python(workspace: &Workspace) -> Result<()> {
    let has_venv = || shell::succeeds(workspace.command("python3", &["-c", "import venv, ensurepip"]));
    if !has_venv() {
        debian(workspace, &["python3", "python3-venv"])?;
    }
    let recent = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"];
    ensure!(has_venv(), "`python3 -m venv` does not work; install python3-venv");
    ensure!(shell::succeeds(workspace.command("python3", &recent)), "python3 is older than 3.11; install a newer one");
    Ok(())
}

/// Installs Debian packages, as root or through sudo.
fn debian(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    ensure!(shell::succeeds(workspace.command("apt-get", &["--version"])), "no apt-get here; install by hand: {list}");
    let is_root = shell::output(workspace.command("id", &["-u"]))?.trim() == "0";
    if !is_root && !shell::succeeds(workspace.command("sudo", &["-n", "true"])) {
        bail!("not root, and sudo asks for a password; run: sudo apt-get install {list}");
    }
    say(&format!("installing Debian packages: {list}"));
    let apt = |arguments: &[&str]| {
        let mut command = if is_root {
            workspace.command("apt-get", &[])
        } else {
            workspace.command("sudo", &["--preserve-env=DEBIAN_FRONTEND", "apt-get"])
        };
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        shell::run(command)
    };
    apt(&["update", "--quiet=2"])?;
    apt(&[&["install", "--yes", "--no-install-recommends", "--quiet=2"], packages].concat())
}
