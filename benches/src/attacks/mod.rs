//! Attacks: call-outs of compromised dependencies, placed into a fleet.
//!
//! Takes a fleet, adds connections and ground truth to it. What a shape does is `detector::drill`'s to say, the same
//! that users drill; who is called in a made-up internet is said here. Call-outs use the same connections, ports,
//! windows and networks as everything else; only what they do differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use anyhow::{anyhow, bail};
use detector::drill::{
    letters::{Form, Shape, UnknownShape},
    shapes::{self, Rotation},
};

use crate::{
    calendar::{DAY, HOUR, MINUTE, Secs},
    dice::Dice,
    fleet::{Addresses, Fleet, Kind, Rhythm, Span, Version, destination::Pool},
    internet::{Class, Prefix, aws},
    traffic::Connection,
    truth::{Attack, Reached},
};

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
    pub(crate) fn finish(self, shape: Shape, form: Form) -> Option<(Attack, Vec<Connection>)> {
        let Self { function, start, connections, reached: destinations, .. } = self;
        let end = connections.iter().map(|c| c.closes).max()?;
        Some((Attack { shape, form, function, destinations, start, end }, connections))
    }

    /// The blocks the function's own destinations are in.
    fn blocks_called(&self) -> BTreeSet<Prefix> {
        let calls = self.fleet.functions[self.function].calls.iter();
        let homes = calls.flat_map(|c| &self.fleet.destinations[c.destination].homes);
        homes.flat_map(|(_, home)| home.prefixes()).collect()
    }
}

impl shapes::Scene for Scene<'_> {
    fn start(&self) -> Secs {
        self.start
    }

    fn begins(&self) -> Secs {
        self.fleet.span.start
    }

    fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    fn awake(&mut self, at: Secs) -> Option<Secs> {
        let (fleet, function) = (self.fleet, &self.fleet.functions[self.function]);
        (0..2).map(|d| (at.div_euclid(DAY) + d) * DAY).find_map(|midnight| {
            let times = self
                .invocations
                .entry(midnight)
                .or_insert_with(|| function.invocations(midnight, fleet.span.start, &fleet.dice));
            times.iter().copied().find(|&t| t >= at)
        })
    }

    fn stranger(&mut self) -> IpAddr {
        let class = *self.dice.pick(&[
            Class::Hosting,
            Class::Hosting,
            Class::Hosting,
            Class::Hosting,
            Class::Hosting,
            Class::Saas,
            Class::Access,
        ]);
        let known = self.blocks_called();
        loop {
            let network = self.fleet.internet.pick(class, &mut self.dice);
            let is_known = network.prefixes.iter().any(|n| known.iter().any(|k| n.contains(k.base)));
            if !is_known {
                return network.address(&mut self.dice);
            }
        }
    }

    fn cloud_host(&mut self) -> IpAddr {
        let region = *self.dice.pick(&[aws::REGION, "us-east-1"]);
        let prefixes = aws::prefixes("EC2", region);
        let word = self.dice.word();
        self.dice.pick(&prefixes).host(word)
    }

    fn known_provider(&mut self) -> Option<(IpAddr, (u16, u8))> {
        let calls = &self.fleet.functions[self.function].calls;
        let mut called = calls.iter().map(|c| &self.fleet.destinations[c.destination]);
        let known = called.find(|d| d.kind == Kind::FixedSaas)?;
        Some((known.address(self.start, false, &mut self.dice), (known.port, known.protocol)))
    }

    fn new_cdn(&mut self) -> Rotation {
        let used = self.blocks_called();
        let network = loop {
            let network = self.fleet.internet.pick(Class::Cdn, &mut self.dice);
            if !network.prefixes.iter().any(|p| used.contains(p)) {
                break network.clone();
            }
        };
        let pool = Addresses::Pool(Pool {
            prefixes: network.prefixes,
            n_members: self.dice.between(2, 30) as u64,
            n_answers: 2,
            epoch_secs: 300,
            drift_secs: 10 * DAY,
            skew: 1.0,
            key: self.dice.word(),
        });
        Box::new(move |at, dice| pool.address(at, dice))
    }

    fn neighbour(&self, n: u64) -> IpAddr {
        let pair = self.fleet.functions[self.function].pairs[0];
        self.fleet.place.subnets[self.fleet.place.pairs[pair].subnet].prefix.host(n)
    }

    fn connect(&mut self, at: Secs, make: impl FnOnce(usize, &mut Dice) -> Connection) {
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
}

