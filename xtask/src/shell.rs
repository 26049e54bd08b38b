//! Running programs: in the workspace's root, echoed, their failure an error that names them.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Prints one line of the account of the run.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed the pipe has read enough; the exit status still answers.
    drop(writeln!(stdout, "{line}").and_then(|()| stdout.flush()));
}

/// The folder of the workspace, where everything runs.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is a folder of the workspace")?;
        ensure!(root.join("Cargo.lock").exists(), "{} is no workspace any more", root.display());
        Ok(Self { root: root.to_owned() })
    }

    /// A path below the root.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A command that runs in the root.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// `cargo` with these arguments: the cargo that runs this program.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
    }
}

/// Runs the command with its output shown; anything but success is an error.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let line = line_of(&command);
    say(&format!("$ {line}"));
    let status = command.status().with_context(|| format!("`{line}` did not start"))?;
    if !status.success() {
        bail!("`{line}`: {status}");
    }
    Ok(())
}

/// Runs the command and gives its stdout; anything but success is an error with what it said on stderr.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let line = line_of(&command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("`{line}` did not start"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{line}`: {}\n{}", output.status, stderr.trim_end());
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed what is not UTF-8"))
}

/// Runs the command, showing its output and giving each line of its stdout to `each`.
pub(crate) fn watch(mut command: Command, mut each: impl FnMut(&str)) -> Result<()> {
    let line = line_of(&command);
    say(&format!("$ {line}"));
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("`{line}` did not start"))?;
    if let Some(stdout) = child.stdout.take() {
        for printed in BufReader::new(stdout).split(b'\n') {
            let printed = printed.with_context(|| format!("reading what `{line}` prints"))?;
            let printed = String::from_utf8_lossy(&printed);
            say(&printed);
            each(&printed);
        }
    }
    let status = child.wait().with_context(|| format!("waiting for `{line}`"))?;
    ensure!(status.success(), "`{line}`: {status}");
    Ok(())
}

/// Whether the command runs and succeeds; its output is not shown.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn failure_is_an_error_that_names_the_command_and_its_stderr() {
        let error = output(sh("echo reason >&2; exit 3")).unwrap_err().to_string();
        assert!(error.contains("exit 3") && error.contains("reason"), "{error}");
        assert!(run(sh("exit 1")).is_err());
        assert!(!succeeds(sh("exit 1")));
        assert!(output(Command::new("no-such-program-here")).is_err());
    }

    #[test]
    fn lines_are_given_as_they_come_also_before_a_failure() {
        let mut lines = Vec::new();
        let outcome = watch(sh("echo one; echo two; exit 1"), |line| lines.push(line.to_owned()));
        assert!(outcome.is_err());
        assert_eq!(lines, ["one", "two"]);
    }
}
