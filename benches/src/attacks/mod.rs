//! Attacks: call-outs of compromised dependencies, placed into a fleet.
//!
//! Takes a fleet, adds connections and ground truth to it. `shapes` has one function for each shape of the list of incidents.
//! Call-outs use the same connections, ports, windows and networks as everything else; only what they do differs.

pub(crate) mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;

use crate::{
    calendar::{DAY, HOUR, MINUTE, Secs},
    dice::Dice,
    fleet::{Fleet, Kind, Rhythm, Span, Version, inventory::code_sha256},
    traffic::Connection,
    truth::{Attack, Reached},
};

/// All shapes, in the order of the list of incidents.
pub(crate) const SHAPES: [char; 16] = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'P', 'Q', 'R', 'S'];

/// How often each shape is placed: three times in a fleet of sixty functions, never less than twice.
const FUNCTIONS_PER_REPEAT: usize = 20;

/// First day on which a call-out may begin: after the week of warm-up, and a day more.
const FIRST_DAY: Secs = 8 * DAY + HOUR;
/// Distance between two call-outs of one function.
const APART_SECS: Secs = 3 * DAY;

/// Where a shape is being played: one function, from one moment on.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) function: usize,
    pub(crate) start: Secs,
    pub(crate) dice: Dice,
    connections: Vec<Connection>,
    reached: BTreeSet<Reached>,
    /// Invocations of the days looked at so far, by midnight.
    invocations: BTreeMap<Secs, Vec<Secs>>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(fleet: &'a Fleet, function: usize, start: Secs, dice: Dice) -> Self {
        let (connections, reached, invocations) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self { fleet, function, start, dice, connections, reached, invocations }
    }

    /// Gives the truth about what was played, and its connections; `None` when there were none.
    pub(crate) fn finish(self, shape: char, form: char) -> Option<(Attack, Vec<Connection>)> {
        let Self { function, start, connections, reached: destinations, .. } = self;
        let end = connections.iter().map(|c| c.closes).max()?;
        Some((Attack { shape, form, function, destinations, start, end }, connections))
    }

    /// Adds a connection from the function at the time it opens, if the function has an interface then.
    pub(crate) fn connect(&mut self, at: Secs, make: impl FnOnce(usize, &mut Dice) -> Connection) {
        let environments = self.fleet.functions[self.function].n_environments;
        let environment = self.dice.below(u64::from(environments)) as u32;
        if at >= self.fleet.span.end - HOUR {
            return;
        }
        if let Some(interface) = self.fleet.interface(self.function, environment, at) {
            let connection = make(interface, &mut self.dice);
            self.reached.insert(Reached::new(connection.peer, connection.peer_port, connection.protocol));
            self.connections.push(connection);
        }
    }

    /// The first invocation at or after `at`; within two days, or `None`.
    ///
    /// Lambda freezes an environment between invocations, so code of a dependency often runs only then.
    pub(crate) fn awake(&mut self, at: Secs) -> Option<Secs> {
        let (fleet, function) = (self.fleet, &self.fleet.functions[self.function]);
        (0..2).map(|d| (at.div_euclid(DAY) + d) * DAY).find_map(|midnight| {
            let times = self
                .invocations
                .entry(midnight)
                .or_insert_with(|| function.invocations(midnight, fleet.span.start, &fleet.dice));
            times.iter().copied().find(|&t| t >= at)
        })
    }
}

