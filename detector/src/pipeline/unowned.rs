//! Unowned: what interfaces did that the inventory does not know yet.
//!
//! An interface may be younger than the inventory when its first records come. A door that keeps observations keeps
//! these under the interface's own id; whose they are is asked again at each walk, until they are folded in.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use baselines::observation::{Eni, Observation, Observations};
use baselines::window::Window;

use super::{Knowledge, settle};
use crate::coverage::Coverage;
use crate::rollup::Interface;

/// Whether a row is kept under its interface's own id.
fn is_under_its_interface(observations: &Observations, row: &Observation) -> bool {
    let eni = observations.enis.get(row.eni as usize);
    eni.is_some_and(|eni| eni.id == observations.owners.name(row.owner))
}

/// Drops what unknown interfaces did in accounts of which the inventory tells nothing: nobody will know them later
/// either. Gives how many records unknown interfaces sent, and those accounts.
pub(super) fn keep_expected(knowledge: &Knowledge, observations: &mut Observations) -> (u64, BTreeSet<Arc<str>>) {
    let unknown: Vec<bool> =
        observations.enis.iter().map(|eni| matches!(knowledge.interface(&eni.id), Interface::Unknown)).collect();
    let is_unknown = |row: &Observation| unknown.get(row.eni as usize) == Some(&true);
    let n_records = observations.rows.iter().filter(|row| is_unknown(row)).map(settle::n_records).sum();
    let expected: Vec<bool> = observations.enis.iter().map(|eni| knowledge.inventory.tells_of(&eni.account)).collect();
    let enis = observations.enis.iter().zip(unknown.iter().zip(&expected));
    let unwatched = enis.filter(|(eni, (is_unknown, is_expected))| **is_unknown && !**is_expected && is_named(eni));
    let accounts = unwatched.map(|(eni, _)| Arc::clone(&eni.account)).collect();
    observations.rows.retain(|row| !is_unknown(row) || expected.get(row.eni as usize) == Some(&true));
    (n_records, accounts)
}

/// Whether the log says whose account an interface is in. Of those that a service of AWS made it may say `unknown`.
fn is_named(eni: &Eni) -> bool {
    !eni.account.is_empty() && eni.account.bytes().all(|byte| byte.is_ascii_digit())
}

/// Gives rows kept under their interface's id to the owner that is known by now, and leaves out those of nobody and of
/// other services: how many records these sent is counted.
pub(super) fn owned<'a>(
    knowledge: &Knowledge,
    observations: &'a Observations,
    coverage: &mut Coverage,
) -> Cow<'a, Observations> {
    let enis: BTreeSet<&str> = observations.enis.iter().map(|eni| &*eni.id).collect();
    if !observations.owners.iter().any(|owner| enis.contains(&**owner)) {
        return Cow::Borrowed(observations);
    }
    let mut owned = Observations { rows: Vec::with_capacity(observations.rows.len()), ..observations.clone() };
    let mut owners: HashMap<(u32, Window), Whose> = HashMap::new();
    for row in &observations.rows {
        let whose = if is_under_its_interface(observations, row) {
            *owners.entry((row.eni, row.window)).or_insert_with(|| {
                let name = observations.owners.name(row.owner);
                let owner = match knowledge.interface(&name) {
                    Interface::Judged(known) => known.owner(row.window).cloned(),
                    Interface::Other => return Whose::Other,
                    Interface::Unknown => None,
                };
                owner.map_or(Whose::Nobody, |owner| Whose::Owner(owned.owners.intern_shared(&owner)))
            })
        } else {
            Whose::Owner(row.owner)
        };
        match whose {
            Whose::Owner(owner) => owned.rows.push(Observation { owner, ..*row }),
            Whose::Other => coverage.n_other_interface += settle::n_records(row),
            Whose::Nobody => coverage.n_unknown_interface += settle::n_records(row),
        }
    }
    Cow::Owned(owned)
}

/// Whose an interface is in a window.
#[derive(Clone, Copy)]
enum Whose {
    /// By number.
    Owner(u32),
    /// Another service's.
    Other,
    Nobody,
}

#[cfg(test)]
mod tests {
    use baselines::observation::Collector;

    use super::*;

    const FUNCTIONS: &[u8] =
        br#"{"Functions":[{"FunctionName":"api","FunctionArn":"arn:aws:lambda:eu-west-1:111122223333:function:api",
        "VpcConfig":{"SubnetIds":["subnet-1"],"SecurityGroupIds":["sg-1"],"VpcId":"vpc-1"}}]}"#;
    const ENIS: &[u8] =
        br#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-new","OwnerId":"111122223333","InterfaceType":"lambda",
        "SubnetId":"subnet-1","Groups":[{"GroupId":"sg-1"}]}]}"#;

    /// A row each of a new interface, of one that nobody will ever know, of two of another account, and of one made by
    /// a service of AWS.
    fn observed() -> Observations {
        let mut collector = Collector::default();
        let peer = collector.peer(0xffff_cb00_7101, "");
        let mut rows = Vec::new();
        let home = [("eni-new", "111122223333"), ("eni-old", "111122223333")];
        let others = [("eni-other", "444455556666"), ("eni-another", "444455556666"), ("eni-service", "unknown")];
        for (id, account) in home.into_iter().chain(others) {
            let (owner, account) = (collector.owner(id), account.into());
            let eni = collector.eni(&Eni { id: id.into(), account, ..Eni::default() });
            rows.push(Observation { owner, eni, peer, n_flows: 2, window: Window(600), ..Observation::default() });
        }
        collector.finish(rows)
    }

    fn owners(observations: &Observations) -> Vec<String> {
        observations.rows.iter().map(|row| observations.owners.name(row.owner).to_string()).collect()
    }

    #[test]
    fn what_an_account_s_unknown_interfaces_did_is_kept_until_somebody_owns_it() {
        let mut knowledge = Knowledge::default();
        knowledge.inventory.add_functions("functions.json", FUNCTIONS).unwrap();
        knowledge
            .inventory
            .add_enis("enis.json", br#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-0"}]}"#)
            .unwrap();
        let mut observed = observed();
        assert_eq!(keep_expected(&knowledge, &mut observed), (10, BTreeSet::from(["444455556666".into()])));
        assert_eq!(owners(&observed), ["eni-new", "eni-old"], "of the other account nothing is known");
        let walked = |knowledge: &Knowledge| {
            let mut coverage = Coverage::default();
            let owners = owners(&owned(knowledge, &observed, &mut coverage));
            (owners, coverage.n_unknown_interface, coverage.n_other_interface)
        };
        assert_eq!(walked(&knowledge), (vec![], 4, 0));
        knowledge.inventory.add_enis("later.json", ENIS).unwrap();
        let api = || vec!["arn:aws:lambda:eu-west-1:111122223333:function:api".to_owned()];
        assert_eq!(walked(&knowledge), (api(), 2, 0), "what nobody owns is counted");
        let service = br#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-old","InterfaceType":"nat_gateway"}]}"#;
        knowledge.inventory.add_enis("latest.json", service).unwrap();
        assert_eq!(walked(&knowledge), (api(), 0, 2));
    }

    #[test]
    fn where_interfaces_are_owners_they_stay_that() {
        let observed = observed();
        let mut coverage = Coverage::default();
        assert_eq!(owners(&owned(&Knowledge::default(), &observed, &mut coverage)), owners(&observed));
        assert_eq!(coverage, Coverage::default());
    }
}
