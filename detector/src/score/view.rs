//! The view: one owner's window, as the checks see it, with what was known before it.

use std::net::IpAddr;
use std::sync::Arc;

use baselines::Fleet;
use baselines::baseline::Baseline;
use baselines::follow::Open;
use baselines::heirs::{WarmUp, functions, is_function};
use baselines::known::RecordLengths;
use baselines::ladder::{Ladder, Rungs, is_private, to_ip};
use baselines::newcomer::{Newcomer, Subject};
use baselines::observation::Observation;
use baselines::standing::{Found, Standing};
use baselines::window::{WINDOW_SECS, Window};

use super::Facts;
use super::flood::Flood;
use super::novelty::Prior;
use super::oddity::Topic;
use crate::amounts::span_words;
use crate::finding::port_words;

/// AWS's blocks that customers' own hosts are in. Behind every other code AWS itself answers. Source: AWS, "AWS IP
/// address ranges", `service`.
pub(crate) const RENTED_BLOCKS: [&str; 3] = ["EC2", "AMAZON", "GLOBALACCELERATOR"];

/// One owner's window: what was observed in it and what was known before it.
pub(super) struct View<'a> {
    /// The owner's number.
    pub(super) owner: u32,
    /// What all owners share, as it was when the hour began.
    pub(super) fleet: Fleet<'a>,
    /// What was learned of the owner before the window; newcomers already hold their contacts of the window.
    pub(super) baseline: &'a Baseline,
    /// The window.
    pub(super) window: Window,
    /// Its observations, one a destination, sorted by address, port and protocol.
    pub(super) rows: &'a [Observation],
    /// Where each row's destination stood before the window.
    pub(super) found: &'a [Found],
    /// What was set apart of the window: see [`super::flood`].
    pub(super) flood: &'a Flood,
    /// Newcomers met in the window.
    pub(super) subjects: &'a [Subject],
    /// Their files.
    pub(super) open: &'a Open,
    /// Whether the owner was observed long enough to be judged by its behaviour.
    pub(super) is_ready: bool,
    /// How long an owner is observed before it is judged.
    pub(super) warm_up: WarmUp,
    /// Bans a topic needs to be told.
    pub(super) needed_bans: f64,
    /// Whether what was refused is told as such, [`super::rejected_egress`].
    pub(super) are_refusals_judged: bool,
    /// What the fleet's owners meet that is new.
    pub(super) prior: &'a Prior,
    /// Whether any functions of the fleet share an interface.
    pub(super) are_shared: bool,
    /// How long the flow records of the fleet last.
    pub(super) fleet_records: RecordLengths,
    /// What the user's files say.
    pub(super) facts: &'a dyn Facts,
}

/// The most days on which something may have been met, the present one included, and still be rare.
pub(super) const RARE_DAYS: u32 = 3;

/// How long after its first contact something rare counts as back. Five days are more than the three it may have been
/// met on, so there was a silence in between.
const BACK_SECS: i64 = 5 * 86_400;

