//! Disk: baselines in a folder. The one place of the library that does I/O.
//!
//! Where it sits: between [`super::encode`] and [`super::decode`] and the file system; the doors call it.
//! What it does not do: it never changes a file that a reader may be reading, and never leaves the folder without a
//! whole baseline once it held one.
//!
//! ```text
//!  baseline/
//!    current.json            the pointer: which version holds, and which one held before
//!    lock                    held while a version is written
//!    versions/
//!      9f2c4e…/              one whole baseline, named by the SHA-256 of its manifest; never changed
//!        manifest.json  owners.parquet  networks.parquet  …  incidents.json
//!      incoming/             being written; what a crash leaves of it is cleared by the next save
//! ```
//!
//! A version is written aside, synced, renamed into place; then the pointer is replaced by renaming. A crash at any
//! moment leaves the old version or the new one. Writers take turns under the lock: the last one wins, whole.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::manifest::{check_schema, json, sha256};
use super::{MANIFEST, SCHEMA, decode, encode};
use crate::baselines::Baselines;

/// The format of the pointer.
const POINTER_SCHEMA: &str = "callout.baseline-pointer/1";

const POINTER: &str = "current.json";
const POINTER_INCOMING: &str = "current.json.incoming";
const LOCK: &str = "lock";
const VERSIONS: &str = "versions";
const INCOMING: &str = "incoming";

/// How often a reader starts over when writers replace the version it is reading.
const MAX_READS: usize = 5;

/// Which baseline a folder holds: the SHA-256 of its manifest. Equal baselines are the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer {
    schema: String,
    version: String,
    previous: Option<String>,
}

/// Stores a baseline in a folder, which is made if need be. What another run stored meanwhile is replaced.
///
/// # Errors
/// [`Error::Io`] when the disk refuses; [`Error::OneVersion`]; [`Error::Newer`], [`Error::Foreign`] or
/// [`Error::Damaged`] when the folder holds something this program must not replace. The folder then holds what it held
/// before.
pub fn save(dir: &Path, baselines: &Baselines) -> Result<Version, Error> {
    store(dir, baselines, |_| true)
}

/// Stores a baseline in a folder, provided it still holds the version that was loaded (`None`: no baseline).
///
/// # Errors
/// Those of [`save`], and [`Error::Changed`] when it holds another one.
pub fn save_if_unchanged(dir: &Path, baselines: &Baselines, loaded: Option<&Version>) -> Result<Version, Error> {
    store(dir, baselines, |found| found == loaded)
}

/// Reads the baseline of a folder.
///
/// # Errors
/// [`Error::Absent`] when the folder holds none; else those of [`super::decode`] and [`Error::Io`].
pub fn load(dir: &Path) -> Result<Baselines, Error> {
    load_version(dir).map(|(baselines, _)| baselines)
}

/// Reads the baseline of a folder and says which one it is, for [`save_if_unchanged`]. A folder that is one version, as
/// the state bucket holds them, is read too.
///
/// # Errors
/// Those of [`load`].
pub fn load_version(dir: &Path) -> Result<(Baselines, Version), Error> {
    let mut pointed = version(dir)?;
    if pointed.is_none()
        && let Ok(manifest) = fs::read(dir.join(MANIFEST))
    {
        let version = Version(sha256(&manifest));
        return read_version(dir, &version).map(|baselines| (baselines, version));
    }
    for _ in 0..MAX_READS {
        let Some(version) = pointed else { return Err(Error::Absent { dir: dir.into() }) };
        let read = read_version(&dir.join(VERSIONS).join(&version.0), &version);
        if !matches!(read, Err(Error::Missing { .. })) {
            return read.map(|baselines| (baselines, version));
        }
        // A writer may have cleared this version away; then there is a newer one.
        pointed = self::version(dir)?;
        if pointed.as_ref() == Some(&version) {
            return read.map(|baselines| (baselines, version));
        }
    }
    Err(Error::Changed { dir: dir.into() })
}

/// Checks that a folder may hold a baseline, whether there is one or not.
///
/// # Errors
/// [`Error::OneVersion`] for a folder that is a version itself: what was stored in it would hide that.
pub fn check_holder(dir: &Path) -> Result<(), Error> {
    let is_version = !dir.join(POINTER).exists() && dir.join(MANIFEST).exists();
    if is_version { Err(Error::OneVersion { dir: dir.into() }) } else { Ok(()) }
}

/// Which baseline a folder holds, `None` when it holds none.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, or those of a pointer that is damaged or newer.
pub fn version(dir: &Path) -> Result<Option<Version>, Error> {
    let read = || Ok(pointer(dir)?.map(|pointer| Version(pointer.version)));
    let is_lost = || !dir.join(POINTER).exists() && holds_version(dir);
    match read() {
        // A writer may be about to put the first pointer into place.
        Err(_) if is_lost() => lock(dir).and_then(|_lock| read()),
        read => read,
    }
}

/// The most bytes of a pointer that are read; it has some two hundred.
const MAX_POINTER_BYTES: u64 = 64 << 10;

