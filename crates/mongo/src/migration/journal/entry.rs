//! A merged group in the journal.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::{
    Cursor,
    bson::{Bson, Document, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, cstr, doc, oid::ObjectId},
};
use onechat_core::StoreError;

use super::{
    super::{MigrateError, MongoMigrator, RunId, commands::persist},
    EntrySummary, Item, JOURNAL,
    item::damaged,
};
use crate::codec::field;

/// How far an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::migration) enum EntryState {
    /// It is journaled, and more or less of it is done: only without transactions.
    Applying,
    /// All of it is done.
    Done,
    /// More or less of it is undone: only without transactions.
    Undoing,
    /// All of it is undone.
    Undone,
}

impl EntryState {
    pub(in crate::migration) const fn name(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Done => "done",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Applying, Self::Done, Self::Undoing, Self::Undone]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// The header of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::migration) struct Entry {
    pub(in crate::migration) id: ObjectId,
    pub(in crate::migration) run: RunId,
    pub(in crate::migration) order: i64,
    pub(in crate::migration) state: EntryState,
    pub(in crate::migration) key: String,
    pub(in crate::migration) participants: Vec<String>,
    pub(in crate::migration) survivor: Bson,
    pub(in crate::migration) survivor_public_id: String,
    /// `_id` and public id.
    pub(in crate::migration) losers: Vec<(Bson, String)>,
    pub(in crate::migration) moves: Vec<MovedField>,
    pub(in crate::migration) moved: i64,
    pub(in crate::migration) edited: i64,
    pub(in crate::migration) conflicts: i64,
}

/// Which rows an entry moves, whatever their number.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::migration) struct MovedField {
    pub(in crate::migration) collection: String,
    pub(in crate::migration) field: String,
    pub(in crate::migration) from: Bson,
    pub(in crate::migration) to: Bson,
}

impl Entry {
    /// The header with the items that are in it.
    pub(in crate::migration) fn to_document(
        &self,
        chats: &str,
        at: mongodb::bson::DateTime,
        items: RawArrayBuf,
    ) -> Result<RawDocumentBuf, StoreError> {
        let losers: Vec<Document> =
            self.losers.iter().map(|(id, public)| doc! { "id": id, "publicId": public }).collect();
        let moves = self.moves.iter().map(|moved| {
            doc! {
                "collection": &moved.collection, "field": &moved.field,
                "from": moved.from.clone(), "to": moved.to.clone(),
            }
        });
        let header = doc! {
            "_id": self.id, "type": "merge", "run": self.run.0, "chats": chats, "at": at,
            "order": self.order, "state": self.state.name(),
            "key": &self.key, "participants": self.participants.clone(),
            "survivor": self.survivor.clone(), "survivorPublicId": &self.survivor_public_id,
            "losers": losers, "moves": moves.collect::<Vec<_>>(),
            "moved": self.moved, "edited": self.edited, "conflicts": self.conflicts,
        };
        let mut document =
            RawDocumentBuf::try_from(&header).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        document.append(cstr!("items"), items);
        Ok(document)
    }

