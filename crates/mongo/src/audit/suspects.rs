//! What looked wrong in what was read: the collections change while they are read, so it is looked at again.

use std::{collections::HashSet, time::Duration};

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::{
    StoreError,
    ports::{FindingKind, Findings},
};
use onechat_migrate::time_of;

use super::{MongoAudit, ids::shown};
use crate::{codec::field, error::unavailable};

/// How many are looked at together.
const BATCH: usize = 1000;
/// What a server stores and touches is touched by then.
const MOMENT_MS: i64 = 60_000;

/// Suspects that were not looked at again yet.
pub(super) struct Suspects<'a> {
    audit: &'a MongoAudit,
    /// The server's time when rows were judged first.
    now: i64,
    messages: Vec<(Bson, usize)>,
    references: Vec<Missing>,
    behind: Vec<Behind>,
}

/// A row whose chat was not seen.
pub(super) struct Missing {
    /// The chat's id as the row has it.
    pub(super) value: Bson,
    /// Where it stands.
    pub(super) what: String,
    /// The row's `_id`.
    pub(super) row: String,
}

/// A chat with a message that is newer than its activity.
pub(super) struct Behind {
    pub(super) id: Bson,
    pub(super) newest: i64,
    /// Whether the chat does not say when its newest message is of, as older backends may never have done.
    pub(super) has_none: bool,
}

impl<'a> Suspects<'a> {
    pub(super) async fn new(audit: &'a MongoAudit) -> Result<Self, StoreError> {
        let hello = audit.database.run_command(doc! { "hello": 1 }).await;
        let hello = hello.map_err(|error| unavailable(&error))?;
        let now = hello.get_datetime("localTime").map_or(i64::MAX, |at| at.timestamp_millis());
        Ok(Self { audit, now, messages: Vec::new(), references: Vec::new(), behind: Vec::new() })
    }

    pub(super) fn message(&mut self, chat: Bson, count: usize) {
        self.messages.push((chat, count));
    }

    pub(super) fn reference(&mut self, missing: Missing) {
        self.references.push(missing);
    }

    pub(super) fn behind(&mut self, behind: Behind) {
        self.behind.push(behind);
    }

    pub(super) fn are_many(&self) -> bool {
        self.messages.len() + self.references.len() + self.behind.len() >= BATCH
    }

    /// Looks again, and says what is still wrong.
    pub(super) async fn settle(&mut self, findings: &mut Findings) -> Result<(), StoreError> {
        self.settle_all(findings).await.map_err(|error| unavailable(&error))
    }

    async fn settle_all(&mut self, findings: &mut Findings) -> Result<(), Error> {
        let messages = std::mem::take(&mut self.messages);
        let living = self.living(messages.iter().map(|(chat, _)| chat), false).await?;
        let codec = &self.audit.codec;
        for (chat, count) in messages.iter().filter(|(chat, _)| !living.contains(&codec.same_name_of(chat))) {
            findings.add(FindingKind::OrphanedMessage, || format!("{count} in {}", shown(chat)));
        }
        let references = std::mem::take(&mut self.references);
        let living = self.living(references.iter().map(|missing| &missing.value), true).await?;
        let is_living = |missing: &&Missing| living.contains(&codec.same_name_of(&missing.value));
        for missing in references.iter().filter(|missing| !is_living(missing)) {
            findings.add(FindingKind::DanglingReference, || {
                format!("{} in the row {}", missing.what, missing.row)
            });
        }
        for behind in self.still_behind().await? {
            let kind = if behind.has_none { FindingKind::AbsentActivity } else { FindingKind::WrongActivity };
            findings.add(kind, || {
                let at = onechat_core::Timestamp::from_unix_ms(behind.newest);
                let at = at.map_or_else(|| behind.newest.to_string(), |at| at.to_string());
                format!("chat {}, whose newest message is of {at}", shown(&behind.id))
            });
        }
        Ok(())
    }

    /// Those of the ids that chats have.
    async fn living(
        &self,
        ids: impl Iterator<Item = &Bson>,
        or_public: bool,
    ) -> Result<HashSet<Vec<u8>>, Error> {
        let codec = &self.audit.codec;
        let ids: Vec<Bson> = ids.flat_map(|id| codec.names(id)).collect();
        let mut living = HashSet::new();
        let public = Some(codec.id_field()).filter(|field| or_public && *field != "_id");
        for id_field in ["_id"].into_iter().chain(public) {
            for ids in ids.chunks(BATCH) {
                let filter = doc! { id_field: { "$in": ids.to_vec() } };
                let chats = self.audit.chats();
                let mut cursor = chats.find(filter).projection(doc! { id_field: 1 }).await?;
                while let Some(chat) = cursor.try_next().await? {
                    living.extend(field(&chat, id_field).map(|id| codec.same_name(id)));
                }
            }
        }
        Ok(living)
    }

    /// A server that works stores the message first: what is behind for a moment is not wrong.
    async fn still_behind(&mut self) -> Result<Vec<Behind>, Error> {
        let (mut fresh, mut wrong): (Vec<Behind>, Vec<Behind>) = std::mem::take(&mut self.behind)
            .into_iter()
            .partition(|behind| behind.newest > self.now - MOMENT_MS);
        let field_name = &self.audit.codec.mapping().fields.last_message_at;
        for attempt in 0..5 {
            if fresh.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let ids: Vec<Bson> = fresh.iter().map(|behind| behind.id.clone()).collect();
            let collection = self.audit.chats();
            let find = collection.find(doc! { "_id": { "$in": ids } });
            let chats: Vec<RawDocumentBuf> =
                find.projection(doc! { field_name: 1 }).await?.try_collect().await?;
            fresh.retain(|behind| {
                let codec = &self.audit.codec;
                let name = codec.same_name_of(&behind.id);
                let is_it = |id| codec.same_name(id) == name;
                let chat = chats.iter().find(|chat| field(chat, "_id").is_some_and(is_it));
                let at = chat.and_then(|chat| field(chat, field_name)).and_then(time_of);
                // One that is gone was merged meanwhile.
                chat.is_some() && at.is_none_or(|at| at.timestamp_millis() < behind.newest)
            });
        }
        wrong.append(&mut fresh);
        Ok(wrong)
    }
}
