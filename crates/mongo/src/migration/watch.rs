//! Heals what old writers go on writing: chats without a key, duplicates, messages to ids of merged chats.

use onechat_migrate::Control;
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator, RunId};

/// What a watch did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WatchReport {
    /// Changes that it looked at.
    pub events: u64,
    /// Chats that it gave a key.
    pub keyed: u64,
    /// Groups that it merged.
    pub merged: u64,
    /// Rows that it pointed to the chat that lives on.
    pub moved: u64,
}

impl MongoMigrator {
    /// Follows the change streams until `control` says stop. Goes on where it stopped last, across failovers and restarts; if that
    /// is too long ago for the oplog, it says so and makes a full pass first.
    pub async fn watch(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<WatchReport, MigrateError> {
        let _ = (lease, run, control);
        todo!()
    }
}
