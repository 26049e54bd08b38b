//! How each form of a call-out is played, one function each, sizes and cadences drawn anew every time.
//!
//! Medians and spreads follow the incidents the shapes come from; each overlaps with what ordinary calls send. Where
//! they are played is a [`Scene`]'s business: a drill plays them on the user's own functions, the generator on made-up
//! ones.

use std::net::IpAddr;

use super::connection::{Connection, Ending, Exchange, Sizes, TCP, UDP, ephemeral_port};
use super::dice::Dice;
use super::letters::Form;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Gives an address of a name that rotates through many, at a time.
pub type Rotation = Box<dyn Fn(i64, &mut Dice) -> IpAddr>;

/// Where a shape is played: one function, from one moment on.
pub trait Scene {
    /// When the call-out begins, Unix seconds.
    fn start(&self) -> i64;
    /// When the function was first observed.
    fn begins(&self) -> i64;
    /// The chance of this scene.
    fn dice(&mut self) -> &mut Dice;
    /// When the function runs next, from `at` on; within two days, or `None`.
    ///
    /// Lambda freezes an environment between invocations, so code of a dependency often runs only then.
    fn awake(&mut self, at: i64) -> Option<i64>;
    /// A host of somebody the function has nothing to do with.
    fn stranger(&mut self) -> IpAddr;
    /// A rented host in a cloud the function calls anyway.
    fn cloud_host(&mut self) -> IpAddr;
    /// Something outside the function calls all the time: address, port and protocol.
    fn known_provider(&mut self) -> Option<(IpAddr, (u16, u8))>;
    /// A name in a content network the function has nothing to do with.
    fn new_cdn(&mut self) -> Rotation;
    /// Host `n` of the subnet the function is in.
    fn neighbour(&self, n: u64) -> IpAddr;
    /// Adds a connection from the function at the time it opens, if the function has an interface then, whose number
    /// `make` is given.
    fn connect(&mut self, at: i64, make: impl FnOnce(usize, &mut Dice) -> Connection);
}

const HTTPS: (u16, u8) = (443, TCP);
const SMALL: Sizes = Sizes { out_bytes: 9_000.0, in_bytes: 900.0, sigma: 0.9 };
const LARGE: Sizes = Sizes { out_bytes: 12e6, in_bytes: 1_500.0, sigma: 0.9 };
const POLL: Sizes = Sizes { out_bytes: 500.0, in_bytes: 800.0, sigma: 0.5 };
const QUERY: Sizes = Sizes { out_bytes: 130.0, in_bytes: 160.0, sigma: 0.35 };
const LOOKUP: Sizes = Sizes { out_bytes: 600.0, in_bytes: 900.0, sigma: 0.4 };
const SHARE: Sizes = Sizes { out_bytes: 400.0, in_bytes: 600.0, sigma: 0.6 };
const DRIP: Sizes = Sizes { out_bytes: 1_800.0, in_bytes: 700.0, sigma: 0.5 };
const HUGE: Sizes = Sizes { out_bytes: 60e6, in_bytes: 20_000.0, sigma: 0.8 };

const ODD_PORTS: [u16; 9] = [8000, 8080, 1337, 4444, 3000, 9001, 6667, 5000, 8888];
const POOL_PORTS: [u16; 5] = [3333, 14_444, 5555, 443, 8080];
const SWEPT_PORTS: [u16; 6] = [22, 445, 3306, 5432, 6379, 3389];

/// Share of polling implants that run only while the function does; the others keep their own time.
const FROZEN_SHARE: f64 = 0.4;

/// Plays a form.
pub fn play(form: Form, scene: &mut impl Scene) {
    match form {
        Form::A => upload(scene, SMALL, HTTPS),
        Form::B => upload(scene, LARGE, HTTPS),
        Form::C => {
            let port = *scene.dice().pick(&ODD_PORTS);
            upload(scene, Sizes { sigma: 1.2, ..SMALL }, (port, TCP));
        }
        Form::D => {
            let period = scene.dice().real(20.0, 70.0) * MINUTE as f64;
            let (jitter, lasts) = (scene.dice().real(0.05, 0.2), scene.dice().between(DAY, 5 * DAY));
            poll(scene, period, jitter, lasts);
        }
        Form::E => {
            let (period, jitter) = (scene.dice().real(45.0, 90.0), scene.dice().real(0.01, 0.12));
            let lasts = scene.dice().between(2 * HOUR, 24 * HOUR);
            poll(scene, period, jitter, lasts);
        }
        Form::F => foreign_resolver(scene),
        Form::G => dns_over_https(scene),
        Form::H => long_connection(scene),
        Form::I => burst(scene),
        Form::J => cloud_host(scene),
        Form::K => known_provider(scene),
        Form::L => sleeper(scene),
        Form::P => drip(scene),
        Form::Q => sweep(scene),
        Form::R => refused(scene),
    }
}

