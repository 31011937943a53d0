//! The limits of long work in the configuration file, which may be edited while the work goes on.

use std::{path::PathBuf, time::SystemTime};

use anyhow::Context as _;

use super::{Limits, read};

/// The configuration file, for reading it again.
pub(crate) struct LimitsFile(PathBuf);

impl LimitsFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// When it was last changed; nothing if it is not there, as in the middle of being replaced.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        std::fs::metadata(&self.0).and_then(|file| file.modified()).ok()
    }

    /// What it says now.
    pub(crate) fn read(&self) -> anyhow::Result<Limits> {
        let settings = read(&self.0)?.migrate;
        Limits::of(&settings).context("[migrate]")
    }
}
