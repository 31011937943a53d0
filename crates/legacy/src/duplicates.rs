//! What is really there: sets of people worked out anew from every chat, whatever it says its key is.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{Document, RawBsonRef, RawDocumentBuf},
};

use crate::{
    LegacyError, Place, Shape,
    population::sorted_and_joined,
    value::{people, text_at},
};

/// How many examples are kept.
const EXAMPLES: usize = 10;

/// What a look at every chat found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Chats.
    pub chats: u64,
    /// Chats whose participants are no set.
    pub malformed: u64,
    /// Different sets.
    pub sets: u64,
    /// Sets with more than one chat.
    pub duplicates: u64,
    /// Chats of sets whose key is not the joined one.
    pub not_keyed: u64,
    /// The first few duplicates: who, and the `_id`s.
    pub examples: Vec<(Vec<String>, Vec<String>)>,
}

/// Looks at every chat. Holds all sets in memory: it is for tests.
pub async fn recompute(database: &Database, shape: &Shape) -> Result<Recomputed, LegacyError> {
    let chats = database.collection::<RawDocumentBuf>(Place::Chats.name());
    let mut cursor = chats.find(Document::new()).await?;
    let mut found = Recomputed::default();
    let mut first: HashMap<Vec<String>, String> = HashMap::new();
    let mut again: HashMap<Vec<String>, Vec<String>> = HashMap::new();
    while let Some(chat) = cursor.try_next().await? {
        found.chats += 1;
        let Some(set) = people(&chat, shape.participant_path.as_deref()) else {
            found.malformed += 1;
            continue;
        };
        let key = sorted_and_joined(&set);
        let is_keyed = chat.get("participantsKey").ok().flatten() == Some(RawBsonRef::String(&key));
        found.not_keyed += u64::from(shape.joined && !is_keyed);
        let id = text_at(&chat, "_id").unwrap_or_default();
        match first.get(&set) {
            Some(before) => again.entry(set).or_insert_with(|| vec![before.clone()]).push(id),
            None => drop(first.insert(set, id)),
        }
    }
    found.sets = u64::try_from(first.len()).unwrap_or(u64::MAX);
    found.duplicates = u64::try_from(again.len()).unwrap_or(u64::MAX);
    found.examples = again.into_iter().take(EXAMPLES).collect();
    Ok(found)
}
