//! Points what was written to the id of a merged chat to the chat that lives on.

use onechat_migrate::Control;
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator};

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SweepReport {
    /// Rows that were pointed to the chat that lives on.
    pub moved: u64,
    /// How many passes it took until one found nothing.
    pub passes: u64,
}

impl MongoMigrator {
    /// Passes over all aliases until a pass finds nothing.
    pub async fn sweep(&self, lease: &Lease, control: &dyn Control) -> Result<SweepReport, MigrateError> {
        let _ = (lease, control);
        todo!()
    }
}
