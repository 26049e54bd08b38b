//! Alerts: a finding stored once, told once.
//!
//! A finding lives under its id in the state bucket. Whoever changes it does so by conditional put, and only the one
//! who won tells the topic. The notes beside the finding say how far that came:
//!
//! ```text
//!  alert=pending, until=T   somebody is telling; after T that invocation cannot be alive any more and another takes over
//!  alert=sent, told=T       told when the finding's last record was of T, with its severity and the networks it named
//!  alert=none               not told: suppressed, or over before it could be
//! ```
//!
//! So a crash loses no alert. One that falls between the topic's answer and the note `sent` repeats it, with the same
//! id; a FIFO topic drops even that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Context as _;
use aws_sdk_sns::error::DisplayErrorContext;
use aws_sdk_sns::types::MessageAttributeValue;
use baselines::store::sha256;
use bytes::Bytes;
use detector::finding::{Activity, Destination, Finding, Severity, port_words};
use detector::write::{self, Format, json, mail};

use crate::settings::AlertFormat;
use crate::state::{Condition, Put, State, Stored};
use crate::watch::now_millis;

/// The most a message may have with its attributes, in bytes. Source: Amazon SNS quotas, 256 KiB.
const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// Room for the attributes: ten names and values.
const ATTRIBUTES_BYTES: usize = 8 << 10;

/// How often a put is tried anew when another one was first. Each lost round is somebody else's won one.
const MAX_ROUNDS: u32 = 20;

/// Networks of a finding up to which each further one is alerted at once.
const FEW_NETWORKS: usize = 5;

/// The longest that nothing is said of a finding that goes on.
const MOST_SILENT_SECS: i64 = 30 * 86_400;

/// Characters of an attribute's value: a filter policy compares up to 256 bytes.
const ATTRIBUTE_CHARS: usize = 250;

/// What tells the topic.
#[derive(Clone, Debug)]
pub(crate) struct Alerts {
    pub(crate) state: State,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) topic: String,
    pub(crate) format: AlertFormat,
    pub(crate) repeat_secs: i64,
    /// What names this invocation.
    pub(crate) by: String,
    /// When this invocation ends at the latest, Unix milliseconds.
    pub(crate) deadline_millis: i64,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// Stored and told, by this call.
    Told,
    /// Nothing left to do: told before, or suppressed.
    Settled,
    /// To be looked at again: another invocation is telling it, or what is new in it is not due yet.
    Later,
}

impl Alerts {
    /// Stores a finding and tells it if that is due. One that was delivered before and is not stored any more has
    /// expired: it is stored anew, and told when something comes to it.
    pub(crate) async fn deliver(&self, finding: &Finding, was_delivered: bool) -> anyhow::Result<Delivered> {
        let key = format!("findings/{}.json", finding.id);
        for _ in 0..MAX_ROUNDS {
            let there = self.state.get(&key).await?;
            let step = self.step(&key, finding, was_delivered, there.as_ref())?;
            let (bytes, told, alert, becomes) = match step {
                Step::Done(becomes) => return Ok(becomes),
                Step::Write { bytes, told, becomes } => (bytes, told, None, becomes),
                Step::Tell { bytes, told, alert } => (bytes, told, Some(alert), Delivered::Told),
            };
            let condition = there.as_ref().map_or(Condition::Absent, |there| Condition::Is(&there.tag));
            let pending = alert.is_some();
            let notes = match (&there, pending) {
                // Whoever is telling goes on telling.
                (Some(there), false) if there.note("alert").is_some_and(|alert| alert != "none") => there.notes.clone(),
                _ => self.notes(if pending { "pending" } else { "none" }, told),
            };
            let Put::Written(tag) = self.put(&key, &bytes, &notes, condition).await? else { continue };
            let Some(alert) = alert else { return Ok(becomes) };
            if let Err(error) = self.publish(&alert, told).await {
                // Whoever tries next need not wait for our end.
                let mut notes = self.notes("pending", told);
                notes.iter_mut().filter(|(name, _)| name == "until").for_each(|(_, until)| "0".clone_into(until));
                let _told = self.put(&key, &bytes, &notes, Condition::Is(&tag)).await;
                return Err(error);
            }
            self.mark_sent(&key, bytes, tag, Told::of(&alert)).await?;
            return Ok(becomes);
        }
        anyhow::bail!("{}: {MAX_ROUNDS} other writers came first", self.state.uri(&key))
    }

