//! Makes the index unique, once nothing is left that it would forbid or hide.
//!
//! The server's own dry run stops naming violations at 8 MB, and knows nothing of chats that no key finds; so both are
//! counted here, by a user who may only read.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf, doc},
};
use onechat_core::{ChatIdentity, ParticipantsKey};
use onechat_migrate::{CollectionState, Control, name_of};
use serde::Serialize;

use super::{Lease, MigrateError, MongoMigrator};
use crate::{
    codec::field,
    error::{code, code_of, number, unavailable},
    index::simple,
    meta,
};

/// What came of making the index unique.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EnforceReport {
    /// Whether the index is unique now, or would be (dry run).
    pub is_unique: bool,
    /// How many keys more than one chat has. As long as there are any, the index cannot be unique.
    pub duplicate_keys: u64,
    /// How many chats are without their key, and could have it. As long as there are any, the index is not made unique:
    /// they would not be found any more.
    pub without_key: u64,
    /// How many chats cannot have their key, since a chat of other people, or a malformed one, has it. They keep nothing
    /// from happening, and are found by their id only.
    pub cannot_have_key: u64,
    /// The first few of all, in words, with what to do.
    pub examples: Vec<String>,
}

/// How many examples there are of each kind.
const EXAMPLES: u64 = 20;
/// How many chats without their key are compared with those who hold it at once.
const BATCH: usize = 500;
/// How often progress is told, in chats.
const STRIDE: u64 = 10_000;

/// A chat that has not the key of its participants.
struct Unkeyed {
    id: String,
    identity: ChatIdentity,
    key: ParticipantsKey,
}

impl MongoMigrator {
    /// Makes the index unique after a dry run of the server's that is clean, and notes the state `enforced` once no
    /// chat is without its key. With `dry_run` reads only.
    pub async fn enforce(
        &self,
        lease: Option<&Lease>,
        dry_run: bool,
        control: &dyn Control,
    ) -> Result<EnforceReport, MigrateError> {
        let indexes = self.indexes();
        let mut report = self.in_the_way(control).await?;
        let is_clean = report.duplicate_keys == 0 && report.without_key == 0;
        let key = indexes.on_the_key().await?;
        if dry_run || !is_clean {
            let is_protected = key.keeps_out().is_some();
            if dry_run && is_clean && !is_protected {
                report.examples.push("nothing guards the collection yet: `onechat guard on`".to_owned());
            }
            report.is_unique = key.found.is_some() || (dry_run && is_clean && is_protected);
            return Ok(report);
        }
        if key.found.is_none() {
            let Some(guarding) = &key.guarding else {
                return Err(MigrateError::Refused(format!(
                    "nothing guards {} yet, so new duplicates could come meanwhile: `onechat guard on` first",
                    self.chats_name()
                )));
            };
            control.pace(1).await?;
            if let Some(lease) = lease {
                lease.check().await?;
            }
            if !self.convert(&guarding.name).await? {
                return self.in_the_way(control).await;
            }
        }
        if let Some(lease) = lease {
            lease.check().await?;
        }
        self.agree().await?;
        if indexes.noted_state(&key).await? != CollectionState::New {
            meta::set_state(&self.database, self.codec.mapping(), CollectionState::Enforced).await?;
        }
        report.is_unique = indexes.on_the_key().await?.found.is_some();
        Ok(report)
    }

    /// Makes a guarding index unique, if the server's dry run allows it. Nothing happens if it does not.
    pub(super) async fn convert(&self, name: &str) -> Result<bool, MigrateError> {
        for dry_run in [true, false] {
            let mut modify = doc! { "collMod": self.chats_name(), "index": { "name": name, "unique": true }, "dryRun": dry_run };
            if !dry_run {
                modify.insert("writeConcern", doc! { "w": "majority" });
            }
            match self.database.run_command(modify).await {
                Ok(_) => {}
                Err(error) if code_of(&error) == Some(code::CANNOT_CONVERT_INDEX_TO_UNIQUE) => {
                    return Ok(false);
                }
                Err(error) => return Err(unavailable(&error).into()),
            }
        }
        Ok(true)
    }

    async fn in_the_way(&self, control: &dyn Control) -> Result<EnforceReport, MigrateError> {
        let mut report = EnforceReport::default();
        self.count_duplicate_keys(&mut report).await?;
        self.count_unkeyed(&mut report, control).await?;
        Ok(report)
    }

    /// Grouped by the server, which spills to its disk, and read page by page.
    async fn count_duplicate_keys(&self, report: &mut EnforceReport) -> Result<(), MigrateError> {
        let key = self.codec.key_field();
        let stages = [
            doc! { "$match": { key: { "$gt": "" } } },
            doc! { "$group": { "_id": format!("${key}"), "chats": { "$sum": 1 } } },
            doc! { "$match": { "chats": { "$gt": 1 } } },
        ];
        let chats = self.all_chats();
        let groups = chats.aggregate(stages).allow_disk_use(true).collation(simple());
        let mut groups = groups.await.map_err(|error| unavailable(&error))?;
        while let Some(group) = groups.try_next().await.map_err(|error| unavailable(&error))? {
            report.duplicate_keys += 1;
            if report.duplicate_keys <= EXAMPLES
                && let Some(held) = group.get("_id")
            {
                let count = number(group.get("chats")).unwrap_or_default();
                report.examples.push(self.describe_duplicates(held, count).await?);
            }
        }
        Ok(())
    }

