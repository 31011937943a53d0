//! What is noted beside the collections: the format of their keys, so that no server mixes two.

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};
use onechat_core::KeyFormat;

use crate::{
    OpenError,
    error::{code, code_of, reason},
};

/// The collection of notes, with a document for each collection of chats, under its name.
pub(crate) const META: &str = "onechat_meta";

/// Notes the format of the keys of `chats`, or sees that it is the one noted before.
pub(crate) async fn agree(database: &Database, chats: &str, configured: KeyFormat) -> Result<(), OpenError> {
    let notes: Collection<Document> = database.collection(META);
    let unavailable = |error: &mongodb::error::Error| OpenError::Unavailable(reason(error));
    if let Some(stored) = noted(database, chats).await? {
        return compare(chats, stored, configured);
    }
    match notes.insert_one(doc! { "_id": chats, "keyFormat": configured.name() }).await {
        Ok(_) => Ok(()),
        // Another server was first.
        Err(error) if code_of(&error) == Some(code::DUPLICATE_KEY) => {
            let stored = noted(database, chats).await?.unwrap_or(configured);
            compare(chats, stored, configured)
        }
        Err(error) => Err(unavailable(&error)),
    }
}

/// The format that is noted, if any.
pub(crate) async fn noted(database: &Database, chats: &str) -> Result<Option<KeyFormat>, OpenError> {
    let notes: Collection<Document> = database.collection(META);
    let note = notes.find_one(doc! { "_id": chats }).await;
    let Some(note) = note.map_err(|error| OpenError::Unavailable(reason(&error)))? else { return Ok(None) };
    let format = note.get_str("keyFormat").map_err(|error| error.to_string());
    let format = format.and_then(|format| format.parse().map_err(|error| format!("{error}")));
    format.map(Some).map_err(|reason| OpenError::Meta {
        collection: chats.to_owned(),
        meta: META.to_owned(),
        reason,
    })
}

pub(crate) fn compare(chats: &str, stored: KeyFormat, configured: KeyFormat) -> Result<(), OpenError> {
    if stored == configured {
        return Ok(());
    }
    Err(OpenError::KeyFormat { collection: chats.to_owned(), stored, configured })
}
