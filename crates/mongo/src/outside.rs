//! What is outside `only`: no new chat may be, and a document that is gives up its key when a chat inside needs it.
//!
//! The server evaluates the filter here too. Without one, nothing of this is ever asked.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId},
    error::Error,
};
use onechat_core::{ParticipantsKey, StoreError};

use crate::{
    Filter,
    attempt::{Deadline, until},
    codec::field,
    collections::Collections,
    index::{simple, simple_document},
};

/// Keys that servers took away from documents outside, so that they can be given back by hand:
/// `{ _id, collection, chat: <_id>, key, at: Date }`. What was not taken after all is there too: the document has its
/// key then.
const TAKEN: &str = "onechat_taken_keys";

impl Collections {
    /// Which of these documents, of which there is at least one, may not be written, by their place, with the fields by which they are outside.
    pub(crate) async fn outsiders(
        &self,
        documents: &[&Document],
        deadline: Deadline,
    ) -> Result<Vec<(usize, String)>, StoreError> {
        let Some(only) = self.codec.only() else { return Ok(Vec::new()) };
        if self.codec.varies(only) {
            return self.outside_of(only, documents, deadline).await;
        }
        // New chats are all alike to the filter: one stands for all of them, for ever.
        let verdict = if let Some(verdict) = self.new_chats_are_outside.get() {
            verdict
        } else {
            let of_one = self.outside_of(only, &documents[..1], deadline).await?.pop();
            self.new_chats_are_outside.get_or_init(|| of_one.map(|(_, fields)| fields))
        };
        let each = |place| verdict.clone().map(|fields| (place, fields));
        Ok((0..documents.len()).filter_map(each).collect())
    }

    async fn outside_of(
        &self,
        only: &Filter,
        documents: &[&Document],
        deadline: Deadline,
    ) -> Result<Vec<(usize, String)>, StoreError> {
        let inside = self.matching(only.document(), documents, deadline).await?;
        let mut outsiders = Vec::new();
        for (place, document) in documents.iter().enumerate() {
            if !inside.contains(&id_text(document.get("_id"))) {
                outsiders.push((place, self.blamed(only, document, deadline).await?));
            }
        }
        Ok(outsiders)
    }

    /// The fields of the first condition that the document does not meet.
    async fn blamed(
        &self,
        only: &Filter,
        document: &Document,
        deadline: Deadline,
    ) -> Result<String, StoreError> {
        for condition in only.conditions() {
            if self.matching(condition.document(), &[document], deadline).await?.is_empty() {
                return Ok(condition.fields().into_iter().collect::<Vec<_>>().join(", "));
            }
        }
        Ok(only.fields().into_iter().collect::<Vec<_>>().join(", "))
    }

    /// The `_id`s of those documents, which are not stored, that match.
    async fn matching(
        &self,
        filter: &Document,
        documents: &[&Document],
        deadline: Deadline,
    ) -> Result<HashSet<String>, StoreError> {
        let documents: Vec<Document> = documents.iter().map(|document| (*document).clone()).collect();
        let wait = i64::try_from(deadline.server_time().as_millis()).unwrap_or(i64::MAX);
        let command = doc! {
            "aggregate": 1,
            "pipeline": [
                { "$documents": { "$literal": documents } }, { "$match": filter.clone() },
                { "$project": { "_id": 1 } },
            ],
            "cursor": { "batchSize": 10_000 }, "collation": simple_document(), "maxTimeMS": wait,
        };
        let reply =
            until(deadline, &self.metrics, || async { self.database.run_command(command.clone()).await });
        let reply = reply.await?;
        let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let batch =
            batch.map_err(|_| StoreError::Corrupt("the server's reply has no documents".to_owned()))?;
        Ok(batch.iter().filter_map(Bson::as_document).map(|document| id_text(document.get("_id"))).collect())
    }

    /// Takes these keys away from documents outside, each only while it is outside; the keys that were there.
    pub(crate) async fn take_from_outside(
        &self,
        keys: &[&ParticipantsKey],
        deadline: Deadline,
    ) -> Result<HashSet<String>, StoreError> {
        let wanted: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        let key_field = self.codec.key_field();
        let Some(holding) = self.codec.outside(doc! { key_field: { "$in": wanted } }) else {
            return Ok(HashSet::new());
        };
        let found: Vec<RawDocumentBuf> = until(deadline, &self.metrics, || async {
            let find = self.chats.find(holding.clone()).projection(doc! { key_field: 1 }).collation(simple());
            find.max_time(deadline.server_time()).await?.try_collect().await
        })
        .await?;
        let mut taken = HashSet::new();
        for document in &found {
            let id = field(document, "_id").and_then(|id| Bson::try_from(id).ok());
            let key = field(document, key_field).and_then(RawBsonRef::as_str);
            let (Some(id), Some(key)) = (id, key) else { continue };
            until(deadline, &self.metrics, || self.take_one(&id, key)).await?;
            tracing::info!(
                event = "key_taken",
                key,
                "a document outside `only` had the key of a chat inside"
            );
            taken.insert(key.to_owned());
        }
        Ok(taken)
    }

    async fn take_one(&self, id: &Bson, key: &str) -> Result<(), Error> {
        let note = doc! { "$set": {
            "collection": { "$literal": self.chats.name() }, "chat": { "$literal": id.clone() },
            "key": { "$literal": key }, "at": "$$NOW",
        } };
        let note = doc! { "q": { "_id": ObjectId::new() }, "u": [note], "upsert": true };
        let majority = doc! { "w": "majority", "j": true };
        self.database
            .run_command(doc! { "update": TAKEN, "updates": [note], "writeConcern": majority.clone() })
            .await?;
        let key_field = self.codec.key_field();
        let Some(this) = self.codec.outside(doc! { "_id": id.clone(), key_field: key }) else {
            return Ok(());
        };
        let take = doc! { "q": this, "u": { "$unset": { key_field: "" } }, "collation": simple_document() };
        let take = doc! { "update": self.chats.name(), "updates": [take], "writeConcern": majority };
        self.database.run_command(take).await?;
        Ok(())
    }
}

fn id_text(id: Option<&Bson>) -> String {
    id.map(Bson::to_string).unwrap_or_default()
}
