//! In which order entries are undone, and which of them stand in each other's way.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use onechat_core::StoreError;

use super::super::{
    MigrateError, MongoMigrator, RunId,
    commands::persist,
    journal::{Entry, JOURNAL, KeyChange, MadeChats, PointedMessages},
};
use crate::{codec::field, error::number};

/// How many entries are read, and at most undone, together.
const PAGE: i64 = 100;

/// Keys that were given together.
pub(super) struct Keys {
    pub(super) id: ObjectId,
    pub(super) order: i64,
    pub(super) changes: Vec<KeyChange>,
}

/// Something in the journal that can be undone.
pub(super) enum Recorded {
    Merge(Box<Entry>),
    Keys(Keys),
    Pointed(PointedMessages),
    Made(MadeChats),
}

impl Recorded {
    pub(super) fn order(&self) -> i64 {
        match self {
            Self::Merge(entry) => entry.order,
            Self::Keys(keys) => keys.order,
            Self::Pointed(messages) => messages.order,
            Self::Made(chats) => chats.order,
        }
    }
}

/// What is undone at once.
pub(super) enum Step {
    Merges(Vec<Entry>),
    Keys(Keys),
    Pointed(PointedMessages),
    Made(MadeChats),
}

/// Puts together what does not depend on each other, and keeps the order otherwise.
pub(super) fn batches(page: Vec<Recorded>) -> Vec<Step> {
    let mut steps = Vec::new();
    for recorded in page {
        match (recorded, steps.last_mut()) {
            (Recorded::Keys(keys), _) => steps.push(Step::Keys(keys)),
            (Recorded::Pointed(messages), _) => steps.push(Step::Pointed(messages)),
            (Recorded::Made(chats), _) => steps.push(Step::Made(chats)),
            (Recorded::Merge(entry), Some(Step::Merges(batch)))
                if !batch.iter().any(|later| shares_a_chat(later, &entry)) =>
            {
                batch.push(*entry);
            }
            (Recorded::Merge(entry), _) => steps.push(Step::Merges(vec![*entry])),
        }
    }
    steps
}

/// Whether `later` was applied to what `entry` had left.
pub(super) fn builds_on(later: &Entry, entry: &Entry) -> bool {
    later.order > entry.order && shares_a_chat(later, entry)
}

fn shares_a_chat(one: &Entry, other: &Entry) -> bool {
    chats_of(one).any(|chat| chats_of(other).any(|its| its == chat))
}

pub(super) fn chats_of(entry: &Entry) -> impl Iterator<Item = &Bson> {
    std::iter::once(&entry.survivor).chain(entry.losers.iter().map(|(id, _)| id))
}

impl MongoMigrator {
    /// How much of a run there is to undo.
    pub(super) async fn to_undo(&self, run: &RunId) -> Result<u64, MigrateError> {
        let journal = self.journal();
        persist(|| async { journal.count_documents(self.of_run(run)).await }).await
    }

    /// What a run did, the last first, from before `before` on.
    pub(super) async fn page_of(
        &self,
        run: &RunId,
        before: Option<i64>,
    ) -> Result<Vec<Recorded>, MigrateError> {
        let mut filter = self.of_run(run);
        if let Some(before) = before {
            filter.insert("order", doc! { "$lt": before });
        }
        let documents = self.journaled(filter, doc! { "order": -1 }, PAGE).await?;
        documents.iter().map(recorded).collect()
    }

    pub(in crate::migration) async fn count_of_merges(&self, run: &RunId) -> Result<u64, MigrateError> {
        let journal = self.journal();
        persist(|| async { journal.count_documents(self.merges_in(run)).await }).await
    }

    /// The names of merges of a run and their order, the last first, from before `before` on.
    pub(in crate::migration) async fn merges_of(
        &self,
        run: &RunId,
        before: Option<i64>,
        most: i64,
    ) -> Result<Vec<(ObjectId, i64)>, MigrateError> {
        let mut filter = self.merges_in(run);
        if let Some(before) = before {
            filter.insert("order", doc! { "$lt": before });
        }
        let journal = self.database.collection::<Document>(JOURNAL);
        let found: Vec<Document> = persist(|| async {
            let find = journal.find(filter.clone()).sort(doc! { "order": -1 }).limit(most);
            find.projection(doc! { "order": 1 }).await?.try_collect().await
        })
        .await?;
        let named = |merge: &Document| Some((merge.get_object_id("_id").ok()?, number(merge.get("order"))?));
        Ok(found.iter().filter_map(named).collect())
    }

