//! Gives back what a run, or one merge of it, has changed.

use onechat_migrate::Control;
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator, RunId};

/// What is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoTarget {
    /// Everything that a run did: merges in reverse order, then keys.
    Run(RunId),
    /// One merged group, by the name of its entry.
    Group(String),
}

/// What an undo did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UndoReport {
    /// Groups that were given back.
    pub groups: u64,
    /// Chats that live again.
    pub revived: u64,
    /// Rows that were pointed back.
    pub moved_back: u64,
    /// Keys that were taken back.
    pub keys: u64,
    /// Writes made since that are kept.
    pub kept: u64,
    /// Each row that could not be given back as it was, with what stands there now.
    pub conflicts: Vec<String>,
}

impl MongoMigrator {
    /// Undoes. Refused while a unique or guarding index would refuse the chats that come back: `rollback` first. With `dry_run`
    /// reads only.
    pub async fn undo(
        &self,
        lease: Option<&Lease>,
        target: &UndoTarget,
        dry_run: bool,
        control: &dyn Control,
    ) -> Result<UndoReport, MigrateError> {
        let _ = (lease, target, dry_run, control);
        todo!()
    }
}
