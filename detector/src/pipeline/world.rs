//! The world: the user's files as the stages ask for them.

use std::net::Ipv6Addr;
use std::sync::Arc;

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
        let is_lambda = is(|owner| matches!(owner, Attribution::Functions(_)));
        let are_all_judged = self.all_interfaces || self.inventory.is_empty() || self.knows_no_function();
        if spans.is_empty() && (self.all_interfaces || self.inventory.is_empty()) {
            Interface::Judged(Known::itself(eni_id).into())
        } else if is_lambda || (!spans.is_empty() && are_all_judged) {
            let itself = are_all_judged.then(|| Arc::<str>::from(eni_id));
            let owner = |owner: &Attribution| match owner {
                Attribution::Functions(functions) => Some(match &**functions {
                    [function] => Arc::clone(&function.arn),
                    several => several.iter().map(|function| &*function.arn).collect::<Vec<_>>().join(",").into(),
                }),
                Attribution::Other(_) | Attribution::Unknown => itself.clone(),
            };
            let known = Known {
                id: eni_id.into(),
                is_lambda,
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

    /// Interfaces were given and no functions: then Lambda's interfaces are owners themselves.
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
        let all = owner.split(',').flat_map(|arn| self.inventory.deployments(arn));
        let latest =
            all.filter(|deployment| (from..until).contains(&deployment.at)).max_by_key(|deployment| deployment.at)?;
        Some(Deployment {
            version: Arc::clone(&latest.version),
            code_sha256: Arc::clone(&latest.code_sha256),
            at: latest.at,
        })
    }

    fn aws_service(&self, address: u128) -> Option<Arc<str>> {
        self.networks.network(Ipv6Addr::from_bits(address)).aws.map(|block| block.service)
    }
}
