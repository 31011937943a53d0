//! Keys that were given to chats.

use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

use super::{
    super::{Lease, MigrateError, MongoMigrator, RunId},
    JOURNAL,
};

/// How many keys one document of the journal has at most.
pub(in crate::migration) const KEYS_PER_DOCUMENT: usize = 1000;

/// A key that a chat was given.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::migration) struct KeyChange {
    /// The chat's `_id`.
    pub(in crate::migration) id: Bson,
    /// What was there; nothing if there was no such field.
    pub(in crate::migration) before: Option<Bson>,
    /// The key; nothing if it was taken away, because another chat of other people keeps it.
    pub(in crate::migration) after: Option<String>,
}

impl KeyChange {
    fn to_document(&self) -> Document {
        let mut document = doc! { "id": self.id.clone() };
        if let Some(before) = &self.before {
            document.insert("before", before.clone());
        }
        if let Some(after) = &self.after {
            document.insert("after", after);
        }
        document
    }

    /// What a document of type `keys` says.
    pub(in crate::migration) fn of(document: &Document) -> Vec<Self> {
        let keys = document.get_array("keys").map(Vec::as_slice).unwrap_or_default();
        let change = |key: &Bson| {
            let key = key.as_document()?;
            Some(Self {
                id: key.get("id")?.clone(),
                before: key.get("before").cloned(),
                after: key.get_str("after").ok().map(str::to_owned),
            })
        };
        keys.iter().filter_map(change).collect()
    }
}

impl MongoMigrator {
    /// Writes to the journal that keys are about to be given. The caller gives them afterwards, each on the condition
    /// that the chat has still what `before` says; one that was not given is none to an undo, which compares too.
    pub(in crate::migration) async fn journal_keys(
        &self,
        lease: &Lease,
        run: &RunId,
        changes: &[KeyChange],
    ) -> Result<(), MigrateError> {
        for changes in changes.chunks(KEYS_PER_DOCUMENT) {
            let keys: Vec<Document> = changes.iter().map(KeyChange::to_document).collect();
            let document = doc! {
                "_id": ObjectId::new(), "type": "keys", "run": run.0, "chats": self.chats_name(),
                "order": lease.next_order(), "state": "done", "at": lease.now(), "keys": keys,
            };
            self.write(doc! { "insert": JOURNAL, "documents": [document] }).await?;
        }
        Ok(())
    }
}
