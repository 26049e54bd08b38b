//! A connection as seen from one of our interfaces, before any capture.

use std::net::IpAddr;

use super::dice::Dice;

/// IANA protocol numbers.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;
/// See [`TCP`].
pub const ICMP: u8 = 1;

/// Bytes of one exchange: log-normal, by median and spread of the logarithm.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Sent, the median.
    pub out_bytes: f64,
    /// Received, the median.
    pub in_bytes: f64,
    /// Spread of the logarithm of both.
    pub sigma: f64,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// FIN both ways.
    Closed,
    /// The peer sends RST.
    Reset,
    /// It just stops: the environment was frozen or reclaimed. Also how UDP ends.
    Left,
    /// Our SYNs get no answer.
    NoAnswer,
    /// Our own security group or network ACL refuses.
    Refused,
}

/// Payload sent and answered between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// When it begins, Unix seconds.
    pub at: i64,
    /// Seconds it takes.
    pub lasts: i64,
    /// Payload sent.
    pub out_bytes: u64,
    /// Payload received.
    pub in_bytes: u64,
}

/// One 5-tuple from opening to end.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Number of the interface, in the table of whoever plays.
    pub interface: usize,
    /// Our port.
    pub local_port: u16,
    /// The other side.
    pub peer: IpAddr,
    /// Its port.
    pub peer_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Code of the address range in `ip-ranges.json` terms.
    pub aws_service: Option<&'static str>,
    /// In order of time, at least one.
    pub exchanges: Vec<Exchange>,
    /// When the last packet passes; not before the last exchange's end.
    pub closes: i64,
    /// How it ends.
    pub ending: Ending,
    /// The peer opened it, as in a scan.
    pub inbound: bool,
}

/// Hyperplane gives each connection a port from 1024 to 65535 that says nothing about the function.
pub fn ephemeral_port(dice: &mut Dice) -> u16 {
    dice.between(1024, 65_535) as u16
}

impl Exchange {
    /// Throws the sizes of an exchange and how long it takes: a round trip and the transfer at a few MB a second.
    pub fn thrown(at: i64, sizes: Sizes, dice: &mut Dice) -> Self {
        // Floors: the smallest TLS request and answer with headers that servers give.
        let out_bytes = dice.log_normal(sizes.out_bytes, sizes.sigma).max(40.0) as u64;
        let in_bytes = dice.log_normal(sizes.in_bytes, sizes.sigma).max(40.0) as u64;
        let rate = dice.log_normal(4e6, 0.5);
        let lasts = (dice.exponential(0.6) + (out_bytes + in_bytes) as f64 / rate).min(7200.0) as i64;
        Self { at, lasts, out_bytes, in_bytes }
    }
}

impl Connection {
    /// A connection of one exchange that closes right after it.
    pub fn single(
        interface: usize,
        peer: IpAddr,
        (peer_port, protocol): (u16, u8),
        exchange: Exchange,
        dice: &mut Dice,
    ) -> Self {
        let ending = if protocol == UDP { Ending::Left } else { Ending::Closed };
        Self {
            interface,
            local_port: ephemeral_port(dice),
            peer,
            peer_port,
            protocol,
            aws_service: None,
            exchanges: vec![exchange],
            closes: exchange.at + exchange.lasts,
            ending,
            inbound: false,
        }
    }

    /// A connection attempt that fails: SYNs at growing distances, no payload.
    pub fn failed(interface: usize, peer: IpAddr, port: u16, at: i64, ending: Ending, dice: &mut Dice) -> Self {
        let lasts = if ending == Ending::NoAnswer { *dice.pick(&[1, 3, 7, 15]) } else { 0 };
        let exchange = Exchange { at, lasts, out_bytes: 0, in_bytes: 0 };
        Self { ending, ..Self::single(interface, peer, (port, TCP), exchange, dice) }
    }

    /// The same, its peer in a range of an AWS service.
    #[must_use]
    pub fn with_service(mut self, service: Option<&'static str>) -> Self {
        self.aws_service = service;
        self
    }

    /// When its first packet passes.
    pub fn opens(&self) -> i64 {
        self.exchanges.first().map_or(self.closes, |e| e.at)
    }
}