    /// What to do, given what is stored.
    fn step(&self, key: &str, finding: &Finding, was_delivered: bool, there: Option<&Stored>) -> anyhow::Result<Step> {
        let is_hidden = finding.suppressed_by.is_some();
        let text = json::render(finding);
        let Some(there) = there else {
            let (bytes, told) = (text.into(), None);
            return Ok(if is_hidden || was_delivered {
                Step::Write { bytes, told, becomes: Delivered::Settled }
            } else {
                Step::Tell { bytes, told, alert: Box::new(Finding { activity: Activity::Create, ..finding.clone() }) }
            });
        };
        let known = std::str::from_utf8(&there.bytes).context("no text").and_then(|text| Ok(json::parse(text)?));
        let known = known.with_context(|| self.state.uri(key))?;
        // Of as many records, the later word: it was said with more known of everything else.
        let is_newer = rank(finding) >= rank(&known) && text.as_bytes() != &there.bytes[..];
        let newest = if is_newer { finding } else { &known };
        let bytes = if is_newer { Bytes::from(text) } else { there.bytes.clone() };
        let is_hidden = newest.suppressed_by.is_some();
        let told = Told::noted(there);
        let activity = if told.is_none() { Activity::Create } else { Activity::Update };
        let until: i64 = there.note("until").and_then(|until| until.parse().ok()).unwrap_or(0);
        let (is_due, becomes) = match there.note("alert") {
            // Should whoever is telling die, somebody must come back to it.
            Some("pending") if until > now_millis() => (false, Delivered::Later),
            Some("sent") => {
                let repeat_secs = self.repeat_secs.max(1);
                let is_time = |told: Told| newest.last_seen - told.at >= self.silent_secs(newest, told);
                // What somebody added while another was telling is stored already, and still news.
                let is_due =
                    told.map_or(is_newer, |told| is_newer && is_time(told) || Told::of(newest).is_news_after(told));
                // A network nobody was told of is told after the interval, though nothing comes after it.
                let is_untold = !is_hidden && told.is_some_and(|told| Told::of(newest).n_networks > told.n_networks);
                let is_overdue = is_untold && (now_millis() - until) / 1000 >= repeat_secs;
                let becomes = if is_untold { Delivered::Later } else { Delivered::Settled };
                (is_due || is_overdue, becomes)
            }
            // Hidden before: that a list or a suppression went makes no news of what is long over.
            Some("none") => (rank(finding) > rank(&known), Delivered::Settled),
            // Begun by one who is gone.
            _ => (true, Delivered::Settled),
        };
        Ok(match (is_due && !is_hidden, is_newer) {
            (true, _) => {
                let newest = told.map_or_else(|| newest.clone(), |told| news_first(newest, told));
                Step::Tell { bytes, told, alert: Box::new(Finding { activity, ..newest }) }
            }
            (false, true) => Step::Write { bytes, told, becomes },
            (false, false) => Step::Done(becomes),
        })
    }

    /// How long nothing is said of a finding that just goes on: as long as it had lasted when it was told last, within
    /// the interval and a month. What nobody acts on is told less and less often.
    fn silent_secs(&self, finding: &Finding, told: Told) -> i64 {
        let least = self.repeat_secs.max(1);
        let has_lasted = told.at.saturating_sub(finding.first_seen);
        if self.repeat_secs == 0 { least } else { has_lasted.clamp(least, least.max(MOST_SILENT_SECS)) }
    }

