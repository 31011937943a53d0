//! What is noted beside the collections: what their keys are made of, so that no server mixes two, and how far they
//! have come towards the guarantee, which every server follows.

use mongodb::{
    Collection, Database,
    bson::{Bson, Document, doc},
};
use onechat_core::{KeyFormat, StoreError};
use onechat_migrate::CollectionState;

use crate::{
    Mapping, OpenError,
    error::{code, code_of, reason, unavailable},
};

/// The collection of notes, with a document for each collection of chats, under its name.
pub(crate) const META: &str = "onechat_meta";

/// The field of the state.
const STATE: &str = "state";

/// The field of the key's field. Notes of older versions have none.
const KEY_FIELD: &str = "keyField";

/// The field of the context's field.
const CONTEXT: &str = "contextField";

/// The field of the filter that says which chats have keys, as text.
const ONLY: &str = "only";

/// What all servers and tools have to agree on, since the keys depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How keys are written.
    pub(crate) key_format: KeyFormat,
    /// The field with the keys, if it is known. Who looks for them in another field finds none, and creates every chat
    /// a second time.
    pub(crate) key_field: Option<String>,
    /// The field with what a chat is about, if chats have contexts.
    pub(crate) context: Option<String>,
    /// Which chats have keys, if not all.
    pub(crate) only: Option<String>,
}

/// What is noted.
pub(crate) struct Noted {
    terms: Terms,
    /// Whether keys count already: on an unmigrated collection nobody relies on them.
    is_settled: bool,
}

impl Noted {
    pub(crate) fn key_format(&self) -> KeyFormat {
        self.terms.key_format
    }
}

impl Terms {
    pub(crate) fn new(key_format: KeyFormat, mapping: &Mapping) -> Self {
        let only = mapping.only.as_ref().map(ToString::to_string);
        let key_field = Some(mapping.fields.participants_key.clone());
        Self { key_format, key_field, context: mapping.fields.context.clone(), only }
    }
}

/// Notes the terms for `chats`, or sees that they are those noted before.
pub(crate) async fn agree(database: &Database, chats: &str, configured: &Terms) -> Result<(), OpenError> {
    let notes: Collection<Document> = database.collection(META);
    let unavailable = |error: &mongodb::error::Error| OpenError::Unavailable(reason(error));
    if noted(database, chats).await?.is_none() {
        let mut note = doc! { "_id": chats, "keyFormat": configured.key_format.name() };
        note.extend(configured.key_field.iter().map(|field| (KEY_FIELD.to_owned(), field.into())));
        note.extend(configured.context.iter().map(|field| (CONTEXT.to_owned(), field.into())));
        note.extend(configured.only.iter().map(|filter| (ONLY.to_owned(), filter.into())));
        match notes.insert_one(note).await {
            Ok(_) => return Ok(()),
            // Another server was first.
            Err(error) if code_of(&error) == Some(code::DUPLICATE_KEY) => {}
            Err(error) => return Err(unavailable(&error)),
        }
    }
    let Some(stored) = noted(database, chats).await? else { return Ok(()) };
    compare(chats, &stored, configured)?;
    if stored.terms == *configured {
        return Ok(());
    }
    if let Some(field) = &configured.key_field {
        let unknown = doc! { "_id": chats, KEY_FIELD: { "$exists": false } };
        let known = doc! { "$set": { KEY_FIELD: field } };
        notes.update_one(unknown, known).await.map_err(|error| unavailable(&error))?;
    }
    let (mut set, mut unset) = (Document::new(), Document::new());
    let fields =
        [(KEY_FIELD, &configured.key_field), (CONTEXT, &configured.context), (ONLY, &configured.only)];
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
    let unsettled = [Bson::Null, CollectionState::Unmigrated.name().into()];
    let unsettled = doc! { "$in": unsettled.to_vec() };
    let filter = doc! { "_id": chats, STATE: unsettled };
    notes.update_one(filter, update).await.map_err(|error| unavailable(&error))?;
    match noted(database, chats).await? {
        // Another program has migrated the collection since, by other terms.
        Some(stored) => compare(chats, &stored, configured),
        None => Ok(()),
    }
}

/// The terms that are noted, if any.
pub(crate) async fn noted(database: &Database, chats: &str) -> Result<Option<Noted>, OpenError> {
    let notes: Collection<Document> = database.collection(META);
    let note = notes.find_one(doc! { "_id": chats }).await;
    let Some(note) = note.map_err(|error| OpenError::Unavailable(reason(&error)))? else { return Ok(None) };
    let format = note.get_str("keyFormat").map_err(|error| error.to_string());
    let format = format.and_then(|format| format.parse().map_err(|error| format!("{error}")));
    let key_format = format.map_err(|reason| OpenError::Meta {
        collection: chats.to_owned(),
        meta: META.to_owned(),
        reason,
    })?;
    let text = |name: &str| note.get_str(name).ok().map(str::to_owned);
    let state = note.get_str(STATE).ok();
    Ok(Some(Noted {
        terms: Terms { key_format, key_field: text(KEY_FIELD), context: text(CONTEXT), only: text(ONLY) },
        is_settled: state.is_some_and(|state| state != CollectionState::Unmigrated.name()),
    }))
}

/// Refuses terms that make other keys than those that count.
pub(crate) fn compare(chats: &str, noted: &Noted, configured: &Terms) -> Result<(), OpenError> {
    let (collection, stored) = (chats.to_owned(), &noted.terms);
    if stored.key_format != configured.key_format {
        let (stored, configured) = (stored.key_format, configured.key_format);
        return Err(OpenError::KeyFormat { collection, stored, configured });
    }
    if noted.is_settled
        && let (Some(stored), Some(configured)) = (&stored.key_field, &configured.key_field)
        && stored != configured
    {
        let (stored, configured) = (stored.clone(), configured.clone());
        return Err(OpenError::KeyField { collection, stored, configured });
    }
    if noted.is_settled && stored.context != configured.context {
        let (stored, configured) = (stored.context.clone(), configured.context.clone());
        return Err(OpenError::Context { collection, stored, configured });
    }
    if noted.is_settled && stored.only != configured.only {
        let (stored, configured) = (stored.only.clone(), configured.only.clone());
        return Err(OpenError::Only { collection, stored, configured });
    }
    Ok(())
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
