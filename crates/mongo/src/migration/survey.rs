//! One pass over all chats that finds the groups of duplicates by their participants, whatever their keys say, in
//! memory that does not grow with the collection: what has to be grouped is spilled to files.

use mongodb::bson::Bson;
use onechat_core::ParticipantSet;
use onechat_migrate::Control;

use super::{MigrateError, MongoMigrator};

/// The groups of duplicates that one pass found. Iterates over (set, the `_id`s of its chats), largest memory: one bucket.
pub(crate) struct Duplicates {
    _private: (),
}

impl Duplicates {
    /// How many groups there are.
    pub(crate) fn groups(&self) -> u64 {
        todo!()
    }

    /// How many chats are in them.
    pub(crate) fn chats(&self) -> u64 {
        todo!()
    }
}

impl Iterator for Duplicates {
    type Item = Result<(ParticipantSet, Vec<Bson>), MigrateError>;

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl MongoMigrator {
    /// Finds every group of two or more chats with the same set of participants. Malformed chats are in none. Reads only.
    pub(crate) async fn duplicates(&self, control: &dyn Control) -> Result<Duplicates, MigrateError> {
        let _ = control;
        todo!()
    }
}
