//! Two databases, document by document: what two runs of a migration should have made the same.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use mongodb::{
    Cursor, Database,
    bson::{Document, RawDocumentBuf, doc},
};

use crate::LegacyError;

/// Collections that a run keeps for itself: its journal has the times and the order of what it did.
const OWN: &str = "onechat_";
const ALIASES: &str = "onechat_aliases";
const MOST: usize = 50;

/// Everything in which the two differ, to the byte; of the collections that the migration keeps for itself, only where
/// aliases lead to.
pub async fn differences(one: &Database, other: &Database) -> Result<Vec<String>, LegacyError> {
    let mut names = BTreeSet::new();
    for database in [one, other] {
        names.extend(database.list_collection_names().await?);
    }
    names.retain(|name| !name.starts_with(OWN) && !name.starts_with("system."));
    let mut differences = Vec::new();
    for name in &names {
        let all = (all(one, name, doc! {}).await?, all(other, name, doc! {}).await?);
        compare(name, all, &mut differences).await?;
        let indexes = (indexes(one, name).await?, indexes(other, name).await?);
        if indexes.0 != indexes.1 {
            differences.push(format!("the indexes of {name}: {:?}, and {:?}", indexes.0, indexes.1));
        }
    }
    let resolved = doc! { "chat": 1 };
    let aliases = (all(one, ALIASES, resolved.clone()).await?, all(other, ALIASES, resolved).await?);
    compare(ALIASES, aliases, &mut differences).await?;
    Ok(differences)
}

async fn all(
    database: &Database,
    name: &str,
    projection: Document,
) -> Result<Cursor<RawDocumentBuf>, LegacyError> {
    let collection = database.collection::<RawDocumentBuf>(name);
    Ok(collection.find(doc! {}).projection(projection).sort(doc! { "_id": 1 }).await?)
}

async fn indexes(database: &Database, name: &str) -> Result<BTreeSet<String>, LegacyError> {
    let models: Vec<_> = database.collection::<Document>(name).list_indexes().await?.try_collect().await?;
    Ok(models.iter().map(|model| format!("{model:?}")).collect())
}

/// In step: where one has what the other lacks, the order of `_id` is lost for the rest, and a few lines say enough.
async fn compare(
    name: &str,
    (mut one, mut other): (Cursor<RawDocumentBuf>, Cursor<RawDocumentBuf>),
    differences: &mut Vec<String>,
) -> Result<(), LegacyError> {
    loop {
        match (one.try_next().await?, other.try_next().await?) {
            (None, None) => return Ok(()),
            (left, right) if left == right => {}
            (left, right) => differences.push(format!("{name}: {}, and {}", shown(left), shown(right))),
        }
        if differences.len() >= MOST {
            return Ok(());
        }
    }
}

fn shown(document: Option<RawDocumentBuf>) -> String {
    document.map_or_else(|| "nothing".to_owned(), |document| format!("{document:?}"))
}
