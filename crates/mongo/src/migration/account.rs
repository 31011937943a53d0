//! The account of a run: nothing that was there is missing, but for what the journal names.

use onechat_migrate::{Account, Control};
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator, RunId};

/// The account of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AccountReport {
    /// Whether nothing is missing.
    pub holds: bool,
    /// Collection by collection.
    pub accounts: Vec<Account>,
    /// Rows that the journal says were moved and that are not where they should be, the first few, in words.
    pub missing: Vec<String>,
    /// How many of those there are.
    pub missing_count: u64,
}

impl MongoMigrator {
    /// Takes the inventory that the account begins with, unless the run has one already. Before anything is changed.
    pub async fn take_inventory(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let _ = (lease, run, control);
        todo!()
    }

    /// Compares the inventory, what the journal names, and what is there now. Reads only; may be repeated at any time.
    pub async fn account(&self, run: &RunId, control: &dyn Control) -> Result<AccountReport, MigrateError> {
        let _ = (run, control);
        todo!()
    }
}
