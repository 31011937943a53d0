//! The change stream, and the place in it, which is noted beside the collection.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use mongodb::{
    bson::{Bson, Document, deserialize_from_bson, doc, serialize_to_bson},
    change_stream::{ChangeStream, event::ResumeToken},
    error::Error,
};
use onechat_core::StoreError;
use tokio::time::Instant;

use super::super::{MigrateError, MongoMigrator, commands::persist};
use crate::{
    error::{code, code_of},
    meta::META,
};

/// How long the server waits for a change before it says that there is none.
const AWAIT: Duration = Duration::from_millis(250);
/// How long changes are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How many documents are looked at together.
const MOST: u64 = 1000;

/// Documents that are worth a look.
#[derive(Default)]
pub(super) struct Batch {
    /// By collection, each once.
    pub(super) documents: BTreeMap<String, Vec<Bson>>,
    pub(super) events: u64,
    seen: HashSet<String>,
    since: Option<Instant>,
}

impl Batch {
    pub(super) fn add(&mut self, change: Change) {
        self.events += 1;
        self.since.get_or_insert_with(Instant::now);
        if self.seen.insert(format!("{} {}", change.collection, change.id)) {
            self.documents.entry(change.collection).or_default().push(change.id);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn is_due(&self, is_idle: bool) -> bool {
        let Some(since) = self.since else { return false };
        is_idle || self.events >= MOST || since.elapsed() >= GATHER
    }
}

/// A document that was written.
pub(super) struct Change {
    collection: String,
    id: Bson,
}

/// What the stream says next.
pub(super) enum Next {
    Change(Change),
    /// For a moment.
    Nothing,
    /// For ever.
    End,
}

/// The stream of all writes that may need healing.
pub(super) struct Changes {
    stream: ChangeStream<Document>,
}

impl Changes {
    pub(super) async fn next(&mut self) -> Result<Next, MigrateError> {
        if !self.stream.is_alive() {
            return Ok(Next::End);
        }
        let event = self.stream.next_if_any().await.map_err(|error| MigrateError::driver(&error))?;
        let Some(event) = event else { return Ok(Next::Nothing) };
        let collection = event.get_document("ns").and_then(|ns| ns.get_str("coll"));
        let id = event.get_document("documentKey").ok().and_then(|key| key.get("_id"));
        match (collection, id) {
            (Ok(collection), Some(id)) => {
                Ok(Next::Change(Change { collection: collection.to_owned(), id: id.clone() }))
            }
            _ => Ok(Next::End),
        }
    }

    /// From where to go on after what was returned last.
    pub(super) fn place(&self) -> Option<ResumeToken> {
        self.stream.resume_token()
    }

    /// A place before which nothing is missed. The server tells one at once, unless it has changes to tell.
    pub(super) async fn first_place(&mut self) -> Result<ResumeToken, MigrateError> {
        loop {
            if let Some(place) = self.place() {
                return Ok(place);
            }
            self.next().await?;
        }
    }
}

/// Whether the oplog does not go back so far, or the place cannot be understood.
pub(super) fn is_forgotten(error: &Error) -> bool {
    matches!(
        code_of(error),
        Some(code::CHANGE_STREAM_HISTORY_LOST | code::CHANGE_STREAM_FATAL_ERROR | code::INVALID_RESUME_TOKEN)
    )
}

impl MongoMigrator {
    pub(super) async fn changes(&self, place: Option<ResumeToken>) -> Result<Changes, Error> {
        let mut watch = self.database.watch().pipeline(self.pipeline()).max_await_time(AWAIT);
        if let Some(place) = place {
            watch = watch.start_after(place);
        }
        Ok(Changes { stream: watch.await?.with_type::<Document>() })
    }

    /// Everything new, and updates that touch a field that matters: a busy collection has many that do not.
    fn pipeline(&self) -> Vec<Document> {
        let head = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
        let mut heads: HashMap<&str, BTreeSet<String>> = HashMap::new();
        let of_chats = heads.entry(self.chats_name()).or_default();
        of_chats.extend(self.codec.identity_fields().map(str::to_owned));
        of_chats.insert(self.codec.key_field().to_owned());
        of_chats.extend(self.codec.only().iter().flat_map(|only| only.fields()).map(str::to_owned));
        for reference in &self.rules.references {
            heads.entry(&reference.collection).or_default().insert(head(&reference.field));
        }
        if self.makes_chats {
            let of_messages = heads.entry(&self.codec.mapping().messages).or_default();
            of_messages.extend(self.codec.fields_of_address().map(str::to_owned));
        }
        let collections: BTreeSet<&str> = heads.keys().copied().collect();
        let heads: BTreeSet<String> = heads.into_values().flatten().collect();
        let (collections, heads): (Vec<&str>, Vec<String>) =
            (collections.into_iter().collect(), heads.into_iter().collect());
        let updated = doc! { "$map": {
            "input": { "$objectToArray": { "$ifNull": ["$updateDescription.updatedFields", {}] } },
            "in": "$$this.k",
        } };
        let touched = doc! { "$concatArrays": [
            updated,
            { "$ifNull": ["$updateDescription.removedFields", []] },
            { "$ifNull": ["$updateDescription.truncatedArrays.field", []] },
        ] };
        let matters = doc! { "$in": [{ "$arrayElemAt": [{ "$split": ["$$this", "."] }, 0] }, heads] };
        let any = doc! { "$anyElementTrue": { "$map": { "input": touched, "in": matters } } };
        vec![
            doc! { "$match": {
                "ns.coll": { "$in": collections },
                "$or": [
                    { "operationType": { "$in": ["insert", "replace"] } },
                    { "operationType": "update", "$expr": any },
                ],
            } },
            doc! { "$project": { "operationType": 1, "ns": 1, "documentKey": 1 } },
        ]
    }

    /// Where the last watch stopped, if there was one.
    pub(super) async fn noted_place(&self) -> Result<Option<ResumeToken>, MigrateError> {
        let notes = self.database.collection::<Document>(META);
        let id = self.id_of_note().await?;
        let note = persist(|| async { notes.find_one(doc! { "_id": id.clone() }).await }).await?;
        let place = note.as_ref().and_then(|note| note.get_document("watch").ok()?.get("place"));
        // One that cannot be read is as good as none.
        Ok(place.and_then(|place| deserialize_from_bson(place.clone()).ok()))
    }

    pub(super) async fn note_place(&self, place: Option<ResumeToken>) -> Result<(), MigrateError> {
        let Some(place) = place else { return Ok(()) };
        let place = serialize_to_bson(&place).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let update = doc! {
            "q": { "_id": self.id_of_note().await? },
            "u": { "$set": { "watch.place": place }, "$currentDate": { "watch.at": true } },
        };
        self.write(doc! { "update": META, "updates": [update] }).await?;
        Ok(())
    }
}
