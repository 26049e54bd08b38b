//! Watching itself: one line of JSON for each thing worth telling, and numbers in `CloudWatch`'s embedded metric
//! format.
//!
//! What it does not do: it calls no service. Lambda takes both from the standard output.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The namespace of all metrics.
const NAMESPACE: &str = "Callout";

/// Metrics a line of the embedded format may hold. Source: `CloudWatch` embedded metric format specification.
const MAX_METRICS: usize = 100;

/// Sets up the log: JSON lines, level by `CALLOUT_LOG` or `RUST_LOG`, `info` by default.
pub(crate) fn start() {
    let level = std::env::var("CALLOUT_LOG").or_else(|_| std::env::var("RUST_LOG"));
    let filter = tracing_subscriber::EnvFilter::new(level.unwrap_or_else(|_| "info".to_owned()));
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_span_list(false);
    log.with_env_filter(filter).with_ansi(false).with_target(false).init();
}

/// Seconds since the Unix epoch. Only doors may look at a clock.
pub(crate) fn now_secs() -> i64 {
    now_millis() / 1000
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Numbers of one invocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metrics(Vec<(&'static str, &'static str, f64)>);

impl Metrics {
    /// Adds to a count.
    pub(crate) fn count(&mut self, name: &'static str, n: u64) {
        self.add(name, "Count", n as f64);
    }

    /// Notes a number of seconds; of several the largest.
    pub(crate) fn secs(&mut self, name: &'static str, secs: f64) {
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, value)) => *value = value.max(secs),
            None => self.0.push((name, "Seconds", secs)),
        }
    }

    fn add(&mut self, name: &'static str, unit: &'static str, n: f64) {
        match self.0.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, value)) => *value += n,
            None => self.0.push((name, unit, n)),
        }
    }

    /// The line `CloudWatch` makes metrics of.
    pub(crate) fn line(&self, function: &str, role: &str, request: &str, now_millis: i64) -> String {
        let told = || self.0.iter().take(MAX_METRICS);
        let metrics: Vec<Value> = told().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({"Timestamp": now_millis, "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [["Function", "Role"]], "Metrics": metrics}]}),
        );
        line.insert("Function".to_owned(), json!(function));
        line.insert("Role".to_owned(), json!(role));
        line.insert("RequestId".to_owned(), json!(request));
        line.extend(told().map(|(name, _, value)| ((*name).to_owned(), json!(value))));
        Value::Object(line).to_string()
    }

    /// Prints the line.
    #[expect(clippy::print_stdout, reason = "the standard output is where CloudWatch reads metrics")]
    pub(crate) fn print(&self, function: &str, role: &str, request: &str) {
        println!("{}", self.line(function, role, request, now_millis()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_of_the_embedded_format() {
        let mut metrics = Metrics::default();
        metrics.count("Objects", 1);
        metrics.count("Objects", 2);
        metrics.secs("Lag", 4.0);
        metrics.secs("Lag", 3.0);
        let line: Value = serde_json::from_str(&metrics.line("f", "detect", "r", 7)).unwrap();
        assert_eq!((&line["Objects"], &line["Lag"], &line["_aws"]["Timestamp"]), (&json!(3.0), &json!(4.0), &json!(7)));
        let declared = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            declared["Metrics"],
            json!([{"Name": "Objects", "Unit": "Count"}, {"Name": "Lag", "Unit": "Seconds"}])
        );
        for dimension in declared["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap()) {
            assert!(line[dimension.as_str().unwrap()].is_string());
        }
    }
}
