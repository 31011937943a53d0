//! Merges groups: reads them as they are now, plans, journals and applies, many groups at a time.

use onechat_migrate::{Control, GroupPlan};
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator, RunId};

/// What a merge did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MergeReport {
    /// The run in the journal.
    pub run: Option<String>,
    /// Groups that were merged.
    pub groups: u64,
    /// Chats that ended.
    pub losers: u64,
    /// Rows elsewhere that were pointed to a survivor.
    pub moved: u64,
    /// Rows elsewhere that were changed one by one.
    pub edited: u64,
    /// Conflicts that are kept in the journal.
    pub conflicts: u64,
    /// Groups of a plan that had changed since and were planned anew.
    pub stale: u64,
    /// Groups that cannot be merged, and why, the first few.
    pub blocked: u64,
    /// The first few blocked ones, in words.
    pub examples: Vec<String>,
}

/// What a plan says in all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PlanSummary {
    /// Groups that would be merged.
    pub groups: u64,
    /// Chats that would end.
    pub losers: u64,
    /// Rows elsewhere that would be pointed to a survivor.
    pub moves: u64,
    /// Rows elsewhere that would be changed one by one.
    pub edits: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// Groups that cannot be merged.
    pub blocked: u64,
    /// The first few of them, in words.
    pub examples: Vec<String>,
}

impl MongoMigrator {
    /// Plans every group of duplicates and hands each plan to `sink`. Reads only.
    pub async fn plan(
        &self,
        control: &dyn Control,
        sink: &mut (dyn FnMut(GroupPlan) -> std::io::Result<()> + Send),
    ) -> Result<PlanSummary, MigrateError> {
        let _ = (control, sink);
        todo!()
    }

    /// Merges every group of duplicates that there is, pass after pass until a pass finds none that it can merge. Finishes first
    /// what an earlier run was cut off in.
    pub async fn merge(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<MergeReport, MigrateError> {
        let _ = (lease, run, control);
        todo!()
    }

    /// Merges the groups of a plan that was made before. One that has changed since is planned anew.
    pub async fn apply(
        &self,
        lease: &Lease,
        run: &RunId,
        plans: &mut (dyn Iterator<Item = std::io::Result<GroupPlan>> + Send),
        control: &dyn Control,
    ) -> Result<MergeReport, MigrateError> {
        let _ = (lease, run, plans, control);
        todo!()
    }
}
