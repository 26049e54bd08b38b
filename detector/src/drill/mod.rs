//! Drills: call-outs of the known shapes, played on the user's own functions in the user's own logs, in memory.
//!
//! Where it sits: above the pipeline, below the door for people. The logs are read once and walked once as they are;
//! then, for each shape, once more with that one call-out among them: what would be told if just this had happened. A
//! call-out is connections ([`shapes`]), turned into flow records ([`wire`]) and read like any other object.
//! What it does not do: it writes nothing and sends nothing, and what it learns it forgets. The same seed over the same
//! logs gives the same drills.
//!
//! The shapes are also those of the traffic generator of `benches/`: what is evaluated there is what is drilled here.

pub mod connection;
pub mod dice;
mod habits;
pub mod letters;
mod object;
mod scene;
pub mod shapes;
pub mod wire;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use baselines::Baselines;
use baselines::heirs::functions;
use baselines::observation::Observations;
use baselines::window::WINDOW_SECS;

use crate::config::Config;
use crate::coverage::Coverage;
use crate::finding::{Destination, Finding, Fingerprint};
use crate::pipeline::{Gathered, Job, Knowledge, Memory, Mode, Progress, Scratch};
use crate::read::Object;
use crate::score::Scorer;
use crate::write::drill::{Drill, Found, Play};
use connection::Connection;
use dice::Dice;
use habits::Habits;
use letters::{Form, Shape};
use scene::{Met, Played, Scenario, Stage};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Moments thrown for a call-out before the function is given up. A judgement: several, so that one may be among them
/// that lies apart from other findings and at which the shape can be played.
const TRIES: u32 = 8;

/// Forms that need no stranger's address: a public resolver, the function's own networks, its neighbours.
const STRANGERLESS: [Form; 4] = [Form::G, Form::J, Form::K, Form::Q];

/// What a sleeper needs behind it: a probe in the first week, and a week of silence.
const SLEEPER_SECS: i64 = 8 * DAY + 6 * HOUR;

/// What to drill.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The settings.
    pub config: &'a Config,
    /// Only records starting in this span of Unix seconds, half-open.
    pub span: Option<(i64, i64)>,
    /// The shapes, in the order to tell of them.
    pub shapes: &'a [Shape],
    /// The function to play on: its name or ARN; else one that suits is chosen for each shape.
    pub function: Option<&'a str>,
    /// What is chosen follows from it.
    pub seed: u64,
    /// Findings below are not told and count as nothing.
    pub min_severity: f64,
}

/// What drilling gives.
#[derive(Debug)]
pub struct Outcome {
    /// One a shape, in the order asked for; or why there is nobody to play on.
    pub drills: Result<Vec<Drill>, Error>,
    /// What the logs give as they are.
    pub findings: Vec<Finding>,
    /// The account of reading and walking them as they are.
    pub coverage: Coverage,
}

/// Why nothing was drilled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No function is judged by its behaviour with a day left to play on it.
    #[error(
        "no function is ready: none was observed through the warm-up and on {} days before its last",
        Scorer::READY_DAYS
    )]
    NotReady,
    /// The function named is not judged by its behaviour with a day left to play on it.
    #[error(
        "`{function}` is not ready: it was not observed through the warm-up and on {} days before its last",
        Scorer::READY_DAYS
    )]
    FunctionNotReady {
        /// As typed.
        function: String,
    },
    /// The function named is not in the logs.
    #[error("`{function}` is not in these logs")]
    UnknownFunction {
        /// As typed.
        function: String,
        /// Those that are.
        known: Vec<String>,
    },
}

