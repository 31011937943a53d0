//! What is noted beside the collections: what their keys are made of, so that no server mixes two, and how far they
//! have come towards the guarantee, which every server follows.

mod terms;

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection, Database,
    bson::{Bson, Document, doc},
    error::Error,
};
use onechat_core::{KeyFormat, StoreError};
use onechat_migrate::CollectionState;

pub(crate) use self::terms::Configured;
use self::terms::{Note, judge, own};
use crate::{
    Filter, Mapping, OpenError,
    error::{code, code_of, reason, unavailable},
};

/// The collection of notes, with a document for each collection of chats, under its name, and one more for each rekeying of
/// it.
pub(crate) const META: &str = "onechat_meta";

const KEY_FORMAT: &str = "keyFormat";

/// The field of the state.
const STATE: &str = "state";

/// The field of the key's field. Notes of older versions have none.
const KEY_FIELD: &str = "keyField";

/// The field of the context's field.
const CONTEXT: &str = "contextField";

/// The field of the filter that says which chats have keys, as text.
const ONLY: &str = "only";

/// The field of the field of the keys that these replace, as long as servers may use both.
const PREVIOUS: &str = "previousField";

/// The field that only keys have which others have replaced.
const RETIRED: &str = "retired";

/// Notes the terms, or sees that they are those noted before.
pub(crate) async fn agree(database: &Database, configured: &Configured) -> Result<(), OpenError> {
    let collection: Collection<Document> = database.collection(META);
    let (chats, terms) = (&configured.chats, &configured.terms);
    let unavailable = |error: &Error| OpenError::Unavailable(reason(error));
    let mut notes = read(database, chats).await.map_err(|error| unavailable(&error))?;
    let verdict = judge(&notes, configured)?;
    if verdict.note.is_none() {
        let mut note = doc! { "_id": verdict.id, KEY_FORMAT: terms.key_format.name() };
        let texts = [
            (KEY_FIELD, terms.key_field.as_deref()),
            (CONTEXT, terms.context.as_deref()),
            (ONLY, terms.only.as_deref()),
            (PREVIOUS, verdict.replaces),
        ];
        note.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        match collection.insert_one(note).await {
            Ok(_) => return Ok(()),
            // Another server was first.
            Err(error) if code_of(&error) == Some(code::DUPLICATE_KEY) => {}
            Err(error) => return Err(unavailable(&error)),
        }
        notes = read(database, chats).await.map_err(|error| unavailable(&error))?;
    }
    let verdict = judge(&notes, configured)?;
    let Some(note) = verdict.note else { return Ok(()) };
    if note.terms(chats)? == *terms && note.previous.as_deref() == verdict.replaces {
        return Ok(());
    }
    if let Some(field) = &terms.key_field {
        let unknown = doc! { "_id": note.id.clone(), KEY_FIELD: { "$exists": false } };
        let known = doc! { "$set": { KEY_FIELD: field } };
        collection.update_one(unknown, known).await.map_err(|error| unavailable(&error))?;
    }
    let unsettled = [Bson::Null, CollectionState::Unmigrated.name().into()];
    let unsettled = doc! { "$in": unsettled.to_vec() };
    let filter = doc! { "_id": note.id.clone(), STATE: unsettled, RETIRED: { "$exists": false } };
    let update = as_configured(configured, verdict.replaces);
    collection.update_one(filter, update).await.map_err(|error| unavailable(&error))?;
    // Another program may have migrated the collection since, by other terms.
    let notes = read(database, chats).await.map_err(|error| unavailable(&error))?;
    judge(&notes, configured).map(drop)
}

/// Makes a note that of these terms.
fn as_configured(configured: &Configured, replaces: Option<&str>) -> Document {
    let terms = &configured.terms;
    let (mut set, mut unset) = (Document::new(), Document::new());
    let fields = [
        (KEY_FIELD, terms.key_field.as_deref()),
        (CONTEXT, terms.context.as_deref()),
        (ONLY, terms.only.as_deref()),
        (PREVIOUS, replaces),
    ];
    for (name, value) in fields {
        match value {
            Some(value) => set.insert(name, value),
            None => unset.insert(name, ""),
        };
    }
    let mut update = Document::new();
    for (operator, fields) in [("$set", set), ("$unset", unset)] {
        if !fields.is_empty() {
            update.insert(operator, fields);
        }
    }
    update
}

/// Refuses terms that are not those noted. Changes nothing.
pub(crate) async fn check(database: &Database, configured: &Configured) -> Result<(), OpenError> {
    let notes = read(database, &configured.chats).await;
    let notes = notes.map_err(|error| OpenError::Unavailable(reason(&error)))?;
    judge(&notes, configured).map(drop)
}

