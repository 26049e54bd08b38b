//! Where a fleet stands: VPCs, subnets, security groups and network interfaces.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use super::Span;
use crate::{calendar::Secs, dice::Dice, internet::Prefix};

/// A subnet and the VPC it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    pub(crate) az_id: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) prefix: Prefix,
    /// The NAT gateway its default route leads to, when that gateway's interface is in the flow log too.
    pub(crate) logged_nat: Option<usize>,
}

/// What an interface belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InterfaceKind {
    Lambda,
    NatGateway,
    Database,
    Endpoint,
    Instance,
}

/// A network interface, over its life.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) id: String,
    pub(crate) kind: InterfaceKind,
    pub(crate) address: IpAddr,
    pub(crate) address6: Option<IpAddr>,
    pub(crate) subnet: usize,
    /// Sorted ids of its security groups.
    pub(crate) groups: Vec<String>,
    pub(crate) description: String,
    pub(crate) life: Span,
    /// Seconds by which its aggregation windows are shifted against the minute.
    pub(crate) phase_secs: Secs,
}

/// A (subnet, security-group set) pair and the interfaces Lambda keeps for it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) subnet: usize,
    pub(crate) groups: Vec<String>,
    pub(crate) interfaces: Vec<usize>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) by_address: BTreeMap<IpAddr, Vec<usize>>,
    /// Last host number given out in each subnet.
    next_host: BTreeMap<usize, u64>,
}

/// Availability zones of eu-west-1: id and name.
pub(crate) const ZONES: [(&str, &str); 3] =
    [("euw1-az1", "eu-west-1a"), ("euw1-az2", "eu-west-1b"), ("euw1-az3", "eu-west-1c")];

impl Place {
    pub(crate) fn add_subnet(&mut self, vpc_id: &str, zone: usize, prefix: Prefix, dice: &mut Dice) -> usize {
        let (az_id, zone) = ZONES[zone % ZONES.len()];
        self.subnets.push(Subnet {
            id: format!("subnet-0{}", dice.hex(16)),
            vpc_id: vpc_id.to_owned(),
            az_id,
            zone,
            prefix,
            logged_nat: None,
        });
        self.subnets.len() - 1
    }

    /// Adds an interface with the next free address of its subnet.
    pub(crate) fn add_interface(
        &mut self,
        kind: InterfaceKind,
        subnet: usize,
        groups: &[String],
        description: String,
        life: Span,
        dice: &mut Dice,
    ) -> usize {
        // AWS keeps the first four addresses of a subnet; neighbours in use by others leave gaps.
        let host = self.next_host.entry(subnet).or_insert(9);
        *host += 1 + dice.below(5);
        let address = self.subnets[subnet].prefix.host(*host);
        let address6 = (kind == InterfaceKind::Lambda).then(|| {
            IpAddr::V6(Ipv6Addr::new(
                0x2a05,
                0xd018,
                0x0a10,
                subnet as u16,
                0,
                dice.word() as u16,
                dice.word() as u16,
                *host as u16,
            ))
        });
        let number = self.interfaces.len();
        self.interfaces.push(Interface {
            id: format!("eni-0{}", dice.hex(16)),
            kind,
            address,
            address6,
            subnet,
            groups: groups.to_vec(),
            description,
            life,
            phase_secs: dice.between(0, 59),
        });
        for address in [Some(address), address6].into_iter().flatten() {
            self.by_address.entry(address).or_default().push(number);
        }
        number
    }

    /// The pair of a subnet and a sorted group set, made with one interface when it is new.
    pub(crate) fn pair(&mut self, subnet: usize, groups: &[String], function: &str, dice: &mut Dice) -> usize {
        if let Some(known) = self.pairs.iter().position(|p| p.subnet == subnet && p.groups == groups) {
            return known;
        }
        self.pairs.push(Pair { subnet, groups: groups.to_vec(), interfaces: Vec::new() });
        let pair = self.pairs.len() - 1;
        self.add_lambda_interface(pair, function, Span::ALWAYS, dice);
        pair
    }

    /// Adds an interface to a pair, as Lambda does when ports run short or a health check failed.
    pub(crate) fn add_lambda_interface(&mut self, pair: usize, function: &str, life: Span, dice: &mut Dice) -> usize {
        let (subnet, groups) = (self.pairs[pair].subnet, self.pairs[pair].groups.clone());
        let uuid = [8, 4, 4, 4, 12].map(|n| dice.hex(n)).join("-");
        let description = format!("AWS Lambda VPC ENI-{function}-{uuid}");
        let interface = self.add_interface(InterfaceKind::Lambda, subnet, &groups, description, life, dice);
        self.pairs[pair].interfaces.push(interface);
        interface
    }

    pub(crate) fn vpc_of(&self, interface: usize) -> &str {
        &self.subnets[self.interfaces[interface].subnet].vpc_id
    }
}
