//! The text of the mail SNS sends: for a person woken at three in the morning.
//!
//! First what and where, then compared with what, then what to do and the commands for it. Plain text, 76 columns.

use std::fmt::Write as _;

use crate::finding::{Activity, Finding, OwnerKind};

use super::words::{cut_chars, minute, visible, wrap};
use super::{Place, advice, remarks, table};
use crate::amounts::{bytes, count, day};

/// SNS refuses a subject of 100 characters, one with control characters or line breaks, and one that is not ASCII.
/// Source: Amazon SNS API reference, `Publish`, `Subject`.
const SUBJECT_CHARS: usize = 99;

/// Mail programs leave lines of this length alone.
const WIDTH: usize = 76;

/// Destinations listed one by one.
const LISTED: usize = 20;

/// Writes the subject: severity, type, owner, first destination.
pub fn subject(finding: &Finding) -> String {
    let update = match finding.activity {
        Activity::Create => "",
        Activity::Update => ", goes on",
    };
    let mut text = format!(
        "[{} {:.1}{update}] {}: {}",
        finding.severity.label(),
        finding.severity.value(),
        finding.check,
        table::owner_words(finding)
    );
    if let Some(to) = finding.destinations.first() {
        let _infallible = write!(text, " -> {}", table::endpoint(to));
    }
    let ascii: String = visible(&text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    cut_chars(&ascii, SUBJECT_CHARS).into_owned()
}

/// Writes the body.
pub fn body(finding: &Finding) -> String {
    let mut mail = Mail(String::new());
    mail.paragraph(&finding.title);
    mail.paragraph(&finding.description);

    mail.fact("Severity", &format!("{} ({:.1} of 10)", finding.severity.label(), finding.severity.value()));
    mail.fact("Confidence", &format!("{:.0} %", finding.confidence * 100.0));
    let whose = if finding.owner.kind == OwnerKind::Interface { "Interface" } else { "Function" };
    mail.fact(whose, &table::owner_words(finding));
    let place = Place::of(finding);
    mail.fact("Account", &format!("{}, {}", place.account, place.region));
    mail.fact("When", &table::when(finding));
    if let (Some(deployment), Some(before)) = (&finding.deployment, advice::deployed(finding)) {
        let at = minute(deployment.at);
        let version = remarks::version(finding).unwrap_or_default();
        mail.fact("Deployment", &format!("{version}, {before} ({at})"));
    }

    mail.heading("Where it went");
    for to in finding.destinations.iter().take(LISTED) {
        mail.item(&format!(
            "{}  {}; {} out, {} in, {}",
            table::endpoint(to),
            to.network,
            bytes(to.bytes_out),
            bytes(to.bytes_in),
            count(to.n_flows, "flow")
        ));
    }
    let more = finding.destinations.len().saturating_sub(LISTED);
    if more > 0 {
        mail.item(&format!("and {}", count(more as u64, "more destination")));
    }

    mail.heading("Compared with");
    for evidence in &finding.evidence {
        mail.item(&evidence.statement);
    }

    mail.heading("What to do next");
    for step in advice::steps(finding).into_iter().chain(advice::accept_step(finding)) {
        mail.item(&step);
    }

    mail.heading("Commands");
    // Commands are never broken: a broken one does something else.
    mail.command("what is known of it", &advice::inspect_command(finding));
    if let Some([stop, undo]) = advice::stop_commands(finding) {
        mail.command("stop it", &stop);
        mail.command("let it run again, where nothing was reserved before", &undo);
    }
    mail.command(
        "judge it again, with a week of logs before it and the same --asn and lists",
        &format!(
            "callout replay LOGS {} --until {}T00:00:00Z",
            if finding.owner.kind == OwnerKind::Interface {
                "--all-interfaces"
            } else {
                "--enis enis.json --functions functions.json"
            },
            day(finding.window.1.saturating_add(86_400))
        ),
    );
    let _infallible = write!(mail.0, "\nFinding {}, {}\n", finding.id, finding.check);
    mail.0
}

struct Mail(String);

impl Mail {
    fn paragraph(&mut self, text: &str) {
        for line in wrap(&visible(text), WIDTH) {
            self.line(&line);
        }
        self.line("");
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn fact(&mut self, name: &str, text: &str) {
        self.hanging(&format!("{name:<12}"), text);
    }

    fn item(&mut self, text: &str) {
        self.hanging("- ", text);
    }

    fn hanging(&mut self, first: &str, text: &str) {
        let mut lead = first.to_owned();
        for line in wrap(&visible(text), WIDTH - first.len()) {
            self.line(&format!("{lead}{line}"));
            lead = " ".repeat(first.len());
        }
    }

    fn command(&mut self, what: &str, command: &str) {
        self.line(&format!("- {what}:"));
        self.line(&format!("  {command}"));
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::sample;
    use proptest::prelude::*;

    #[test]
    fn the_mail_of_a_new_destination() {
        let finding = sample::new_destination();
        assert_eq!(subject(&finding), "[High 7.4] new-destination: activities-api -> 203.0.113.7:8000/tcp");
        let got = body(&finding);
        let expected = "\
activities-api reached 203.0.113.7:8000, a network nothing in its past
explains

activities-api sent 18211 bytes to 203.0.113.7 port 8000 (AS64500 Example
Hosting). In 21 days it never reached that network, and no other function
knows it.

Severity    High (7.4 of 10)
Confidence  93 %
Function    activities-api
Account     111122223333, eu-west-1
When        2026-03-31 09:12:44 to 09:13:40 UTC, 1 window
Deployment  version 17, 14 min before (2026-03-31 08:58 UTC)

Where it went
- 203.0.113.7:8000/tcp AS64500 Example Hosting; 18.2 kB out, 2.1 kB in, 3
  flows

Compared with
- In 3024 windows since 2026-03-10 the function never reached AS64500; it
  meets a new network about once in 19 days.
- None of the 11 other functions knows this network.

What to do next
- Compare the dependencies of version 17 with those of the version before.
- Ask the function's owner whether it should talk to AS64500 Example
  Hosting.
- If nobody can explain it, set the function's reserved concurrency to 0,
  then rotate the secrets in its environment and its role's sessions.
- If it is all right, add 9f2c41d70be85a1366f092ced481377b to
  knowledge/accepted.txt below the stack's StateUri: it is normal then.

Commands
- what is known of it:
  callout inspect --baseline DIR activities-api
- stop it:
  aws lambda put-function-concurrency --function-name arn:aws:lambda:eu-west-1:111122223333:function:activities-api --reserved-concurrent-executions 0
- let it run again, where nothing was reserved before:
  aws lambda delete-function-concurrency --function-name arn:aws:lambda:eu-west-1:111122223333:function:activities-api
- judge it again, with a week of logs before it and the same --asn and lists:
  callout replay LOGS --enis enis.json --functions functions.json --until 2026-04-01T00:00:00Z

Finding 9f2c41d70be85a1366f092ced481377b, new-destination
";
        assert_eq!(got, expected, "got:\n{got}\n");
    }

    #[test]
    fn going_on_is_said_in_the_subject() {
        assert_eq!(subject(&sample::beacon()), "[Medium 5.0, goes on] beacon: support-bot -> [2001:db8:77::5]:443/tcp");
    }

    #[test]
    fn who_owns_itself_is_called_an_interface() {
        let mail = body(&sample::bare_interface());
        assert!(mail.lines().any(|line| line.starts_with("Interface  ")) && !mail.contains("\nFunction "), "{mail}");
    }

    #[test]
    fn names_reach_no_shell_and_no_terminal() {
        let mail = body(&sample::hostile());
        assert!(mail.contains("callout inspect --baseline DIR NAME\n"), "{mail}");
        let (_, commands) = mail.split_once("Commands\n").expect("commands come last");
        assert!(!commands.contains(['$', '(', ';', '\\']), "{commands}");
        assert!(!mail.contains(|c: char| c.is_control() && c != '\n'), "{mail}");
    }

    proptest! {
        #[test]
        fn sns_takes_every_subject(which in 0usize..5, name: String) {
            let mut finding = sample::all().swap_remove(which);
            finding.owner.functions = vec![name.as_str().into()];
            let subject = subject(&finding);
            prop_assert!(subject.chars().count() < 100);
            prop_assert!(subject.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert!(subject.starts_with('['));
        }
    }
}
