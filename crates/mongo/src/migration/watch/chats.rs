//! Chats that were written: they get the key of their participants, and become one with those who have it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc};
use onechat_core::{ChatIdentity, ParticipantsKey};

use super::super::{MigrateError, commands::persist, journal::KeyChange, survey::text};
use super::Watch;
use crate::{
    codec::field,
    error::{code, number},
};

/// How many documents one query names.
const IDS: usize = 1000;

/// A chat as it was seen.
struct Seen {
    id: Bson,
    identity: ChatIdentity,
    identity_as_stored: Document,
    key: Option<Bson>,
}

impl Watch<'_> {
    pub(super) async fn heal_chats(&mut self, ids: &[Bson]) -> Result<(), MigrateError> {
        for ids in ids.chunks(IDS) {
            let chats = self.chats(doc! { "_id": { "$in": ids } }).await?;
            let mut sets: BTreeMap<String, ChatIdentity> = BTreeMap::new();
            let mut wrong = Vec::new();
            for chat in chats {
                let key = self.key(&chat.identity);
                sets.insert(key.as_str().to_owned(), chat.identity.clone());
                if chat.key.as_ref().and_then(Bson::as_str) != Some(key.as_str()) {
                    wrong.push((chat, key.as_str().to_owned()));
                }
            }
            self.give_keys(&wrong).await?;
            self.merge_equals(&sets, ids).await?;
        }
        Ok(())
    }

    /// Gives keys, each on the condition that the chat is as it was seen. Those that are taken are left to the merge.
    async fn give_keys(&mut self, wrong: &[(Seen, String)]) -> Result<(), MigrateError> {
        if wrong.is_empty() {
            return Ok(());
        }
        self.control.pace(wrong.len() as u64).await?;
        let keys: Vec<&str> = wrong.iter().map(|(_, key)| key.as_str()).collect();
        self.migrator.take_from_outside(self.lease, self.run, &keys).await?;
        let changes: Vec<KeyChange> = wrong
            .iter()
            .map(|(chat, key)| KeyChange {
                id: chat.id.clone(),
                before: chat.key.clone(),
                after: Some(key.clone()),
            })
            .collect();
        self.migrator.journal_keys(self.lease, self.run, &changes).await?;
        let statements: Vec<Document> = wrong.iter().map(|(chat, key)| self.give(chat, key)).collect();
        let chats = self.migrator.chats_name();
        let command = doc! { "update": chats, "updates": statements, "ordered": false };
        let reply = self.migrator.write(command).await?;
        self.report.keyed += number(reply.get("nModified")).unwrap_or_default().unsigned_abs();
        for error in reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
            if number(error.get("code")) != Some(i64::from(code::DUPLICATE_KEY)) {
                let why = error.get_str("errmsg").unwrap_or_default();
                self.control.note(&format!("a chat cannot be given its key: {why}"));
            }
        }
        Ok(())
    }

    fn give(&self, chat: &Seen, key: &str) -> Document {
        let codec = &self.migrator.codec;
        let as_seen = match &chat.key {
            None => doc! { "$exists": false },
            Some(Bson::Null) => doc! { "$type": "null" },
            Some(other) => doc! { "$eq": other.clone() },
        };
        let mut filter = doc! { "_id": chat.id.clone(), codec.key_field(): as_seen };
        filter.extend(chat.identity_as_stored.clone());
        doc! {
            "q": codec.inside(filter),
            "u": { "$set": { codec.key_field(): key } },
            "collation": { "locale": "simple" },
        }
    }

    /// Merges what has the same participants, by their keys or among the chats that were written just now.
    async fn merge_equals(
        &mut self,
        sets: &BTreeMap<String, ChatIdentity>,
        written: &[Bson],
    ) -> Result<(), MigrateError> {
        let keys: Vec<&String> = sets.keys().collect();
        let key_field = self.migrator.codec.key_field();
        let mut chats = self.chats(doc! { key_field: { "$in": keys } }).await?;
        chats.extend(self.chats(doc! { "_id": { "$in": written } }).await?);
        let mut groups: BTreeMap<String, (ChatIdentity, Vec<Bson>)> = BTreeMap::new();
        for chat in chats {
            // Two identities may have one key (format `joined`): they are never merged.
            let group = groups.entry(text(&chat.identity)).or_insert((chat.identity, Vec::new()));
            if !group.1.contains(&chat.id) {
                group.1.push(chat.id);
            }
        }
        let groups: Vec<_> = groups.into_values().filter(|(_, ids)| ids.len() > 1).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let merged = self.migrator.merge_groups(self.lease, self.run, groups, self.control).await?;
        self.report.merged += merged.groups;
        self.report.moved += merged.moved;
        for example in &merged.examples {
            self.control.note(example);
        }
        Ok(())
    }

    fn key(&self, identity: &ChatIdentity) -> ParticipantsKey {
        ParticipantsKey::new(identity, self.migrator.key_format)
    }

    /// Chats under the guarantee whose participants are a set.
    async fn chats(&self, filter: Document) -> Result<Vec<Seen>, MigrateError> {
        let codec = &self.migrator.codec;
        let key = codec.key_field();
        let chats = self.migrator.database.collection::<RawDocumentBuf>(self.migrator.chats_name());
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(codec.inside(filter.clone())).projection(codec.identity_and_key());
            find.collation(simple()).await?.try_collect().await
        })
        .await?;
        let owned = |value: RawBsonRef<'_>| Bson::try_from(value).ok();
        let seen = found.iter().filter_map(|chat| {
            Some(Seen {
                id: field(chat, "_id").and_then(owned)?,
                identity: codec.identity(chat).ok()?,
                identity_as_stored: codec.identity_as_stored(chat),
                key: field(chat, key).and_then(owned),
            })
        });
        Ok(seen.collect())
    }
}

fn simple() -> mongodb::options::Collation {
    mongodb::options::Collation::builder().locale("simple").build()
}
