//! The ids of all rows before a run, and which of them are there now.
//!
//! `onechat_inventory` has, for each run and collection, documents with some ten thousand ids each:
//!
//! ```text
//! { _id: ObjectId, run: ObjectId, collection: "messages", part: Int32, ids: Binary }      ObjectIds, in order
//! { _id: ObjectId, run: ObjectId, collection: "messages", part: Int32, others: [<_id>] }  ids of other types
//! ```
//!
//! The run's own document says when it is complete (`inventory: Date`). One that is not is made anew: nothing was
//! changed before it was.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::bson::{
    Binary, Bson, Document, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId, rawdoc, spec::BinarySubtype,
};
use onechat_core::StoreError;
use onechat_migrate::{Account, Control, Tally};
use sha2::{Digest as _, Sha256};

use super::super::{
    MigrateError, MongoMigrator, RunId,
    commands::{ANSWER, aside, persist},
    journal::RUNS,
    survey::{Pass, bytes_of, packed},
};
use crate::codec::field;

/// The collection of inventories.
pub(super) const INVENTORY: &str = "onechat_inventory";
/// How many ids one document has.
const IDS: usize = 50_000;
const ID_BYTES: usize = 12;
/// Every other type that an `_id` may have, by the server's names: it finds them by its index, and what is *not* of a type by
/// reading all documents.
const OTHER_TYPES: [&str; 17] = [
    "double",
    "string",
    "object",
    "binData",
    "bool",
    "date",
    "null",
    "dbPointer",
    "javascript",
    "symbol",
    "javascriptWithScope",
    "int",
    "timestamp",
    "long",
    "decimal",
    "minKey",
    "maxKey",
];
/// How many ids of other types, which may be long, one document has.
const OTHERS: usize = 1000;

/// An inventory, beside what is there now.
pub(super) struct Compared {
    /// Nothing is known yet of what was removed.
    pub(super) account: Account,
    pub(super) absent: Absent,
}

/// Rows that are not there. The usual ids take 12 bytes each.
#[derive(Default)]
pub(super) struct Absent {
    ids: Vec<ObjectId>,
    others: Vec<Bson>,
}

impl Absent {
    fn push(&mut self, id: Bson) {
        match id {
            Bson::ObjectId(id) => self.ids.push(id),
            other => self.others.push(other),
        }
    }
}

/// A part of an inventory, beside what is there now.
#[derive(Default)]
struct Part {
    before: Tally,
    after: Tally,
    absent: Absent,
    /// The last of the usual ids so far.
    last: Option<ObjectId>,
}

impl Part {
    fn add(&mut self, id: Bson, is_there: bool) {
        let checksum = checksum(&id);
        add(&mut self.before, checksum);
        if is_there {
            add(&mut self.after, checksum);
        } else {
            self.absent.push(id);
        }
    }
}

impl IntoIterator for Absent {
    type Item = Bson;
    type IntoIter = Box<dyn Iterator<Item = Bson>>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.ids.into_iter().map(Bson::ObjectId).chain(self.others))
    }
}

impl MongoMigrator {
    pub(super) async fn has_inventory(&self, run: &RunId) -> Result<bool, MigrateError> {
        let runs = self.database.collection::<Document>(RUNS);
        let filter = doc! { "_id": run.0, "inventory": { "$exists": true } };
        Ok(persist(|| async { runs.find_one(filter.clone()).await }).await?.is_some())
    }

    pub(super) async fn forget_inventory(&self, run: &RunId) -> Result<(), MigrateError> {
        let index = doc! { "name": "run", "key": { "run": 1, "collection": 1, "part": 1 } };
        self.write(doc! { "createIndexes": INVENTORY, "indexes": [index] }).await?;
        let delete = doc! { "q": { "run": run.0 }, "limit": 0 };
        self.write(doc! { "delete": INVENTORY, "deletes": [delete] }).await?;
        Ok(())
    }

    pub(super) async fn complete_inventory(&self, run: &RunId) -> Result<(), MigrateError> {
        let update = doc! { "q": { "_id": run.0 }, "u": { "$currentDate": { "inventory": true } } };
        self.write(doc! { "update": RUNS, "updates": [update] }).await?;
        Ok(())
    }

    /// Lists the ids of a collection.
    pub(super) async fn list(
        &self,
        run: &RunId,
        collection: &str,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let rows = self.database.collection::<RawDocumentBuf>(collection);
        let total = persist(|| async { rows.estimated_document_count().await }).await?;
        let (mut part, mut last, mut done) = (0_i32, None, 0_u64);
        loop {
            let ids = self.ids_between(collection, last, None).await?;
            let Some(newest) = ids.last().copied() else { break };
            control.pace(1).await?;
            let bytes = ids.iter().flat_map(ObjectId::bytes).collect();
            let ids_of_part = Binary { subtype: BinarySubtype::Generic, bytes };
            let document = rawdoc! {
                "_id": ObjectId::new(), "run": run.0, "collection": collection, "part": part,
                "ids": ids_of_part,
            };
            self.insert_all(INVENTORY, vec![document]).await?;
            (part, last, done) = (part + 1, Some(newest), done + ids.len() as u64);
            control.advance("inventory", done, total.max(done));
        }
        self.list_others(run, collection, part, control).await
    }

