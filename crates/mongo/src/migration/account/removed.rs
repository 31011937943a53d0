//! What the journal says was removed: chats that ended, and rows for which another one stands.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

use super::super::{MigrateError, MongoMigrator, RunId, commands::persist, journal::RUNS, survey::bytes_of};

/// Ids, by collection.
#[derive(Default)]
pub(super) struct Removed {
    /// The usual ones take 12 bytes each.
    ids: HashMap<String, HashSet<ObjectId>>,
    others: HashMap<String, HashSet<Vec<u8>>>,
}

impl Removed {
    pub(super) fn add(&mut self, collection: &str, id: &Bson) {
        match id {
            Bson::ObjectId(id) => {
                self.ids.entry(collection.to_owned()).or_default().insert(*id);
            }
            other => {
                self.others.entry(collection.to_owned()).or_default().insert(bytes_of(other));
            }
        }
    }

    pub(super) fn has(&self, collection: &str, id: &Bson) -> bool {
        match id {
            Bson::ObjectId(id) => self.ids.get(collection).is_some_and(|ids| ids.contains(id)),
            other => self.others.get(collection).is_some_and(|ids| ids.contains(&bytes_of(other))),
        }
    }
}

impl MongoMigrator {
    /// The run, and those that were at work after its beginning.
    pub(super) async fn runs_since(&self, run: &RunId) -> Result<Vec<RunId>, MigrateError> {
        let runs = self.database.collection::<Document>(RUNS);
        let this = persist(|| async { runs.find_one(doc! { "_id": run.0 }).await }).await?;
        let started = this.as_ref().and_then(|run| run.get_datetime("startedAt").ok()).copied();
        let mut filter = doc! { "chats": self.chats_name() };
        if let Some(started) = started {
            filter.insert(
                "$or",
                vec![doc! { "endedAt": { "$exists": false } }, doc! { "endedAt": { "$gte": started } }],
            );
        }
        let found: Vec<Document> = persist(|| async {
            runs.find(filter.clone()).sort(doc! { "startedAt": 1 }).await?.try_collect().await
        })
        .await?;
        Ok(found.iter().filter_map(|run| run.get_object_id("_id").ok()).map(RunId).collect())
    }
}