/// Places the wanted shapes: `all`, `none`, or letters divided by commas.
pub(crate) fn add(fleet: &mut Fleet, wanted: &str) -> anyhow::Result<()> {
    let shapes: Vec<Shape> =
        match wanted {
            "all" => Shape::ALL.to_vec(),
            "none" => Vec::new(),
            letters => letters.split(',').map(|letter| letter.trim().parse()).collect::<Result<_, _>>().map_err(
                |unknown: UnknownShape| anyhow!("{unknown}; known are `all`, `none` and {}", Shape::letters()),
            )?,
        };
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
            let mut dice = dice.fork("shape", repeat as u64 * 256 + u64::from(shape.letter()));
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

/// Tries to play a shape on a function; `None` when the function is not one for it.
fn place(
    fleet: &mut Fleet,
    shape: Shape,
    function: usize,
    taken: &BTreeMap<usize, Vec<Span>>,
    dice: &mut Dice,
) -> Option<Attack> {
    if !is_steady(fleet, function) || matches!(shape, Shape::Alone(form) if !suits(fleet, form, function)) {
        return None;
    }
    let first = fleet.span.start + if shape == Shape::Alone(Form::L) { 12 * DAY } else { FIRST_DAY };
    let last = fleet.span.end - shape.room_secs();
    let is_free = |at: Secs| {
        let spans = taken.get(&function).map_or(&[][..], Vec::as_slice);
        spans.iter().all(|s| at + shape.room_secs() + APART_SECS < s.start || at > s.end + APART_SECS)
    };
    let mut start = (0..8).map(|_| dice.between(first, last.max(first))).find(|&t| is_free(t))?;
    let form = shape.form(dice);
    if shape == Shape::AfterDeployment {
        if !suits(fleet, form, function) {
            return None;
        }
        let version = Version::new(dice, start);
        fleet.functions[function].versions.push(version);
        fleet.functions[function].versions.sort_by_key(|v| v.at);
        start += dice.between(2 * MINUTE, 90 * MINUTE);
    }
    let mut scene = Scene::new(fleet, function, start, dice.fork("scene", function as u64));
    scene.start = shapes::Scene::awake(&mut scene, start)?;
    shapes::play(form, &mut scene);
    let (attack, connections) = scene.finish(shape, form)?;
    fleet.attack_connections.extend(connections);
    Some(attack)
}

/// Whether a function is there all the time, in the network.
fn is_steady(fleet: &Fleet, function: usize) -> bool {
    let f = &fleet.functions[function];
    f.active == [Span::ALWAYS] && !f.pairs.is_empty()
}

/// Whether a steady function can show a form.
fn suits(fleet: &Fleet, form: Form, function: usize) -> bool {
    let f = &fleet.functions[function];
    let busy = !matches!(f.rhythm, Rhythm::Every { period_secs, .. } if period_secs > HOUR);
    let calls = |kind| f.calls.iter().any(|c| fleet.destinations[c.destination].kind == kind);
    match form {
        // New networks all day make a single new one invisible; no method could be asked for these.
        Form::A | Form::I | Form::J | Form::L | Form::P if calls(Kind::WebhookTargets) => false,
        Form::D | Form::E | Form::H | Form::P => busy,
        Form::J => calls(Kind::LoadBalancerRotation) || calls(Kind::GatewayEndpoint),
        Form::K => calls(Kind::FixedSaas),
        _ => true,
    }
}
