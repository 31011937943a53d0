//! What is noted beside the collections: the format of their keys, so that no server mixes two, and how far they
//! have come towards the guarantee, which every server follows.

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};
use onechat_core::{KeyFormat, StoreError};
use onechat_migrate::CollectionState;

use crate::{
    OpenError,
    error::{code, code_of, reason, unavailable},
};

/// The collection of notes, with a document for each collection of chats, under its name.
pub(crate) const META: &str = "onechat_meta";

/// The field of the state.
const STATE: &str = "state";

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

/// The state that is noted, if any.
pub(crate) async fn state(database: &Database, chats: &str) -> Result<Option<CollectionState>, StoreError> {
    let notes: Collection<Document> = database.collection(META);
    let note = notes.find_one(doc! { "_id": chats }).await.map_err(|error| unavailable(&error))?;
    let Some(state) = note.as_ref().and_then(|note| note.get_str(STATE).ok()) else { return Ok(None) };
    state.parse().map(Some).map_err(|error| {
        StoreError::Corrupt(format!("what is noted about {chats} in {META} cannot be understood: {error}"))
    })
}

/// Notes a state if none is noted yet. What is noted then, which may be what another server was first to note.
pub(crate) async fn note_first_state(
    database: &Database,
    chats: &str,
    derived: CollectionState,
) -> Result<CollectionState, StoreError> {
    let notes: Collection<Document> = database.collection(META);
    let filter = doc! { "_id": chats, STATE: { "$exists": false } };
    let update = doc! { "$set": { STATE: derived.name() } };
    notes.update_one(filter, update).await.map_err(|error| unavailable(&error))?;
    Ok(state(database, chats).await?.unwrap_or(derived))
}

/// Notes a state, which every server follows from then on.
pub(crate) async fn set_state(
    database: &Database,
    chats: &str,
    state: CollectionState,
) -> Result<(), StoreError> {
    let notes: Collection<Document> = database.collection(META);
    let update = doc! { "$set": { STATE: state.name() } };
    notes.update_one(doc! { "_id": chats }, update).await.map_err(|error| unavailable(&error))?;
    Ok(())
}