/// Reads objects and drills the shapes asked for, from a baseline on.
///
/// # Errors
/// When a scratch fails. An object that cannot be read is named in the coverage.
pub fn run(
    request: &Request<'_>,
    knowledge: &mut Knowledge,
    objects: Vec<Arc<dyn Object>>,
    start: &Baselines,
    scratch: &dyn Fn() -> Box<dyn Scratch>,
    progress: &dyn Progress,
) -> std::io::Result<Outcome> {
    let gathered = Gathered::read(&job(request, knowledge, progress), objects)?;
    let walk = |knowledge: &Knowledge, more: &[(String, Observations)]| {
        gathered.walk(&job(request, knowledge, progress), more, Memory::from(start.clone()), scratch())
    };
    let plain = walk(knowledge, &[])?;
    let all = Habits::of(&gathered, start, Scorer::warm_up(request.config));
    let interval_secs = object::interval_secs(&gathered);
    let met = Met::of(&gathered, start, knowledge);
    let ready = match ready(request, &all, met.ends) {
        Ok(ready) => ready,
        Err(nobody) => {
            return Ok(Outcome { drills: Err(nobody), findings: plain.findings, coverage: plain.coverage });
        }
    };
    let has_strangers = Stage { knowledge, met: &met }.has_strangers(&mut Dice::new(request.seed).fork("strangers", 0));
    // The deployment stays in the inventory, so its shape comes last.
    let mut shapes = request.shapes.to_vec();
    shapes.sort_by_key(|&shape| shape == Shape::AfterDeployment);
    let mut drills = Vec::with_capacity(shapes.len());
    for shape in shapes {
        let (letter, title) = (shape.letter(), shape.title());
        let mut dice = Dice::new(request.seed).fork("drill", u64::from(letter));
        let form = shape.form(&mut dice);
        let placed = if has_strangers || STRANGERLESS.contains(&form) {
            place(Stage { knowledge, met: &met }, &ready, &plain.findings, shape, form, &mut dice)
        } else {
            Err("every address is on a list, or in a network these logs have met")
        };
        let Scenario { habits, start, enis, connections } = match placed {
            Ok(scenario) => scenario,
            Err(reason) => {
                drills.push(Drill { shape: letter, title, play: Err(reason) });
                continue;
            }
        };
        if shape == Shape::AfterDeployment {
            deploy(knowledge, &habits.owner, start - dice.between(2 * 60, 90 * 60));
        }
        let more = object::observations(&job(request, knowledge, progress), habits, &enis, &connections, interval_secs);
        let drilled = walk(knowledge, &more)?;
        let opened = connections.iter().map(Connection::opens);
        let mut play = Play {
            function: habits.name(),
            destinations: reached(&connections),
            start: opened.filter(|&at| at >= start).min().unwrap_or(start),
            end: connections.iter().map(|connection| connection.closes).max().unwrap_or(start),
            found: None,
            added: Vec::new(),
            hidden: Vec::new(),
        };
        compare(request, &habits.owner, &plain.findings, &drilled.findings, &mut play);
        drills.push(Drill { shape: letter, title, play: Ok(play) });
    }
    drills.sort_by_key(|drill| request.shapes.iter().position(|asked| asked.letter() == drill.shape));
    Ok(Outcome { drills: Ok(drills), findings: plain.findings, coverage: plain.coverage })
}

fn job<'a>(request: &Request<'a>, knowledge: &'a Knowledge, progress: &'a dyn Progress) -> Job<'a> {
    Job { config: request.config, knowledge, mode: Mode::Replay, span: request.span, progress }
}

/// The functions that can be drilled, the one asked for or all.
fn ready<'a>(request: &Request<'_>, all: &'a [Habits], ends: i64) -> Result<Vec<&'a Habits>, Error> {
    let is_ready = |habits: &&Habits| habits.ready_at.is_some_and(|at| at < ends - HOUR);
    let Some(function) = request.function else {
        let ready: Vec<&Habits> = all.iter().filter(is_ready).collect();
        return if ready.is_empty() { Err(Error::NotReady) } else { Ok(ready) };
    };
    let asked: Vec<&Habits> = all.iter().filter(|habits| habits.is_called(function)).collect();
    let function = function.to_owned();
    if asked.is_empty() {
        return Err(Error::UnknownFunction { function, known: all.iter().map(Habits::name).collect() });
    }
    let ready: Vec<&Habits> = asked.into_iter().filter(is_ready).collect();
    if ready.is_empty() { Err(Error::FunctionNotReady { function }) } else { Ok(ready) }
}

/// Plays a shape on the first function that suits, in an order thrown; or says why there is none.
fn place<'a>(
    stage: Stage<'_>,
    ready: &[&'a Habits],
    findings: &[Finding],
    shape: Shape,
    form: Form,
    dice: &mut Dice,
) -> Result<Scenario<'a>, &'static str> {
    let mut order: Vec<&Habits> = ready.to_vec();
    dice.fork("order", 0).shuffle(&mut order);
    let mut reason = "no function is at work late enough in these logs";
    for habits in order {
        if let Err(why) = suits(stage, habits, shape, form, dice) {
            reason = why;
            continue;
        }
        // A call-out beside a finding would be told under that one's id.
        let is_quiet = |at: i64| {
            let near = |finding: &&Finding| finding.window.0 - DAY < at && at < finding.window.1 + DAY;
            !findings.iter().filter(near).any(|finding| is_of(finding, &habits.owner))
        };
        let ready_at = habits.ready_at.unwrap_or(stage.met.ends);
        let first = if form == Form::L { ready_at.max(habits.begins() + SLEEPER_SECS) } else { ready_at };
        let last = (stage.met.ends - shape.room_secs()).max(first);
        let mut starts: Vec<i64> = (0..TRIES)
            .filter_map(|_| habits.awake(dice.between(first, last)))
            .filter(|&at| at < stage.met.ends - HOUR)
            .collect();
        starts.sort_by_key(|&at| !is_quiet(at));
        for start in starts {
            if form == Form::K && scene::provider(habits, start).is_none() {
                reason = "no function calls one provider outside on five days and more";
                continue;
            }
            let mut played = Played::new(stage, habits, start, dice.fork("scene", 0));
            shapes::play(form, &mut played);
            if let Some(scenario) = played.finish() {
                return Ok(scenario);
            }
        }
    }
    Err(reason)
}

