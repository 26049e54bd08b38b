//! The world: the user's files as the stages ask for them.

use std::net::Ipv6Addr;
use std::sync::Arc;

use baselines::heirs::functions;

use super::Knowledge;
use crate::finding::Deployment;
use crate::resolve::{Attribution, AwsBlock, Network, public_resolver};
use crate::rollup::{Interface, Known};
use crate::score::Facts;

impl Knowledge {
    /// Whether an interface is judged, and what is known of it.
    pub(super) fn interface(&self, eni_id: &str) -> Interface {
        let spans = self.inventory.spans(eni_id);
        let is = |wanted: fn(&Attribution) -> bool| spans.iter().any(|span| wanted(&span.owner));
        let is_of_functions = is(|owner| matches!(owner, Attribution::Functions(_)));
        let is_of_nobody = is(|owner| matches!(owner, Attribution::Unknown));
        let are_all_judged = self.all_interfaces || self.inventory.is_empty();
        // Lambda's interfaces are owners themselves where no functions were given.
        let are_owners = are_all_judged || self.knows_no_function();
        if spans.is_empty() && are_all_judged {
            Interface::Judged(Known::itself(eni_id).into())
        } else if is_of_functions || (is_of_nobody && are_owners) || (!spans.is_empty() && are_all_judged) {
            let itself = |is_owner: bool| is_owner.then(|| Arc::<str>::from(eni_id));
            let owner = |owner: &Attribution| match owner {
                Attribution::Functions(functions) => Some(match &**functions {
                    [function] => Arc::clone(&function.arn),
                    several => several.iter().map(|function| &*function.arn).collect::<Vec<_>>().join(",").into(),
                }),
                Attribution::Other(_) => itself(are_all_judged),
                Attribution::Unknown => itself(are_owners),
            };
            let known = Known {
                id: eni_id.into(),
                is_lambda: is_of_functions || is_of_nobody,
                own: self.inventory.own_addresses(eni_id).map(Ipv6Addr::to_bits).collect(),
                owners: spans.iter().map(|span| (span.from, owner(&span.owner))).collect(),
            };
            Interface::Judged(known.into())
        } else if is(|owner| matches!(owner, Attribution::Other(_))) {
            Interface::Other
        } else {
            Interface::Unknown
        }
    }

    /// Whether interfaces were given and no functions.
    fn knows_no_function(&self) -> bool {
        self.inventory.functions().next().is_none()
    }

    /// The network of an address; `service` is the log's own word for it.
    pub(super) fn network(&self, address: u128, service: Arc<str>) -> Network {
        let mut network = self.networks.network(Ipv6Addr::from_bits(address));
        if network.aws.is_none() && !service.is_empty() {
            network.aws = Some(AwsBlock { service, region: Arc::default() });
        }
        network
    }
}

impl Facts for Knowledge {
    fn has_threat_lists(&self) -> bool {
        !self.threat_lists.is_empty()
    }

    fn threat_list(&self, address: u128) -> Option<Arc<str>> {
        self.threat_lists.listed(Ipv6Addr::from_bits(address)).cloned()
    }

    fn trusted_list(&self, address: u128) -> Option<Arc<str>> {
        self.trusted_lists.listed(Ipv6Addr::from_bits(address)).cloned()
    }

    fn public_resolver(&self, address: u128) -> Option<&'static str> {
        public_resolver(Ipv6Addr::from_bits(address))
    }

    fn deployment(&self, owner: &str, from: i64, until: i64) -> Option<Deployment> {
        let all = functions(owner).flat_map(|arn| self.inventory.deployments(arn));
        let latest =
            all.filter(|deployment| (from..until).contains(&deployment.at)).max_by_key(|deployment| deployment.at)?;
        Some(Deployment {
            version: Arc::clone(&latest.version),
            code_sha256: Arc::clone(&latest.code_sha256),
            at: latest.at,
        })
    }

    fn deployed<'a>(&self, functions: &'a [Arc<str>], deployment: &Deployment) -> Option<&'a Arc<str>> {
        let is_it =
            |known: &crate::resolve::Deployment| (&known.version, known.at) == (&deployment.version, deployment.at);
        functions.iter().find(|arn| self.inventory.deployments(arn).iter().any(is_it))
    }

    fn vpc(&self, owner: &str) -> Option<Arc<str>> {
        functions(owner).find_map(|arn| self.inventory.function(arn)?.vpc.clone())
    }

    fn aws_service(&self, address: u128) -> Option<Arc<str>> {
        self.networks.network(Ipv6Addr::from_bits(address)).aws.map(|block| block.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_functions_lambda_s_interfaces_are_owners_and_others_are_not_judged() {
        let enis = br#"{"NetworkInterfaces":[
            {"NetworkInterfaceId":"eni-1","InterfaceType":"lambda","SubnetId":"subnet-1","Groups":[{"GroupId":"sg-1"}]},
            {"NetworkInterfaceId":"eni-2","InterfaceType":"nat_gateway","SubnetId":"subnet-1"}]}"#;
        let mut knowledge = Knowledge::default();
        knowledge.inventory.add_enis("enis.json", enis).expect("interfaces");
        let is_judged = |knowledge: &Knowledge, id: &str| match knowledge.interface(id) {
            Interface::Judged(known) => known.owners.iter().any(|(_, owner)| owner.as_deref() == Some(id)),
            _ => false,
        };
        let judged = |knowledge: &Knowledge| ["eni-1", "eni-2", "eni-3"].map(|id| is_judged(knowledge, id));
        assert_eq!(judged(&knowledge), [true, false, false]);
        assert_eq!(judged(&Knowledge::default()), [true; 3], "nothing else to go by");
        knowledge.all_interfaces = true;
        assert_eq!(judged(&knowledge), [true; 3]);
    }
}
