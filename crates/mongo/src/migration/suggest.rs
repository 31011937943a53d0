//! Looks at a database and says how it seems to be laid out. Reads only.

use onechat_migrate::Control;
use serde::Serialize;

use super::{MigrateError, MongoMigrator};

/// A configuration that fits what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Suggestion {
    /// The text of a configuration file, with comments that say what each part was inferred from.
    pub toml: String,
}

impl MongoMigrator {
    /// Samples every collection of the database.
    pub async fn suggest(&self, control: &dyn Control) -> Result<Suggestion, MigrateError> {
        let _ = control;
        todo!()
    }
}
