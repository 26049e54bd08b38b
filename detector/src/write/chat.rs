//! The custom notification of Amazon Q Developer in chat applications, for Slack and Teams channels behind the topic.
//!
//! Findings of one id share a thread. Source: "Custom notifications using Amazon Q Developer in chat applications",
//! administrator guide: `version` 1.0, `source` custom, `content.description` required. Messages that do not fit the
//! schema are dropped without a word, so the tests hold it.

use serde_json::json;

use crate::finding::{Finding, Level, OwnerKind};

use super::words::{cut_chars, visible};
use super::{Place, advice, json_line, remarks, table, without_absent};
use crate::amounts::bytes;

/// Lengths that Slack and Teams show without folding; the guide names no limits, an SNS message holds 256 KiB.
const TITLE_CHARS: usize = 150;
const DESCRIPTION_CHARS: usize = 2500;
/// Destinations and pieces of evidence listed one by one.
const LISTED: usize = 5;

/// Writes a finding as one line of JSON.
pub(super) fn render(finding: &Finding) -> String {
    let place = Place::of(finding);
    let label = finding.severity.label();
    let sign = if finding.severity.level() >= Level::High { ":rotating_light:" } else { ":warning:" };
    let owner = table::owner_words(finding);
    let mut next_steps: Vec<String> = advice::steps(finding).iter().map(|step| plain(step)).collect();
    next_steps.push(format!("Show what is known: `{}`", advice::inspect_command(finding)));
    let names = if finding.owner.kind == OwnerKind::Interface { &finding.owner.eni_ids } else { &finding.owner.arns };
    json_line(&without_absent(json!({
        "version": "1.0",
        "source": "custom",
        "id": finding.id.to_string(),
        "content": {
            "textType": "client-markdown",
            "title": cut_chars(&format!("{sign} {label} {:.1}: {}", finding.severity.value(), plain(&finding.title)), TITLE_CHARS),
            "description": cut_chars(&description(finding), DESCRIPTION_CHARS),
            "nextSteps": next_steps,
            "keywords": [finding.check.as_str(), label, cut_chars(&plain(&owner), TITLE_CHARS)],
        },
        "metadata": {
            "threadId": finding.id.to_string(),
            "summary": cut_chars(&plain(&finding.title), TITLE_CHARS),
            "eventType": finding.check.as_str(),
            "relatedResources": names.iter().take(LISTED).map(|name| plain(name)).collect::<Vec<_>>(),
            // The schema takes strings only.
            "additionalContext": {
                "severity": format!("{:.1}", finding.severity.value()),
                "confidence": format!("{:.2}", finding.confidence),
                "activity": finding.activity.as_str(),
                "account": place.account,
                "region": place.region,
                "owner": plain(&owner),
            },
        },
    })))
}

fn description(finding: &Finding) -> String {
    let mut lines = vec![plain(&finding.description), String::new()];
    for to in finding.destinations.iter().take(LISTED) {
        lines.push(format!(
            "*To* `{}` {}: {} out, {} in",
            table::endpoint(to),
            plain(&to.network),
            bytes(to.bytes_out),
            bytes(to.bytes_in)
        ));
    }
    let more = finding.destinations.len().saturating_sub(LISTED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    for evidence in finding.evidence.iter().take(LISTED) {
        lines.push(format!("*Why* {}", plain(&evidence.statement)));
    }
    lines.push(format!("*When* {}", table::when(finding)));
    if let (Some(version), Some(before)) = (remarks::version(finding), advice::deployed(finding)) {
        lines.push(format!("*After* deployment of {}, {before}", plain(&version)));
    }
    lines.join("\n")
}

/// Foreign text in a message that is read as markdown: it calls nobody, links nowhere and formats nothing.
///
/// What has a meaning for Slack or Teams is replaced by a look-alike. An underscore inside a word has none.
fn plain(text: &str) -> String {
    visible(text)
        .chars()
        .map(|character| match character {
            '<' => '‹',
            '>' => '›',
            '@' => '＠',
            '`' => 'ˋ',
            '*' => '∗',
            '[' => '⟦',
            ']' => '⟧',
            '|' => '¦',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sample;
    use serde_json::Value;

    fn rendered(finding: &Finding) -> Value {
        serde_json::from_str(&render(finding)).expect("JSON")
    }

    #[test]
    fn the_notification_is_of_the_schema() {
        for finding in sample::all() {
            let message = rendered(&finding);
            assert_eq!((&message["version"], &message["source"]), (&json!("1.0"), &json!("custom")));
            assert_eq!(message["content"]["textType"], "client-markdown");
            assert!(message["content"]["description"].as_str().is_some_and(|text| !text.is_empty()));
            assert_eq!(message["metadata"]["threadId"], finding.id.to_string());
            for list in ["/content/nextSteps", "/content/keywords", "/metadata/relatedResources"] {
                let list = message.pointer(list).and_then(Value::as_array).expect(list);
                assert!(list.iter().all(Value::is_string));
            }
            let context = message["metadata"]["additionalContext"].as_object().expect("an object");
            assert!(context.values().all(Value::is_string));
        }
    }

    #[test]
    fn a_channel_reads_what_happened() {
        let message = rendered(&sample::new_destination());
        assert_eq!(
            message["content"]["title"],
            ":rotating_light: High 7.4: activities-api reached 203.0.113.7:8000, a network nothing in its past explains"
        );
        let text = message["content"]["description"].as_str().expect("a string");
        assert!(text.contains("*To* `203.0.113.7:8000/tcp` AS64500 Example Hosting: 18.2 kB out, 2.1 kB in"), "{text}");
        assert!(text.contains("*After* deployment of version 17, 14 min before"), "{text}");
    }

    #[test]
    fn foreign_names_call_nobody_and_link_nowhere() {
        let message = rendered(&sample::hostile());
        let text = message.to_string();
        for part in ["<!channel>", "<!here>", "<at>", "<https", "](http", "@here", "\\u001b", "\u{202e}"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn findings_with_much_to_say_stay_readable() {
        let mut finding = sample::shared_burst();
        finding.destinations = vec![finding.destinations[0].clone(); 50];
        finding.description = "word ".repeat(2000);
        let message = rendered(&finding);
        assert!(
            message["content"]["description"].as_str().is_some_and(|text| text.chars().count() <= DESCRIPTION_CHARS)
        );
    }
}
