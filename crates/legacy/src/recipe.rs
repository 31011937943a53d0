//! The usual recipe, by hand, for the test that shows its window: fill in the keys, remove the duplicates, then create the
//! unique index. For chats as the old writer makes them, whose participants are plain text.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::{
    Database, IndexModel,
    bson::{Bson, Document, RawDocumentBuf, doc},
    error::ErrorKind,
    options::IndexOptions,
};

use crate::{LegacyError, Place, population::sorted_and_joined, value::people};

const DUPLICATE_KEY: i32 = 11000;

/// What came of creating the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexOutcome {
    /// It is there.
    Made,
    /// E11000: there are duplicates.
    Duplicates,
}

/// Gives every chat its joined key. How many had another one, or none.
pub async fn backfill(database: &Database) -> Result<u64, LegacyError> {
    let chats = database.collection::<RawDocumentBuf>(Place::Chats.name());
    let mut cursor = chats.find(doc! {}).await?;
    let mut changed = 0;
    while let Some(chat) = cursor.try_next().await? {
        let (Some(people), Ok(Some(id))) = (people(&chat, None), chat.get("_id")) else { continue };
        let key = sorted_and_joined(&people);
        if chat.get_str("participantsKey").ok() == Some(key.as_str()) {
            continue;
        }
        let id = Bson::try_from(id)?;
        chats.update_one(doc! { "_id": id }, doc! { "$set": { "participantsKey": key } }).await?;
        changed += 1;
    }
    Ok(changed)
}

/// Keeps the oldest chat of each key, by `_id`, and removes the others. How many it removed.
pub async fn clean(database: &Database) -> Result<u64, LegacyError> {
    let chats = database.collection::<Document>(Place::Chats.name());
    let keyed = doc! { "participantsKey": { "$gt": "" } };
    let mut cursor = chats.find(keyed).sort(doc! { "_id": 1 }).await?;
    let mut oldest: HashMap<String, Bson> = HashMap::new();
    let mut removed = 0;
    while let Some(chat) = cursor.try_next().await? {
        let (Ok(key), Some(id)) = (chat.get_str("participantsKey"), chat.get("_id")) else { continue };
        let Some(survivor) = oldest.get(key) else {
            oldest.insert(key.to_owned(), id.clone());
            continue;
        };
        let messages = database.collection::<Document>(Place::Messages.name());
        let to = doc! { "$set": { "chatId": survivor } };
        messages.update_many(doc! { "chatId": id }, to).await?;
        chats.delete_one(doc! { "_id": id }).await?;
        removed += 1;
    }
    Ok(removed)
}

/// Creates the unique index on the key.
pub async fn create_index(database: &Database) -> Result<IndexOutcome, LegacyError> {
    let filter = doc! { "participantsKey": { "$gt": "" } };
    let options = IndexOptions::builder()
        .unique(true)
        .partial_filter_expression(filter)
        .name("onechat_participantsKey".to_owned())
        .build();
    let index = IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build();
    let chats = database.collection::<Document>(Place::Chats.name());
    match chats.create_index(index).await {
        Ok(_) => Ok(IndexOutcome::Made),
        Err(error) => match &*error.kind {
            ErrorKind::Command(command) if command.code == DUPLICATE_KEY => Ok(IndexOutcome::Duplicates),
            _ => Err(error.into()),
        },
    }
}