/// All notes of a collection.
async fn read(database: &Database, chats: &str) -> Result<Vec<Note>, Error> {
    let notes: Collection<Document> = database.collection(META);
    let all = doc! { "$or": [{ "_id": chats }, { "_id.collection": chats }] };
    let notes: Vec<Document> = notes.find(all).await?.try_collect().await?;
    Ok(notes.iter().map(Note::of).collect())
}

/// The note that one follows with this mapping.
async fn followed(database: &Database, mapping: &Mapping) -> Result<Option<Note>, StoreError> {
    let notes = read(database, &mapping.chats).await.map_err(|error| unavailable(&error))?;
    let field = &mapping.fields.participants_key;
    Ok(own(&notes, &mapping.chats, field, mapping.previous.is_some()).cloned())
}

/// The `_id` of the note that one follows with this mapping.
pub(crate) async fn id(database: &Database, mapping: &Mapping) -> Result<Option<Bson>, StoreError> {
    Ok(followed(database, mapping).await?.map(|note| note.id))
}

/// The format of the keys, if it is noted.
pub(crate) async fn key_format(
    database: &Database,
    mapping: &Mapping,
) -> Result<Option<KeyFormat>, StoreError> {
    let note = followed(database, mapping).await?;
    note.map(|note| note.key_format).transpose().map_err(|why| not_understood(&mapping.chats, &why))
}

/// The state that is noted, if any.
pub(crate) async fn state(
    database: &Database,
    mapping: &Mapping,
) -> Result<Option<CollectionState>, StoreError> {
    let state = followed(database, mapping).await?.and_then(|note| note.state);
    let state = state.map(|state| state.parse()).transpose();
    state.map_err(|why| not_understood(&mapping.chats, &why))
}

/// Whether the keys of this mapping are replacing the previous ones that it names, and servers may use both.
pub(crate) async fn is_replacing(database: &Database, mapping: &Mapping) -> Result<bool, StoreError> {
    let Some(previous) = &mapping.previous else { return Ok(false) };
    let note = followed(database, mapping).await?;
    Ok(note.is_some_and(|note| note.previous.as_ref() == Some(&previous.participants_key)))
}

/// Whether the keys of this mapping were replaced by others.
pub(crate) async fn is_retired(database: &Database, mapping: &Mapping) -> Result<bool, StoreError> {
    Ok(followed(database, mapping).await?.is_some_and(|note| note.is_retired))
}

/// Which chats have keys, as it is noted.
pub(crate) async fn only(database: &Database, mapping: &Mapping) -> Result<Option<Filter>, StoreError> {
    let only = followed(database, mapping).await?.and_then(|note| note.only);
    let only = only.map(|text| text.parse()).transpose();
    only.map_err(|why| not_understood(&mapping.chats, &why))
}

/// Notes a state if none is noted yet. What is noted then, which may be what another server was first to note.
pub(crate) async fn note_first_state(
    database: &Database,
    mapping: &Mapping,
    derived: CollectionState,
) -> Result<CollectionState, StoreError> {
    let unnoted = doc! { STATE: { "$exists": false } };
    update(database, mapping, unnoted, doc! { "$set": { STATE: derived.name() } }).await?;
    Ok(state(database, mapping).await?.unwrap_or(derived))
}

/// Notes a state, which every server follows from then on.
pub(crate) async fn set_state(
    database: &Database,
    mapping: &Mapping,
    state: CollectionState,
) -> Result<(), StoreError> {
    let counts = doc! { RETIRED: { "$exists": false } };
    update(database, mapping, counts, doc! { "$set": { STATE: state.name() } }).await
}

/// Notes that the keys of this mapping do not count any more: who knows them alone creates nothing, and does not start again.
pub(crate) async fn retire(database: &Database, mapping: &Mapping) -> Result<(), StoreError> {
    let field = &mapping.fields.participants_key;
    let retired = doc! { STATE: CollectionState::Unmigrated.name(), KEY_FIELD: field, RETIRED: true };
    update(database, mapping, doc! {}, doc! { "$set": retired }).await
}

/// Notes that the keys of this mapping have replaced the previous ones, which nobody needs from then on.
pub(crate) async fn end_replacing(database: &Database, mapping: &Mapping) -> Result<(), StoreError> {
    update(database, mapping, doc! {}, doc! { "$unset": { PREVIOUS: "" } }).await
}

/// Changes the note that one follows with this mapping, if it is so.
async fn update(
    database: &Database,
    mapping: &Mapping,
    mut condition: Document,
    change: Document,
) -> Result<(), StoreError> {
    let Some(id) = id(database, mapping).await? else { return Ok(()) };
    condition.insert("_id", id);
    let notes: Collection<Document> = database.collection(META);
    notes.update_one(condition, change).await.map_err(|error| unavailable(&error))?;
    Ok(())
}

fn not_understood(chats: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("what is noted about {chats} in {META} cannot be understood: {why}"))
}
