//! Why a baseline or a set of observations cannot be stored or read back.
//!
//! Where it sits: the one error type of the stored form.
//! What it does not do: it never leaves something half read; what comes with an error is nothing.

use std::path::{Path, PathBuf};

/// Why a baseline or a set of observations cannot be stored or read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no baseline in the folder.
    #[error("{}: there is no baseline", dir.display())]
    Absent {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is one version of a baseline, as the state bucket holds them: to be read only.
    #[error("{}: one version of a baseline, which can be read but not written to", dir.display())]
    OneVersion {
        /// The folder.
        dir: PathBuf,
    },
    /// A later program wrote it.
    #[error(
        "{origin} was written by a newer callout; it is `{found}`, this callout reads `{readable}`: update callout"
    )]
    Newer {
        /// File or object.
        origin: String,
        /// The format it says it is.
        found: String,
        /// The format this program writes.
        readable: &'static str,
    },
    /// It is no stored form of ours.
    #[error("{origin} is not callout's: {why}")]
    Foreign {
        /// File or object.
        origin: String,
        /// What it is instead.
        why: String,
    },
    /// A file the manifest or the pointer names is not there.
    #[error("{origin} is missing; restore it, or learn the baseline anew")]
    Missing {
        /// File or object.
        origin: String,
    },
    /// A file is not what was written.
    #[error("{origin} is damaged: {why}; restore it, or learn it anew")]
    Damaged {
        /// File or object.
        origin: String,
        /// How it shows.
        why: String,
    },
    /// Another program stored a baseline since ours was loaded.
    #[error("{}: the baseline was changed by another run since it was loaded; load it again", dir.display())]
    Changed {
        /// The folder.
        dir: PathBuf,
    },
    /// More than the stored form holds.
    #[error("{origin} would have {n_rows} rows; at most {max_rows} can be stored")]
    TooLarge {
        /// File.
        origin: String,
        /// Rows it would have.
        n_rows: usize,
        /// Rows it may have.
        max_rows: usize,
    },
    /// Parquet could not be written.
    #[error("{origin}: writing Parquet failed")]
    Write {
        /// File.
        origin: String,
        /// What the encoder said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The disk refused.
    #[error("{}: {doing} failed", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The same error, its file named by where it lies.
    pub(super) fn within(mut self, dir: &Path) -> Self {
        if let Self::Newer { origin, .. }
        | Self::Foreign { origin, .. }
        | Self::Missing { origin }
        | Self::Damaged { origin, .. } = &mut self
        {
            *origin = dir.join(&*origin).display().to_string();
        }
        self
    }

    pub(super) fn damaged(origin: &str, why: impl Into<String>) -> Self {
        Self::Damaged { origin: origin.into(), why: why.into() }
    }
}
