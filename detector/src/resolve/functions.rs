//! Functions: the Lambda functions of an inventory, their deployments, and which of them a (subnet, security groups)
//! pair serves.
//!
//! Where it sits: filled by `enis` from inventory files, asked by it for the owners of an interface.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Error;
use super::inventory::{RawFunction, unix_secs};

/// A Lambda function: every version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name, unique in its account and region.
    pub name: Arc<str>,
    /// Its ARN without a version: the identity of a function.
    pub arn: Arc<str>,
    /// The account it belongs to.
    pub account: Arc<str>,
    /// The region it runs in.
    pub region: Arc<str>,
    /// The VPC of its newest configuration.
    pub vpc: Option<Arc<str>>,
    /// The runtime of its newest configuration; none for container images.
    pub runtime: Option<Arc<str>>,
}

/// New code of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The version that was published with this code, or `$LATEST`.
    pub version: Arc<str>,
    /// Hash of the code, as Lambda reports it.
    pub code_sha256: Arc<str>,
    /// When this code first appeared, in Unix seconds.
    pub at: i64,
}

/// Number of a function, dense.
pub(super) type FunctionNumber = u32;

/// Number of a (subnet, sorted security groups) pair, dense: what decides whom an interface serves.
pub(super) type PairNumber = u32;

#[derive(Debug, Default)]
pub(super) struct Functions {
    numbers: BTreeMap<Arc<str>, FunctionNumber>,
    known: Vec<Known>,
    pairs: BTreeMap<String, PairNumber>,
    /// For each pair, who had it at which snapshot; `None` is an inventory without a time, which holds always.
    served: BTreeMap<PairNumber, BTreeMap<Option<i64>, BTreeSet<FunctionNumber>>>,
    n_rejected_times: u64,
}

#[derive(Debug)]
struct Known {
    function: Function,
    /// What `vpc` and `runtime` were taken from; the greatest wins, so that the order of files does not matter.
    newest: Configuration,
    revisions: BTreeSet<Revision>,
    deployments: Vec<Deployment>,
}

/// Orders by inventory, then by change.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration {
    taken_at: Option<i64>,
    modified_at: Option<i64>,
    vpc: Option<String>,
    runtime: Option<String>,
}

/// One version as one inventory saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Revision {
    at: i64,
    version: Arc<str>,
    code_sha256: Arc<str>,
    /// A dependency may come in a layer, which the hash of the code does not cover.
    layers: Vec<String>,
}

/// The version that changes in place.
const LATEST: &str = "$LATEST";

impl Functions {
    /// Adds what one inventory says of one version of a function.
    pub(super) fn add(&mut self, taken_at: Option<i64>, function: &Function, raw: &RawFunction) {
        let number = *self.numbers.entry(Arc::clone(&function.arn)).or_insert(self.known.len() as FunctionNumber);
        let modified_at = raw.last_modified.as_deref().and_then(unix_secs);
        if modified_at.is_none() && raw.last_modified.is_some() {
            self.n_rejected_times += 1;
        }
        if self.known.len() == number as usize {
            let newest = Configuration::default();
            let function = function.clone();
            self.known.push(Known { function, newest, revisions: BTreeSet::new(), deployments: Vec::new() });
        }
        if let Some(known) = self.known.get_mut(number as usize) {
            known.learn(taken_at, modified_at, raw);
        }
        let Some(vpc) = &raw.vpc_config else { return };
        let groups: Vec<&str> = vpc.security_group_ids.iter().flatten().map(String::as_str).collect();
        for subnet in vpc.subnet_ids.iter().flatten() {
            let pair = self.pair(subnet, &groups);
            self.served.entry(pair).or_default().entry(taken_at).or_default().insert(number);
        }
    }

    /// The number of a pair; the order of the groups and repeats do not matter.
    pub(super) fn pair(&mut self, subnet: &str, groups: &[&str]) -> PairNumber {
        let groups: BTreeSet<&str> = groups.iter().copied().collect();
        let key = groups.into_iter().fold(subnet.to_owned(), |key, group| key + " " + group);
        let next = self.pairs.len() as PairNumber;
        *self.pairs.entry(key).or_insert(next)
    }

