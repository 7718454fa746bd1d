//! The folder of a run: whole, or not there at all.
//!
//! Files are written to `<root>/<scenario>/.partial-<run>`, and [`RunDirectory::commit`] syncs
//! them and renames the folder to `<root>/<scenario>/<run>`: on one file system a rename is done
//! or not done. The partial folder holds a locked file, and the system drops the lock with the
//! process, however it died; the next run of the scenario removes partial folders whose lock is
//! free. A lock on the scenario's folder keeps that from meeting a folder that is not locked yet.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::RecordError;

const PARTIAL: &str = ".partial-";
const LOCK: &str = ".lock";
/// Name of the link to the last committed run.
pub const LATEST: &str = "latest";

/// The folder of a run while it is written. Dropping it without [`RunDirectory::commit`] removes
/// the folder.
#[derive(Debug)]
pub struct RunDirectory {
    parent: PathBuf,
    partial: PathBuf,
    whole: PathBuf,
    committed: bool,
    _lock: File,
}

impl RunDirectory {
    /// Begins the folder of run `run` of `scenario` under `root`, which is created if need be.
    /// Also removes what killed runs of the scenario left behind.
    ///
    /// # Errors
    /// When a name cannot be a folder's, the run exists already, or a folder cannot be created.
    pub fn create(root: &Path, scenario: &str, run: &str) -> Result<Self, RecordError> {
        check_name("the scenario's name", scenario)?;
        check_name("the run's id", run)?;
        let parent = root.join(scenario);
        let whole = parent.join(run);
        let partial = parent.join(format!("{PARTIAL}{run}"));
        fs::create_dir_all(&parent).map_err(RecordError::io("create the folder", &parent))?;
        let _exclusive = lock_folder(&parent)?;
        remove_stale(&parent);
        if whole.symlink_metadata().is_ok() || partial.symlink_metadata().is_ok() {
            return Err(RecordError::Exists(whole));
        }
        fs::create_dir(&partial).map_err(RecordError::io("create the folder", &partial))?;
        let lock = lock_folder(&partial).inspect_err(|_| {
            let _ = fs::remove_dir_all(&partial);
        })?;
        Ok(Self { parent, partial, whole, committed: false, _lock: lock })
    }

    /// Where to write the run's files now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Where they will be after [`RunDirectory::commit`].
    #[must_use]
    pub fn destination(&self) -> &Path {
        &self.whole
    }

    /// Syncs every file, renames the folder to its final name, points `latest` to it, and returns
    /// its path.
    ///
    /// # Errors
    /// When a file cannot be synced or the folder not renamed; the partial folder is then removed.
    pub fn commit(mut self) -> Result<PathBuf, RecordError> {
        sync_all(&self.partial)?;
        // Without its lock file the folder looks stale, so nobody may look meanwhile.
        let _exclusive = lock_folder(&self.parent)?;
        let lock = self.partial.join(LOCK);
        fs::remove_file(&lock).map_err(RecordError::io("remove", &lock))?;
        fs::rename(&self.partial, &self.whole)
            .map_err(RecordError::io("complete the run's folder", &self.whole))?;
        self.committed = true;
        sync(&self.parent)?;
        link_latest(&self.parent, &self.whole)?;
        Ok(self.whole.clone())
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to hear of a failure; the next run tries again.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// The folder name must be one plain component, whatever the system.
fn check_name(what: &'static str, name: &str) -> Result<(), RecordError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || name == LATEST || !name.chars().all(plain) {
        return Err(RecordError::Name { what, name: name.to_owned() });
    }
    Ok(())
}

/// Takes the lock of `folder`, waiting for whoever holds it.
fn lock_folder(folder: &Path) -> Result<File, RecordError> {
    let path = folder.join(LOCK);
    let file = open_lock(&path).map_err(RecordError::io("create", &path))?;
    file.lock().map_err(RecordError::io("lock", &path))?;
    Ok(file)
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Removes partial folders without a living owner. What cannot be removed is left: it harms nobody.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PARTIAL);
        if ours && !owner_lives(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A living owner holds the lock. Without a lock file the owner died just after it made the
/// folder, or just before it renamed it: both happen under the lock of the scenario's folder only.
fn owner_lives(partial: &Path) -> bool {
    match File::options().write(true).open(partial.join(LOCK)) {
        Ok(lock) => matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// Syncs all files below `folder`, then the folder itself.
fn sync_all(folder: &Path) -> Result<(), RecordError> {
    let entries = fs::read_dir(folder).map_err(RecordError::io("read", folder))?;
    for entry in entries {
        let path = entry.map_err(RecordError::io("read", folder))?.path();
        if path.is_dir() { sync_all(&path)? } else { sync(&path)? }
    }
    sync(folder)
}

fn sync(path: &Path) -> Result<(), RecordError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(RecordError::io("sync", path))
}

/// Replaces the link in one step, so that `latest` always leads somewhere.
#[cfg(unix)]
fn link_latest(parent: &Path, whole: &Path) -> Result<(), RecordError> {
    let link = parent.join(LATEST);
    let name = whole.file_name().unwrap_or_default();
    let fresh = parent.join(format!(".latest-{}", name.to_string_lossy()));
    std::os::unix::fs::symlink(name, &fresh).map_err(RecordError::io("create", &fresh))?;
    fs::rename(&fresh, &link).map_err(RecordError::io("replace", &link))
}

/// Links need a privilege on other systems; there is no `latest` there.
#[cfg(not(unix))]
fn link_latest(_parent: &Path, _whole: &Path) -> Result<(), RecordError> {
    Ok(())
}
