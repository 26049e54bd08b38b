//! Incidents as text, so that a later run goes on where this one stopped.
//!
//! What leaves the process carries names and addresses, never the numbers of one process's tables. Nothing is rounded:
//! incidents read back judge exactly as those that were written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use baselines::Baselines;
use baselines::ladder::{Network, Prefix, from_ip, to_ip};
use baselines::newcomer::{Contacted, Subject};
use baselines::observation::Eni;
use baselines::store::schema_of;
use baselines::window::{Day, Window};
use serde::{Deserialize, Serialize};

use super::{Incident, Incidents, Word, horizon, topic_words};
use crate::config::Config;
use crate::finding::{self, CheckId, Deployment, Evidence, Fingerprint, Quantity};
use crate::score::oddity::Topic;

/// The form's name and version.
const SCHEMA: &str = "callout.incidents/1";

/// Why stored incidents could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not the fields of incidents.
    #[error("no incidents in `callout.incidents/1` form")]
    Form(#[source] serde_json::Error),
    /// Another form or another version of it.
    #[error("schema is `{found}`; this program reads `callout.incidents/1`: another version wrote this")]
    Schema {
        /// What the text says it is.
        found: String,
    },
    /// A field holds what it cannot mean.
    #[error("`{field}` is `{value}`, which this version does not know")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Form {
    schema: String,
    incidents: Vec<IncidentForm>,
}

#[derive(Serialize, Deserialize)]
struct IncidentForm {
    id: String,
    owner: Arc<str>,
    /// Numbers of windows: steps of ten minutes since the Unix epoch.
    first: u32,
    last: u32,
    /// Not said by older programs: the first window was taken for it.
    began: Option<i64>,
    /// Not said by older programs: any contact drew the next topic in then.
    joined: Option<u32>,
    count: u32,
    bans: Number,
    topics: Vec<TopicForm>,
    oddities: Vec<WordForm>,
    destinations: Vec<DestinationForm>,
    enis: Vec<EniForm>,
    deployment: Option<DeploymentForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum TopicForm {
    NewNetwork { network: NetworkForm },
    NewService { network: NetworkForm, port: u16, protocol: u8 },
    NewPrefix { address: IpAddr },
    Service { network: NetworkForm, port: u16, protocol: u8 },
    Peer { address: IpAddr, network: NetworkForm },
    Owner,
}

#[derive(Serialize, Deserialize)]
struct NetworkForm {
    key: Arc<str>,
    label: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct WordForm {
    /// Place in `topics`.
    topic: usize,
    check: String,
    /// Not said by older programs: all was taken for said at once.
    since: Option<u32>,
    at: Option<u32>,
    /// Places in `destinations`. Not said by older programs: all of them.
    #[serde(default)]
    about: Vec<usize>,
    bans: Number,
    severity: Number,
    evidence: Vec<EvidenceForm>,
}

#[derive(Serialize, Deserialize)]
struct EvidenceForm {
    check: String,
    measure: String,
    observed: Number,
    expected: Number,
    unit: String,
    surprise: Number,
    statement: String,
}

#[derive(Serialize, Deserialize)]
struct DestinationForm {
    address: IpAddr,
    network: NetworkForm,
    port: u16,
    protocol: u8,
    n_flows: u64,
    bytes_out: u64,
    bytes_in: u64,
    first: i64,
    last: i64,
}

#[derive(Serialize, Deserialize)]
struct EniForm {
    id: Arc<str>,
    account: Arc<str>,
    region: Arc<str>,
    vpc: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct DeploymentForm {
    version: Arc<str>,
    code_sha256: Arc<str>,
    at: i64,
}

/// A number that may be none or without end, which JSON cannot say.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Word(String),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Finite(value) } else { Self::Word(value.to_string()) }
    }
}

impl Number {
    fn value(&self) -> Result<f64, Error> {
        match self {
            Self::Finite(value) => Ok(*value),
            Self::Word(word) => word.parse().map_err(|_| unknown("number", word)),
        }
    }
}

fn unknown(field: &'static str, value: &str) -> Error {
    Error::Field { field, value: value.to_owned() }
}

impl Incidents {
    /// Writes all incidents as one line of JSON, those of each owner in order of their beginning, owners by name.
    ///
    /// # Panics
    /// Never: strings, numbers and lists always have a JSON form.
    pub fn to_json(&self, baselines: &Baselines) -> String {
        let mut incidents: Vec<IncidentForm> = self.iter().map(|incident| incident.form(baselines)).collect();
        incidents.sort_by(|a, b| a.owner.cmp(&b.owner));
        let form = Form { schema: SCHEMA.to_owned(), incidents };
        serde_json::to_string(&form).expect("strings, numbers and lists always have a JSON form")
    }