    /// Reads a header; the items are not looked at.
    pub(in crate::migration) fn from_document(document: &RawDocument) -> Result<Self, StoreError> {
        let value = |name: &str| {
            field(document, name).and_then(|value| Bson::try_from(value).ok()).ok_or_else(|| damaged(name))
        };
        let text = |name: &str| {
            field(document, name).and_then(RawBsonRef::as_str).map(str::to_owned).ok_or_else(|| damaged(name))
        };
        let number =
            |name: &str| field(document, name).and_then(RawBsonRef::as_i64).ok_or_else(|| damaged(name));
        let id = |name: &str| {
            field(document, name).and_then(RawBsonRef::as_object_id).ok_or_else(|| damaged(name))
        };
        let documents = |name: &str| {
            let values = value(name)?.as_array().cloned().ok_or_else(|| damaged(name))?;
            let documents = values.into_iter().map(|value| value.as_document().cloned());
            documents.collect::<Option<Vec<Document>>>().ok_or_else(|| damaged(name))
        };
        let of = |document: &Document, name: &str| document.get(name).cloned().ok_or_else(|| damaged(name));
        let text_of = |document: &Document, name: &str| {
            document.get_str(name).map(str::to_owned).map_err(|_| damaged(name))
        };
        let losers = documents("losers")?;
        let losers = losers.iter().map(|loser| Ok((of(loser, "id")?, text_of(loser, "publicId")?)));
        let moves = documents("moves")?;
        let moves = moves.iter().map(|moved| {
            Ok(MovedField {
                collection: text_of(moved, "collection")?,
                field: text_of(moved, "field")?,
                from: of(moved, "from")?,
                to: of(moved, "to")?,
            })
        });
        let participants = value("participants")?.as_array().cloned().unwrap_or_default();
        Ok(Self {
            id: id("_id")?,
            run: RunId(id("run")?),
            order: number("order")?,
            state: EntryState::named(&text("state")?).ok_or_else(|| damaged("state"))?,
            key: text("key")?,
            participants: participants.iter().filter_map(Bson::as_str).map(str::to_owned).collect(),
            survivor: value("survivor")?,
            survivor_public_id: text("survivorPublicId")?,
            losers: losers.collect::<Result<_, StoreError>>()?,
            moves: moves.collect::<Result<_, StoreError>>()?,
            moved: number("moved")?,
            edited: number("edited")?,
            conflicts: number("conflicts")?,
        })
    }

    pub(super) fn summary(&self) -> EntrySummary {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        EntrySummary {
            entry: self.id.to_hex(),
            state: self.state.name().to_owned(),
            key: self.key.clone(),
            survivor: shown(&self.survivor),
            losers: self.losers.iter().map(|(id, _)| shown(id)).collect(),
            moved: count(self.moved),
            conflicts: count(self.conflicts),
        }
    }
}

/// An id for people.
pub(in crate::migration) fn shown(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(id) => id.clone(),
        other => other.to_string(),
    }
}

/// The items of one entry, a document of the journal at a time.
pub(in crate::migration) struct Items {
    cursor: Cursor<RawDocumentBuf>,
    ready: std::vec::IntoIter<Item>,
    parts: Vec<u8>,
}

impl Items {
    /// The next one: first those of the header, in order, then all others.
    pub(in crate::migration) async fn next(&mut self) -> Result<Option<Item>, MigrateError> {
        loop {
            if let Some(item) = self.ready.next() {
                return Ok(Some(item));
            }
            let Some(document) =
                self.cursor.try_next().await.map_err(|error| MigrateError::driver(&error))?
            else {
                return Ok(None);
            };
            if field(&document, "items").is_some() {
                self.ready = items_in(&document)?.into_iter();
                continue;
            }
            let (
                Some(RawBsonRef::Binary(bytes)),
                Some(RawBsonRef::Int32(part)),
                Some(RawBsonRef::Int32(parts)),
            ) = (field(&document, "bytes"), field(&document, "part"), field(&document, "parts"))
            else {
                return Err(damaged("part").into());
            };
            if part == 0 {
                self.parts.clear();
            }
            self.parts.extend_from_slice(bytes.bytes);
            if part + 1 == parts {
                let item = RawDocumentBuf::from_bytes(std::mem::take(&mut self.parts));
                return Item::from_document(&item.map_err(|_| damaged("part"))?)
                    .map(Some)
                    .map_err(Into::into);
            }
        }
    }
}

/// The items that are in one document.
fn items_in(document: &RawDocument) -> Result<Vec<Item>, StoreError> {
    let items = field(document, "items").and_then(RawBsonRef::as_array).ok_or_else(|| damaged("items"))?;
    let items = items.into_iter().map(|item| {
        let item = item.ok().and_then(RawBsonRef::as_document).ok_or_else(|| damaged("items"))?;
        Item::from_document(item)
    });
    items.collect()
}

/// Several entries with their items, one after the other, in no order.
pub(in crate::migration) struct Entries {
    migrator: MongoMigrator,
    headers: Cursor<RawDocumentBuf>,
    /// Those whose items do not all fit into the header.
    paged: HashSet<ObjectId>,
}