fn exchange(scene: &mut impl Scene, at: i64, peer: IpAddr, to: (u16, u8), sizes: Sizes) {
    scene.connect(at, |interface, dice| {
        let exchange = Exchange::thrown(at, sizes, dice);
        Connection::single(interface, peer, to, exchange, dice)
    });
}

/// A, B, C: one upload, now and then tried twice.
fn upload(scene: &mut impl Scene, sizes: Sizes, to: (u16, u8)) {
    let (peer, start) = (scene.stranger(), scene.start());
    exchange(scene, start, peer, to, sizes);
    if scene.dice().chance(0.25) {
        let again = start + scene.dice().between(1, 120);
        exchange(scene, again, peer, to, sizes);
    }
}

/// D, E: contact at an interval, with jitter, while the function is awake or all the time.
fn poll(scene: &mut impl Scene, period_secs: f64, jitter: f64, lasts: i64) {
    let peer = scene.stranger();
    let frozen = scene.dice().chance(FROZEN_SHARE);
    let (mut next, end) = (scene.start() as f64, scene.start() + lasts);
    while (next as i64) < end {
        let at = if frozen { scene.awake(next as i64) } else { Some(next as i64) };
        let Some(at) = at.filter(|&t| t < end) else { return };
        exchange(scene, at, peer, HTTPS, POLL);
        next = at as f64 + period_secs * jitter.mul_add(scene.dice().normal(), 1.0).max(0.3);
    }
}

/// B, then D, at one host: an encrypted archive of what was found, then a poll about every fifty minutes (`LiteLLM`
/// 2026).
pub fn archive_then_poll(scene: &mut impl Scene, peer: IpAddr, archive_bytes: f64, end: i64) {
    let start = scene.start();
    exchange(scene, start, peer, HTTPS, Sizes { out_bytes: archive_bytes, in_bytes: 700.0, sigma: 0.0 });
    let mut at = start;
    loop {
        at += scene.dice().log_normal(50.0 * MINUTE as f64, 0.06) as i64;
        if at >= end {
            return;
        }
        exchange(scene, at, peer, HTTPS, POLL);
    }
}

/// F: data in names, asked of a resolver that is not the VPC's.
fn foreign_resolver(scene: &mut impl Scene) {
    let public = [[8, 8, 8, 8], [1, 1, 1, 1], [9, 9, 9, 9]];
    let peer = if scene.dice().chance(0.3) { IpAddr::from(*scene.dice().pick(&public)) } else { scene.stranger() };
    let pause = scene.dice().log_normal(0.5, 1.0);
    let mut at = scene.start() as f64;
    for _ in 0..scene.dice().log_normal(350.0, 0.7).clamp(100.0, 2_000.0) as u64 {
        exchange(scene, at as i64, peer, (53, UDP), QUERY);
        at += scene.dice().exponential(pause);
    }
}

/// G: lookups at a public resolver over HTTPS, the connection kept for a while.
fn dns_over_https(scene: &mut impl Scene) {
    let public = [[1, 1, 1, 1], [1, 0, 0, 1], [8, 8, 4, 4], [8, 8, 8, 8], [9, 9, 9, 9]];
    let peer = IpAddr::from(*scene.dice().pick(&public));
    let port = if scene.dice().chance(0.15) { 853 } else { 443 };
    for n in 0..scene.dice().between(1, 12) {
        let at = scene.start() + n * scene.dice().between(5, 400);
        exchange(scene, at, peer, (port, TCP), LOOKUP);
    }
}

/// H: one connection to a mining pool, a share sent every half minute or so.
fn long_connection(scene: &mut impl Scene) {
    let (peer, start) = (scene.stranger(), scene.start());
    let to = (*scene.dice().pick(&POOL_PORTS), TCP);
    let end =
        start + scene.dice().log_normal(7.0 * HOUR as f64, 0.5).clamp(2.5 * HOUR as f64, 26.0 * HOUR as f64) as i64;
    let pause = scene.dice().real(15.0, 60.0);
    scene.connect(start, |interface, dice| {
        let mut connection = Connection::single(interface, peer, to, Exchange::thrown(start, SHARE, dice), dice);
        let mut at = start as f64;
        while (at as i64) < end {
            at += 2.0 + dice.exponential(pause);
            connection.exchanges.push(Exchange { lasts: 0, ..Exchange::thrown(at as i64, SHARE, dice) });
        }
        connection.closes = at as i64;
        connection.ending = if dice.chance(0.5) { Ending::Left } else { Ending::Closed };
        connection
    });
}