    /// Entries, not undone, that came after one of these and have to do with the same chats. Not those of `except`.
    pub(super) async fn later(
        &self,
        entries: &[Entry],
        except: Option<&RunId>,
    ) -> Result<Vec<Entry>, MigrateError> {
        let Some(first) = entries.iter().map(|entry| entry.order).min() else { return Ok(Vec::new()) };
        let chats: Vec<Bson> = entries.iter().flat_map(chats_of).cloned().collect();
        let mut later = self.merged_after(first, &chats, except).await?;
        later.retain(|later| {
            let is_one_of_these = entries.iter().any(|entry| entry.id == later.id);
            !is_one_of_these && entries.iter().any(|entry| builds_on(later, entry))
        });
        Ok(later)
    }

    /// Merges, not undone, that came after `order` and have to do with one of these chats. Not those of `except`.
    pub(super) async fn merged_after(
        &self,
        order: i64,
        chats: &[Bson],
        except: Option<&RunId>,
    ) -> Result<Vec<Entry>, MigrateError> {
        let mut filter = doc! {
            "chats": self.chats_name(), "type": "merge", "state": { "$ne": "undone" }, "order": { "$gt": order },
            "$or": [{ "survivor": { "$in": chats } }, { "losers.id": { "$in": chats } }],
        };
        if let Some(run) = except {
            filter.insert("run", doc! { "$ne": run.0 });
        }
        self.merges(filter, doc! { "order": -1 }).await
    }

    /// The entries that pointed rows of this group to the survivor ahead of its merge, the last first.
    pub(super) async fn ahead_of(&self, entry: &Entry) -> Result<Vec<Entry>, MigrateError> {
        let filter = doc! {
            "chats": self.chats_name(), "type": "merge", "state": { "$ne": "undone" },
            "run": entry.run.0, "survivor": entry.survivor.clone(), "losers": [],
            "order": { "$lt": entry.order },
        };
        self.merges(filter, doc! { "order": -1 }).await
    }

    async fn merges(&self, filter: Document, sort: Document) -> Result<Vec<Entry>, MigrateError> {
        let documents = self.journaled(filter, sort, 0).await?;
        Ok(documents
            .iter()
            .map(|document| Entry::from_document(document))
            .collect::<Result<_, StoreError>>()?)
    }

    async fn journaled(
        &self,
        filter: Document,
        sort: Document,
        limit: i64,
    ) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let journal = self.database.collection::<RawDocumentBuf>(JOURNAL);
        persist(|| async {
            let find = journal.find(filter.clone()).sort(sort.clone()).limit(limit);
            find.projection(doc! { "items": 0 }).await?.try_collect().await
        })
        .await
    }

    fn merges_in(&self, run: &RunId) -> Document {
        let mut filter = self.of_run(run);
        filter.insert("type", "merge");
        filter
    }

    fn of_run(&self, run: &RunId) -> Document {
        doc! {
            "run": run.0, "chats": self.chats_name(),
            "type": { "$in": ["merge", "keys", "pointed", "made"] }, "state": { "$ne": "undone" },
        }
    }
}

fn recorded(document: &RawDocumentBuf) -> Result<Recorded, MigrateError> {
    match field(document, "type").and_then(mongodb::bson::RawBsonRef::as_str) {
        Some("merge") => return Ok(Recorded::Merge(Box::new(Entry::from_document(document)?))),
        Some("pointed") => return Ok(Recorded::Pointed(PointedMessages::of(document)?)),
        Some("made") => return Ok(Recorded::Made(MadeChats::of(document)?)),
        _ => {}
    }
    let damaged = |_| StoreError::Corrupt("the journal has keys that cannot be read".to_owned());
    let document = Document::try_from(document.as_ref()).map_err(damaged)?;
    Ok(Recorded::Keys(Keys {
        id: document.get_object_id("_id").unwrap_or_default(),
        order: number(document.get("order")).unwrap_or_default(),
        changes: KeyChange::of(&document),
    }))
}