    fn notes(&self, alert: &str, told: Option<Told>) -> Vec<(String, String)> {
        let mut notes = vec![
            ("alert".to_owned(), alert.to_owned()),
            ("by".to_owned(), self.by.clone()),
            ("until".to_owned(), self.deadline_millis.to_string()),
        ];
        notes.extend(told.into_iter().flat_map(Told::notes));
        notes
    }

    async fn put(
        &self,
        key: &str,
        bytes: &Bytes,
        notes: &[(String, String)],
        condition: Condition<'_>,
    ) -> anyhow::Result<Put> {
        let notes: Vec<(&str, &str)> = notes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(self.state.put(key, bytes.clone(), &notes, condition).await?)
    }

    /// Notes that the topic knows. What another writer added to the finding meanwhile stays.
    async fn mark_sent(&self, key: &str, mut bytes: Bytes, mut tag: String, told: Told) -> anyhow::Result<()> {
        for _ in 0..MAX_ROUNDS {
            let notes = self.notes("sent", Some(told));
            if let Put::Written(_) = self.put(key, &bytes, &notes, Condition::Is(&tag)).await? {
                return Ok(());
            }
            match self.state.get(key).await? {
                Some(there) if there.note("by") == Some(&*self.by) && there.note("alert") == Some("pending") => {
                    (bytes, tag) = (there.bytes, there.tag);
                }
                // Taken over by somebody who thought us dead, or gone: theirs to note.
                _ => return Ok(()),
            }
        }
        anyhow::bail!("{}: {MAX_ROUNDS} other writers came first", self.state.uri(key))
    }

    async fn publish(&self, finding: &Finding, told: Option<Told>) -> anyhow::Result<()> {
        let message = fitted(finding, |finding| match self.format {
            AlertFormat::Mail => mail::body(finding),
            AlertFormat::Json => json::render(finding),
            AlertFormat::Chat => write::finding(Format::Chat, finding),
        });
        let mut request = self.sns.publish().topic_arn(&self.topic).message(message);
        if self.format == AlertFormat::Mail {
            request = request.subject(mail::subject(finding));
        }
        for (name, kind, value) in attributes(finding) {
            let value = MessageAttributeValue::builder().data_type(kind).string_value(value).build();
            request = request.message_attributes(name, value.context("a message attribute")?);
        }
        if self.topic.strip_suffix(".fifo").is_some() {
            request = request.message_group_id(finding.id.to_string()).message_deduplication_id(once(finding, told));
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let why = DisplayErrorContext(&error);
                Err(anyhow::anyhow!("publishing finding {} to {} failed: {why}", finding.id, self.topic))
            }
        }
    }
}

/// What a FIFO topic tells an alert sent twice by: what was told before, and what makes this one news. Not its records:
/// whoever takes over from one that died may know of later ones. But where that one told of one network, a second must
/// not be taken for it.
fn once(finding: &Finding, told: Option<Told>) -> String {
    let after = told.map_or_else(
        || "first".to_owned(),
        // Two alerts may have the same last record: what made the second one news tells them apart.
        |told| format!("{}-{}-{}", told.at, told.n_networks, told.severity.value()),
    );
    let now = Told::of(finding);
    format!("{}-{after}-{}-{}", finding.id, now.n_networks, now.severity.label())
}

/// What to do with a finding.
enum Step {
    /// Nothing.
    Done(Delivered),
    /// Write this.
    Write { bytes: Bytes, told: Option<Told>, becomes: Delivered },
    /// Write this, and then tell that.
    Tell { bytes: Bytes, told: Option<Told>, alert: Box<Finding> },
}

/// What subscribers were told of a finding last.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    /// Last second of its last record then.
    at: i64,
    severity: Severity,
    n_networks: usize,
    networks: Marks,
}

impl Told {
    fn of(finding: &Finding) -> Self {
        let networks: BTreeSet<&str> = finding.destinations.iter().map(|to| &*to.network).collect();
        let (at, severity, n_networks) = (finding.last_seen, finding.severity, networks.len());
        Self { at, severity, n_networks, networks: Marks::of(networks) }
    }

