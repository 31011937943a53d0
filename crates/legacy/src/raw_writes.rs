//! The changes of a migration, written by hand: what a benchmark holds it against.

use std::collections::{BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::{
    Database, IndexModel,
    bson::{Bson, Document, RawDocumentBuf, doc},
};

use crate::LegacyError;

/// How many statements go into one command.
const STATEMENTS: usize = 1000;

/// Statements that make one database what another one is, a document at a time, by `_id` and in its order, in the largest
/// commands that scripts use.
pub struct RawWrites(Vec<Document>);

impl RawWrites {
    /// What has to be written to `one` to have in it what is in `other`. Collections of onechat's own are left out.
    pub async fn between(one: &Database, other: &Database) -> Result<Self, LegacyError> {
        let mut commands = Vec::new();
        for name in collections(&[one, other]).await? {
            let mut after: HashMap<Vec<u8>, RawDocumentBuf> =
                documents(other, &name).await?.into_iter().collect();
            let (mut updates, mut deletes) = (Vec::new(), Vec::new());
            for (id, before) in documents(one, &name).await? {
                match after.remove(&id) {
                    Some(after) if before != after => updates.push(update(&before, &after)?),
                    Some(_) => {}
                    None => {
                        let id = before.get("_id")?.and_then(|id| Bson::try_from(id).ok());
                        deletes.push(doc! { "q": { "_id": id }, "limit": 1 });
                    }
                }
            }
            if !after.is_empty() {
                return Err(LegacyError::Shape(format!("{name} has a new document")));
            }
            // A unique index may allow what comes only after what goes.
            for chunk in deletes.chunks(STATEMENTS) {
                commands.push(doc! { "delete": &name, "deletes": chunk, "ordered": false });
            }
            for chunk in updates.chunks(STATEMENTS) {
                commands.push(doc! { "update": &name, "updates": chunk, "ordered": false });
            }
        }
        Ok(Self(commands))
    }

    /// How many documents are changed or removed.
    pub fn documents(&self) -> usize {
        let of = |command: &Document| {
            ["updates", "deletes"]
                .iter()
                .filter_map(|list| command.get_array(list).ok())
                .map(Vec::len)
                .sum::<usize>()
        };
        self.0.iter().map(of).sum()
    }

    /// Writes, one command after the other, each acknowledged by a majority with its journal.
    pub async fn apply(self, database: &Database) -> Result<(), LegacyError> {
        for mut command in self.0 {
            command.insert("writeConcern", doc! { "w": "majority", "j": true });
            let reply = database.run_command(command).await?;
            if let Ok(errors) = reply.get_array("writeErrors") {
                return Err(LegacyError::Shape(format!("not written: {errors:?}")));
            }
        }
        Ok(())
    }
}

/// Gives `one` the indexes that only `other` has. None of the new ones is unique: statements by hand come in no order that
/// such an index would bear.
pub async fn same_indexes(one: &Database, other: &Database) -> Result<(), LegacyError> {
    for name in collections(&[other]).await? {
        let collection = one.collection::<Document>(&name);
        let known = collection.list_index_names().await?;
        let mut indexes = other.collection::<Document>(&name).list_indexes().await?;
        while let Some(index) = indexes.try_next().await? {
            let mut options = index.options.unwrap_or_default();
            if options.name.as_ref().is_some_and(|name| known.contains(name)) {
                continue;
            }
            (options.unique, options.version) = (None, None);
            let index = IndexModel::builder().keys(index.keys).options(options).build();
            collection.create_index(index).await?;
        }
    }
    Ok(())
}

/// The names of collections that are not onechat's own.
async fn collections(databases: &[&Database]) -> Result<BTreeSet<String>, LegacyError> {
    let mut names = BTreeSet::new();
    for database in databases {
        names.extend(database.list_collection_names().await?);
    }
    names.retain(|name| !name.starts_with("onechat_") && !name.starts_with("system."));
    Ok(names)
}

/// In the order of `_id`, which comes first.
async fn documents(database: &Database, name: &str) -> Result<Vec<(Vec<u8>, RawDocumentBuf)>, LegacyError> {
    let mut documents = Vec::new();
    let collection = database.collection::<RawDocumentBuf>(name);
    let mut found = collection.find(doc! {}).sort(doc! { "_id": 1 }).await?;
    while let Some(document) = found.try_next().await? {
        let id = document.get("_id")?.map(|id| format!("{id:?}").into_bytes()).unwrap_or_default();
        documents.push((id, document));
    }
    Ok(documents)
}

/// Sets the fields that differ.
fn update(before: &RawDocumentBuf, after: &RawDocumentBuf) -> Result<Document, LegacyError> {
    let (before, after) = (Document::try_from(before.as_ref())?, Document::try_from(after.as_ref())?);
    let set: Document = after
        .iter()
        .filter(|(name, value)| before.get(name) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let unset: Document = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| (name.clone(), Bson::from("")))
        .collect();
    let mut change = Document::new();
    if !set.is_empty() {
        change.insert("$set", set);
    }
    if !unset.is_empty() {
        change.insert("$unset", unset);
    }
    Ok(doc! { "q": { "_id": before.get("_id") }, "u": change })
}
