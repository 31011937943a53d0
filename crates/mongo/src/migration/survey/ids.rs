//! Whether two chats are called the same: the `_id` 42 and the `_id` "42" are two in the documents, and one outside.

use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{RawBsonRef, RawDocumentBuf, doc},
};
use onechat_core::StoreError;
use onechat_migrate::name_of;

use super::{Pass, Spill, id_of, spill_failed};
use crate::{
    codec::{Codec, field},
    error::unavailable,
};

/// How many of them are named.
const MAX_EXAMPLES: usize = 5;

/// The types of which an `_id` can be called something.
const TYPES: [&str; 4] = ["number", "string", "binData", "objectId"];

/// The first few ids that two documents of the collection have outside. Nearly always ids are of one type, and nothing has to
/// be compared.
pub(crate) async fn twofold_ids(database: &Database, codec: &Codec) -> Result<Vec<String>, StoreError> {
    let mut types = Vec::new();
    for kind in TYPES {
        if has_type(database, codec, kind).await.map_err(|error| unavailable(&error))? {
            types.push(kind);
        }
    }
    // UUIDs are of two subtypes.
    let has_both_uuids = types.contains(&"binData") && codec.mapping().uuids().is_some();
    if types.len() < 2 && !has_both_uuids {
        return Ok(Vec::new());
    }
    let mut names = Spill::new();
    let mut pass = Pass::over(database, &codec.mapping().chats, doc! { "_id": 1 }).await?;
    while pass.advance().await? {
        let document = pass.document();
        let Some(id) = field(document, "_id") else { continue };
        let Some(name) = name_of(id, codec.mapping().uuids()) else { continue };
        // Most texts look like nothing else.
        if !matches!(id, RawBsonRef::String(_)) || codec.forms_of_name(&name).len() > 1 {
            names.add(name.as_bytes(), &id_of(document)).map_err(|error| spill_failed(&error))?;
        }
    }
    let mut twofold = Vec::new();
    for group in names.finish().groups() {
        let group = group.map_err(|error| spill_failed(&error))?;
        if group.items.iter().any(|id| *id != group.items[0]) {
            twofold.push(String::from_utf8_lossy(&group.name).into_owned());
        }
        if twofold.len() == MAX_EXAMPLES {
            break;
        }
    }
    Ok(twofold)
}

async fn has_type(database: &Database, codec: &Codec, kind: &str) -> Result<bool, mongodb::error::Error> {
    let chats = database.collection::<RawDocumentBuf>(&codec.mapping().chats);
    let find = chats.find(doc! { "_id": { "$type": kind } }).projection(doc! { "_id": 1 }).limit(1);
    Ok(find.await?.try_next().await?.is_some())
}

/// What is wrong with these.
pub(crate) fn twofold_in_words(twofold: &[String]) -> String {
    format!(
        "chats have an _id of one type, and others one of another type that is written the same: {}. Outside each of these ids \
         names two chats, and a row that has it may mean either",
        twofold.join(", ")
    )
}