    /// What was noted beside a finding. Where only the time was, nothing is news before the interval is over.
    fn noted(there: &Stored) -> Option<Self> {
        let at = there.note("told")?.parse().ok()?;
        let severity = there.note("severity").and_then(|severity| severity.parse().ok()).unwrap_or(f64::MAX);
        let n_networks = there.note("networks").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let networks = there.note("marks").and_then(Marks::parse).unwrap_or(Marks::ALL);
        Some(Self { at, severity: Severity::new(severity), n_networks, networks })
    }

    fn notes(self) -> [(String, String); 4] {
        [
            ("told".to_owned(), self.at.to_string()),
            ("severity".to_owned(), self.severity.value().to_string()),
            ("networks".to_owned(), self.n_networks.to_string()),
            ("marks".to_owned(), self.networks.to_string()),
        ]
    }

    /// Whether it is worth an alert before the interval is over: it is of a worse kind, or names more networks, each of
    /// the first few, then about half as many more. A sweep meets more and more and is told a handful of times.
    fn is_news_after(self, told: Self) -> bool {
        let is_worse = self.severity.level() > told.severity.level();
        let are_few = self.n_networks <= FEW_NETWORKS;
        let is_half_more = self.n_networks.saturating_mul(2) >= told.n_networks.saturating_mul(3);
        is_worse || (self.n_networks > told.n_networks && (are_few || is_half_more))
    }
}

/// Networks, each a bit by its hash: few enough for a note, and of forty another one is taken for one of them once in
/// 26 times.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Marks([u64; 16]);

impl Marks {
    const ALL: Self = Self([u64::MAX; 16]);

    fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut words = [0u64; 16];
        for (word, bit) in names.into_iter().map(Self::place) {
            if let Some(marks) = words.get_mut(word) {
                *marks |= bit;
            }
        }
        Self(words)
    }

    fn has(&self, name: &str) -> bool {
        let (word, bit) = Self::place(name);
        self.0.get(word).is_some_and(|marks| marks & bit != 0)
    }

    fn place(name: &str) -> (usize, u64) {
        let hash = sha256(name.as_bytes());
        let hash = hash.get(..3).and_then(|start| usize::from_str_radix(start, 16).ok()).unwrap_or(0);
        (hash % 16, 1 << (hash / 16 % 64))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = [0; 16];
        for (at, marks) in words.iter_mut().enumerate() {
            *marks = u64::from_str_radix(text.get(16 * at..16 * at + 16)?, 16).ok()?;
        }
        Some(Self(words))
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|marks| write!(f, "{marks:016x}"))
    }
}

/// A finding with the networks that nobody was told of in front: who closed the last alert must see what this one is
/// about.
fn news_first(finding: &Finding, told: Told) -> Finding {
    let mut since: BTreeMap<&str, i64> = BTreeMap::new();
    for to in &finding.destinations {
        let first = since.entry(&to.network).or_insert(to.first_seen);
        *first = to.first_seen.min(*first);
    }
    // A file that came late tells of a network whose records are older than the last alert.
    since.retain(|network, first| *first > told.at || !told.networks.has(network));
    let (mut all, rest): (Vec<Destination>, Vec<Destination>) =
        finding.destinations.iter().cloned().partition(|to| since.contains_key(&*to.network));
    let Some(to) = all.first() else { return finding.clone() };
    let more = match since.len() - 1 {
        0 => String::new(),
        1 => " and one more network".to_owned(),
        n => format!(" and {n} more networks"),
    };
    let to = format!("{} {} ({})", to.address, port_words(to.port, to.protocol), to.network);
    let description = format!("New since the last alert: {to}{more}. {}", finding.description);
    all.extend(rest);
    Finding { destinations: all, description, ..finding.clone() }
}

