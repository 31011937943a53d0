//! The chat of each identity: found by its key, or made.

use std::{collections::HashMap, time::Duration};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId};
use onechat_core::{Chat, ChatId, ChatIdentity, Participant, ParticipantsKey, Roles, StoreError, Timestamp};

use super::{
    super::{MigrateError, MongoMigrator, commands::persist, journal::MadeChat, survey::bytes_of},
    ChatsReport,
    pairs::Pair,
    raise::Times,
    write::Work,
};
use crate::{
    ChatIdForm, IdMapping,
    codec::field,
    error::{Written, number, sort_out},
    index::{simple, simple_document},
};

/// How often a chat is looked for whose key somebody has just taken, and how long to wait before the next look.
const LOOKS: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// A new chat has changed this long before its first message, in ms: so it shows that it changes with it.
const BEFORE_MS: i64 = 1000;

/// A chat that has the key of an identity.
pub(super) struct Holder {
    pub(super) id: Bson,
    identity: Option<ChatIdentity>,
    pub(super) times: Times,
}

/// Chats by their keys.
pub(super) type Holders = HashMap<String, Vec<Holder>>;

/// The chat under the key, if it is really theirs.
pub(super) fn own<'a>(holders: &'a Holders, key: &str, identity: &ChatIdentity) -> Option<&'a Holder> {
    let own = holders.get(key)?.iter().filter(|holder| holder.identity.as_ref() == Some(identity));
    own.min_by_key(|holder| bytes_of(&holder.id))
}

impl MongoMigrator {
    pub(super) fn key_of(&self, pair: &Pair) -> ParticipantsKey {
        ParticipantsKey::new(&pair.identity, self.key_format)
    }

    async fn holders_of(&self, keys: &[ParticipantsKey]) -> Result<Holders, MigrateError> {
        let (codec, fields) = (&self.codec, &self.codec.mapping().fields);
        let wanted: Vec<&str> = keys.iter().map(ParticipantsKey::as_str).collect();
        let filter = codec.inside(doc! { codec.key_field(): { "$in": wanted } });
        let mut projection = codec.identity_and_key();
        projection.extend(doc! { &fields.last_message_at: 1, &fields.updated_at: 1 });
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(filter.clone()).projection(projection.clone());
            find.collation(simple()).await?.try_collect().await
        })
        .await?;
        let mut holders = Holders::new();
        for chat in &found {
            let key = field(chat, codec.key_field()).and_then(RawBsonRef::as_str);
            let id = field(chat, "_id").and_then(|id| Bson::try_from(id).ok());
            let (Some(key), Some(id)) = (key, id) else { continue };
            let holder = Holder { id, identity: codec.identity(chat).ok(), times: Times::of(chat, fields) };
            holders.entry(key.to_owned()).or_default().push(holder);
        }
        Ok(holders)
    }

    /// Adds what would come of a batch.
    pub(super) async fn forecast_chats(
        &self,
        pairs: &[Pair],
        report: &mut ChatsReport,
    ) -> Result<(), MigrateError> {
        let keys: Vec<ParticipantsKey> = pairs.iter().map(|pair| self.key_of(pair)).collect();
        let holders = self.holders_of(&keys).await?;
        for (pair, key) in pairs.iter().zip(&keys) {
            let is_there = holders.contains_key(key.as_str());
            if is_there && own(&holders, key.as_str(), &pair.identity).is_none() {
                report.block(pair.rows.len(), || key_is_taken(pair, key));
                continue;
            }
            report.made += u64::from(!is_there && pair.is_first);
            report.pointed += pair.rows.len() as u64;
        }
        Ok(())
    }

    /// New chats match `only`: the server says so.
    pub(super) async fn ensure_new_chats_are_inside(&self, pairs: &[Pair]) -> Result<(), MigrateError> {
        let Some(pair) = pairs.first() else { return Ok(()) };
        let new = self.new_chat(pair, &self.key_of(pair), 0)?;
        self.ensure_inside(&[&new]).await
    }

    async fn ensure_inside(&self, chats: &[&Document]) -> Result<(), MigrateError> {
        let Some(only) = self.codec.only().filter(|_| !chats.is_empty()) else { return Ok(()) };
        let documents: Vec<Document> = chats.iter().map(|chat| (*chat).clone()).collect();
        let command = doc! {
            "aggregate": 1,
            "pipeline": [
                { "$documents": { "$literal": documents } }, { "$match": only.document().clone() },
                { "$count": "inside" },
            ],
            "cursor": {}, "collation": simple_document(),
        };
        let reply = persist(|| async { self.database.run_command(command.clone()).await }).await?;
        let cursor = reply.get_document("cursor").ok();
        let found = cursor.and_then(|cursor| cursor.get_array("firstBatch").ok()?.first()?.as_document());
        let inside = found.and_then(|found| number(found.get("inside"))).unwrap_or_default();
        if inside.unsigned_abs() == chats.len() as u64 {
            return Ok(());
        }
        Err(MigrateError::Refused(format!(
            "chats that are made of messages would be outside `only`, {only}: [mongodb.constants] gives new chats the fields \
             that it asks for"
        )))
    }

    /// The chat that a pair gets if it has none.
    fn new_chat(&self, pair: &Pair, key: &ParticipantsKey, now: i64) -> Result<Document, MigrateError> {
        let mapping = self.codec.mapping();
        let is_uuid = mapping.chat_id.is_some_and(ChatIdForm::is_uuid);
        let id = match mapping.id {
            IdMapping::ObjectId if !is_uuid => ObjectId::new().to_hex(),
            _ => uuid::Uuid::new_v4().to_string(),
        };
        let created_at = timestamp(pair.oldest.unwrap_or(now))?;
        let chat = Chat {
            id: ChatId::new(id).map_err(|error| StoreError::Corrupt(error.to_string()))?,
            identity: pair.identity.clone(),
            participants_key: key.clone(),
            created_at,
            updated_at: timestamp(created_at.unix_ms().saturating_sub(BEFORE_MS)).unwrap_or(created_at),
            last_message_at: None,
        };
        Ok(self.codec.new_chat(&chat, &Roles::default())?)
    }
}

