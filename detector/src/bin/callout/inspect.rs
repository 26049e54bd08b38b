//! `callout inspect`: show what a baseline knows.

use anyhow::anyhow;
use detector::write::inspect::{self, Detail};

use crate::args;
use crate::console::{Failure, Hint as _, Status, stdout_look, to_stdout};
use crate::engine;
use crate::settings::existing_baseline;

/// Names offered when the one typed is unknown.
const OFFERED: usize = 8;

pub(crate) fn run(typed: &args::Inspect) -> Result<Status, Failure> {
    existing_baseline(&typed.baseline)?;
    let known = engine::inspect(&typed.baseline)?;
    let look = stdout_look(typed.color);
    let text = match &typed.function {
        None => {
            let rows: Vec<_> = known.into_iter().map(|detail| detail.function).collect();
            inspect::functions(&rows, look)
        }
        Some(name) => inspect::function(find(&known, name)?, look),
    };
    to_stdout(format!("{text}\n").as_bytes())?;
    Ok(Status::Done)
}

/// The function of that name; an ARN counts by its last part.
fn find<'a>(known: &'a [Detail], typed: &str) -> Result<&'a Detail, Failure> {
    let name = match typed.strip_prefix("arn:") {
        Some(arn) => arn.rsplit(':').next().unwrap_or(typed),
        None => typed,
    };
    let wanted = |detail: &&Detail| detail.function.name == typed || detail.function.name == name;
    known.iter().find(wanted).ok_or_else(|| anyhow!("`{typed}` is not in this baseline")).hint(offer(known, name))
}

fn offer(known: &[Detail], name: &str) -> String {
    let names: Vec<&str> = known.iter().map(|detail| detail.function.name.as_str()).collect();
    let alike: Vec<&str> = names.iter().copied().filter(|known| known.contains(name) || name.contains(known)).collect();
    let offered = if alike.is_empty() { names } else { alike };
    if offered.is_empty() {
        return "the baseline knows no function yet".into();
    }
    let more = if offered.len() > OFFERED { " …" } else { "" };
    format!("it knows {}{more}", offered.into_iter().take(OFFERED).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use detector::write::inspect::{Function, State};

    fn known(name: &str) -> Detail {
        Detail {
            function: Function {
                name: name.into(),
                state: State::Ready,
                since: 0,
                last_seen: 0,
                n_windows: 0,
                n_destinations: 0,
                n_networks: 0,
            },
            networks: Vec::new(),
            volumes: Vec::new(),
            hours: [0; 24],
            notes: Vec::new(),
        }
    }

    #[test]
    fn functions_are_found_by_name_and_arn() {
        let all = [known("activities-api"), known("routes-api")];
        for typed in ["routes-api", "arn:aws:lambda:eu-west-1:111122223333:function:routes-api"] {
            assert_eq!(find(&all, typed).map(|d| d.function.name.clone()).ok().as_deref(), Some("routes-api"));
        }
    }

    #[test]
    fn names_alike_are_offered() {
        let all = [known("activities-api"), known("routes-api")];
        let hint = |typed: &str| find(&all, typed).expect_err(typed).hint.unwrap_or_default();
        assert_eq!(hint("routes"), "it knows routes-api");
        assert_eq!(hint("x"), "it knows activities-api, routes-api");
        assert_eq!(find(&[], "x").expect_err("empty").hint.as_deref(), Some("the baseline knows no function yet"));
    }
}