    /// Who has the key, and who of them is malformed: those are never touched by a merge.
    async fn describe_duplicates(&self, held: &Bson, count: i64) -> Result<String, MigrateError> {
        let key = self.codec.key_field();
        let chats = self.all_chats();
        let find = chats.find(doc! { key: held.clone() }).collation(simple());
        let mut chats = find
            .projection(self.codec.identity_and_key())
            .limit(10)
            .await
            .map_err(|error| unavailable(&error))?;
        let (mut sound, mut malformed) = (Vec::new(), Vec::new());
        while let Some(chat) = chats.try_next().await.map_err(|error| unavailable(&error))? {
            match self.codec.identity(&chat) {
                Ok(_) => sound.push(id_of(&chat)),
                Err(reason) => malformed.push(format!("{} has {reason}", id_of(&chat))),
            }
        }
        let among = if sound.is_empty() {
            String::new()
        } else {
            format!(", among them {}: `onechat backfill` and `onechat merge apply`", sound.join(", "))
        };
        let untouched = if malformed.is_empty() {
            String::new()
        } else {
            format!(
                "; malformed, so never touched: {}. Put their participants right, or take their {key} away \
                 ($unset), by hand",
                malformed.join(", ")
            )
        };
        Ok(format!("the key {held} is that of {count} chats{among}{untouched}"))
    }

    /// Looks at every chat: a wrong key hides a chat as well as none. Malformed chats have no set, so no key.
    async fn count_unkeyed(
        &self,
        report: &mut EnforceReport,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let chats = self.all_chats();
        let total = chats.estimated_document_count().await.map_err(|error| unavailable(&error))?;
        let find = chats.find(self.codec.inside(doc! {})).projection(self.codec.identity_and_key());
        let mut cursor = find.await.map_err(|error| unavailable(&error))?;
        let (mut done, mut batch) = (0, Vec::new());
        while let Some(chat) = cursor.try_next().await.map_err(|error| unavailable(&error))? {
            batch.extend(self.unkeyed(&chat));
            if batch.len() >= BATCH {
                self.sort_out(std::mem::take(&mut batch), report).await?;
            }
            done += 1;
            if done % STRIDE == 0 {
                control.pace(0).await?;
                control.advance("enforce", done, total.max(done));
            }
        }
        self.sort_out(batch, report).await?;
        control.advance("enforce", done, done);
        Ok(())
    }

    fn unkeyed(&self, chat: &RawDocument) -> Option<Unkeyed> {
        let identity = self.codec.identity(chat).ok()?;
        let key = ParticipantsKey::new(&identity, self.key_format);
        let stored = field(chat, self.codec.key_field()).and_then(RawBsonRef::as_str);
        (stored != Some(key.as_str())).then(|| Unkeyed { id: id_of(chat), identity, key })
    }

    /// Whether chats without their key could have it depends on who has it now.
    async fn sort_out(&self, batch: Vec<Unkeyed>, report: &mut EnforceReport) -> Result<(), MigrateError> {
        if batch.is_empty() {
            return Ok(());
        }
        let key_field = self.codec.key_field();
        let keys: Vec<&str> = batch.iter().map(|chat| chat.key.as_str()).collect();
        let chats = self.all_chats();
        let holding = self.codec.inside(doc! { key_field: { "$in": keys } });
        let find = chats.find(holding).projection(self.codec.identity_and_key());
        let mut cursor = find.collation(simple()).await.map_err(|error| unavailable(&error))?;
        let mut holders: HashMap<String, Vec<(String, Option<ChatIdentity>)>> = HashMap::new();
        while let Some(chat) = cursor.try_next().await.map_err(|error| unavailable(&error))? {
            if let Some(key) = field(&chat, key_field).and_then(RawBsonRef::as_str) {
                let holder = (id_of(&chat), self.codec.identity(&chat).ok());
                holders.entry(key.to_owned()).or_default().push(holder);
            }
        }
        for Unkeyed { id, identity, key } in batch {
            let of_key = holders.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
            let own = of_key.iter().find(|(_, of)| of.as_ref() == Some(&identity));
            let (count, text) = match (own, of_key.first()) {
                (Some((holder, _)), _) => (
                    &mut report.without_key,
                    format!(
                        "the chat {id} is a duplicate of {holder}, which has their key {:?}: `onechat merge apply`",
                        key.as_str()
                    ),
                ),
                (None, Some((holder, of))) => {
                    let whose = if of.is_some() { "a chat of other people" } else { "a malformed chat" };
                    (
                        &mut report.cannot_have_key,
                        format!(
                            "the chat {id} cannot have its key {:?}, which is that of {holder}, {whose}: it is found by \
                             its id only, until the other key is put right",
                            key.as_str()
                        ),
                    )
                }
                (None, None) => (
                    &mut report.without_key,
                    format!("the chat {id} should have the key {:?}: `onechat backfill`", key.as_str()),
                ),
            };
            *count += 1;
            if *count <= EXAMPLES {
                report.examples.push(text);
            }
        }
        Ok(())
    }

    fn all_chats(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(self.chats_name())
    }
}

/// A chat's `_id`, as people write it.
fn id_of(chat: &RawDocument) -> String {
    let id = field(chat, "_id");
    id.and_then(|id| name_of(id, None)).unwrap_or_else(|| format!("with the _id {id:?}"))
}