/// Whether a function can show a shape at all.
fn suits(stage: Stage<'_>, habits: &Habits, shape: Shape, form: Form, dice: &Dice) -> Result<(), &'static str> {
    if matches!(form, Form::D | Form::E | Form::H | Form::P) && !habits.is_busy() {
        return Err("no function runs often enough");
    }
    if form == Form::J && stage.cloud_host(habits, &mut dice.fork("cloud", 0)).is_none() {
        return Err("no function calls a network under several prefixes");
    }
    if form == Form::L && stage.met.ends - HOUR < habits.begins() + SLEEPER_SECS {
        return Err("the logs are shorter than a sleeper's week");
    }
    if shape == Shape::AfterDeployment && !habits.owner.starts_with("arn:") {
        return Err("deployments need --functions");
    }
    Ok(())
}

/// Puts a deployment of an owner's first function into the inventory.
fn deploy(knowledge: &mut Knowledge, owner: &str, at: i64) {
    let arn = functions(owner).next().unwrap_or(owner);
    let name = arn.rsplit(':').next().unwrap_or(arn);
    let modified = jiff::Timestamp::from_second(at).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string());
    let page = serde_json::json!({ "Functions": [{
        "FunctionName": name,
        "FunctionArn": format!("{arn}:drill"),
        "Version": "drill",
        "CodeSha256": "drill",
        "LastModified": modified.unwrap_or_default(),
    }]});
    // A page of our own making is read, or the drill is one without a deployment: told as such.
    knowledge.inventory.add_functions("drill", page.to_string().as_bytes()).ok();
}

/// Address, port and protocol of everything reached.
fn reached(connections: &[Connection]) -> Vec<(IpAddr, u16, u8)> {
    let reached: BTreeSet<_> = connections.iter().map(|c| (c.peer, c.peer_port, c.protocol)).collect();
    reached.into_iter().collect()
}

fn is_of(finding: &Finding, owner: &str) -> bool {
    let arns = &finding.owner.arns;
    if arns.is_empty() { finding.owner.eni_ids.iter().any(|eni| **eni == *owner) } else { arns.join(",") == owner }
}

/// Compares what is told with the call-out and without it.
fn compare(request: &Request<'_>, owner: &str, plain: &[Finding], drilled: &[Finding], play: &mut Play) {
    let is_told =
        |finding: &&Finding| finding.suppressed_by.is_none() && finding.severity.value() >= request.min_severity;
    let names = |finding: &Finding| {
        let mut named = finding.destinations.iter().map(|to| (to.address, to.port, to.protocol));
        is_of(finding, owner) && named.any(|to| play.destinations.binary_search(&to).is_ok())
    };
    let before: BTreeSet<Fingerprint> = plain.iter().filter(is_told).map(|finding| finding.id).collect();
    let named_before: BTreeSet<Fingerprint> = plain.iter().filter(|finding| names(finding)).map(|f| f.id).collect();
    let after: BTreeSet<Fingerprint> = drilled.iter().filter(is_told).map(|finding| finding.id).collect();
    let about: Vec<&Finding> = drilled
        .iter()
        .filter(is_told)
        .filter(|finding| names(finding) && !named_before.contains(&finding.id))
        .collect();
    let found = about.iter().min_by_key(|finding| (before.contains(&finding.id), finding.window.0)).map(|first| {
        let checks: BTreeSet<_> = about.iter().flat_map(|finding| &finding.evidence).map(|said| said.check).collect();
        let raised = first.window.0 + WINDOW_SECS;
        Found {
            id: first.id,
            checks: checks.into_iter().collect(),
            // Told under an older finding's id, nobody sees in it when this part was added.
            after_secs: (!before.contains(&first.id)).then_some(raised - play.start),
            severity: first.severity,
            confidence: first.confidence,
            names_deployment: first.deployment.is_some(),
        }
    });
    let is_about = |id: &Fingerprint| about.iter().any(|finding| finding.id == *id);
    let added = after.difference(&before).filter(|id| !is_about(id)).copied().collect();
    // One incident is one finding: what is told under another's id is not hidden.
    let holds = |other: &Finding, finding: &Finding| {
        let named = |to: &Destination| {
            let is_it = |of: &Destination| (of.address, of.port, of.protocol) == (to.address, to.port, to.protocol);
            other.destinations.iter().any(is_it)
        };
        let (theirs, own) = (&other.owner, &finding.owner);
        let is_same = if own.arns.is_empty() { theirs.eni_ids == own.eni_ids } else { theirs.arns == own.arns };
        is_same && finding.destinations.iter().all(named)
    };
    let is_hidden = |finding: &&Finding| {
        !after.contains(&finding.id) && !drilled.iter().filter(is_told).any(|other| holds(other, finding))
    };
    let hidden = plain.iter().filter(is_told).filter(is_hidden).map(|finding| finding.id).collect();
    (play.found, play.added, play.hidden) = (found, added, hidden);
}
