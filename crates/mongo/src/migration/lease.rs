//! One run at a time: a lease in the database, with a fencing number that every batch of writes checks.

use super::{MigrateError, MongoMigrator};

/// The right to write, renewed in the background until it is dropped.
pub struct Lease {
    pub(crate) fence: i64,
}

impl Lease {
    /// Gives the right back, so that the next run need not wait.
    pub async fn release(self) -> Result<(), MigrateError> {
        todo!()
    }
}

impl MongoMigrator {
    /// Takes the lease. One that a killed run has left is waited out, a few seconds; one that is renewed meanwhile is an error
    /// that says who has it. `what` is the command, for others to read.
    pub async fn lease(&self, what: &str) -> Result<Lease, MigrateError> {
        let _ = what;
        todo!()
    }
}
