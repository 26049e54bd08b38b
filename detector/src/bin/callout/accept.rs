//! `callout accept`: what a finding is about is learned as normal from now on.

use anyhow::anyhow;
use detector::write::{rfc3339, visible};

use crate::args;
use crate::console::{Failure, Hint as _, Status, to_stdout};
use crate::engine::{Held, Open};
use crate::settings::existing_baseline;

/// Digits of an id that must be given: fewer may soon be another finding's too.
const LEAST_DIGITS: usize = 8;

/// Ids offered when the one typed is unknown.
const OFFERED: usize = 4;

/// Digits two ids must begin with in common to be near each other.
const NEAR_DIGITS: usize = 4;

const WHERE_FROM: &str = "the id is the last line of a finding (`id` in JSON); `callout inspect --baseline DIR FUNCTION` \
                          shows what is under which";

const HOLDS_NOTHING: &str = "what `scan` found is in no baseline, and findings about volumes, lists and scans hold nothing back: a \
                             suppression in --config hides those";

pub(crate) fn run(typed: &args::Accept) -> Result<Status, Failure> {
    existing_baseline(&typed.baseline)?;
    let digits = digits(&typed.id)?;
    let open = Open::load(&typed.baseline)?;
    let text = match choose(&open.held, &digits)? {
        Some(finding) => {
            let lines = open.held.iter().filter(|held| held.finding == finding);
            let lines: Vec<String> = lines.map(line).collect();
            let what = if typed.dry_run {
                format!("{finding:032x} would be accepted; normal would be")
            } else {
                open.accept(&typed.baseline, finding)?;
                format!("accepted {finding:032x}; normal from now on")
            };
            format!("{what}:\n{}", lines.join("\n"))
        }
        None if open.is_accepted(&digits) => {
            format!("{digits} was accepted before; nothing to do")
        }
        None => return Err(unknown(&open.held, &digits)),
    };
    let text: Vec<_> = text.lines().map(visible).collect();
    to_stdout(format!("{}\n", text.join("\n")).as_bytes())?;
    Ok(Status::Done)
}

/// What becomes normal, and since when it is known: something may have come to a finding after it was read.
fn line(held: &Held) -> String {
    format!("  {} to {}, since {}", held.function, held.words, rfc3339(held.since))
}

/// The id as it is written in findings: hex digits in lower case.
fn digits(typed: &str) -> Result<String, Failure> {
    let digits = typed.trim().to_ascii_lowercase();
    if digits.len() <= 32 && digits.len() >= LEAST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(anyhow!("`{typed}` is no finding's id: it must be {LEAST_DIGITS} to 32 hex digits")).hint(WHERE_FROM)
}

/// The finding whose id begins with the digits; `None` when there is none.
fn choose(held: &[Held], digits: &str) -> Result<Option<u128>, Failure> {
    let mut fitting: Vec<u128> =
        held.iter().map(|held| held.finding).filter(|id| format!("{id:032x}").starts_with(digits)).collect();
    fitting.dedup();
    match fitting[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(anyhow!("`{digits}` begins the ids of {} findings", fitting.len())).hint("give more of its digits"),
    }
}

fn unknown(held: &[Held], digits: &str) -> Failure {
    let error = anyhow!("no finding `{digits}` holds anything back in this baseline");
    let is_near = |held: &&Held| format!("{:032x}", held.finding).get(..NEAR_DIGITS) == digits.get(..NEAR_DIGITS);
    let mut near: Vec<String> =
        held.iter().filter(is_near).map(|held| format!("{:032x} of {}", held.finding, held.function)).collect();
    near.dedup();
    near.truncate(OFFERED);
    let hint = if !near.is_empty() {
        format!("did you mean {}?", near.join(" or "))
    } else if held.is_empty() {
        "nothing is under a finding in it: `scan` stores nothing, and findings about volumes, lists and sweeps hold nothing back".to_owned()
    } else {
        format!("{WHERE_FROM}; {HOLDS_NOTHING}")
    };
    Failure { error, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u128 = 0xd3b5_5222_0000_0000_0000_0000_0000_0001;
    const SECOND: u128 = 0xd3b5_5222_0000_0000_0000_0000_0000_0002;

    fn held(finding: u128) -> Held {
        Held {
            finding,
            owner: 0,
            function: "support-agent".into(),
            words: "AS64500 (203.0.113.77 port 443/tcp)".into(),
            since: 1_774_863_000,
        }
    }

    #[test]
    fn an_id_is_chosen_whole_or_by_its_beginning() {
        let all = [held(FIRST), held(FIRST), held(0x77 << 120)];
        let chosen = |digits: &str| choose(&all, digits).ok().flatten();
        assert_eq!(chosen("d3b55222000000000000000000000001"), Some(FIRST));
        assert_eq!(chosen("d3b55222"), Some(FIRST), "two things under one finding are one finding");
        assert_eq!(chosen("77000000"), Some(0x77 << 120));
        assert_eq!(chosen("12345678"), None);
        let failure = choose(&[held(FIRST), held(SECOND)], "d3b55222").expect_err("two begin so");
        assert_eq!(failure.error.to_string(), "`d3b55222` begins the ids of 2 findings");
    }

    #[test]
    fn what_becomes_normal_is_dated() {
        let expected = "  support-agent to AS64500 (203.0.113.77 port 443/tcp), since 2026-03-30T09:30:00Z";
        assert_eq!(line(&held(FIRST)), expected);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for typed in ["", "d3b5522", "support-agent", "d3b55222000000000000000000000001f"] {
            assert!(digits(typed).is_err(), "{typed}");
        }
        assert_eq!(digits(" D3B55222 ").ok().as_deref(), Some("d3b55222"));
    }

    #[test]
    fn near_ids_are_offered() {
        let hint = |held: &[Held], digits: &str| unknown(held, digits).hint.unwrap_or_default();
        let near = hint(&[held(FIRST)], "d3b5ffff");
        assert_eq!(near, "did you mean d3b55222000000000000000000000001 of support-agent?");
        assert_eq!(hint(&[held(FIRST)], "12345678"), format!("{WHERE_FROM}; {HOLDS_NOTHING}"));
        assert!(hint(&[], "12345678").starts_with("nothing is under a finding"));
    }
}