impl Entries {
    pub(in crate::migration) async fn next(&mut self) -> Result<Option<(Entry, Vec<Item>)>, MigrateError> {
        let header = self.headers.try_next().await.map_err(|error| MigrateError::driver(&error))?;
        let Some(header) = header else { return Ok(None) };
        let entry = Entry::from_document(&header)?;
        let mut items = Vec::new();
        if self.paged.contains(&entry.id) {
            let mut stored = self.migrator.items(entry.id).await?;
            while let Some(item) = stored.next().await? {
                items.push(item);
            }
        } else {
            items = items_in(&header)?;
        }
        Ok(Some((entry, items)))
    }
}

impl MongoMigrator {
    /// Entries with their items, for two queries and one more for each that is very large.
    pub(in crate::migration) async fn whole_entries(
        &self,
        ids: &[ObjectId],
    ) -> Result<Entries, MigrateError> {
        let journal = self.journal();
        let pages: Vec<RawDocumentBuf> = persist(|| async {
            let find =
                journal.find(doc! { "entry": { "$in": ids } }).projection(doc! { "entry": 1, "_id": 0 });
            find.await?.try_collect().await
        })
        .await?;
        let paged = pages.iter().filter_map(|page| field(page, "entry")?.as_object_id()).collect();
        let headers = persist(|| async { journal.find(doc! { "_id": { "$in": ids } }).await }).await?;
        Ok(Entries { migrator: self.clone(), headers, paged })
    }

    /// The header of an entry.
    pub(in crate::migration) async fn header(&self, entry: ObjectId) -> Result<Option<Entry>, MigrateError> {
        let filter = doc! { "_id": entry, "type": "merge", "chats": self.chats_name() };
        let found = self.journal().find_one(filter).projection(doc! { "items": 0 }).await;
        let found = found.map_err(|error| MigrateError::driver(&error))?;
        Ok(found.map(|document| Entry::from_document(&document)).transpose()?)
    }

    /// The items of an entry.
    pub(in crate::migration) async fn items(&self, entry: ObjectId) -> Result<Items, MigrateError> {
        let filter = doc! { "$or": [{ "_id": entry }, { "entry": entry }] };
        // The header has no `entry`, and nothing sorts before everything else.
        let journal = self.journal();
        let sorted = doc! { "entry": 1, "item": 1, "part": 1 };
        let cursor = journal.find(filter).sort(sorted).await.map_err(|error| MigrateError::driver(&error))?;
        Ok(Items { cursor, ready: Vec::new().into_iter(), parts: Vec::new() })
    }

    /// Adds items to an entry that is there.
    pub(in crate::migration) async fn add_items(
        &self,
        entry: ObjectId,
        run: &RunId,
        items: &[Item],
    ) -> Result<Vec<ObjectId>, MigrateError> {
        let pages = super::item::pages(entry, run.0, items)?;
        let noted = pages.iter().filter_map(|page| field(page, "_id")?.as_object_id()).collect();
        self.insert_all(JOURNAL, pages).await?;
        Ok(noted)
    }

    /// Takes out again what was noted of changes that were not made.
    pub(in crate::migration) async fn forget_items(&self, noted: &[ObjectId]) -> Result<(), MigrateError> {
        let delete = doc! { "q": { "_id": { "$in": noted } }, "limit": 0 };
        self.write(doc! { "delete": JOURNAL, "deletes": [delete] }).await?;
        Ok(())
    }

    /// Notes how far entries are.
    pub(in crate::migration) async fn set_state(
        &self,
        entries: &[ObjectId],
        state: EntryState,
    ) -> Result<(), MigrateError> {
        let update = doc! {
            "q": { "_id": { "$in": entries.to_vec() } }, "u": { "$set": { "state": state.name() } }, "multi": true,
        };
        self.write(doc! { "update": JOURNAL, "updates": [update] }).await?;
        Ok(())
    }

    pub(in crate::migration) fn journal(&self) -> mongodb::Collection<RawDocumentBuf> {
        self.database.collection(JOURNAL)
    }
}