    /// Reads back what [`Incidents::to_json`] wrote, with the numbers of the baselines' tables; what these do not hold
    /// yet is added.
    ///
    /// # Errors
    /// [`Error`] when the text is of another form or version; nothing is half-read.
    pub fn from_json(text: &str, baselines: &mut Baselines) -> Result<Self, Error> {
        let found = schema_of(text.as_bytes()).map_err(Error::Form)?;
        if found != SCHEMA {
            return Err(Error::Schema { found });
        }
        let form: Form = serde_json::from_str(text).map_err(Error::Form)?;
        let mut out = Self::default();
        for form in &form.incidents {
            let incident = incident(form, baselines)?;
            out.of_owner.entry(incident.owner).or_default().0.push(incident);
        }
        Ok(out)
    }

    /// Forgets incidents that ended too long before a day, as baselines forget what was not met for so long.
    pub fn forget(&mut self, day: Day, config: &Config) {
        let before = horizon(day, config);
        self.of_owner.retain(|_, own| {
            own.0.retain(|incident| incident.last >= before);
            !own.0.is_empty()
        });
    }
}

impl Incident {
    fn form(&self, baselines: &Baselines) -> IncidentForm {
        let network = |id: u32| network_form(baselines, id);
        let mut by_name: Vec<Topic> = self.topics.iter().copied().collect();
        by_name.sort_by_cached_key(|topic| topic_words(&baselines.ladder, *topic));
        let topics = by_name.iter().map(|topic| match *topic {
            Topic::Newcomer(Subject::Network(id)) => TopicForm::NewNetwork { network: network(id) },
            Topic::Newcomer(Subject::Service(id, port, protocol)) => {
                TopicForm::NewService { network: network(id), port, protocol }
            }
            Topic::Newcomer(Subject::Prefix(id)) => {
                TopicForm::NewPrefix { address: to_ip(baselines.ladder.prefix(id).0) }
            }
            Topic::Service(id, port, protocol) => TopicForm::Service { network: network(id), port, protocol },
            Topic::Peer(peer) => {
                let rungs = baselines.ladder.rungs(peer);
                TopicForm::Peer { address: to_ip(rungs.address), network: network(rungs.network) }
            }
            Topic::Owner => TopicForm::Owner,
        });
        let mut by_address: Vec<&Contacted> = self.destinations.values().collect();
        by_address.sort_by_key(|to| (baselines.ladder.rungs(to.peer).address, to.port, to.protocol));
        let place = |topic: &Topic| by_name.iter().position(|known| known == topic);
        let places = |word: &Word| {
            let about = by_address.iter().enumerate().filter(|(_, to)| word.about.contains(&to.key()));
            about.map(|(place, _)| place).collect()
        };
        let oddities = self.words.iter().filter_map(|((topic, check), word)| {
            // Every topic of a word is among the topics: both are set together.
            let topic = place(topic)?;
            let evidence = word.evidence.iter().map(EvidenceForm::from).collect();
            let (check, since, at) = (check.as_str().to_owned(), Some(word.since.0), Some(word.at.0));
            let (bans, severity) = (word.bans.into(), word.severity.into());
            Some(WordForm { topic, check, since, at, about: places(word), bans, severity, evidence })
        });
        let destinations = by_address.iter().map(|contacted| {
            let rungs = baselines.ladder.rungs(contacted.peer);
            DestinationForm {
                address: to_ip(rungs.address),
                network: network(rungs.network),
                port: contacted.port,
                protocol: contacted.protocol,
                n_flows: contacted.n_flows,
                bytes_out: contacted.bytes_out,
                bytes_in: contacted.bytes_in,
                first: contacted.first,
                last: contacted.last,
            }
        });
        let mut oddities: Vec<WordForm> = oddities.collect();
        oddities.sort_by(|a, b| (a.topic, &a.check).cmp(&(b.topic, &b.check)));
        let enis = self.enis.values().map(|eni| EniForm {
            id: Arc::clone(&eni.id),
            account: Arc::clone(&eni.account),
            region: Arc::clone(&eni.region),
            vpc: Arc::clone(&eni.vpc),
        });
        IncidentForm {
            id: self.id.to_string(),
            owner: baselines.owners.name(self.owner),
            first: self.first.0,
            last: self.last.0,
            began: self.began,
            joined: Some(self.joined.0),
            count: self.count,
            bans: self.bans.into(),
            topics: topics.collect(),
            oddities,
            destinations: destinations.collect(),
            enis: enis.collect(),
            deployment: self.deployment.as_ref().map(|deployment| DeploymentForm {
                version: Arc::clone(&deployment.version),
                code_sha256: Arc::clone(&deployment.code_sha256),
                at: deployment.at,
            }),
        }
    }
}

fn network_form(baselines: &Baselines, id: u32) -> NetworkForm {
    NetworkForm { key: baselines.ladder.networks().name(id), label: baselines.ladder.label(id) }
}

impl From<&Evidence> for EvidenceForm {
    fn from(evidence: &Evidence) -> Self {
        Self {
            check: evidence.check.as_str().to_owned(),
            measure: evidence.measure.to_owned(),
            observed: evidence.observed.value().into(),
            expected: evidence.expected.value().into(),
            unit: evidence.observed.unit().to_owned(),
            surprise: evidence.surprise.into(),
            statement: evidence.statement.clone(),
        }
    }
}

fn incident(form: &IncidentForm, baselines: &mut Baselines) -> Result<Incident, Error> {
    let Fingerprint(id) = Fingerprint::parse(&form.id).ok_or_else(|| unknown("id", &form.id))?;
    let topics: Vec<Topic> = form.topics.iter().map(|form| topic(form, baselines)).collect();
    let (mut destinations, mut keys) = (BTreeMap::new(), Vec::new());
    for to in &form.destinations {
        let contacted = Contacted {
            peer: peer(to.address, &to.network, baselines),
            port: to.port,
            protocol: to.protocol,
            n_flows: to.n_flows,
            bytes_out: to.bytes_out,
            bytes_in: to.bytes_in,
            first: to.first,
            last: to.last,
        };
        keys.push(contacted.key());
        destinations.insert(contacted.key(), contacted);
    }
    let mut words = BTreeMap::new();
    for word in &form.oddities {
        let topic = topics.get(word.topic).ok_or_else(|| unknown("topic", &word.topic.to_string()))?;
        let evidence = word.evidence.iter().map(evidence).collect::<Result<_, Error>>()?;
        let (bans, severity) = (word.bans.value()?, word.severity.value()?);
        let about = |place: &usize| keys.get(*place).copied().ok_or_else(|| unknown("about", &place.to_string()));
        let about = word.about.iter().map(about).collect::<Result<_, Error>>()?;
        let [since, at] = [word.since, word.at].map(|window| Window(window.unwrap_or(form.first)));
        words.insert((*topic, check(&word.check)?), Word { since, at, about, bans, severity, evidence });
    }
    let enis = form.enis.iter().map(|eni| {
        let [id, account, region, vpc] = [&eni.id, &eni.account, &eni.region, &eni.vpc].map(Arc::clone);
        (Arc::clone(&id), Eni { id, account, region, vpc })
    });
    Ok(Incident {
        id: Fingerprint(id),
        owner: baselines.owner(&form.owner),
        first: Window(form.first),
        last: Window(form.last),
        began: form.began,
        joined: Window(form.joined.unwrap_or(form.last)),
        count: form.count,
        topics: topics.iter().copied().collect(),
        bans: form.bans.value()?,
        words,
        destinations,
        counted_in_window: (Window(form.last), BTreeSet::new()),
        enis: enis.collect(),
        deployment: form.deployment.as_ref().map(|deployment| Deployment {
            version: Arc::clone(&deployment.version),
            code_sha256: Arc::clone(&deployment.code_sha256),
            at: deployment.at,
        }),
        lasts: false,
        told: None,
    })
}

fn topic(form: &TopicForm, baselines: &mut Baselines) -> Topic {
    match form {
        TopicForm::NewNetwork { network } => Topic::Newcomer(Subject::Network(number(network, baselines))),
        TopicForm::NewService { network, port, protocol } => {
            Topic::Newcomer(Subject::Service(number(network, baselines), *port, *protocol))
        }
        TopicForm::NewPrefix { address } => {
            Topic::Newcomer(Subject::Prefix(baselines.ladder.prefix_id(Prefix::of(from_ip(*address)))))
        }
        TopicForm::Service { network, port, protocol } => Topic::Service(number(network, baselines), *port, *protocol),
        TopicForm::Peer { address, network } => Topic::Peer(peer(*address, network, baselines)),
        TopicForm::Owner => Topic::Owner,
    }
}

fn number(form: &NetworkForm, baselines: &mut Baselines) -> u32 {
    baselines.ladder.network(&Network { key: Arc::clone(&form.key), label: Arc::clone(&form.label) })
}

fn peer(address: IpAddr, network: &NetworkForm, baselines: &mut Baselines) -> u32 {
    let named = || Network { key: Arc::clone(&network.key), label: Arc::clone(&network.label) };
    baselines.ladder.peer(from_ip(address), named)
}

fn check(id: &str) -> Result<CheckId, Error> {
    CheckId::parse(id).ok_or_else(|| unknown("check", id))
}

fn evidence(form: &EvidenceForm) -> Result<Evidence, Error> {
    let quantity =
        |value: &Number| Quantity::parse(value.value()?, &form.unit).ok_or_else(|| unknown("unit", &form.unit));
    Ok(Evidence {
        check: check(&form.check)?,
        measure: finding::measure(&form.measure).ok_or_else(|| unknown("measure", &form.measure))?,
        observed: quantity(&form.observed)?,
        expected: quantity(&form.expected)?,
        surprise: form.surprise.value()?,
        statement: form.statement.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::OwnIncidents;
    use super::*;

    fn sample(baselines: &mut Baselines) -> Incidents {
        let network = Network { key: "AS64500".into(), label: "AS64500 Example Hosting".into() };
        let owner = baselines.owner("arn:aws:lambda:eu-west-1:111122223333:function:activities-api");
        let peer = baselines.ladder.peer(from_ip("203.0.113.7".parse().unwrap()), || network.clone());
        let rungs = baselines.ladder.rungs(peer);
        let topics = [
            Topic::Newcomer(Subject::Network(rungs.network)),
            Topic::Newcomer(Subject::Service(rungs.network, 443, 6)),
            Topic::Newcomer(Subject::Prefix(rungs.prefix)),
            Topic::Service(rungs.network, 443, 6),
            Topic::Peer(peer),
            Topic::Owner,
        ];
        let evidence = Evidence {
            check: CheckId::Beacon,
            measure: "interval",
            observed: Quantity::Secs(0.1 + 0.2),
            expected: Quantity::Secs(f64::INFINITY),
            surprise: 1.0 / 3.0,
            statement: "polls".to_owned(),
        };
        let contacted = Contacted {
            peer,
            port: 443,
            protocol: 6,
            n_flows: 3,
            bytes_out: u64::MAX,
            bytes_in: 1,
            first: -1,
            last: 9,
        };
        let about = BTreeSet::from([contacted.key()]);
        let word = Word { since: Window(6), at: Window(8), about, bans: 2.1, severity: 7.3, evidence: vec![evidence] };
        let eni = Eni { id: "eni-1".into(), account: "111122223333".into(), ..Eni::default() };
        let incident = Incident {
            id: Fingerprint(7),
            owner,
            first: Window(5),
            last: Window(9),
            began: Some(4211),
            joined: Window(7),
            count: 2,
            topics: topics.into_iter().collect(),
            bans: 2.1,
            words: topics.into_iter().map(|topic| ((topic, CheckId::Beacon), word.clone())).collect(),
            destinations: BTreeMap::from([(contacted.key(), contacted)]),
            counted_in_window: (Window(9), BTreeSet::new()),
            enis: BTreeMap::from([(Arc::clone(&eni.id), eni)]),
            deployment: Some(Deployment { version: "2".into(), code_sha256: "x".into(), at: 4 }),
            lasts: false,
            told: None,
        };
        Incidents { of_owner: BTreeMap::from([(owner, OwnIncidents(vec![incident]))]) }
    }

    #[test]
    fn incidents_survive_tables_with_other_numbers() {
        let mut wrote = Baselines::default();
        let incidents = sample(&mut wrote);
        let text = incidents.to_json(&wrote);
        let mut reads = Baselines::default();
        reads.owner("somebody else");
        reads.ladder.peer(1, || Network { key: "other".into(), label: "other".into() });
        let back = Incidents::from_json(&text, &mut reads).unwrap();
        assert_eq!(back.to_json(&reads), text);
        assert_eq!(back.of_owner.keys().collect::<Vec<_>>(), [&1]);
        let mut same = wrote.clone();
        let back = Incidents::from_json(&text, &mut same).unwrap();
        assert_eq!(format!("{back:?}"), format!("{incidents:?}"));
    }

    #[test]
    fn what_is_written_does_not_depend_on_numbers() {
        let written = |numbered: [&str; 2]| {
            let mut baselines = Baselines::default();
            let network = |name: &str| Network { key: name.into(), label: name.into() };
            let numbers = numbered.map(|name| (baselines.owner(name), baselines.ladder.network(&network(name))));
            let mut incidents = Incidents::default();
            for (owner, _) in numbers {
                let mut incident = Incident::new(Fingerprint(1), owner, Window(1));
                for (_, network) in numbers {
                    let topic = Topic::Newcomer(Subject::Network(network));
                    incident.topics.insert(topic);
                    let (since, at, about, evidence) = (Window(1), Window(1), BTreeSet::new(), Vec::new());
                    let word = Word { since, at, about, bans: 2.0, severity: 5.0, evidence };
                    incident.words.insert((topic, CheckId::Beacon), word);
                }
                incidents.put(owner, OwnIncidents(vec![incident]));
            }
            incidents.to_json(&baselines)
        };
        assert_eq!(written(["a", "b"]), written(["b", "a"]));
    }

    #[test]
    fn what_this_version_does_not_know_is_refused() {
        let text = sample(&mut Baselines::default()).to_json(&{
            let mut baselines = Baselines::default();
            sample(&mut baselines);
            baselines
        });
        let refused = |from: &str, to: &str| {
            Incidents::from_json(&text.replace(from, to), &mut Baselines::default()).unwrap_err().to_string()
        };
        assert!(refused("callout.incidents/1", "callout.incidents/2").contains("another version wrote this"));
        assert!(refused("\"beacon\"", "\"telepathy\"").contains("telepathy"));
        assert!(refused("\"interval\"", "\"In terval\"").contains("measure"));
        assert!(refused("\"kind\":\"owner\"", "\"kind\":\"moon\"").contains("form"));
        assert!(refused("{", "[").contains("form"));
    }

    #[test]
    fn units_of_older_programs_are_read() {
        // New prefixes were counted in networks once.
        let mut baselines = Baselines::default();
        let text = sample(&mut baselines).to_json(&baselines).replace("\"seconds\"", "\"networks\"");
        let back = Incidents::from_json(&text, &mut baselines).unwrap();
        assert_eq!(back.to_json(&baselines), text);
    }

    #[test]
    fn words_of_older_programs_are_about_all_of_their_topic_since_the_beginning() {
        let mut baselines = Baselines::default();
        let text = sample(&mut baselines).to_json(&baselines);
        let said = r#""since":6,"at":8,"about":[0],"#;
        assert!(text.contains(said), "{text}");
        let back = Incidents::from_json(&text.replace(said, ""), &mut baselines).unwrap();
        let word = |incident: &Incident| incident.words.values().map(|word| (word.since, word.about.len())).next();
        assert_eq!(back.iter().map(word).collect::<Vec<_>>(), [Some((Window(5), 0))]);
        let damaged = text.replace(said, &said.replace("[0]", "[1]"));
        assert!(Incidents::from_json(&damaged, &mut baselines).unwrap_err().to_string().contains("`about` is `1`"));
    }

    #[test]
    fn old_incidents_are_forgotten() {
        let mut incidents = sample(&mut Baselines::default());
        let config = Config { novelty_memory_days: 90, ..Config::defaults() };
        incidents.forget(Day(90), &config);
        assert_eq!(incidents.len(), 1);
        incidents.forget(Day(91), &config);
        assert_eq!((incidents.is_empty(), incidents.len()), (true, 0));
    }
}
