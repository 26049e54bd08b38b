//! Testing: addresses from text, and the published files that lie beside the workspace on some machines.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

pub(super) fn ip(text: &str) -> Ipv6Addr {
    match text.parse().unwrap() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// A path under `../shared/data`, seen from the workspace; `None`, with a note, when it is not on this machine.
fn shared_path(path: &str) -> Option<PathBuf> {
    let full = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("skipped: {} is not here", full.display());
    None
}

pub(super) fn shared_data(path: &str) -> Option<Vec<u8>> {
    Some(fs::read(shared_path(path)?).unwrap())
}

/// The files of a folder, by name.
pub(super) fn shared_folder(path: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let mut files: Vec<_> = fs::read_dir(shared_path(path)?)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    Some(files)
}