fn read_pointer(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_POINTER_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn pointer(dir: &Path) -> Result<Option<Pointer>, Error> {
    let path = dir.join(POINTER);
    let origin = path.display().to_string();
    let bytes = match read_pointer(&path) {
        Ok(bytes) => bytes,
        // A pointer that is lost is no beginning: the next save would clear away what it named.
        Err(error) if error.kind() == ErrorKind::NotFound && holds_version(dir) => {
            return Err(Error::damaged(
                &origin,
                "it is gone, and `versions` beside it is not; put it back or remove both",
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { path, doing: "reading", source }),
    };
    check_schema(&origin, &bytes, POINTER_SCHEMA)?;
    let pointer: Pointer = serde_json::from_slice(&bytes).map_err(|e| Error::damaged(&origin, e.to_string()))?;
    // Names become paths: nothing but our own hashes may.
    let is_hash =
        |name: &String| name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_hash(&pointer.version) || !pointer.previous.as_ref().is_none_or(is_hash) || json(&pointer) != bytes {
        return Err(Error::damaged(&origin, "it does not name a version"));
    }
    Ok(Some(pointer))
}

/// Whether a folder holds some whole version.
fn holds_version(dir: &Path) -> bool {
    let versions = fs::read_dir(dir.join(VERSIONS)).into_iter().flatten().flatten();
    versions.filter(|entry| entry.file_name() != INCOMING).any(|entry| entry.path().join(MANIFEST).exists())
}

fn read_version(folder: &Path, version: &Version) -> Result<Baselines, Error> {
    let read = |name: String| {
        let path = folder.join(&name);
        match fs::read(&path) {
            Ok(bytes) => Ok((name, Bytes::from(bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::Missing { origin: path.display().to_string() })
            }
            Err(source) => Err(Error::Io { path, doing: "reading", source }),
        }
    };
    let manifest = read(MANIFEST.to_owned())?;
    if sha256(&manifest.1) != version.0 {
        return Err(Error::damaged(&folder.join(MANIFEST).display().to_string(), "it is not what the pointer names"));
    }
    let names = super::file_names(&manifest.1).map_err(|error| error.within(folder))?;
    let files = names.into_iter().map(read).chain([Ok(manifest)]).collect::<Result<Vec<_>, Error>>()?;
    decode(&files).map_err(|error| error.within(folder))
}

fn store(dir: &Path, baselines: &Baselines, may: impl Fn(Option<&Version>) -> bool) -> Result<Version, Error> {
    let files = encode(baselines)?;
    let manifest = files.iter().find(|(name, _)| name == MANIFEST).map_or(&[][..], |(_, bytes)| bytes);
    let version = Version(sha256(manifest));
    check_holder(dir)?;
    let versions = dir.join(VERSIONS);
    fs::create_dir_all(&versions).map_err(at(&versions, "making the folder"))?;
    let _lock = lock(dir)?;
    let held = pointer(dir)?;
    let held_version = held.as_ref().map(|pointer| Version(pointer.version.clone()));
    if !may(held_version.as_ref()) {
        return Err(Error::Changed { dir: dir.into() });
    }
    if let Some(pointer) = &held {
        check_readable(&versions.join(&pointer.version).join(MANIFEST))?;
    }
    place(&versions, &version, &files)?;
    let previous = match held {
        Some(pointer) if pointer.version == version.0 => pointer.previous,
        held => held.map(|pointer| pointer.version),
    };
    let pointer = Pointer { schema: POINTER_SCHEMA.into(), version: version.0.clone(), previous };
    let incoming = dir.join(POINTER_INCOMING);
    write(&incoming, &json(&pointer))?;
    fs::rename(&incoming, dir.join(POINTER)).map_err(at(&dir.join(POINTER), "replacing"))?;
    sync_dir(dir)?;
    prune(&versions, &pointer);
    Ok(version)
}

/// Refuses to replace what a newer program wrote. What is damaged or gone may be replaced.
fn check_readable(manifest: &Path) -> Result<(), Error> {
    let Ok(bytes) = fs::read(manifest) else { return Ok(()) };
    match check_schema(&manifest.display().to_string(), &bytes, SCHEMA) {
        Err(error @ Error::Newer { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Writers take turns; the lock ends with the file handle, or with the process.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let file = File::options().create(true).write(true).truncate(false).open(&path).map_err(at(&path, "opening"))?;
    file.lock().map(|()| file).map_err(at(&path, "locking"))
}

/// Puts a version's files into place, whole.
fn place(versions: &Path, version: &Version, files: &[(String, Bytes)]) -> Result<(), Error> {
    let target = versions.join(&version.0);
    let holds = |(name, bytes): &(String, Bytes)| fs::read(target.join(name)).is_ok_and(|found| found == *bytes);
    if files.iter().all(holds) {
        return Ok(());
    }
    let incoming = versions.join(INCOMING);
    remove(&incoming)?;
    fs::create_dir(&incoming).map_err(at(&incoming, "making the folder"))?;
    for (name, bytes) in files {
        write(&incoming.join(name), bytes)?;
    }
    sync_dir(&incoming)?;
    // Of the same name and not the same content: it was damaged.
    remove(&target)?;
    fs::rename(&incoming, &target).map_err(at(&target, "renaming"))?;
    sync_dir(versions)
}

/// Clears away all versions but the one that holds and the one before. What cannot be removed waits for the next time:
/// the new version holds already.
fn prune(versions: &Path, pointer: &Pointer) {
    for entry in fs::read_dir(versions).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_kept = name == *pointer.version || pointer.previous.as_ref().is_some_and(|kept| name == **kept);
        if !is_kept {
            let _left_for_later = remove(&entry.path());
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(at(path, "creating"))?;
    file.write_all(bytes).map_err(at(path, "writing"))?;
    file.sync_all().map_err(at(path, "syncing"))
}

/// Makes the names in a folder last. Where a folder cannot be opened (Windows) the file system sees to it.
fn sync_dir(dir: &Path) -> Result<(), Error> {
    if cfg!(unix) { File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir, "syncing")) } else { Ok(()) }
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(dir, "removing")(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let path = PathBuf::from(path);
    move |source| Error::Io { path, doing, source }
}
