//! What keeps duplicates out, and how far the collection has come.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use onechat_core::{
    StoreError,
    ports::{FindingKind, Findings},
};
use onechat_migrate::CollectionState;

use super::MongoAudit;
use crate::{
    IndexPurpose, MongoIndexes,
    error::{code, code_of, unavailable},
    meta::META,
};

impl MongoAudit {
    pub(super) async fn check_protection(&self, findings: &mut Findings) -> Result<(), StoreError> {
        let collection = &self.codec.mapping().chats;
        let status = MongoIndexes::new(self.database.clone(), self.codec.clone()).status().await?;
        let is_unique = status
            .iter()
            .any(|status| status.purpose == IndexPurpose::OneChatPerKey && status.found.is_some());
        let guard = self.guarding_index().await?;
        let state = self.noted_state().await?;
        if !is_unique && guard.is_none() {
            findings.add(FindingKind::MissingUniqueIndex, || format!("collection {collection}"));
        } else if state == Some(CollectionState::Unmigrated) {
            findings.add(FindingKind::NotMigrated, || format!("collection {collection}"));
        } else if let (false, Some(name)) = (is_unique, guard) {
            findings.add(FindingKind::Guarded, || {
                format!("collection {collection}, whose index {name} refuses new duplicates")
            });
        } else if state == Some(CollectionState::Guarded) {
            findings.add(FindingKind::Guarded, || {
                format!("collection {collection}: there may be chats without a key")
            });
        }
        Ok(())
    }

    /// The index on the key that refuses new duplicates while old ones still stand.
    async fn guarding_index(&self) -> Result<Option<String>, StoreError> {
        let list = doc! { "listIndexes": &self.codec.mapping().chats };
        let indexes: Vec<Document> = match self.database.run_cursor_command(list).await {
            Ok(cursor) => cursor.try_collect().await.map_err(|error| unavailable(&error))?,
            Err(error) if code_of(&error) == Some(code::NAMESPACE_NOT_FOUND) => return Ok(None),
            Err(error) => return Err(unavailable(&error)),
        };
        let is_on_the_key = |index: &Document| {
            let key = index.get_document("key");
            key.is_ok_and(|key| key.keys().eq([self.codec.key_field()]))
        };
        let found = indexes.iter().find(|index| {
            is_on_the_key(index)
                && index.get_bool("prepareUnique").unwrap_or(false)
                && !index.get_bool("hidden").unwrap_or(false)
                && !index.contains_key("collation")
        });
        Ok(found.map(|index| index.get_str("name").unwrap_or_default().to_owned()))
    }

    async fn noted_state(&self) -> Result<Option<CollectionState>, StoreError> {
        let notes = self.database.collection::<Document>(META);
        let note = notes.find_one(doc! { "_id": &self.codec.mapping().chats }).await;
        let note = note.map_err(|error| unavailable(&error))?;
        Ok(note.and_then(|note| note.get_str("state").ok()?.parse().ok()))
    }
}
