//! Flow log objects on disk: files as given, and what lies in folders, in an order of its own.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use detector::read::Object;

/// A file as an object: opened for each read, so that a month of files needs no month of descriptors.
#[derive(Clone, Debug)]
pub(crate) struct FileObject {
    pub(crate) path: PathBuf,
    name: String,
    size: u64,
    file: FileId,
}

/// What tells a file from all others, whatever it is called: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    fn new(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }

    /// The file at a path, if there is one; a device may be named twice.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Self::new(&metadata))
    }

    /// The file a stream goes to, if it is one.
    pub(crate) fn of_stream(stream: impl AsFd) -> Option<Self> {
        let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
        file.metadata().ok().filter(Metadata::is_file).map(|metadata| Self::new(&metadata))
    }
}

impl Object for FileObject {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len);
        if file.take(len as u64).read_to_end(&mut bytes)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }
}

/// A path, or something in a folder, that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) path: String,
    pub(crate) error: String,
    pub(crate) hint: &'static str,
}

/// What the given paths hold.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In the order of the paths given, folders by name.
    pub(crate) objects: Vec<FileObject>,
    pub(crate) problems: Vec<Problem>,
    /// Files and folders left out because their names begin with a dot.
    pub(crate) n_hidden: u64,
    /// What is read beside the objects: settings, and what explains addresses and interfaces.
    pub(crate) beside: Vec<PathBuf>,
}

const GIVE_A_PATH: &str = "give a flow-log file, or a folder to search downwards";
const LOOK_INSIDE: &str = "a folder counts when it holds files; names that begin with a dot are left out";
const GONE: &str = "a link to nothing, or removed meanwhile; everything else was read";
const PERMISSION: &str = "check its permissions; everything else was read";

impl Listing {
    /// Finds the objects of all paths.
    ///
    /// Folders are searched downwards through symbolic links, each folder once for each path given: a link to a folder
    /// above ends there. What is neither file nor folder is left out of folders, and a problem when given.
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        let mut listing = Self::default();
        for path in paths {
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => {
                    let before = (listing.objects.len(), listing.problems.len());
                    listing.search(path, &metadata, &mut BTreeSet::new());
                    if before == (listing.objects.len(), listing.problems.len()) {
                        listing.problem(path, "there is no file in this folder", LOOK_INSIDE);
                    }
                }
                Ok(metadata) if metadata.is_file() => listing.add(path, &metadata),
                Ok(_) => listing.problem(path, "neither a file nor a folder", "save the stream to a file first"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    listing.problem(path, "no such file or folder", GIVE_A_PATH);
                }
                Err(error) => listing.problem(path, &error.to_string(), PERMISSION),
            }
        }
        listing
    }

    /// What is read of a file, if it is read at all.
    pub(crate) fn reading(&self, file: FileId) -> Option<&Path> {
        let object = self.objects.iter().find(|object| object.file == file).map(|object| &object.path);
        let path = object.or_else(|| self.beside.iter().find(|path| FileId::of(path) == Some(file)))?;
        Some(path)
    }

    /// All bytes of the objects.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.objects.iter().fold(0, |sum, object| sum.saturating_add(object.size()))
    }

    fn search(&mut self, folder: &Path, metadata: &Metadata, seen: &mut BTreeSet<(u64, u64)>) {
        if !seen.insert((metadata.dev(), metadata.ino())) {
            return;
        }
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut names = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.file_name()).collect::<Vec<_>>(),
            Err(error) => return self.problem(folder, &error.to_string(), PERMISSION),
        };
        names.sort_unstable();
        for name in names {
            if name.as_encoded_bytes().starts_with(b".") {
                self.n_hidden += 1;
                continue;
            }
            let path = folder.join(name);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.search(&path, &metadata, seen),
                Ok(metadata) if metadata.is_file() => self.add(&path, &metadata),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.problem(&path, "no such file or folder", GONE);
                }
                Err(error) => self.problem(&path, &error.to_string(), PERMISSION),
            }
        }
    }

    fn add(&mut self, path: &Path, metadata: &Metadata) {
        self.objects.push(FileObject {
            path: path.to_owned(),
            name: path.to_string_lossy().into_owned(),
            size: metadata.len(),
            file: FileId::new(metadata),
        });
    }

    fn problem(&mut self, path: &Path, error: &str, hint: &'static str) {
        let path = path.to_string_lossy().into_owned();
        self.problems.push(Problem { path, error: error.to_owned(), hint });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
            fs::write(path, file).expect("a file");
        }
        root
    }

    fn names(listing: &Listing, root: &Path) -> Vec<String> {
        let below = |object: &FileObject| object.name().trim_start_matches(&*root.to_string_lossy()).to_owned();
        listing.objects.iter().map(below).collect()
    }

    #[test]
    fn folders_are_searched_downwards_in_order() {
        let root = folder(&["b/2.gz", "b/1.gz", "a/x/deep.parquet", "c.log", ".hidden", "b/.git/objects"]);
        let listing = Listing::of(&[root.path().to_owned()]);
        assert_eq!(names(&listing, root.path()), ["/a/x/deep.parquet", "/b/1.gz", "/b/2.gz", "/c.log"]);
        assert_eq!((listing.n_hidden, listing.problems.len()), (2, 0));
        assert_eq!(listing.n_bytes(), 16 + 6 + 6 + 5);
    }

    #[test]
    fn links_are_followed_and_loops_end() {
        let root = folder(&["a/1.gz"]);
        symlink(root.path(), root.path().join("a/up")).expect("a link");
        symlink(root.path().join("a"), root.path().join("b")).expect("a link");
        symlink(root.path().join("a/1.gz"), root.path().join("c.gz")).expect("a link");
        let listing = Listing::of(&[root.path().to_owned()]);
        assert_eq!(names(&listing, root.path()), ["/a/1.gz", "/c.gz"]);
    }

    #[test]
    fn what_cannot_be_read_does_not_stop_the_rest() {
        let root = folder(&["a/1.gz", ".hidden"]);
        symlink("nowhere", root.path().join("a/broken")).expect("a link");
        fs::create_dir(root.path().join("empty")).expect("a folder");
        let paths = ["a", "missing", "empty", ".hidden"].map(|name| root.path().join(name));
        let listing = Listing::of(&paths);
        assert_eq!(names(&listing, root.path()), ["/a/1.gz", "/.hidden"], "a hidden file is read when it is given");
        let errors: Vec<&str> = listing.problems.iter().map(|problem| problem.error.as_str()).collect();
        assert_eq!(errors, ["no such file or folder", "no such file or folder", "there is no file in this folder"]);
        assert!(listing.problems[0].hint.starts_with("a link to nothing"));
    }

    #[test]
    fn streams_are_refused_when_given() {
        let listing = Listing::of(&[PathBuf::from("/dev/null")]);
        assert_eq!(listing.problems[0].error, "neither a file nor a folder");
    }

    #[test]
    fn ranges_are_read_and_ends_are_errors() {
        let root = folder(&["abcdef"]);
        let listing = Listing::of(&[root.path().join("abcdef")]);
        let object = &listing.objects[0];
        assert_eq!(object.read_at(2, 3).expect("inside"), "cde");
        assert_eq!(object.read_at(4, 3).expect_err("beyond").kind(), io::ErrorKind::UnexpectedEof);
    }
}
