//! ENIs: who owns an interface at a time.
//!
//! Where it sits: joins the interfaces of an inventory with its `functions`; the engine asks it for each distinct
//! interface.
//! What it does not do: it never takes an interface's description for its owner. A description names the function for
//! which Lambda made the interface, and stays when others share it or when that function is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Error;
use super::functions::{Deployment, Function, FunctionNumber, Functions, PairNumber};
use super::inventory::{self, Page, RawEni, Wanted, unix_secs};

/// Whose an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribution {
    /// These functions', sorted by name and ARN; one owns it alone, several share it.
    Functions(Arc<[Function]>),
    /// Another service's: `nat_gateway`, `vpc_endpoint`, `instance`, `rds`, …
    Other(Arc<str>),
    /// Nobody known: not in the inventory, or a Lambda interface that matches no function.
    Unknown,
}

/// An owner from a time on, until the next span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Unix seconds; the first span of an interface starts at `i64::MIN`.
    pub from: i64,
    /// The owner.
    pub owner: Attribution,
}

/// What an inventory holds, at its newest time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Interfaces of all kinds.
    pub enis: u64,
    /// Interfaces of exactly one function.
    pub enis_of_one_function: u64,
    /// Interfaces that several functions share.
    pub enis_shared: u64,
    /// Lambda interfaces that match no function: recycled since, or with security groups that somebody edited.
    pub enis_stale: u64,
    /// Functions, in a VPC or not.
    pub functions: u64,
    /// Times that could not be read; what they date has none.
    pub rejected_times: u64,
    /// Files that say more pages follow and do not hold them.
    pub unfinished_files: u64,
}

/// The interfaces and functions of an account, over time.
///
/// An interface belongs to the functions whose configuration names its subnet and exactly its security groups.
///
/// # Time
/// A snapshot (`callout.inventory/1`) says when it was taken. What it says of an interface holds from then until a
/// later one says something else, so an interface that changed owner between two snapshots changes at the later one;
/// what the first says holds before it too. A snapshot that does not say whose an interface is changes nothing.
///
/// Output of the CLI has no time. Functions from it exist always; an interface that occurs in several files with
/// different security groups changes at its `AttachTime`, and where that is missing or the same, belongs to the
/// functions of both.
///
/// # Guarantees
/// The order in which files are added does not matter, but for [`Inventory::add_snapshot_of`], and adding one twice
/// changes no owner. A refused file leaves nothing behind.
///
/// # Source
/// AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC": one Hyperplane interface
/// for each combination of subnet and security groups, shared by all functions that have it.
#[derive(Debug, Default)]
pub struct Inventory {
    enis: HashMap<Arc<str>, Eni, FixedState>,
    functions: Functions,
    n_rejected_times: u64,
    n_unfinished: u64,
    /// Made when first asked for, from all files at once.
    joined: OnceLock<Joined>,
}

#[derive(Debug, Default)]
struct Eni {
    /// What it was seen as, by the time of the inventory. Two inventories without a time may disagree; both hold then.
    seen: BTreeMap<i64, BTreeSet<Use>>,
    addresses: BTreeSet<Ipv6Addr>,
    /// The account it is said to belong to.
    owner_id: Option<Box<str>>,
}

/// What an interface is used for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Lambda(PairNumber),
    Other(Arc<str>),
}

#[derive(Debug, Default)]
struct Joined {
    spans: HashMap<Arc<str>, Vec<Span>, FixedState>,
    /// The accounts of interfaces and functions.
    accounts: BTreeSet<Box<str>>,
    counts: Counts,
}

impl Inventory {
    /// Adds what `aws ec2 describe-network-interfaces` printed, or a snapshot (of which the functions are taken too).
    ///
    /// # Errors
    /// When the file is neither.
    pub fn add_enis(&mut self, origin: &str, bytes: &[u8]) -> Result<(), Error> {
        self.add(inventory::parse(origin, bytes, Wanted::Enis)?);
        Ok(())
    }

