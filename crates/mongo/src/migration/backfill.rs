//! Gives every chat the key of its participants, in the order of `_id`, in batches, resumable.

use onechat_migrate::Control;
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator, RunId};

/// What a backfill did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BackfillReport {
    /// The run in the journal; none for a dry run, or if nothing was written.
    pub run: Option<String>,
    /// Chats that were looked at.
    pub examined: u64,
    /// Chats that had no key and have one now.
    pub keyed: u64,
    /// Chats whose key was wrong and is right now.
    pub corrected: u64,
    /// Chats whose key another chat of the same people has: the merge's business. They keep what they had.
    pub duplicates: u64,
    /// Chats whose key a chat of other people holds (format `joined`): they stay without a key, and are reported.
    pub ambiguous: u64,
    /// Chats whose participants are no set: not touched.
    pub malformed: u64,
    /// The first few of the last two, in words.
    pub examples: Vec<String>,
}

impl MongoMigrator {
    /// Fills and corrects keys. With `dry_run` reads only. What it changes is in the journal.
    pub async fn backfill(
        &self,
        lease: Option<&Lease>,
        run: Option<&RunId>,
        dry_run: bool,
        control: &dyn Control,
    ) -> Result<BackfillReport, MigrateError> {
        let _ = (lease, run, dry_run, control);
        todo!()
    }
}
