//! Guard and rollback: what keeps duplicates out while old ones still stand, and how it is taken away again.
//!
//! Servers follow the state, so the order matters: protection first and then the state that relies on it, and the
//! other way round when it goes. Cut off between the two, servers create too little, never too much.

use mongodb::bson::{Document, doc};
use onechat_migrate::{CollectionState, Control};
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator};
use crate::{IndexError, IndexPurpose, MongoIndexes, meta, needed::needed};

/// What protects the collection now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtectionStatus {
    /// The state that servers follow.
    #[serde(serialize_with = "by_name")]
    pub state: CollectionState,
    /// The index on the key that is used, if any.
    pub index: Option<String>,
    /// Whether it is unique, or keeps new duplicates out (`prepareUnique`).
    pub keeps_duplicates_out: bool,
    /// Whether it is unique.
    pub is_unique: bool,
    /// Whether the collection's validator requires a key.
    pub requires_key: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn by_name<S: serde::Serializer>(state: &CollectionState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

impl MongoMigrator {
    /// What protects the collection. Reads only.
    pub async fn protection(&self) -> Result<ProtectionStatus, MigrateError> {
        let indexes = self.indexes();
        let key = indexes.on_the_key().await?;
        let index = match key.keeps_out() {
            Some(index) => Some(index.name.clone()),
            None => self.plain_index(&indexes).await?,
        };
        Ok(ProtectionStatus {
            state: indexes.state(&key).await?,
            index,
            keeps_duplicates_out: key.keeps_out().is_some(),
            is_unique: key.found.is_some(),
            requires_key: self.requires_key().await?,
        })
    }

    /// Makes the index (not unique yet) and lets it keep new duplicates out; with `require_key` also a validator that refuses
    /// new documents without a key. From then on servers adopt chats without a key. Does nothing that is done already: an
    /// index of another program that is unique is guard enough.
    pub async fn guard_on(
        &self,
        lease: &Lease,
        require_key: bool,
        control: &dyn Control,
    ) -> Result<ProtectionStatus, MigrateError> {
        self.ensure_outside_keys_may_be_taken().await?;
        self.ensure_keys_are_ours().await?;
        self.agree().await?;
        if require_key && meta::is_replacing(&self.database, self.codec.mapping()).await? {
            return Err(MigrateError::Refused(
                "servers of the previous keys create chats without the new key, which may not be required before \
                 `onechat rekey finish`: leave --require-key out"
                    .to_owned(),
            ));
        }
        let indexes = self.indexes();
        lease.check().await?;
        indexes.create_where_empty().await.map_err(of_index)?;
        let before = indexes.on_the_key().await?;
        let state = indexes.noted_state(&before).await?;
        self.build_for_servers(lease, &indexes, control).await?;
        if before.keeps_out().is_none() {
            lease.check().await?;
            self.make_guard(&indexes, control).await?;
        }
        if require_key {
            lease.check().await?;
            self.require_key(control).await?;
        }
        // Building an index can take long.
        lease.check().await?;
        let is_further = matches!(state, CollectionState::New | CollectionState::Enforced);
        if !(is_further && before.keeps_out().is_some()) {
            meta::set_state(&self.database, self.codec.mapping(), CollectionState::Guarded).await?;
        }
        self.protection().await
    }

    /// Takes the guard off: index back to plain, validator as it was. The state becomes `unmigrated`.
    pub async fn guard_off(&self, lease: &Lease) -> Result<ProtectionStatus, MigrateError> {
        self.agree().await?;
        lease.check().await?;
        let indexes = self.indexes();
        if let Some(unique) = indexes.on_the_key().await?.found {
            return Err(MigrateError::Refused(format!(
                "the index {} of {} is unique, which is more than a guard: `onechat rollback` drops it",
                unique.name,
                self.chats_name()
            )));
        }
        indexes.tell_servers_to_stop().await.map_err(of_index)?;
        while let Some(guarding) = indexes.on_the_key().await?.guarding {
            lease.check().await?;
            self.modify_index(doc! { "name": guarding.name, "prepareUnique": false }).await?;
        }
        lease.check().await?;
        self.give_validator_back().await?;
        self.protection().await
    }

    /// Drops every unique or guarding index on the key, and the validator's requirement; the state becomes `unmigrated`. The names
    /// of what was dropped.
    pub async fn rollback(&self, lease: &Lease) -> Result<Vec<String>, MigrateError> {
        self.agree().await?;
        lease.check().await?;
        let indexes = self.indexes();
        let mut dropped = indexes.drop().await.map_err(of_index)?;
        lease.check().await?;
        if let Some(plain) = self.plain_index(&indexes).await? {
            indexes.drop_one(&plain).await.map_err(of_index)?;
            dropped.push(format!("{}.{plain}", self.chats_name()));
        }
        self.give_validator_back().await?;
        Ok(dropped)
    }

    pub(super) fn indexes(&self) -> MongoIndexes {
        MongoIndexes::new(self.database.clone(), self.codec.clone())
    }

    /// Notes the key format, and with it that there is a collection whose state can be noted.
    pub(super) async fn agree(&self) -> Result<(), MigrateError> {
        let configured = meta::Configured::new(self.key_format, self.codec.mapping());
        let agreed = meta::agree(&self.database, &configured).await;
        agreed.map_err(|error| MigrateError::Refused(error.to_string()))
    }

    /// Changes an index of the chats as `collMod` does.
    pub(super) async fn modify_index(&self, change: Document) -> Result<(), MigrateError> {
        self.write(doc! { "collMod": self.chats_name(), "index": change }).await?;
        Ok(())
    }

    /// The name of our index on the key, if it is neither unique nor guarding.
    async fn plain_index(&self, indexes: &MongoIndexes) -> Result<Option<String>, MigrateError> {
        let needed = indexes.needed_on_the_key();
        let listed = indexes.listed(true).await?;
        let plain = listed.iter().find(|index| needed.could_guard(index));
        Ok(plain.and_then(|index| index.get_str("name").ok()).map(str::to_owned))
    }

    async fn make_guard(&self, indexes: &MongoIndexes, control: &dyn Control) -> Result<(), MigrateError> {
        let name = if let Some(name) = self.plain_index(indexes).await? {
            name
        } else {
            let needed = indexes.needed_on_the_key();
            control.pace(1).await?;
            control.note(&format!("building the index {} of {}", needed.name, needed.collection));
            indexes.build(&needed, false).await.map_err(of_index)?;
            needed.name
        };
        let guard = self.modify_index(doc! { "name": &name, "prepareUnique": true }).await;
        if indexes.on_the_key().await?.keeps_out().is_some() {
            return Ok(());
        }
        guard?;
        Err(MigrateError::Refused(format!(
            "the server does not show {name} as guarding: this needs MongoDB 6.0 or newer, with its featureCompatibilityVersion"
        )))
    }

    /// Everything else that servers need: to find chats by participants, and to store each message once. What is in
    /// the way of that has to be seen to, but not before duplicates are kept out.
    pub(super) async fn build_for_servers(
        &self,
        lease: &Lease,
        indexes: &MongoIndexes,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let status = indexes.status().await?;
        for (needed, status) in needed(&self.codec).into_iter().zip(status) {
            if needed.purpose == IndexPurpose::OneChatPerKey || status.keeps_out().is_some() {
                continue;
            }
            control.pace(1).await?;
            lease.check().await?;
            control.note(&format!("building the index {} of {}", needed.name, needed.collection));
            match indexes.build(&needed, needed.purpose.is_unique()).await {
                Err(
                    in_the_way @ (IndexError::Duplicates { .. }
                    | IndexError::InTheWay { .. }
                    | IndexError::Arrays { .. }),
                ) => {
                    control.note(&format!("{} was not made: {in_the_way}", needed.name));
                }
                other => other.map_err(of_index)?,
            }
        }
        Ok(())
    }
}

pub(super) fn of_index(error: IndexError) -> MigrateError {
    match error {
        IndexError::Store(error) => error.into(),
        other => MigrateError::Refused(other.to_string()),
    }
}
