//! The door: what one function holds while it is warm, and what one invocation needs.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use detector::finding::Finding;

use crate::alerts::{Alerts, Delivered};
use crate::knowledge::{self, World};
use crate::learn;
use crate::memory;
use crate::settings::Settings;
use crate::state::State;
use crate::walk::Sets;
use crate::watch::{Metrics, now_millis, now_secs};

/// The longest an invocation may take. Source: AWS Lambda quotas, 900 s.
const MAX_MILLIS: i64 = 900_000;

/// An error with its causes, once, in one line.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// What stays between invocations.
pub(crate) struct Door {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    pub(crate) memory: memory::Cache,
    pub(crate) sets: Sets,
    knowledge: knowledge::Cache,
    sns: aws_sdk_sns::Client,
}

/// One invocation.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) request: String,
    /// When Lambda ends it, Unix milliseconds.
    pub(crate) deadline_millis: i64,
    /// How long it had in all.
    pub(crate) millis_granted: i64,
    pub(crate) metrics: Metrics,
    /// Keys of the observations stored.
    pub(crate) stored: Vec<String>,
    /// The newest record seen, Unix seconds.
    pub(crate) newest: Option<i64>,
}

impl Invocation {
    pub(crate) fn new(request: &str, deadline_millis: i64) -> Self {
        let now = now_millis();
        // An emulator may not know; a deadline that has passed already is none.
        let deadline_millis = if deadline_millis > now { deadline_millis } else { now + MAX_MILLIS };
        Self {
            request: request.to_owned(),
            deadline_millis,
            millis_granted: deadline_millis - now,
            metrics: Metrics::default(),
            stored: Vec::new(),
            newest: None,
        }
    }

    pub(crate) fn millis_left(&self) -> i64 {
        self.deadline_millis - now_millis()
    }
}

impl Door {
    pub(crate) fn new(settings: Settings, config: &SdkConfig) -> Self {
        let mut s3 = aws_sdk_s3::config::Builder::from(config);
        if let Some(region) = &settings.region {
            s3 = s3.region(aws_sdk_s3::config::Region::new(region.clone()));
        }
        // An emulator has no names for buckets; AWS takes both forms.
        let s3 = s3.force_path_style(config.endpoint_url().is_some()).build();
        let state = State::new(aws_sdk_s3::Client::from_conf(s3), &settings.bucket, &settings.prefix);
        Self {
            settings,
            state,
            memory: memory::Cache::default(),
            sets: Sets::default(),
            knowledge: knowledge::Cache::default(),
            sns: aws_sdk_sns::Client::new(config),
        }
    }

    /// Settings and knowledge, as fresh as a minute.
    pub(crate) async fn world(&mut self) -> anyhow::Result<World> {
        self.knowledge.world(&self.state, &self.settings).await
    }

    /// Delivers the findings that differ from what `told` knows as told; gives what needs nothing more after it.
    ///
    /// All are tried, so that one that cannot be stored holds up no other; the first error is given beside it.
    pub(crate) async fn deliver(
        &self,
        invocation: &mut Invocation,
        world: &World,
        findings: &[Finding],
        told: &BTreeMap<String, String>,
    ) -> (BTreeMap<String, String>, anyhow::Result<()>) {
        let alerts = Alerts {
            state: self.state.clone(),
            sns: self.sns.clone(),
            topic: self.settings.topic.clone().unwrap_or_default(),
            format: self.settings.alert_format,
            repeat_secs: i64::try_from(world.config.repeat_interval_secs).unwrap_or(i64::MAX),
            by: invocation.request.clone(),
            deadline_millis: invocation.deadline_millis,
        };
        let (mut settled, mut first_error) = (told.clone(), None);
        for finding in findings {
            let (id, digest) = (finding.id.to_string(), learn::digest(finding));
            if told.get(&id) == Some(&digest) {
                continue;
            }
            match alerts.deliver(finding, told.contains_key(&id)).await {
                Ok(delivered) => {
                    if delivered == Delivered::Told {
                        invocation.metrics.count("Alerts", 1);
                        invocation.metrics.secs("AlertLag", (now_secs() - finding.last_seen).max(0) as f64);
                        tracing::info!(
                            finding = id,
                            check = finding.check.as_str(),
                            severity = finding.severity.value(),
                            count = finding.count,
                            title = finding.title,
                            "alert sent"
                        );
                    }
                    invocation.metrics.count("FindingsChanged", 1);
                    if delivered == Delivered::Later {
                        settled.remove(&id);
                    } else {
                        settled.insert(id, digest);
                    }
                }
                Err(error) => {
                    invocation.metrics.count("AlertErrors", 1);
                    tracing::error!(
                        finding = id,
                        error = chain(&error),
                        "a finding was not delivered; it is tried again"
                    );
                    settled.remove(&id);
                    first_error.get_or_insert(error);
                }
            }
        }
        (settled, first_error.map_or(Ok(()), Err))
    }
}