    async fn list_others(
        &self,
        run: &RunId,
        collection: &str,
        mut part: i32,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let filter = doc! { "_id": { "$type": &OTHER_TYPES[..] } };
        let mut pass = Pass::over_some(&self.database, collection, filter, doc! { "_id": 1 }).await?;
        let mut others = Vec::new();
        loop {
            let more = pass.advance().await?;
            if more {
                let id = field(pass.document(), "_id").and_then(|id| Bson::try_from(id).ok());
                others.extend(id);
            }
            if others.len() == OTHERS || (!more && !others.is_empty()) {
                control.pace(1).await?;
                let document = doc! {
                    "_id": ObjectId::new(), "run": run.0, "collection": collection, "part": part,
                    "others": std::mem::take(&mut others),
                };
                let document = RawDocumentBuf::try_from(&document)
                    .map_err(|error| StoreError::Corrupt(error.to_string()))?;
                self.insert_all(INVENTORY, vec![document]).await?;
                part += 1;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Ids of documents, in order: after `after`, up to `last`, or so many.
    async fn ids_between(
        &self,
        collection: &str,
        after: Option<ObjectId>,
        last: Option<ObjectId>,
    ) -> Result<Vec<ObjectId>, MigrateError> {
        let rows = self.database.collection::<RawDocumentBuf>(collection);
        // A comparison with an ObjectId finds ObjectIds only.
        let mut bounds = if let Some(after) = after {
            doc! { "$gt": after }
        } else {
            doc! { "$gte": ObjectId::from_bytes([0; ID_BYTES]) }
        };
        if let Some(last) = last {
            bounds.insert("$lte", last);
        }
        let limit = if last.is_some() { 0 } else { i64::try_from(IDS).unwrap_or(i64::MAX) };
        persist(|| async {
            let find = rows.find(doc! { "_id": bounds.clone() }).projection(doc! { "_id": 1 });
            let mut found = find.sort(doc! { "_id": 1 }).limit(limit).batch_size(ANSWER).await?;
            let mut ids = Vec::new();
            while found.advance().await? {
                ids.extend(field(found.current(), "_id").and_then(RawBsonRef::as_object_id));
            }
            Ok(ids)
        })
        .await
    }

    /// Looks for every row of the inventory.
    pub(super) async fn compare(
        &self,
        run: &RunId,
        collection: &str,
        control: &dyn Control,
    ) -> Result<Compared, MigrateError> {
        let mut account = Account {
            collection: collection.to_owned(),
            before: Tally::default(),
            removed: Tally::default(),
            after: Tally::default(),
        };
        let mut absent = Absent::default();
        let parts = self.database.collection::<RawDocumentBuf>(INVENTORY);
        let (mut part, mut after) = (0_i32, None);
        loop {
            let filter = doc! { "run": run.0, "collection": collection, "part": part };
            let Some(document) = persist(|| async { parts.find_one(filter.clone()).await }).await? else {
                return Ok(Compared { account, absent });
            };
            control.pace(0).await?;
            let (migrator, of) = (self.clone(), collection.to_owned());
            let looked = aside(async move { migrator.part(&of, &document, after).await }).await?;
            account.before = sum(account.before, looked.before);
            account.after = sum(account.after, looked.after);
            absent.ids.extend(looked.absent.ids);
            absent.others.extend(looked.absent.others);
            (part, after) = (part + 1, looked.last);
            control.advance("account", account.before.count, account.before.count);
        }
    }

    /// Looks for the rows of a part of the inventory, which begins after `after`.
    async fn part(
        &self,
        collection: &str,
        document: &RawDocumentBuf,
        after: Option<ObjectId>,
    ) -> Result<Part, MigrateError> {
        let mut looked = Part { last: after, ..Part::default() };
        if let Some(RawBsonRef::Binary(ids)) = field(document, "ids") {
            let ids = ids.bytes.chunks_exact(ID_BYTES).filter_map(|id| id.try_into().ok());
            let ids: Vec<ObjectId> = ids.map(ObjectId::from_bytes).collect();
            looked.last = ids.last().copied();
            let there = self.ids_between(collection, after, looked.last).await?;
            for id in ids {
                // Both are in order.
                looked.add(Bson::ObjectId(id), there.binary_search(&id).is_ok());
            }
            return Ok(looked);
        }
        let others = field(document, "others").and_then(|others| Bson::try_from(others).ok());
        let others = others.and_then(|others| others.as_array().cloned()).unwrap_or_default();
        let rows = self.database.collection::<RawDocumentBuf>(collection);
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = rows.find(doc! { "_id": { "$in": &others } }).projection(doc! { "_id": 1 });
            find.batch_size(ANSWER).await?.try_collect().await
        })
        .await?;
        let there: HashSet<Vec<u8>> = found.iter().filter_map(|row| field(row, "_id")).map(packed).collect();
        for id in others {
            let is_there = there.contains(&bytes_of(&id));
            looked.add(id, is_there);
        }
        Ok(looked)
    }
}

/// Sums of these tell sets of ids apart.
pub(super) fn checksum(id: &Bson) -> u64 {
    let digest = Sha256::digest(bytes_of(id));
    digest.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
}

pub(super) fn sum(one: Tally, other: Tally) -> Tally {
    Tally { count: one.count + other.count, checksum: one.checksum.wrapping_add(other.checksum) }
}

pub(super) fn add(tally: &mut Tally, checksum: u64) {
    tally.count += 1;
    tally.checksum = tally.checksum.wrapping_add(checksum);
}