    /// Who is served by a pair at a time; empty when no inventory knows anybody.
    ///
    /// A snapshot holds from its time to the next one, the first also before. One in which nobody has the pair says
    /// nothing: the interface of a function deleted since, or not yet deployed then, is still that function's.
    pub(super) fn served(&self, pair: PairNumber, at: i64) -> BTreeSet<FunctionNumber> {
        let Some(served) = self.served.get(&pair) else { return BTreeSet::new() };
        let always = served.get(&None);
        let earlier = served.range(Some(i64::MIN)..=Some(at)).next_back();
        let then = earlier.or_else(|| served.range(Some(at)..).next()).map(|(_, functions)| functions);
        always.into_iter().chain(then).flatten().copied().collect()
    }

    /// The times at which [`Functions::served`] may change for a pair.
    pub(super) fn changes(&self, pair: PairNumber) -> impl Iterator<Item = i64> {
        self.served.get(&pair).into_iter().flat_map(BTreeMap::keys).copied().flatten()
    }

    pub(super) fn is_served(&self, pair: PairNumber) -> bool {
        self.served.contains_key(&pair)
    }

    pub(super) fn get(&self, number: FunctionNumber) -> Option<&Function> {
        self.known.get(number as usize).map(|known| &known.function)
    }

    /// All functions, by ARN.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Function> {
        self.numbers.values().filter_map(|number| self.get(*number))
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The function of an ARN.
    pub(super) fn of_arn(&self, arn: &str) -> Option<&Function> {
        self.numbers.get(arn).and_then(|number| self.get(*number))
    }

    pub(super) fn deployments(&self, arn: &str) -> &[Deployment] {
        let known = self.numbers.get(arn).and_then(|number| self.known.get(*number as usize));
        known.map_or(&[], |known| &known.deployments)
    }

    pub(super) fn n_rejected_times(&self) -> u64 {
        self.n_rejected_times
    }
}

impl Known {
    fn learn(&mut self, taken_at: Option<i64>, modified_at: Option<i64>, raw: &RawFunction) {
        let vpc = raw.vpc_config.as_ref().and_then(|vpc| vpc.vpc_id.clone()).filter(|vpc| !vpc.is_empty());
        let configuration = Configuration { taken_at, modified_at, vpc, runtime: raw.runtime.clone() };
        if configuration > self.newest {
            self.function.vpc = configuration.vpc.as_deref().map(Arc::from);
            self.function.runtime = configuration.runtime.as_deref().map(Arc::from);
            self.newest = configuration;
        }
        if let (Some(at), Some(code)) = (modified_at, &raw.code_sha256) {
            let version = raw.version.as_deref().unwrap_or(LATEST).into();
            let layers = raw.layers.iter().flatten().filter_map(|layer| layer.arn.clone()).collect();
            if self.revisions.insert(Revision { at, version, code_sha256: code.as_str().into(), layers }) {
                self.deployments = deployments(&self.revisions);
            }
        }
    }
}

/// Folds revisions into deployments: equal code after each other is one, from the first time it appeared; going back to
/// older code is one of its own. A change of settings alone is none.
fn deployments(revisions: &BTreeSet<Revision>) -> Vec<Deployment> {
    let mut deployments: Vec<Deployment> = Vec::new();
    let mut last: Option<&Revision> = None;
    for revision in revisions {
        let same = last.is_some_and(|last| last.code_sha256 == revision.code_sha256 && last.layers == revision.layers);
        last = Some(revision);
        match deployments.last_mut() {
            // Code reaches `$LATEST` first and is published from there; the published number says more.
            Some(deployment) if same => {
                if &*deployment.version == LATEST {
                    deployment.version = Arc::clone(&revision.version);
                }
            }
            _ => deployments.push(Deployment {
                version: Arc::clone(&revision.version),
                code_sha256: Arc::clone(&revision.code_sha256),
                at: revision.at,
            }),
        }
    }
    deployments
}