impl View<'_> {
    /// The newcomers met in the window, other than more blocks of a service that AWS runs and more addresses of a
    /// resolver that the function asks.
    pub(super) fn newcomers(&self) -> impl Iterator<Item = (Subject, &Newcomer)> {
        let open = |&subject: &Subject| Some((subject, self.open.get(subject)?));
        let newcomers = self.subjects.iter().filter_map(open);
        newcomers.filter(|(subject, newcomer)| {
            !self.is_part_of_aws(*subject, newcomer) && !self.is_part_of_resolver(newcomer)
        })
    }

    /// The newcomers met in the window after the owner's warm-up: what was met before is part of how it works, unless
    /// it sleeps ([`super::dormant_return`]).
    pub(super) fn newcomers_after_warm_up(&self) -> impl Iterator<Item = (Subject, &Newcomer)> {
        self.newcomers().filter(|(_, newcomer)| self.was_met_ready(newcomer))
    }

    /// Those, and what came back after a silence, whatever it was met in: a sleeper that probed during warm-up polls
    /// and holds connections like another.
    pub(super) fn newcomers_that_may_last(&self) -> impl Iterator<Item = (Subject, &Newcomer)> {
        self.newcomers().filter(|(subject, newcomer)| self.was_met_ready(newcomer) || is_back(*subject, newcomer))
    }

    /// Whether a newcomer was met after the owner's warm-up.
    pub(super) fn was_met_ready(&self, newcomer: &Newcomer) -> bool {
        self.baseline.was_ready(newcomer.known.first, newcomer.met.n_days, self.warm_up)
    }

    /// Whether a newcomer is one more block of a service that AWS runs and the function uses: which of its addresses
    /// answers means nothing.
    fn is_part_of_aws(&self, subject: Subject, newcomer: &Newcomer) -> bool {
        let (Subject::Prefix(_), Some(destination)) = (subject, newcomer.destinations.first()) else { return false };
        self.is_run_by_aws(self.rungs(destination.peer).network)
    }

    /// See [`is_run_by_aws`].
    pub(super) fn is_run_by_aws(&self, network: u32) -> bool {
        is_run_by_aws(self.fleet.ladder, network)
    }

    /// Whether a newcomer is one more address of a public resolver that the function asks: which of them answers means
    /// nothing.
    fn is_part_of_resolver(&self, newcomer: &Newcomer) -> bool {
        let mut destinations = newcomer.destinations.iter();
        !newcomer.destinations.is_empty() && destinations.all(|to| self.knows_operator(to.peer, to.port))
    }

    /// Whether the function has for a day or more asked a public resolver of the same operator on the same port, and
    /// that one is settled: what is under a finding makes nothing known.
    pub(super) fn knows_operator(&self, peer: u32, port: u16) -> bool {
        let Some(operator) = self.facts.public_resolver(self.rungs(peer).address) else { return false };
        self.baseline.destinations().any(|(&(known_peer, known_port, protocol), known)| {
            known_port == port
                && known.known.first.day() < self.window.day()
                && self.facts.public_resolver(self.rungs(known_peer).address) == Some(operator)
                && {
                    let row = Observation { peer: known_peer, port, protocol, ..Observation::default() };
                    self.baseline.find(self.fleet.ladder, &row).standing == Standing::Settled
                }
        })
    }

    /// Whether all destinations of a newcomer are inside private space.
    pub(super) fn is_inside(&self, newcomer: &Newcomer) -> bool {
        newcomer.destinations.iter().all(|destination| is_private(self.rungs(destination.peer).address))
    }

    /// What a destination is judged as: the newcomer that it is or belongs to, or, inside a network that the function
    /// uses for other things, itself; nothing that was met during warm-up.
    pub(super) fn topic_of(&self, row: &Observation, found: &Found) -> Option<Topic> {
        match found.standing {
            Standing::New(subject) | Standing::Watched(subject) => {
                let newcomer = self.open.get(subject)?;
                self.was_met_ready(newcomer).then_some(Topic::Newcomer(subject))
            }
            Standing::Settled => Some(Topic::Peer(row.peer)),
        }
    }

    /// Rows with where their destinations stood.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Observation, &Found)> {
        self.rows.iter().zip(self.found)
    }

    /// The address of a row and the rungs above it.
    pub(super) fn rungs(&self, peer: u32) -> Rungs {
        self.fleet.ladder.rungs(peer)
    }

    /// The label of a network.
    pub(super) fn network(&self, network: u32) -> Arc<str> {
        self.fleet.ladder.label(network)
    }

    /// See [`subject_words`].
    pub(super) fn subject_words(&self, subject: Subject) -> String {
        subject_words(self.fleet.ladder, subject)
    }

    /// A row's destination in words: `203.0.113.7:443`, `203.0.113.7 by icmp`.
    pub(super) fn destination_words(&self, row: &Observation) -> String {
        let (address, port) = (to_ip(self.rungs(row.peer).address), row.port);
        match address {
            _ if port == 0 => format!("{address} {}", port_words(port, row.protocol)),
            IpAddr::V4(_) => format!("{address}:{port}"),
            IpAddr::V6(_) => format!("[{address}]:{port}"),
        }
    }

    /// What the owner is: a function, a group of them that share an interface, or an interface of which no inventory
    /// says whose it is.
    pub(super) fn owner_word(&self) -> &'static str {
        let name = self.fleet.owners.name(self.owner);
        match functions(&name).count() {
            _ if !is_function(&name) => "interface",
            1 => "function",
            _ => "group",
        }
    }

    /// One of the fleet's owners and several of them: functions that share interfaces are one owner.
    pub(super) fn owner_words(&self) -> [&'static str; 2] {
        match self.owner_word() {
            "interface" => ["interface", "interfaces"],
            _ if self.are_shared => ["function or group of functions", "functions or groups of functions"],
            _ => ["function", "functions"],
        }
    }

    /// How long the owner had been known when it met a newcomer, in words.
    pub(super) fn age_words(newcomer: &Newcomer) -> String {
        span_words(i64::from(newcomer.met.age) * WINDOW_SECS)
    }
}

/// Whether a network is a service that AWS itself runs.
pub(super) fn is_run_by_aws(ladder: &Ladder, network: u32) -> bool {
    let key = ladder.networks().name(network);
    let mut words = key.split(' ');
    words.next() == Some("AWS") && words.next().is_some_and(|service| !RENTED_BLOCKS.contains(&service))
}

/// What a subject is, in words: `AS64500 Example Hosting`, the same with its port, a block.
pub(crate) fn subject_words(ladder: &Ladder, subject: Subject) -> String {
    match subject {
        Subject::Network(network) => ladder.label(network).to_string(),
        Subject::Service(network, port, protocol) => {
            format!("{} {}", ladder.label(network), port_words(port, protocol))
        }
        Subject::Prefix(prefix) => ladder.prefix(prefix).to_string(),
    }
}

/// Whether a network or a port of it, met on few days long ago, is back at another hour of the week: not a weekly job,
/// and not one more address of a network that is in use.
fn is_back(subject: Subject, newcomer: &Newcomer) -> bool {
    let first = newcomer.known.first;
    let since = |minute: u32| i64::from(minute) * 60 - first.start();
    let back = newcomer.contacts.iter().copied().find(|&minute| since(minute) >= BACK_SECS);
    !matches!(subject, Subject::Prefix(_))
        && newcomer.known.n_days <= RARE_DAYS
        && back.is_some_and(|minute| Window::of_minute(minute).hours_of_week_to(first) > 1)
}

/// Whether every contact with a newcomer so far was refused: then nothing was called.
pub(super) fn is_all_refused(newcomer: &Newcomer) -> bool {
    newcomer.n_flows == 0 && newcomer.n_rejected > 0
}
