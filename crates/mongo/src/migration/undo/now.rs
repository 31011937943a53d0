//! What is there now of all that a batch of entries has changed: read in a few queries, whatever their number.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, oid::ObjectId};
use sha2::{Digest as _, Sha256};

use super::super::{
    MigrateError, MongoMigrator,
    commands::{ANSWER, persist},
    journal::{Entry, Item, JOURNAL},
    survey::bytes_of,
};
use super::reversal::{Loaded, journaled_rows};

/// How many ids one query names, and how many queries are under way.
const IDS: usize = 1000;
const QUERIES: usize = 2;

/// What is there now.
#[derive(Default)]
pub(in crate::migration) struct Now {
    /// Whole documents, by collection and `_id`.
    documents: HashMap<(String, Vec<u8>), RawDocumentBuf>,
    /// Rows, of which only the field is known, by collection, field and `_id`.
    rows: HashMap<(String, String, Vec<u8>), RawDocumentBuf>,
    /// What an undo that was cut off was about to make of documents: by entry, their fingerprints.
    intended: HashSet<(ObjectId, String)>,
    /// Rows written to the survivors since, by entry.
    since: HashMap<ObjectId, u64>,
}

impl Now {
    pub(in crate::migration) fn document(&self, collection: &str, id: &Bson) -> Option<&RawDocumentBuf> {
        self.documents.get(&(collection.to_owned(), bytes_of(id)))
    }

    pub(in crate::migration) fn row(
        &self,
        collection: &str,
        field: &str,
        id: &Bson,
    ) -> Option<&RawDocumentBuf> {
        self.rows.get(&(collection.to_owned(), field.to_owned(), bytes_of(id)))
    }

    pub(super) fn is_intended(
        &self,
        entry: &Entry,
        collection: &str,
        id: &Bson,
        document: &RawDocument,
    ) -> bool {
        !self.intended.is_empty() && self.intended.contains(&(entry.id, intention(collection, id, document)))
    }

    pub(super) fn written_since(&self, entry: &Entry) -> u64 {
        self.since.get(&entry.id).copied().unwrap_or_default()
    }
}

/// What is noted before a document is replaced, where that is not one transaction with all the rest.
pub(super) fn intention(collection: &str, id: &Bson, target: &RawDocument) -> String {
    let mut digest = String::new();
    for byte in Sha256::digest(target.as_bytes()) {
        let _ = write!(digest, "{byte:02x}");
    }
    format!("{collection} {id} {digest}")
}

impl MongoMigrator {
    pub(super) async fn now_of(&self, batch: &[Loaded]) -> Result<Now, MigrateError> {
        let mut now = self.stored_now(batch).await?;
        self.read_intentions(batch, &mut now).await?;
        self.count_since(batch, &mut now).await?;
        Ok(now)
    }

    /// Documents and rows, and nothing of an undo.
    pub(in crate::migration) async fn stored_now(&self, batch: &[Loaded]) -> Result<Now, MigrateError> {
        let mut now = Now::default();
        let (whole, rows) = (whole(batch, self.chats_name()), rows(batch));
        let documents = whole.iter().flat_map(|(collection, ids)| {
            ids.chunks(IDS).map(move |ids| async move {
                Ok::<_, MigrateError>((collection, self.with_ids(collection, ids, None).await?))
            })
        });
        let rows = rows.iter().flat_map(|((collection, field), ids)| {
            ids.chunks(IDS).map(move |ids| async move {
                let rows = self.with_ids(collection, ids, Some(field)).await?;
                Ok::<_, MigrateError>((collection, field, rows))
            })
        });
        let mut documents = futures_util::stream::iter(documents).buffer_unordered(QUERIES);
        let mut rows = futures_util::stream::iter(rows).buffer_unordered(QUERIES);
        while let Some((collection, found)) = documents.try_next().await? {
            for document in found {
                if let Some(id) = id_of(&document) {
                    now.documents.insert((collection.clone(), bytes_of(&id)), document);
                }
            }
        }
        while let Some((collection, field, found)) = rows.try_next().await? {
            for row in found {
                if let Some(id) = id_of(&row) {
                    now.rows.insert((collection.clone(), field.clone(), bytes_of(&id)), row);
                }
            }
        }
        Ok(now)
    }