/// Takes a function's identity from its ARN, with or without a version:
/// `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:VERSION]`.
pub(super) fn identity(origin: &str, arn: &str) -> Result<Function, Error> {
    let mut parts = arn.split(':');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let parts = (next(), next(), next(), next(), next(), next(), next());
    let (Some("arn"), Some(partition), Some("lambda"), Some(region), Some(account), Some("function"), Some(name)) =
        parts
    else {
        return Err(Error::FunctionArn { origin: origin.to_owned(), value: arn.to_owned() });
    };
    Ok(Function {
        name: name.into(),
        arn: format!("arn:{partition}:lambda:{region}:{account}:function:{name}").into(),
        account: account.into(),
        region: region.into(),
        vpc: None,
        runtime: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:function:api";

    fn add(functions: &mut Functions, raw: serde_json::Value) {
        let raw: RawFunction = serde_json::from_value(raw).unwrap();
        functions.add(None, &identity("f", &raw.function_arn).unwrap(), &raw);
    }

    /// Version, code, layer, `LastModified` in seconds past 08:58.
    fn functions(versions: &[(&str, &str, &str, u32)]) -> Functions {
        let mut functions = Functions::default();
        for (version, code, layer, secs) in versions {
            let raw = serde_json::json!({
                "FunctionName": "api", "FunctionArn": format!("{ARN}:{version}"), "Version": version, "CodeSha256": code,
                "Layers": [{"Arn": layer, "CodeSize": 1}], "LastModified": format!("2026-03-31T08:58:{secs:02}.000+0000"),
            });
            add(&mut functions, raw);
        }
        functions
    }

    fn check(versions: &[(&str, &str, &str, u32)], expected: &[(&str, &str, i64)]) {
        let mut versions = versions.to_vec();
        for _ in 0..versions.len() {
            versions.rotate_left(1);
            let functions = functions(&versions);
            let found: Vec<_> = functions
                .deployments(ARN)
                .iter()
                .map(|deployment| (&*deployment.version, &*deployment.code_sha256, deployment.at - 1_774_947_480))
                .collect();
            assert_eq!(found, expected, "{versions:?}");
        }
    }

    #[test]
    fn equal_code_is_one_deployment_from_its_first_time() {
        check(&[("1", "a", "l", 1), ("$LATEST", "b", "l", 5), ("2", "b", "l", 7)], &[("1", "a", 1), ("2", "b", 5)]);
        check(&[("$LATEST", "a", "l", 9)], &[("$LATEST", "a", 9)]);
        check(&[("1", "a", "l", 1), ("$LATEST", "a", "l", 9)], &[("1", "a", 1)]);
    }

    #[test]
    fn going_back_and_new_layers_are_deployments() {
        check(
            &[("1", "a", "l", 1), ("2", "b", "l", 5), ("3", "a", "l", 7)],
            &[("1", "a", 1), ("2", "b", 5), ("3", "a", 7)],
        );
        check(&[("1", "a", "l:1", 1), ("2", "a", "l:2", 5)], &[("1", "a", 1), ("2", "a", 5)]);
    }

    #[test]
    fn identity_is_the_arn_without_version() {
        for arn in [ARN.to_owned(), format!("{ARN}:17"), format!("{ARN}:$LATEST")] {
            let function = identity("f", &arn).unwrap();
            assert_eq!((&*function.arn, &*function.name, &*function.account), (ARN, "api", "111122223333"));
        }
        let govern = identity("f", "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:api:3").unwrap();
        assert_eq!(&*govern.arn, "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:api");
        for arn in [
            "",
            "api",
            "arn:aws:lambda:eu-west-1:111122223333:layer:api",
            "arn:aws:lambda:eu-west-1:111122223333:function:",
        ] {
            assert!(matches!(identity("f", arn), Err(Error::FunctionArn { .. })), "{arn}");
        }
    }

    #[test]
    fn an_unreadable_time_is_counted_and_no_deployment() {
        let mut functions = Functions::default();
        let raw =
            serde_json::json!({"FunctionArn": ARN, "CodeSha256": "a", "LastModified": "lately", "VpcConfig": null});
        add(&mut functions, raw);
        assert_eq!((functions.n_rejected_times(), functions.deployments(ARN).len(), functions.len()), (1, 0, 1));
        assert!(functions.deployments("arn:other").is_empty());
    }
}
