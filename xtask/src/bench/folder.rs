//! Where a run keeps its stores: one folder under the build folder, which is on a disk as a rule. It is removed at
//! the end, or, after a run that was killed, by the next one.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// The folder, for this run alone.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// An empty folder under `target`.
    pub(super) fn make(target: &Path) -> anyhow::Result<Self> {
        let lock =
            File::create(target.join("bench.lock")).context("the build folder cannot be written to")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("a benchmark is running already; two would measure each other")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context("the build folder cannot be locked");
            }
        }
        let path = target.join("bench");
        remove(&path)?;
        fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("{error:#}");
        }
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
