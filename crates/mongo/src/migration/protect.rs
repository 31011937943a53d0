//! Guard, enforce, rollback: what keeps duplicates out while old ones still stand, and afterwards.

use onechat_migrate::{CollectionState, Control};
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator};

/// What protects the collection now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtectionStatus {
    /// The state that servers follow.
    #[serde(serialize_with = "by_name")]
    pub state: CollectionState,
    /// The index on the key that is used, if any.
    pub index: Option<String>,
    /// Whether it is unique, or keeps new duplicates out (`prepareUnique`).
    pub keeps_duplicates_out: bool,
    /// Whether it is unique.
    pub is_unique: bool,
    /// Whether the collection's validator requires a key.
    pub requires_key: bool,
}

fn by_name<S: serde::Serializer>(state: &CollectionState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

/// What came of making the index unique.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EnforceReport {
    /// Whether the index is unique now, or would be (dry run).
    pub is_unique: bool,
    /// How many keys more than one chat has.
    pub duplicate_keys: u64,
    /// How many chats have no key, and could not be given one.
    pub without_key: u64,
    /// The first few of both, in words.
    pub examples: Vec<String>,
}

impl MongoMigrator {
    /// What protects the collection. Reads only.
    pub async fn protection(&self) -> Result<ProtectionStatus, MigrateError> {
        todo!()
    }

    /// Makes the index (not unique yet) and lets it keep new duplicates out; with `require_key` also a validator that refuses
    /// new documents without a key. From then on servers adopt chats without a key. Does nothing that is done already.
    pub async fn guard_on(
        &self,
        lease: &Lease,
        require_key: bool,
        control: &dyn Control,
    ) -> Result<ProtectionStatus, MigrateError> {
        let _ = (lease, require_key, control);
        todo!()
    }

    /// Takes the guard off: index back to plain, validator as it was. The state becomes `unmigrated`.
    pub async fn guard_off(&self, lease: &Lease) -> Result<ProtectionStatus, MigrateError> {
        let _ = lease;
        todo!()
    }

    /// Makes the index unique after a dry run of the server's that is clean, and notes the state `enforced` once no
    /// chat is without its key. With `dry_run` reads only.
    pub async fn enforce(
        &self,
        lease: Option<&Lease>,
        dry_run: bool,
        control: &dyn Control,
    ) -> Result<EnforceReport, MigrateError> {
        let _ = (lease, dry_run, control);
        todo!()
    }

    /// Drops every unique or guarding index on the key, and the validator's requirement; the state becomes `unmigrated`. The names
    /// of what was dropped.
    pub async fn rollback(&self, lease: &Lease) -> Result<Vec<String>, MigrateError> {
        let _ = lease;
        todo!()
    }
}
