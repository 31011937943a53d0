//! The journal: before-images of everything that a run changes, written before, or in one transaction with, the change.

use serde::Serialize;

use super::{MigrateError, MongoMigrator};

/// A run's name: 24 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(pub(crate) mongodb::bson::oid::ObjectId);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl std::str::FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        mongodb::bson::oid::ObjectId::parse_str(text)
            .map(Self)
            .map_err(|_| format!("{text:?} is no id of a run: see `onechat merge list`"))
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// `onechat migrate`.
    Migrate,
    /// `onechat backfill`.
    Backfill,
    /// `onechat merge apply`.
    Merge,
    /// `onechat watch`.
    Watch,
}

/// A run, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Its name.
    pub run: String,
    /// What it was for: migrate, backfill, merge or watch.
    pub kind: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; none if it was cut off or is at work.
    pub ended_at: Option<String>,
    /// Groups that it merged and that are not undone.
    pub merged: u64,
    /// Groups that it merged and that were undone.
    pub undone: u64,
    /// Chats that it gave a key.
    pub keyed: u64,
}

/// A merged group, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntrySummary {
    /// The entry's name, for `merge show` and `merge undo --group`.
    pub entry: String,
    /// `applying`, `done`, `undoing` or `undone`.
    pub state: String,
    /// The group's key.
    pub key: String,
    /// The survivor's `_id`.
    pub survivor: String,
    /// The losers' `_id`s.
    pub losers: Vec<String>,
    /// Rows elsewhere that were pointed to the survivor.
    pub moved: u64,
    /// How many conflicts there were.
    pub conflicts: u64,
}

/// Everything about a merged group, before-images included, as relaxed extended JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryDetails {
    /// In short.
    pub summary: EntrySummary,
    /// The journal's documents, decoded.
    pub documents: Vec<serde_json::Value>,
}

impl MongoMigrator {
    /// All runs, the newest first. Reads only.
    pub async fn runs(&self) -> Result<Vec<RunSummary>, MigrateError> {
        todo!()
    }

    /// The groups of a run, `skip` left out, at most `limit`. Reads only.
    pub async fn entries(
        &self,
        run: &RunId,
        skip: u64,
        limit: i64,
    ) -> Result<Vec<EntrySummary>, MigrateError> {
        let _ = (run, skip, limit);
        todo!()
    }

    /// One group, whole. Reads only.
    pub async fn entry(&self, entry: &str) -> Result<EntryDetails, MigrateError> {
        let _ = entry;
        todo!()
    }

    /// Begins a run, or goes on with the newest one of the kind that was cut off.
    pub async fn begin_run(&self, lease: &super::Lease, kind: RunKind) -> Result<RunId, MigrateError> {
        let _ = (lease, kind);
        todo!()
    }

    /// Notes that a run came to its end.
    pub async fn end_run(&self, run: &RunId) -> Result<(), MigrateError> {
        let _ = run;
        todo!()
    }
}
