//! How far a collection has come, for those who follow it: what is noted, or what shows if nothing is noted yet.

use std::time::Duration;

use mongodb::bson::{RawDocumentBuf, doc};
use onechat_core::StoreError;
use onechat_migrate::CollectionState;

use crate::{
    IndexError, MongoIndexes,
    error::{code, code_of, unavailable},
    formula::other_formula,
    guard::PERIOD,
    index::{IndexStatus, simple},
    meta,
};

/// How long a chat without a key is looked for before a collection is taken to have some.
const PATIENCE: Duration = Duration::from_secs(5);
/// Within this time every server that can write has seen a new state.
pub(crate) const UNTIL_ALL_KNOW: Duration = PERIOD.saturating_add(Duration::from_secs(1));

impl MongoIndexes {
    /// The state that is noted; what shows, if nothing is noted. Changes nothing.
    pub(crate) async fn state(&self, key: &IndexStatus) -> Result<CollectionState, StoreError> {
        match meta::state(&self.database, self.codec.mapping()).await? {
            Some(noted) => Ok(noted),
            None => self.derived(key).await,
        }
    }

    /// The state that is noted. If nothing is, what shows is noted: of servers that race, all follow the first.
    pub(crate) async fn noted_state(&self, key: &IndexStatus) -> Result<CollectionState, StoreError> {
        let mapping = self.codec.mapping();
        if let Some(noted) = meta::state(&self.database, mapping).await? {
            return Ok(noted);
        }
        let derived = self.derived(key).await?;
        let noted = meta::note_first_state(&self.database, mapping, derived).await?;
        tracing::info!(event = "state_noted", %derived, %noted, "the collection had no state yet");
        Ok(noted)
    }

    /// Notes that a collection without protection has one now.
    pub(crate) async fn note_protected(&self) -> Result<(), StoreError> {
        let mapping = self.codec.mapping();
        if meta::state(&self.database, mapping).await? != Some(CollectionState::Unmigrated) {
            return Ok(());
        }
        let derived = self.derived(&self.on_the_key().await?).await?;
        meta::set_state(&self.database, mapping, derived).await
    }

    /// Notes that nothing may be created any more, and waits until every server knows: none of them may be in the
    /// middle of creating a chat when what keeps duplicates out goes.
    pub(crate) async fn tell_servers_to_stop(&self) -> Result<(), IndexError> {
        let mapping = self.codec.mapping();
        let key = self.on_the_key().await?;
        let knew = meta::state(&self.database, mapping).await? == Some(CollectionState::Unmigrated);
        meta::set_state(&self.database, mapping, CollectionState::Unmigrated).await?;
        if !knew && key.keeps_out().is_some() {
            tokio::time::sleep(UNTIL_ALL_KNOW).await;
        }
        Ok(())
    }

    /// What the collection looks like to somebody who knows nothing of its history.
    async fn derived(&self, key: &IndexStatus) -> Result<CollectionState, StoreError> {
        let chats = self.database.collection::<RawDocumentBuf>(&self.codec.mapping().chats);
        let any = chats.find_one(doc! {}).projection(doc! { "_id": 1 }).await;
        if any.map_err(|error| unavailable(&error))?.is_none() {
            return Ok(CollectionState::New);
        }
        if key.found.is_none() {
            let is_guarded = key.guarding.is_some();
            return Ok(if is_guarded { CollectionState::Guarded } else { CollectionState::Unmigrated });
        }
        // Another program's index on keys of its own formula keeps no duplicates of ours out.
        let format = meta::key_format(&self.database, self.codec.mapping()).await?.unwrap_or_default();
        let formula = other_formula(&self.database, &self.codec, format).await;
        if formula.map_err(|error| unavailable(&error))?.is_some() {
            return Ok(CollectionState::Unmigrated);
        }
        let keyless = doc! { self.codec.key_field(): { "$not": { "$gt": "" } } };
        let find = chats.find_one(keyless).projection(doc! { "_id": 1 }).collation(simple());
        match find.max_time(PATIENCE).await {
            Ok(None) => Ok(CollectionState::Enforced),
            Ok(Some(_)) => Ok(CollectionState::Guarded),
            // Too many to look through: looking by participants as well is never wrong.
            Err(error) if code_of(&error) == Some(code::MAX_TIME_MS_EXPIRED) => Ok(CollectionState::Guarded),
            Err(error) => Err(unavailable(&error)),
        }
    }
}
