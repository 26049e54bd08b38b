//! The step that compares what the documentation shows with what the program prints.
//!
//! A shown output stands between two markers, and the first says the command:
//!
//! ````text
//! <!-- output of: callout replay --help -->
//! ```text
//! …
//! ```
//! <!-- end of output -->
//! ````
//!
//! Only `callout` is run, in the workspace's root, and only its stdout is shown.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};

use crate::rust;
use crate::shell::{self, Workspace, say};
use crate::tally::Tally;

/// The pages that may show outputs.
const PAGES: [&str; 4] = ["README.md", "docs/deploy.md", "docs/detection.md", "sample-logs/README.md"];

const BEGIN: &str = "<!-- output of: ";
const END: &str = "<!-- end of output -->";

/// Fails where a page shows something else than the program prints.
pub(crate) fn fresh(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    each_page(workspace, |page, shown, printed, blocks| {
        if let Some((line, (old, new))) =
            (1..).zip(shown.lines().zip(printed.lines())).find(|(_, (old, new))| old != new)
        {
            bail!("{page}:{line} shows\n  {old}\nthe program prints\n  {new}\n`cargo xtask generate` renews it");
        }
        ensure!(shown == printed, "{page} is stale at its end; `cargo xtask generate` renews it");
        say(&format!("{page}: {blocks} outputs are fresh"));
        tally.passed += blocks;
        Ok(())
    })
}

/// Writes what the program prints into the pages.
pub(crate) fn rewrite(workspace: &Workspace, _: &mut Tally) -> Result<()> {
    each_page(workspace, |page, shown, printed, blocks| {
        say(&format!("{page}: {blocks} outputs, {}", if shown == printed { "fresh" } else { "renewed" }));
        fs::write(workspace.path(page), printed).with_context(|| format!("writing `{page}`"))
    })
}

fn each_page(workspace: &Workspace, mut each: impl FnMut(&str, &str, &str, u64) -> Result<()>) -> Result<()> {
    let callout = rust::callout(workspace)?;
    for page in PAGES {
        let shown = fs::read_to_string(workspace.path(page)).with_context(|| format!("reading `{page}`"))?;
        let (printed, blocks) = renew(&shown, |command| {
            let Some(("callout", arguments)) = command.split_once(' ') else {
                bail!("{page}: `{command}` is not a `callout` command");
            };
            let mut shown = workspace.command(&callout, &arguments.split_whitespace().collect::<Vec<_>>());
            shown.env_remove("COLUMNS").env("NO_COLOR", "1");
            shell::output(shown)
        })
        .with_context(|| page.to_owned())?;
        if blocks > 0 {
            each(page, &shown, &printed, blocks)?;
        }
    }
    Ok(())
}

/// The page with every shown output replaced by what `print` gives for its command, and how many there are.
fn renew(page: &str, mut print: impl FnMut(&str) -> Result<String>) -> Result<(String, u64)> {
    let (mut renewed, mut rest, mut blocks) = (String::new(), page, 0);
    while let Some((before, from_marker)) = rest.split_once(BEGIN) {
        let (command, after) = from_marker.split_once(" -->").context("a marker without its `-->`")?;
        let (_, after) = after.split_once(END).with_context(|| format!("no `{END}` after `{command}`"))?;
        let printed = print(command)?;
        let printed = printed.trim_end();
        renewed += &[before, BEGIN, command, " -->\n```text\n", printed, "\n```\n", END].concat();
        (rest, blocks) = (after, blocks + 1);
    }
    Ok((renewed + rest, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &str, expected: &str, blocks: u64) {
        let renewed = renew(page, |command| Ok(format!("[{command}]\n"))).unwrap();
        assert_eq!(renewed, (expected.to_owned(), blocks));
    }

    #[test]
    fn outputs_are_replaced_and_all_else_stays() {
        check("nothing shown\n", "nothing shown\n", 0);
        let fresh =
            "a\n<!-- output of: callout --help -->\n```text\n[callout --help]\n```\n<!-- end of output -->\nb\n";
        check(fresh, fresh, 1);
        let stale = "a\n<!-- output of: callout --help --> old <!-- end of output -->\nb\n";
        check(stale, fresh, 1);
    }

    #[test]
    fn a_marker_without_its_end_is_an_error() {
        assert!(renew("<!-- output of: callout x -->\n", |_| Ok(String::new())).is_err());
        assert!(renew("<!-- output of: callout x", |_| Ok(String::new())).is_err());
    }
}