/// Places the wanted shapes: `all`, `none`, or letters divided by commas.
pub(crate) fn add(fleet: &mut Fleet, wanted: &str) -> anyhow::Result<()> {
    let shapes: Vec<char> = match wanted {
        "all" => SHAPES.to_vec(),
        "none" => Vec::new(),
        letters => letters.split(',').filter_map(|s| s.trim().chars().next()).collect(),
    };
    if let Some(unknown) = shapes.iter().find(|s| !SHAPES.contains(s)) {
        bail!("there is no shape `{unknown}`; known are {}", SHAPES.iter().collect::<String>());
    }
    let days = (fleet.span.end - fleet.span.start) / DAY;
    if !shapes.is_empty() && days < 14 {
        bail!("a fleet of {days} days has no room for call-outs; give --days 14 or more, or --shapes none");
    }
    let repeats = (fleet.functions.len() / FUNCTIONS_PER_REPEAT).clamp(2, 4);
    let dice = fleet.dice.fork("attacks", 0);
    let mut order: Vec<usize> = (0..fleet.functions.len()).collect();
    dice.fork("order", 0).shuffle(&mut order);
    let mut taken: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
    for repeat in 0..repeats {
        for &shape in &shapes {
            let mut dice = dice.fork("shape", repeat as u64 * 256 + shape as u64);
            // Functions without a call-out come first; behind them those with few.
            order.sort_by_key(|f| taken.get(f).map_or(0, Vec::len));
            let placed = order.iter().find_map(|&f| place(fleet, shape, f, &taken, &mut dice));
            if let Some(attack) = placed {
                taken.entry(attack.function).or_default().push(Span { start: attack.start, end: attack.end });
                fleet.attacks.push(attack);
            }
        }
    }
    fleet.attack_connections.sort_by_key(|c| (c.opens(), c.interface, c.local_port, c.peer));
    fleet.attacks.sort_by_key(|a| (a.start, a.function, a.shape));
    Ok(())
}

/// Room a shape needs before the end of the fleet's span.
fn room(shape: char) -> Secs {
    match shape {
        'D' | 'P' | 'S' => 3 * DAY + 12 * HOUR,
        'E' | 'H' => 36 * HOUR,
        _ => 12 * HOUR,
    }
}

/// Tries to play a shape on a function; `None` when the function is not one for it.
fn place(
    fleet: &mut Fleet,
    shape: char,
    function: usize,
    taken: &BTreeMap<usize, Vec<Span>>,
    dice: &mut Dice,
) -> Option<Attack> {
    if !suits(fleet, shape, function) {
        return None;
    }
    let first = fleet.span.start + if shape == 'L' { 12 * DAY } else { FIRST_DAY };
    let last = fleet.span.end - room(shape);
    let is_free = |at: Secs| {
        let spans = taken.get(&function).map_or(&[][..], Vec::as_slice);
        spans.iter().all(|s| at + room(shape) + APART_SECS < s.start || at > s.end + APART_SECS)
    };
    let mut start = (0..8).map(|_| dice.between(first, last.max(first))).find(|&t| is_free(t))?;
    let form = if shape == 'S' { *dice.pick(&['A', 'B', 'C', 'D', 'I', 'J']) } else { shape };
    if shape == 'S' && !suits(fleet, form, function) {
        return None;
    }
    if shape == 'S' {
        let version = Version { code_sha256: code_sha256(dice), at: start };
        fleet.functions[function].versions.push(version);
        fleet.functions[function].versions.sort_by_key(|v| v.at);
        start += dice.between(2 * MINUTE, 90 * MINUTE);
    }
    let mut scene = Scene::new(fleet, function, start, dice.fork("scene", function as u64));
    scene.start = scene.awake(start)?;
    shapes::play(form, &mut scene);
    let (attack, connections) = scene.finish(shape, form)?;
    fleet.attack_connections.extend(connections);
    Some(attack)
}

/// Whether a function can show a shape at all.
fn suits(fleet: &Fleet, shape: char, function: usize) -> bool {
    let f = &fleet.functions[function];
    let busy = !matches!(f.rhythm, Rhythm::Every { period_secs, .. } if period_secs > HOUR);
    let calls = |kind| f.calls.iter().any(|c| fleet.destinations[c.destination].kind == kind);
    let steady = f.active == [Span::ALWAYS] && !f.pairs.is_empty();
    steady
        && match shape {
            // New networks all day make a single new one invisible; no method could be asked for these.
            'A' | 'I' | 'J' | 'L' | 'P' if calls(Kind::WebhookTargets) => false,
            'D' | 'E' | 'H' | 'P' => busy,
            'J' => calls(Kind::LoadBalancerRotation) || calls(Kind::GatewayEndpoint),
            'K' => calls(Kind::FixedSaas),
            _ => true,
        }
}