    async fn with_ids(
        &self,
        collection: &str,
        ids: &[Bson],
        field: Option<&str>,
    ) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let rows = self.database.collection::<RawDocumentBuf>(collection);
        persist(|| async {
            let find = rows.find(doc! { "_id": { "$in": ids } }).batch_size(ANSWER);
            let find = match field {
                Some(field) => find.projection(doc! { field: 1 }),
                None => find,
            };
            find.await?.try_collect().await
        })
        .await
    }

    async fn read_intentions(&self, batch: &[Loaded], now: &mut Now) -> Result<(), MigrateError> {
        let entries: Vec<ObjectId> = batch.iter().map(|loaded| loaded.entry.id).collect();
        let journal = self.database.collection::<Document>(JOURNAL);
        let noted: Vec<Document> = persist(|| async {
            let filter = doc! { "_id": { "$in": &entries }, "intentions": { "$exists": true } };
            journal.find(filter).projection(doc! { "intentions": 1 }).await?.try_collect().await
        })
        .await?;
        for document in noted {
            let Ok(entry) = document.get_object_id("_id") else { continue };
            let intentions = document.get_array("intentions").map(Vec::as_slice).unwrap_or_default();
            let intentions = intentions.iter().filter_map(Bson::as_str);
            now.intended.extend(intentions.map(|intention| (entry, intention.to_owned())));
        }
        Ok(())
    }

    /// Rows that name a survivor and are younger than its merge, by the second in their ids.
    async fn count_since(&self, batch: &[Loaded], now: &mut Now) -> Result<(), MigrateError> {
        let Some(first) = batch.iter().map(|loaded| loaded.entry.id.timestamp()).min() else { return Ok(()) };
        let first = u32::try_from(first.timestamp_millis() / 1000).unwrap_or(u32::MAX).saturating_add(1);
        let youngest = ObjectId::from_parts(first, [0; 5], [0; 3]);
        let journaled: HashSet<Vec<u8>> =
            batch.iter().flat_map(|loaded| journaled_rows(&loaded.items)).collect();
        for ((collection, field), targets) in targets(batch) {
            let values: Vec<Bson> = targets.iter().map(|(to, _)| to.clone()).collect();
            let rows = self.database.collection::<RawDocumentBuf>(&collection);
            let filter = doc! { &field: { "$in": values }, "_id": { "$gte": youngest } };
            let found: Vec<RawDocumentBuf> = persist(|| async {
                let find = rows.find(filter.clone()).projection(doc! { &field: 1 });
                find.await?.try_collect().await
            })
            .await?;
            for row in found {
                let (Some(Bson::ObjectId(id)), Some(value)) = (id_of(&row), value_at(&row, &field)) else {
                    continue;
                };
                let is_younger = |entry: &Entry| id.timestamp() > entry.id.timestamp();
                let of = targets.iter().find(|(to, entry)| *to == value && is_younger(entry));
                if let Some((_, entry)) = of.filter(|_| !journaled.contains(&bytes_of(&Bson::ObjectId(id)))) {
                    *now.since.entry(entry.id).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

/// What has to be read whole: the chats, and the rows that were changed one by one.
fn whole(batch: &[Loaded], chats: &str) -> HashMap<String, Vec<Bson>> {
    let mut wanted: HashMap<String, Vec<Bson>> = HashMap::new();
    for item in batch.iter().flat_map(|loaded| &loaded.items) {
        let (collection, id) = match item {
            Item::Survivor { id, .. } | Item::Loser { id, .. } => (chats, id),
            Item::Edit { collection, id, .. } => (collection.as_str(), id),
            Item::Moved { .. } | Item::Conflict(_) => continue,
        };
        wanted.entry(collection.to_owned()).or_default().push(id.clone());
    }
    wanted
}

fn rows(batch: &[Loaded]) -> HashMap<(String, String), Vec<Bson>> {
    let mut wanted: HashMap<(String, String), Vec<Bson>> = HashMap::new();
    for item in batch.iter().flat_map(|loaded| &loaded.items) {
        if let Item::Moved { collection, field, ids, .. } = item {
            wanted.entry((collection.clone(), field.clone())).or_default().extend_from_slice(ids);
        }
    }
    wanted
}

/// What survivors are called in other collections.
fn targets(batch: &[Loaded]) -> HashMap<(String, String), Vec<(Bson, &Entry)>> {
    let mut targets: HashMap<(String, String), Vec<(Bson, &Entry)>> = HashMap::new();
    for loaded in batch {
        for moved in &loaded.entry.moves {
            let of = targets.entry((moved.collection.clone(), moved.field.clone())).or_default();
            if !of.iter().any(|(to, _)| *to == moved.to) {
                of.push((moved.to.clone(), &loaded.entry));
            }
        }
    }
    targets
}

pub(super) fn id_of(document: &RawDocument) -> Option<Bson> {
    value_at(document, "_id")
}

/// The value at a path that leads through sub-documents.
pub(in crate::migration) fn value_at(document: &RawDocument, path: &str) -> Option<Bson> {
    match path.split_once('.') {
        Some((first, rest)) => value_at(document.get(first).ok()??.as_document()?, rest),
        None => document.get(path).ok()?.and_then(|value| Bson::try_from(value).ok()),
    }
}
