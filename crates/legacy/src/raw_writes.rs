//! The changes of a migration, written by hand: what a benchmark holds it against.

use std::collections::{BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{Bson, Document, RawDocumentBuf, doc},
};

use crate::LegacyError;

/// How many statements go into one command.
const STATEMENTS: usize = 1000;

/// Statements that make one database what another one is, a document at a time and by `_id`, in the largest commands that
/// scripts use.
pub struct RawWrites(Vec<Document>);

impl RawWrites {
    /// What has to be written to `one` to have in it what is in `other`. Collections of onechat's own are left out.
    pub async fn between(one: &Database, other: &Database) -> Result<Self, LegacyError> {
        let mut names = BTreeSet::new();
        for database in [one, other] {
            names.extend(database.list_collection_names().await?);
        }
        names.retain(|name| !name.starts_with("onechat_") && !name.starts_with("system."));
        let mut commands = Vec::new();
        for name in names {
            let mut before = documents(one, &name).await?;
            let after = documents(other, &name).await?;
            let (mut updates, mut deletes) = (Vec::new(), Vec::new());
            for (id, after) in &after {
                match before.remove(id) {
                    Some(before) if before != *after => updates.push(update(&before, after)?),
                    Some(_) => {}
                    None => return Err(LegacyError::Shape(format!("{name} has a new document"))),
                }
            }
            for gone in before.into_values() {
                let id = gone.get("_id")?.and_then(|id| Bson::try_from(id).ok());
                deletes.push(doc! { "q": { "_id": id }, "limit": 1 });
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

async fn documents(database: &Database, name: &str) -> Result<HashMap<Vec<u8>, RawDocumentBuf>, LegacyError> {
    let mut documents = HashMap::new();
    let mut found = database.collection::<RawDocumentBuf>(name).find(doc! {}).await?;
    while let Some(document) = found.try_next().await? {
        let id = document.get("_id")?.map(|id| format!("{id:?}").into_bytes()).unwrap_or_default();
        documents.insert(id, document);
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
