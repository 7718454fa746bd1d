//! What can go wrong with the files of a run, in words for the person who reads them.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to write or read the files of a run.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The system refused.
    #[error("cannot {action} `{}`: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The file is there, but it isn't what it should be.
    #[error("`{}` cannot be read as {expected}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold, such as `a record of lab (requests.parquet)`.
        expected: &'static str,
        /// What is wrong, with the place where known.
        why: String,
    },
    /// Written by another version of lab.
    #[error(
        "`{}` has schema version {found}; this lab reads version {supported}: \
         read it with the lab that wrote it, or write it again",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
        /// The version this build knows.
        supported: u32,
    },
    /// A name that cannot be a folder's.
    #[error(
        "{what} `{name}` cannot name a folder: use letters, digits, `-`, `_` and `.`, \
         not beginning with `.`"
    )]
    Name {
        /// Whose name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The run's folder exists already.
    #[error("`{}` exists already: a run never overwrites another; start it with another id", .0.display())]
    Exists(PathBuf),
    /// The thread that writes the files ended without a result.
    #[error("the thread that writes `{}` broke down: {why}", path.display())]
    Writer {
        /// The folder it was writing to.
        path: PathBuf,
        /// Its last words.
        why: String,
    },
}

impl RecordError {
    /// For `map_err`: what was tried, and with what.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A file that is not what it should be.
    pub(crate) fn malformed(path: &Path, expected: &'static str, why: impl ToString) -> Self {
        Self::Malformed { path: path.to_owned(), expected, why: why.to_string() }
    }
}

/// What the reader can do about it, where that is known.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or choose a folder on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder you may write to"
        }
        io::ErrorKind::NotADirectory => "; a folder is needed there, and a file is in the way",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_path_and_what_to_do() {
        let full = RecordError::io("write", Path::new("results/x/requests.parquet"))(
            io::ErrorKind::StorageFull.into(),
        );
        let text = full.to_string();
        assert!(text.starts_with("cannot write `results/x/requests.parquet`: "), "{text}");
        assert!(text.ends_with("free some space, or choose a folder on another disk"), "{text}");
    }
}