/// Of two forms of one finding, the one made from more records ranks higher.
fn rank(finding: &Finding) -> (u32, i64, u64, u64) {
    let n_flows = finding.destinations.iter().map(|to| to.n_flows).sum();
    let bytes_out = finding.destinations.iter().fold(0u64, |sum, to| sum.saturating_add(to.bytes_out));
    (finding.count, finding.last_seen, n_flows, bytes_out)
}

/// What filter policies can go by: names, types and values, none empty.
fn attributes(finding: &Finding) -> Vec<(&'static str, &'static str, String)> {
    let cut = |text: &str| text.chars().take(ATTRIBUTE_CHARS).collect::<String>();
    let names: BTreeSet<&str> = if finding.owner.functions.is_empty() {
        finding.owner.eni_ids.iter().map(AsRef::as_ref).collect()
    } else {
        finding.owner.functions.iter().map(AsRef::as_ref).collect()
    };
    let mut all = vec![
        ("severity", "Number", format!("{:.1}", finding.severity.value())),
        ("severity_label", "String", finding.severity.label().to_owned()),
        ("type", "String", finding.check.as_str().to_owned()),
        ("activity", "String", finding.activity.as_str().to_owned()),
        ("finding_id", "String", finding.id.to_string()),
        ("account", "String", finding.account_id.as_deref().unwrap_or_default().to_owned()),
        ("region", "String", finding.region.as_deref().unwrap_or_default().to_owned()),
    ];
    match names.len() {
        0 => {}
        1 => all.push(("function", "String", names.iter().map(|name| cut(name)).collect())),
        _ => {
            // As many as the room for attributes holds.
            let names: Vec<String> = names.iter().take(20).map(|name| cut(name)).collect();
            all.push(("function", "String.Array", serde_json::Value::from(names).to_string()));
        }
    }
    all.retain(|(_, _, value)| !value.is_empty());
    all
}