    /// Adds a snapshot that another account wrote, which is believed of its own interfaces and functions only, and of
    /// no interface that was said to be another's before: add what is trusted first. Gives how many were left out.
    ///
    /// # Errors
    /// When the file is no snapshot.
    pub fn add_snapshot_of(&mut self, account: &str, origin: &str, bytes: &[u8]) -> Result<u64, Error> {
        let mut pages = inventory::parse(origin, bytes, Wanted::Enis)?;
        let n_told = |pages: &[Page]| pages.iter().map(|page| page.enis.len() + page.functions.len()).sum::<usize>();
        let before = n_told(&pages);
        for page in &mut pages {
            page.enis.retain(|eni| {
                let said_before = self.enis.get(eni.id.as_str()).and_then(|known| known.owner_id.as_deref());
                eni.owner_id.as_deref() == Some(account) && said_before.is_none_or(|owner| owner == account)
            });
            page.functions.retain(|(function, _)| *function.account == *account);
        }
        let n_left_out = (before - n_told(&pages)) as u64;
        self.add(pages);
        Ok(n_left_out)
    }

    /// Adds what `aws lambda list-functions --function-version ALL` printed, or a snapshot (of which the interfaces are
    /// taken too). Without `ALL` the published versions are missing, and an interface that only they use has no owner.
    ///
    /// # Errors
    /// When the file is neither.
    pub fn add_functions(&mut self, origin: &str, bytes: &[u8]) -> Result<(), Error> {
        self.add(inventory::parse(origin, bytes, Wanted::Functions)?);
        Ok(())
    }

    fn add(&mut self, pages: Vec<Page>) {
        self.joined = OnceLock::new();
        self.n_unfinished += u64::from(pages.last().is_some_and(|page| page.unfinished));
        for page in pages {
            for (function, raw) in &page.functions {
                self.functions.add(page.taken_at, function, raw);
            }
            for eni in &page.enis {
                self.add_eni(page.taken_at, eni);
            }
        }
    }

    fn add_eni(&mut self, taken_at: Option<i64>, raw: &RawEni) {
        let used_for = if is_lambda(raw) {
            let groups: Vec<&str> = raw.groups.iter().flatten().map(|group| group.group_id.as_str()).collect();
            Use::Lambda(self.functions.pair(raw.subnet_id.as_deref().unwrap_or(""), &groups))
        } else {
            Use::Other(service(raw).into())
        };
        let attached = raw.attachment.as_ref().and_then(|attachment| attachment.attach_time.as_deref());
        let attached_at = attached.and_then(unix_secs);
        self.n_rejected_times += u64::from(attached.is_some() && attached_at.is_none());
        let eni = self.enis.entry(raw.id.as_str().into()).or_default();
        eni.seen.entry(taken_at.or(attached_at).unwrap_or(i64::MIN)).or_default().insert(used_for);
        eni.addresses.extend(raw.addresses());
        if eni.owner_id.is_none() {
            eni.owner_id = raw.owner_id.as_deref().map(Into::into);
        }
    }

    /// All owners of an interface, in the order of time: one span when it never changes, none when the inventory does
    /// not know the interface.
    pub fn spans(&self, eni_id: &str) -> &[Span] {
        self.joined().spans.get(eni_id).map_or(&[], Vec::as_slice)
    }

    /// The private addresses of an interface, IPv4 mapped.
    pub fn own_addresses(&self, eni_id: &str) -> impl Iterator<Item = Ipv6Addr> {
        self.enis.get(eni_id).into_iter().flat_map(|eni| eni.addresses.iter().copied())
    }

    /// The deployments of a function, given by its ARN without a version, in the order of time.
    pub fn deployments(&self, function_arn: &str) -> &[Deployment] {
        self.functions.deployments(function_arn)
    }

    /// The function of an ARN without a version.
    pub fn function(&self, arn: &str) -> Option<&Function> {
        self.functions.of_arn(arn)
    }

