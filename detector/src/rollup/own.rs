//! Which addresses are an interface's own.
//!
//! The inventory knows, the direction of the records shows, and where both are silent every record of an interface
//! still has its address on one side: the address most of its records share.

use baselines::ladder::{is_ipv4, is_private};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::groups::Groups;

/// Pairs of interface and own address, both as numbers of `groups`.
pub(super) fn addresses(groups: &Groups, inventory: &dyn Fn(&str) -> Vec<u128>) -> HashSet<(u32, u32), FixedState> {
    let mut own: HashSet<(u32, u32), FixedState> = HashSet::default();
    let known: Vec<Vec<u128>> = groups.all_interfaces().iter().map(|seen| inventory(&seen.id)).collect();
    for (id, seen) in (0..).zip(groups.all_interfaces()) {
        own.extend(seen.own.iter().map(|&address| (id, address)));
    }
    if known.iter().any(|known| !known.is_empty()) {
        for group in groups.iter() {
            let interface = group.key.interface();
            let Some(known) = known.get(interface as usize).filter(|known| !known.is_empty()) else { continue };
            for side in [group.key.client(), group.key.server()] {
                if known.contains(&groups.address(side)) {
                    own.insert((interface, side));
                }
            }
        }
    }
    let open: Vec<bool> = groups
        .all_interfaces()
        .iter()
        .zip(&known)
        .map(|(seen, known)| seen.own.is_empty() && known.is_empty())
        .collect();
    if open.contains(&true) {
        own.extend(shared(groups, &open));
    }
    own
}

/// For each open interface and address family, the address with the most records; of equals a private one before a
/// public one, one that asks before one that answers, the smaller before the larger.
fn shared(groups: &Groups, open: &[bool]) -> Vec<(u32, u32)> {
    let mut n_rows: HashMap<(u32, u32), (u64, u64), FixedState> = HashMap::default();
    for group in groups.iter().filter(|group| open.get(group.key.interface() as usize) == Some(&true)) {
        let (interface, client, server) = (group.key.interface(), group.key.client(), group.key.server());
        let entry = n_rows.entry((interface, client)).or_default();
        entry.0 += group.n_rows;
        entry.1 += group.n_rows;
        if server != client {
            n_rows.entry((interface, server)).or_default().0 += group.n_rows;
        }
    }
    let mut candidates: Vec<_> = n_rows
        .into_iter()
        .map(|((interface, id), (n, n_asking))| {
            let address = groups.address(id);
            let family = (interface, is_ipv4(address));
            (family, std::cmp::Reverse((n, is_private(address), n_asking)), address, id)
        })
        .collect();
    candidates.sort_unstable();
    candidates.dedup_by_key(|(family, ..)| *family);
    candidates.into_iter().map(|((interface, _), _, _, id)| (interface, id)).collect()
}
