//! `callout inspect`: show what a baseline knows.

use anyhow::anyhow;
use detector::write::inspect::{self, Detail};

use crate::args;
use crate::console::{Failure, Hint as _, Status, offered, stdout_look, to_stdout};
use crate::engine;
use crate::settings::{config, existing_baseline};

pub(crate) fn run(typed: &args::Inspect) -> Result<Status, Failure> {
    existing_baseline(&typed.baseline)?;
    let config = config(typed.config.as_deref(), typed.warm_up.as_deref())?;
    let known = engine::inspect(&typed.baseline, &config)?;
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

/// The function of a name or an ARN; of functions that share an interface, one is enough. A version behind an ARN says
/// nothing.
fn find<'a>(known: &'a [Detail], typed: &str) -> Result<&'a Detail, Failure> {
    let parts: Vec<&str> = typed.split(':').collect();
    let arn =
        parts.get(..7).filter(|_| typed.starts_with("arn:")).map_or_else(|| typed.to_owned(), |arn| arn.join(":"));
    let short = |id: &str| id.rsplit(':').next().unwrap_or_default().to_owned();
    let is_whole = |detail: &&Detail| detail.function.name == typed || detail.function.ids.contains(&arn);
    let is_named = |detail: &&Detail| detail.function.ids.iter().any(|id| short(id) == typed);
    if let Some(detail) = known.iter().find(is_whole) {
        return Ok(detail);
    }
    let named: Vec<&Detail> = known.iter().filter(is_named).collect();
    match named.as_slice() {
        [one] => Ok(one),
        [] => Err(anyhow!("`{typed}` is not in this baseline")).hint(offer(known, &short(&arn))),
        several => Err(anyhow!("`{typed}` is the name of {} functions in this baseline", several.len()))
            .hint(format!("give one's ARN: {}", offered(several.iter().map(|detail| detail.function.name.as_str())))),
    }
}

fn offer(known: &[Detail], name: &str) -> String {
    let names: Vec<&str> = known.iter().map(|detail| detail.function.name.as_str()).collect();
    let alike: Vec<&str> = names.iter().copied().filter(|known| known.contains(name) || name.contains(known)).collect();
    let names = if alike.is_empty() { names } else { alike };
    if names.is_empty() {
        return "the baseline knows no function yet".into();
    }
    format!("it knows {}", offered(names.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use detector::write::inspect::{Function, State};

    fn known(name: &str) -> Detail {
        Detail {
            function: Function {
                name: name.into(),
                ids: vec![format!("arn:aws:lambda:eu-west-1:111122223333:function:{name}")],
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
        let arn = "arn:aws:lambda:eu-west-1:111122223333:function:routes-api";
        for typed in ["routes-api", arn, &format!("{arn}:$LATEST")] {
            assert_eq!(find(&all, typed).map(|d| d.function.name.clone()).ok().as_deref(), Some("routes-api"));
        }
    }

    #[test]
    fn of_one_name_in_two_accounts_each_is_found_by_its_arn_and_neither_by_the_name() {
        let arn = |account: &str| format!("arn:aws:lambda:eu-west-1:{account}:function:api");
        let of = |account: &str| {
            let mut detail = known("api");
            (detail.function.name, detail.function.ids) = (arn(account), vec![arn(account)]);
            detail
        };
        let all = [of("111122223333"), of("999900001111")];
        for account in ["111122223333", "999900001111"] {
            let found = find(&all, &arn(account)).map(|detail| detail.function.name.clone());
            assert_eq!(found.ok(), Some(arn(account)));
        }
        assert!(find(&all, &arn("444455556666")).is_err());
        let failure = find(&all, "api").expect_err("two have that name");
        assert_eq!(failure.error.to_string(), "`api` is the name of 2 functions in this baseline");
    }

    #[test]
    fn one_of_those_that_share_an_interface_is_enough() {
        let mut shared = known("alpha, gamma");
        shared.function.ids = ["alpha", "gamma"].map(|name| format!("arn:aws:lambda:x:1:function:{name}")).to_vec();
        let all = [shared];
        for typed in ["alpha", "gamma", "alpha, gamma", "arn:aws:lambda:x:1:function:gamma"] {
            assert!(find(&all, typed).is_ok(), "{typed}");
        }
    }

    #[test]
    fn names_alike_are_offered() {
        let all = [known("activities-api"), known("routes-api")];
        let hint = |typed: &str| find(&all, typed).expect_err(typed).hint.unwrap_or_default();
        assert_eq!(hint("routes"), "it knows routes-api");
        assert_eq!(hint("x"), "it knows activities-api; routes-api");
        assert_eq!(find(&[], "x").expect_err("empty").hint.as_deref(), Some("the baseline knows no function yet"));
    }
}