    /// All functions, by ARN.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter()
    }

    /// Whether anything is known of an account's interfaces or functions; of an account that no record names, of any.
    pub fn tells_of(&self, account: &str) -> bool {
        let accounts = &self.joined().accounts;
        if account.is_empty() { !accounts.is_empty() } else { accounts.contains(account) }
    }

    /// How many times of attachments and deployments could not be read; what they date has none.
    pub fn rejected_times(&self) -> u64 {
        self.n_rejected_times + self.functions.n_rejected_times()
    }

    /// How many files say that more pages follow and do not hold them.
    pub fn unfinished_files(&self) -> u64 {
        self.n_unfinished
    }

    /// Whether no interface is known, so that nothing can be attributed.
    pub fn is_empty(&self) -> bool {
        self.enis.is_empty()
    }

    /// What is in here.
    pub fn counts(&self) -> Counts {
        self.joined().counts
    }

    fn joined(&self) -> &Joined {
        self.joined.get_or_init(|| self.join())
    }

    fn join(&self) -> Joined {
        let mut joined = Joined::default();
        joined.accounts.extend(self.functions().map(|function| (*function.account).into()));
        joined.accounts.extend(self.enis.values().filter_map(|eni| eni.owner_id.clone()));
        // Interfaces of the same functions share one list of them.
        let mut lists: BTreeMap<BTreeSet<FunctionNumber>, Arc<[Function]>> = BTreeMap::new();
        let counts = &mut joined.counts;
        for (id, eni) in &self.enis {
            let spans = self.join_eni(eni, &mut lists);
            counts.enis += 1;
            match spans.last().map(|span| &span.owner) {
                Some(Attribution::Functions(functions)) if functions.len() == 1 => counts.enis_of_one_function += 1,
                Some(Attribution::Functions(_)) => counts.enis_shared += 1,
                Some(Attribution::Unknown) => counts.enis_stale += 1,
                Some(Attribution::Other(_)) | None => {}
            }
            joined.spans.insert(Arc::clone(id), spans);
        }
        counts.functions = self.functions.len() as u64;
        counts.rejected_times = self.rejected_times();
        counts.unfinished_files = self.n_unfinished;
        joined
    }

    fn join_eni(&self, eni: &Eni, lists: &mut BTreeMap<BTreeSet<FunctionNumber>, Arc<[Function]>>) -> Vec<Span> {
        // Lambda goes on using an interface whose security groups somebody edited, so a pair that serves nobody says
        // nothing while another one does.
        let is_telling = |used_for: &Use| match used_for {
            Use::Lambda(pair) => self.functions.is_served(*pair),
            Use::Other(_) => true,
        };
        let telling: BTreeMap<i64, Vec<&Use>> = eni
            .seen
            .iter()
            .map(|(at, uses)| (*at, uses.iter().filter(|used_for| is_telling(used_for)).collect::<Vec<_>>()))
            .filter(|(_, uses)| !uses.is_empty())
            .collect();
        let pairs: BTreeSet<PairNumber> = telling.values().flatten().filter_map(|used_for| used_for.pair()).collect();
        let mut times: BTreeSet<i64> = telling.keys().copied().collect();
        times.extend(pairs.iter().flat_map(|pair| self.functions.changes(*pair)));

        let mut spans: Vec<Span> = Vec::new();
        for at in times {
            let uses = telling.range(..=at).next_back().or_else(|| telling.first_key_value());
            let uses = uses.map_or(&[][..], |(_, uses)| uses.as_slice());
            let served: BTreeSet<FunctionNumber> = uses
                .iter()
                .filter_map(|used_for| used_for.pair())
                .flat_map(|pair| self.functions.served(pair, at))
                .filter(|number| self.is_of_account(eni, *number))
                .collect();
            let owner = if served.is_empty() {
                let service = uses.iter().find_map(|used_for| used_for.service());
                service.map_or(Attribution::Unknown, |service| Attribution::Other(Arc::clone(service)))
            } else {
                Attribution::Functions(Arc::clone(lists.entry(served).or_insert_with_key(|served| self.named(served))))
            };
            if spans.last().is_none_or(|last| last.owner != owner) {
                spans.push(Span { from: at, owner });
            }
        }
        match spans.first_mut() {
            Some(first) => first.from = i64::MIN,
            None => spans.push(Span { from: i64::MIN, owner: Attribution::Unknown }),
        }
        spans
    }

    /// Whether a function may use an interface, going by their accounts: several may share a subnet.
    fn is_of_account(&self, eni: &Eni, function: FunctionNumber) -> bool {
        let account = self.functions.get(function).map(|function| &*function.account);
        eni.owner_id.is_none() || eni.owner_id.as_deref() == account
    }

    fn named(&self, served: &BTreeSet<FunctionNumber>) -> Arc<[Function]> {
        let mut functions: Vec<Function> =
            served.iter().filter_map(|number| self.functions.get(*number)).cloned().collect();
        functions.sort_by(|a, b| (&a.name, &a.arn).cmp(&(&b.name, &b.arn)));
        functions.into()
    }
}