/// I: several new hosts within a minute, then some contact with one of them.
fn burst(scene: &mut impl Scene) {
    let start = scene.start();
    let mut last = None;
    for _ in 0..scene.dice().between(3, 7) {
        let peer = scene.stranger();
        let at = start + scene.dice().between(0, 45);
        exchange(scene, at, peer, HTTPS, SMALL);
        last = Some(peer);
    }
    if let Some(peer) = last {
        for n in 1..=scene.dice().between(0, 3) {
            exchange(scene, start + n * 7 * MINUTE, peer, HTTPS, POLL);
        }
    }
}

/// J: a rented host on AWS, from a function that calls AWS addresses all day.
fn cloud_host(scene: &mut impl Scene) {
    let peer = scene.cloud_host();
    let start = scene.start();
    for n in 0..scene.dice().between(1, 5) {
        let at = start + n * scene.dice().between(30, 20 * MINUTE);
        scene.connect(at, |interface, dice| {
            let exchange = Exchange::thrown(at, Sizes { out_bytes: 2_500.0, in_bytes: 1_200.0, sigma: 0.7 }, dice);
            Connection::single(interface, peer, HTTPS, exchange, dice).with_service(Some("EC2"))
        });
    }
}

/// K: far more than usual to a provider the function calls anyway.
fn known_provider(scene: &mut impl Scene) {
    let start = scene.start();
    let Some((peer, to)) = scene.known_provider() else { return };
    for n in 0..scene.dice().between(1, 3) {
        exchange(scene, start + n * 90, peer, to, HUGE);
    }
}

/// L: a probe in the first week, nothing for a week or more, then the upload.
fn sleeper(scene: &mut impl Scene) {
    let (peer, start, begins) = (scene.stranger(), scene.start(), scene.begins());
    let probe = begins + scene.dice().between(30 * HOUR, (6 * DAY).min(start - begins - 7 * DAY));
    if let Some(at) = scene.awake(probe) {
        exchange(scene, at, peer, HTTPS, POLL);
    }
    let sizes = if scene.dice().chance(0.5) { SMALL } else { Sizes { out_bytes: 2e6, ..LARGE } };
    exchange(scene, start, peer, HTTPS, sizes);
}

/// P: a few KB an hour for days, to a name behind a CDN the function never used.
fn drip(scene: &mut impl Scene) {
    let cdn = scene.new_cdn();
    let pause = scene.dice().real(15.0, 50.0) * MINUTE as f64;
    let end = scene.start() + scene.dice().between(2 * DAY, 7 * DAY);
    let mut at = scene.start() as f64;
    while (at as i64) < end {
        let peer = cdn(at as i64, scene.dice());
        exchange(scene, at as i64, peer, HTTPS, DRIP);
        at += scene.dice().exponential(pause) + 60.0;
    }
}

/// Q: one port on many addresses of the VPC, or many ports on one.
fn sweep(scene: &mut impl Scene) {
    let wide = scene.dice().chance(0.6);
    let n = if wide { scene.dice().between(40, 220) } else { scene.dice().between(60, 500) } as u64;
    let (port, host) = (*scene.dice().pick(&SWEPT_PORTS), scene.dice().below(200));
    let pause = scene.dice().log_normal(0.3, 1.0);
    let mut at = scene.start() as f64;
    for i in 0..n {
        let (peer, port) =
            if wide { (scene.neighbour(i + 4), port) } else { (scene.neighbour(host), 1 + i as u16 * 7) };
        let when = at as i64;
        scene.connect(when, |interface, dice| {
            if dice.chance(0.85) {
                return Connection::failed(interface, peer, port, when, Ending::NoAnswer, dice);
            }
            let exchange = Exchange { at: when, lasts: 0, out_bytes: 0, in_bytes: 0 };
            Connection { ending: Ending::Reset, ..Connection::single(interface, peer, (port, TCP), exchange, dice) }
        });
        at += scene.dice().exponential(pause);
    }
}

/// R: attempts that the function's own security group refuses.
fn refused(scene: &mut impl Scene) {
    let (peer, start) = (scene.stranger(), scene.start());
    let port = *scene.dice().pick(&[4444, 6667, 22, 25, 8080, 3389, 1080]);
    let pause = scene.dice().log_normal(40.0, 1.0);
    let mut at = start as f64;
    for _ in 0..scene.dice().log_normal(25.0, 0.9).clamp(4.0, 200.0) as u64 {
        let when = at as i64;
        scene.connect(when, |interface, dice: &mut Dice| {
            let mut c = Connection::failed(interface, peer, port, when, Ending::Refused, dice);
            c.local_port = ephemeral_port(dice);
            c
        });
        at += scene.dice().exponential(pause);
    }
}
