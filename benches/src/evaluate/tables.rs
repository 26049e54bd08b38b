//! Verdicts as aligned text, at most 80 columns wide.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use detector::drill::letters::Shape;

use super::judge::{Judged, Verdicts};
use crate::calendar::{HOUR, MINUTE, Secs};

/// Renders all tables: methods beside each other, then the details of the first method.
pub(super) fn render(methods: &[(String, Verdicts)]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the result is dropped in one place.
    write_all(&mut out, methods).ok();
    out
}

fn write_all(out: &mut String, methods: &[(String, Verdicts)]) -> std::fmt::Result {
    summary(out, methods)?;
    recall(out, methods)?;
    if let Some((name, verdicts)) = methods.first() {
        shapes(out, name, verdicts)?;
        causes(out, name, verdicts)?;
        calibration(out, name, verdicts)?;
    }
    Ok(())
}

fn summary(out: &mut String, methods: &[(String, Verdicts)]) -> std::fmt::Result {
    writeln!(
        out,
        "{:<26}{:>9}{:>9}{:>9}{:>9}{:>16}",
        "method", "found", "alerts", "false", "allowed", "false/fn-week"
    )?;
    for (name, v) in methods {
        let found = v.outcomes.iter().filter(|o| o.found.is_some()).count();
        let n_false = v.alerts.iter().filter(|a| !a.is_true).count();
        let allowed = v.alerts.iter().filter(|a| a.allowed).count();
        let rate = (n_false - allowed) as f64 / v.function_weeks.max(f64::MIN_POSITIVE);
        let found = format!("{found}/{}", v.outcomes.len());
        writeln!(out, "{name:<26}{found:>9}{:>9}{n_false:>9}{allowed:>9}{rate:>16.4}", v.alerts.len())?;
    }
    writeln!(out, "allowed: the first alert about a new endpoint, a rare job, a change of owner;")?;
    writeln!(out, "the rate leaves them out and counts time after the week of warm-up.\n")
}

fn recall(out: &mut String, methods: &[(String, Verdicts)]) -> std::fmt::Result {
    let all: BTreeSet<Shape> = methods.iter().flat_map(|(_, v)| v.outcomes.iter().map(|o| o.shape)).collect();
    write!(out, "{:<26}", "share found, by shape")?;
    for shape in &all {
        write!(out, "{:>3}", shape.letter())?;
    }
    writeln!(out)?;
    for (name, v) in methods {
        write!(out, "{name:<26}")?;
        for shape in &all {
            let of_shape: Vec<bool> =
                v.outcomes.iter().filter(|o| o.shape == *shape).map(|o| o.found.is_some()).collect();
            let share = of_shape.iter().filter(|f| **f).count() * 100 / of_shape.len().max(1);
            // Tenths, in the three columns there are: `10` is all.
            write!(out, "{:>3}", share / 10)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "in tenths, rounded down; 10 is all\n")
}

fn shapes(out: &mut String, name: &str, v: &Verdicts) -> std::fmt::Result {
    writeln!(out, "{name}: {:<6}{:>8}{:>10}{:>10}  named by", "shape", "found", "contact", "raised")?;
    let all: BTreeSet<Shape> = v.outcomes.iter().map(|o| o.shape).collect();
    let indent = name.len() + 2;
    for shape in all {
        let of_shape: Vec<_> = v.outcomes.iter().filter(|o| o.shape == shape).collect();
        let found: Vec<(Secs, Secs)> = of_shape.iter().filter_map(|o| o.found).collect();
        let checks: BTreeSet<&str> = of_shape.iter().flat_map(|o| o.checks.iter().map(String::as_str)).collect();
        let mut checks: String = checks.into_iter().collect::<Vec<_>>().join(" ");
        checks.truncate(80_usize.saturating_sub(indent + 36));
        let share = format!("{}/{}", found.len(), of_shape.len());
        let contact = span(median(found.iter().map(|f| f.0)));
        let raised = span(median(found.iter().map(|f| f.1)));
        writeln!(out, "{:indent$}{:<6}{share:>8}{contact:>10}{raised:>10}  {checks}", "", shape.letter())?;
    }
    writeln!(out, "contact, raised: median time from the call-out's start to the first contact")?;
    writeln!(out, "named, and to the end of the window that raised the alert\n")
}

fn causes(out: &mut String, name: &str, v: &Verdicts) -> std::fmt::Result {
    let mut causes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for alert in v.alerts.iter().filter(|a| !a.is_true) {
        let cause = causes.entry(&alert.cause).or_default();
        cause.0 += 1;
        cause.1 += usize::from(alert.allowed);
    }
    writeln!(out, "{:<40}{:>9}{:>9}{:>16}", format!("{name}: false, by cause"), "alerts", "allowed", "per fn-week")?;
    for (cause, (n, allowed)) in causes {
        let rate = n as f64 / v.function_weeks.max(f64::MIN_POSITIVE);
        writeln!(out, "  {cause:<38}{n:>9}{allowed:>9}{rate:>16.4}")?;
    }
    writeln!(out)
}

fn calibration(out: &mut String, name: &str, v: &Verdicts) -> std::fmt::Result {
    let mut rows: BTreeMap<String, Vec<&Judged>> = BTreeMap::new();
    for alert in &v.alerts {
        if let Some(confidence) = alert.confidence {
            let decile = (confidence * 10.0).floor().clamp(0.0, 9.0) / 10.0;
            rows.entry(format!("confidence {decile:.1}-{:.1}", decile + 0.1)).or_default().push(alert);
        }
        if let Some(severity) = &alert.severity {
            rows.entry(format!("severity {severity}")).or_default().push(alert);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "{:<40}{:>9}{:>9}", format!("{name}: calibration"), "alerts", "true")?;
    for (row, alerts) in rows {
        let share = alerts.iter().filter(|a| a.is_true).count() as f64 / alerts.len() as f64;
        writeln!(out, "  {row:<38}{:>9}{:>8.0}%", alerts.len(), 100.0 * share)?;
    }
    Ok(())
}

fn median(values: impl Iterator<Item = Secs>) -> Option<Secs> {
    let mut values: Vec<Secs> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn span(secs: Option<Secs>) -> String {
    match secs {
        None => "-".to_owned(),
        Some(s) if s < 2 * HOUR => format!("{} min", s / MINUTE),
        Some(s) => format!("{} h", s / HOUR),
    }
}