/// The text of a finding, short enough for a message: of a long one destinations, then evidence, then words are left
/// out.
fn fitted(finding: &Finding, write: impl Fn(&Finding) -> String) -> String {
    let limit = MAX_MESSAGE_BYTES - ATTRIBUTES_BYTES;
    let mut text = write(finding);
    let mut short = finding.clone();
    while text.len() > limit {
        if short.destinations.len() > 1 {
            short.destinations.truncate(short.destinations.len() / 2);
        } else if short.evidence.len() > 1 {
            short.evidence.truncate(short.evidence.len() / 2);
        } else {
            let words = [&mut short.title, &mut short.description];
            let words = words.into_iter().chain(short.evidence.iter_mut().map(|evidence| &mut evidence.statement));
            let mut is_shorter = false;
            for word in words.filter(|word| word.chars().count() > 100) {
                *word = word.chars().take(word.chars().count() / 2).collect();
                is_shorter = true;
            }
            for names in [&mut short.owner.functions, &mut short.owner.arns, &mut short.owner.eni_ids] {
                is_shorter |= names.len() > 1;
                names.truncate(names.len().div_ceil(2));
            }
            if !is_shorter {
                return text.chars().take(limit / 4).collect();
            }
        }
        text = write(&short);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn finding() -> Finding {
        let text = r#"{"schema":"callout.finding/1","id":"9f2c41d70be85a1366f092ced481377b","type":"new-destination",
            "activity":"create","severity":7.4,"severity_label":"High","confidence":0.93,"title":"t","description":"d",
            "account_id":"111122223333","region":null,"vpc_id":null,
            "owner":{"kind":"function","functions":["activities-api"],
                "arns":["arn:aws:lambda:eu-west-1:111122223333:function:activities-api"],"eni_ids":["eni-1"]},
            "destinations":[{"address":"203.0.113.7","port":8000,"protocol":"tcp","network":"AS64500 Example Hosting",
                "aws_service":null,"n_flows":3,"bytes_out":18211,"bytes_in":2110,
                "first_seen":"2026-03-31T09:12:44Z","last_seen":"2026-03-31T09:13:40Z"}],
            "window":{"start":"2026-03-31T09:10:00Z","end":"2026-03-31T09:20:00Z"},
            "first_seen":"2026-03-31T09:12:44Z","last_seen":"2026-03-31T09:13:40Z","count":1,
            "evidence":[{"check":"new-destination","measure":"peers_of_network","observed":1,"expected":0,"unit":"peers",
                "surprise":2.1,"statement":"s"}],"deployment":null,"suppressed_by":null}"#;
        json::parse(text).unwrap()
    }

    fn alerts() -> Alerts {
        let s3 = aws_sdk_s3::Client::from_conf(aws_sdk_s3::Config::builder().behavior_version_latest().build());
        let sns = aws_sdk_sns::Client::from_conf(aws_sdk_sns::Config::builder().behavior_version_latest().build());
        Alerts {
            state: State::new(s3, "state", ""),
            sns,
            topic: String::new(),
            format: AlertFormat::Mail,
            repeat_secs: 3600,
            by: "me".to_owned(),
            deadline_millis: now_millis(),
        }
    }

    #[test]
    fn what_is_over_is_not_told_because_a_list_went_or_the_finding_expired() {
        let alerts = alerts();
        let hidden = Finding { suppressed_by: Some("ours".into()), ..finding() };
        let there = Stored {
            bytes: json::render(&hidden).into(),
            tag: String::new(),
            notes: vec![("alert".to_owned(), "none".to_owned())],
        };
        let step = |finding: &Finding, was_delivered, there| match alerts.step("k", finding, was_delivered, there) {
            Ok(Step::Write { .. }) => "stored",
            Ok(Step::Tell { .. }) => "told",
            Ok(Step::Done(_)) => "nothing",
            Err(error) => panic!("{error}"),
        };
        let more = Finding { count: 2, ..finding() };
        assert_eq!(step(&hidden, true, Some(&there)), "nothing");
        assert_eq!(step(&finding(), true, Some(&there)), "stored");
        assert_eq!(step(&more, true, Some(&there)), "told", "it goes on");
        assert_eq!(step(&finding(), false, None), "told");
        assert_eq!(step(&finding(), true, None), "stored", "it was told before it expired");
    }

    #[test]
    fn of_an_alert_sent_twice_a_fifo_topic_drops_one_unless_it_tells_more() {
        let first = finding();
        let later = Finding { last_seen: first.last_seen + 60, count: 9, ..finding() };
        let mut more = later.clone();
        more.destinations.push(Destination { network: "AS64501".into(), ..first.destinations[0].clone() });
        let worse = Finding { severity: Severity::new(9.0), ..later.clone() };
        for told in [None, Some(Told::of(&first))] {
            let of_first = once(&first, told);
            assert_eq!(of_first, once(&later, told), "whoever takes over knows of a later record");
            assert!(of_first != once(&more, told) && of_first != once(&worse, told));
            assert!(once(&more, told).len() <= 128, "as many as SNS takes");
        }
        assert_ne!(once(&first, None), once(&first, Some(Told::of(&first))));
    }

    #[test]
    fn a_network_nobody_was_told_of_is_told_at_once_or_after_the_interval() {
        let of_networks = |n: u32| {
            let mut finding = finding();
            let to = |n: u32| Destination { network: format!("AS{n}").into(), ..finding.destinations[0].clone() };
            finding.destinations = (0..n).map(to).collect();
            finding
        };
        let alerts = alerts();
        let ago = |secs: i64| (now_millis() - secs * 1000).to_string();
        let step = |told: u32, now: u32, ago: String| {
            let mut notes = Told::of(&of_networks(told)).notes().to_vec();
            notes.extend([("alert".to_owned(), "sent".to_owned()), ("until".to_owned(), ago)]);
            let there = Stored { bytes: json::render(&of_networks(now)).into(), tag: String::new(), notes };
            match alerts.step("k", &of_networks(now), true, Some(&there)).unwrap() {
                Step::Done(becomes) | Step::Write { becomes, .. } => becomes,
                Step::Tell { .. } => Delivered::Told,
            }
        };
        assert_eq!(step(8, 8, ago(7200)), Delivered::Settled);
        assert_eq!(step(8, 9, ago(60)), Delivered::Later, "it is stored, and waits");
        assert_eq!(step(8, 9, ago(3601)), Delivered::Told);
        assert_eq!(step(2, 3, ago(60)), Delivered::Told, "added while another was telling of two");
        let is_news = |told, now| Told::of(&of_networks(now)).is_news_after(Told::of(&of_networks(told)));
        let told_at: Vec<u32> = (1..50).fold(vec![1], |mut told, now| {
            told.extend(is_news(*told.last().unwrap(), now).then_some(now));
            told
        });
        assert_eq!(told_at, [1, 2, 3, 4, 5, 8, 12, 18, 27, 41]);
    }

    #[test]
    fn what_goes_on_for_months_is_told_less_and_less_often() {
        const DAY: i64 = 86_400;
        let told_on = |repeat_secs: i64| -> Vec<i64> {
            let alerts = Alerts { repeat_secs, ..alerts() };
            let first_seen = finding().first_seen;
            let on = |day: i64| Finding { last_seen: first_seen + day * DAY, ..finding() };
            (1..=150).fold(vec![0], |mut told_on, day| {
                let told = Told::of(&on(*told_on.last().unwrap()));
                let is_time = on(day).last_seen - told.at >= alerts.silent_secs(&on(day), told);
                told_on.extend(is_time.then_some(day));
                told_on
            })
        };
        assert_eq!(told_on(DAY), [0, 1, 2, 4, 8, 16, 32, 62, 92, 122]);
        assert_eq!(told_on(5 * DAY), [0, 5, 10, 20, 40, 70, 100, 130]);
        assert_eq!(told_on(0).len(), 151, "every update alerts");
    }

    #[test]
    fn filter_policies_have_something_to_go_by() {
        let attributes = attributes(&finding());
        let get = |name: &str| {
            attributes.iter().find(|(found, ..)| *found == name).map(|(_, kind, value)| (*kind, value.as_str()))
        };
        assert_eq!(get("severity"), Some(("Number", "7.4")));
        assert_eq!(get("type"), Some(("String", "new-destination")));
        assert_eq!(get("function"), Some(("String", "activities-api")));
        assert_eq!(get("account"), Some(("String", "111122223333")));
        assert_eq!(get("activity"), Some(("String", "create")));
        assert_eq!(get("region"), None, "SNS refuses an empty value");
        assert!(attributes.len() <= 10, "raw delivery to a queue drops a message with more");
    }

    #[test]
    fn shared_interfaces_name_all_functions() {
        let mut finding = finding();
        finding.owner.functions = vec!["b".into(), "a".into()];
        let attributes = attributes(&finding);
        assert!(attributes.contains(&("function", "String.Array", "[\"a\",\"b\"]".to_owned())));
        finding.owner.functions = (0..500).map(|n| format!("{n}{}", "x".repeat(300)).into()).collect();
        let n_bytes: usize =
            super::attributes(&finding).iter().map(|(name, kind, value)| name.len() + kind.len() + value.len()).sum();
        assert!(n_bytes <= ATTRIBUTES_BYTES, "{n_bytes}");
    }

    #[test]
    fn a_long_finding_is_shortened_and_never_dropped() {
        let mut long = finding();
        long.destinations = vec![long.destinations[0].clone(); 50];
        long.evidence = vec![long.evidence[0].clone(); 20];
        long.evidence[0].statement = "é".repeat(140_000);
        long.owner.functions = vec!["f".repeat(1000).into(); 50];
        let write: [fn(&Finding) -> String; 3] =
            [json::render, mail::body, |finding| write::finding(Format::Chat, finding)];
        for write in write {
            let text = fitted(&long, write);
            assert!(text.len() + ATTRIBUTES_BYTES <= MAX_MESSAGE_BYTES, "{}", text.len());
            assert!(text.contains("9f2c41d70be85a1366f092ced481377b"));
        }
        assert_eq!(json::parse(&fitted(&long, json::render)).unwrap().id, long.id);
        assert_eq!(fitted(&finding(), json::render), json::render(&finding()), "a short one stays as it is");
    }

    #[test]
    fn what_got_worse_or_wider_is_news() {
        let mut finding = finding();
        let told = Told::of(&finding);
        let is_news = |finding: &Finding| Told::of(finding).is_news_after(told);
        assert!(!is_news(&finding), "the same is none");
        finding.severity = Severity::new(8.9);
        assert!(!is_news(&finding), "High before, High now");
        finding.severity = Severity::new(9.0);
        assert!(is_news(&finding));
        finding.severity = Severity::new(3.0);
        finding.destinations.push(finding.destinations[0].clone());
        assert!(!is_news(&finding), "one more address of the network");
        finding.destinations[1].network = "AS64501 Another".into();
        assert!(is_news(&finding));
        let older =
            Stored { bytes: Bytes::new(), tag: String::new(), notes: vec![("told".to_owned(), "5".to_owned())] };
        assert!(Told::noted(&older).is_some_and(|told| told.at == 5 && !Told::of(&finding).is_news_after(told)));
    }

    #[test]
    fn an_alert_that_goes_on_begins_with_what_nobody_was_told_of() {
        let mut finding = finding();
        let old = finding.destinations[0].clone();
        let told = Told::of(&finding);
        let to =
            |network: &str, secs| Destination { network: network.into(), first_seen: told.at + secs, ..old.clone() };
        finding.destinations.push(to(&old.network, 60));
        assert_eq!(news_first(&finding, told), finding, "another address of the same network");
        finding.destinations.push(to("AS64501 Another", 90));
        let alert = news_first(&finding, told);
        let networks: Vec<&str> = alert.destinations.iter().map(|to| &*to.network).collect();
        assert_eq!(networks, ["AS64501 Another", &*old.network, &*old.network]);
        let news = "New since the last alert: 203.0.113.7 port 8000/tcp (AS64501 Another)";
        assert_eq!(alert.description, format!("{news}. d"));
        finding.destinations.push(to("AS64502 A third", 90));
        assert_eq!(news_first(&finding, told).description, format!("{news} and one more network. d"));
        finding.destinations.truncate(1);
        finding.destinations.push(to("AS64501 Another", -90));
        assert_eq!(news_first(&finding, told).description, format!("{news}. d"), "told late, of before");
        assert_eq!(news_first(&finding, Told { networks: Marks::ALL, ..told }), finding, "nobody noted whom");
    }

    #[test]
    fn networks_are_noted_in_few_bytes() {
        let names: Vec<String> = (0..40).map(|n| format!("AS{n} Example")).collect();
        let marks = Marks::of(names.iter().map(String::as_str));
        let noted = marks.to_string();
        assert_eq!((noted.len(), Marks::parse(&noted)), (256, Some(marks)));
        assert!(names.iter().all(|name| marks.has(name)));
        let n_taken = (40..1040).filter(|n| marks.has(&format!("AS{n} Example"))).count();
        assert!((20..60).contains(&n_taken), "{n_taken} of a thousand others");
        for damaged in ["", "00ff", &noted[1..], "é"] {
            assert_eq!(Marks::parse(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn more_records_rank_higher() {
        let (one, mut two) = (finding(), finding());
        two.count = 2;
        assert!(rank(&two) > rank(&one));
        two.count = 1;
        two.destinations[0].n_flows += 1;
        assert!(rank(&two) > rank(&one));
        two.title = Arc::<str>::from("other").to_string();
        two.destinations[0].n_flows -= 1;
        assert_eq!(rank(&two), rank(&one));
    }
}