impl Use {
    fn pair(&self) -> Option<PairNumber> {
        match self {
            Self::Lambda(pair) => Some(*pair),
            Self::Other(_) => None,
        }
    }

    fn service(&self) -> Option<&Arc<str>> {
        match self {
            Self::Lambda(_) => None,
            Self::Other(service) => Some(service),
        }
    }
}

/// Whether Lambda made the interface. Those from before 2019 have the type `interface` and are told by their
/// description, which only ever says that it is Lambda's, not whose.
fn is_lambda(raw: &RawEni) -> bool {
    let description = raw.description.as_deref().unwrap_or("");
    match raw.interface_type.as_deref() {
        Some("lambda") => true,
        None | Some("interface") => description.starts_with("AWS Lambda VPC ENI") || is_arn_of("lambda", description),
        Some(_) => false,
    }
}

/// Whether a description is an ARN of a service, in whichever partition.
fn is_arn_of(service: &str, description: &str) -> bool {
    let mut parts = description.split(':');
    parts.next() == Some("arn") && parts.nth(1) == Some(service)
}

/// What AWS writes into the description of interfaces whose type is just `interface`, and the service that is.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("ELB app/", "application_load_balancer"),
    ("ELB net/", "network_load_balancer"),
    ("ELB gwy/", "gateway_load_balancer"),
    ("ELB ", "load_balancer"),
    ("RDSNetworkInterface", "rds"),
    ("EFS mount target", "efs"),
    ("ElastiCache", "elasticache"),
    ("RedshiftNetworkInterface", "redshift"),
    ("DAX ", "dax"),
    ("Amazon EKS", "eks"),
    ("aws-K8S-", "eks"),
    ("Interface for NAT Gateway", "nat_gateway"),
    ("VPC Endpoint Interface", "vpc_endpoint"),
    ("Network Interface for Transit Gateway", "transit_gateway"),
    ("AWS created network interface for directory", "directory_service"),
];

/// Names the service of an interface that is not Lambda's: by its type, or where that says nothing by what AWS wrote
/// into its description, or by what it is attached to.
fn service(raw: &RawEni) -> &str {
    match raw.interface_type.as_deref() {
        // The API knows both spellings.
        Some("natGateway") => "nat_gateway",
        Some(kind) if kind != "interface" && !kind.is_empty() => kind,
        _ => {
            let description = raw.description.as_deref().unwrap_or("");
            let described =
                DESCRIPTIONS.iter().find(|(start, _)| description.starts_with(start)).map(|(_, service)| *service);
            let attached =
                raw.attachment.as_ref().and_then(|attachment| attachment.instance_id.as_ref()).map(|_| "instance");
            let of_arn = is_arn_of("ecs", description).then_some("ecs_task");
            described.or(of_arn).or(attached).unwrap_or("interface")
        }
    }
}

#[cfg(test)]
mod tests;