impl Work<'_> {
    /// The chats that have the keys. Whoever has none has one afterwards, made by whoever was the fastest.
    pub(super) async fn found_or_made(
        &mut self,
        pairs: &[Pair],
        keys: &[ParticipantsKey],
    ) -> Result<Holders, MigrateError> {
        let mut made: HashMap<usize, Document> = HashMap::new();
        for look in 0..LOOKS {
            let holders = self.migrator.holders_of(keys).await?;
            let missing: Vec<usize> =
                (0..pairs.len()).filter(|at| !holders.contains_key(keys[*at].as_str())).collect();
            if missing.is_empty() {
                let is_ours = |(at, chat): (&usize, &Document)| {
                    let own = own(&holders, keys[*at].as_str(), &pairs[*at].identity);
                    own.is_some_and(|holder| chat.get("_id") == Some(&holder.id))
                };
                self.report.made += made.iter().map(is_ours).map(u64::from).sum::<u64>();
                return Ok(holders);
            }
            // Who was faster may not be known to most members yet.
            if look > 1 {
                tokio::time::sleep(PAUSE).await;
            }
            self.make(pairs, keys, &missing, &mut made).await?;
        }
        Err(StoreError::Unavailable("chats are made and removed over and over".to_owned()).into())
    }

    async fn make(
        &self,
        pairs: &[Pair],
        keys: &[ParticipantsKey],
        missing: &[usize],
        made: &mut HashMap<usize, Document>,
    ) -> Result<(), MigrateError> {
        let (migrator, now) = (self.migrator, self.lease.now().timestamp_millis());
        let mut new = Vec::new();
        for at in missing.iter().filter(|at| !made.contains_key(*at)) {
            new.push((*at, migrator.new_chat(&pairs[*at], &keys[*at], now)?));
        }
        migrator.ensure_inside(&new.iter().map(|(_, chat)| chat).collect::<Vec<_>>()).await?;
        let wanted: Vec<&str> = missing.iter().map(|at| keys[*at].as_str()).collect();
        migrator.take_from_outside(self.lease, self.run, &wanted).await?;
        if !new.is_empty() {
            let images = new.iter().map(|(_, chat)| {
                let image =
                    RawDocumentBuf::try_from(chat).map_err(|error| StoreError::Corrupt(error.to_string()))?;
                Ok(MadeChat { id: chat.get("_id").cloned().unwrap_or(Bson::Null), image })
            });
            let images = images.collect::<Result<Vec<MadeChat>, StoreError>>()?;
            migrator.journal_made(self.lease, self.run, &images).await?;
        }
        made.extend(new);
        let documents: Vec<&Document> = missing.iter().filter_map(|at| made.get(at)).collect();
        let count = documents.len();
        let chats = migrator.chats_name();
        let insert = doc! { "insert": chats, "documents": documents, "ordered": false };
        let reply = migrator.write(insert).await?;
        for written in sort_out(&reply, count) {
            match written {
                Written::Stored => {}
                // An earlier try of ours, or somebody was faster.
                Written::Duplicate(fields) if fields == ["_id"] || fields == [migrator.codec.key_field()] => {
                }
                Written::Duplicate(fields) => {
                    return Err(MigrateError::Refused(format!(
                        "a unique index of {chats} on {} is in the way of new chats: drop it, or give new chats a value of \
                         their own there",
                        fields.join(", ")
                    )));
                }
                Written::Refused(why) => {
                    return Err(MigrateError::Refused(format!("no chat can be made in {chats}: {why}")));
                }
                Written::Unknown(why) => {
                    return Err(StoreError::Unavailable(format!("{chats}: {why}")).into());
                }
            }
        }
        Ok(())
    }
}

pub(super) fn timestamp(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_unix_ms(ms).ok_or_else(|| StoreError::Corrupt(format!("{ms} ms is no time")))
}

pub(super) fn key_is_taken(pair: &Pair, key: &ParticipantsKey) -> String {
    let people: Vec<&str> = pair.identity.participants.members().iter().map(Participant::as_str).collect();
    format!("{} have no chat, since a chat of others has their key {:?}", people.join(" and "), key.as_str())
}
