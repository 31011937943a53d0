//! The times of a chat into which messages come that were sent long ago.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use onechat_core::{StoreError, Timestamp};

use super::{
    super::{
        MigrateError, MongoMigrator,
        commands::persist,
        journal::{EntryState, Pointed, Raise, shown},
        survey::bytes_of,
    },
    as_seen,
    write::Work,
};
use crate::{
    ChatFields, TimeForm,
    codec::field,
    error::{code, number},
    index::simple_document,
};

/// How often times are raised that somebody else raises at the same moment.
const RAISES: usize = 20;

/// The times of a chat as they are stored, and what they mean.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    last: Option<(Bson, Option<Timestamp>)>,
    updated: Option<(Bson, Option<Timestamp>)>,
}

impl Times {
    pub(super) fn of(chat: &RawDocument, fields: &ChatFields) -> Self {
        let time = |name: &str| {
            let value = field(chat, name)?;
            Some((Bson::try_from(value).ok()?, fields.times.read_any(value)))
        };
        Self { last: time(&fields.last_message_at), updated: time(&fields.updated_at) }
    }

    /// What they become by messages of which the newest is of this time. That the chat has changed shows even if something later
    /// is in it: who reads its messages whenever `updatedAt` has changed misses none.
    pub(super) fn raised(&self, fields: &ChatFields, newest: Option<Timestamp>) -> Raise {
        let mut raise = Raise::default();
        let mut set = |name: &str, stored: &Option<(Bson, Option<Timestamp>)>, at: Timestamp| {
            raise.before.extend(stored.iter().map(|(value, _)| (name.to_owned(), value.clone())));
            raise.after.insert(name, fields.times.written(at));
        };
        let at = |stored: &Option<(Bson, Option<Timestamp>)>| stored.as_ref().and_then(|(_, at)| *at);
        if let Some(newest) = newest.filter(|newest| at(&self.last).is_none_or(|last| last < *newest)) {
            set(&fields.last_message_at, &self.last, newest);
        }
        let next = at(&self.updated).map(|updated| after(fields.times, updated));
        if let Some(next) = next.max(newest) {
            set(&fields.updated_at, &self.updated, next);
        }
        raise
    }
}

/// The least time that this form tells from this one.
fn after(form: TimeForm, at: Timestamp) -> Timestamp {
    let step = if form == TimeForm::Seconds { 1000 } else { 1 };
    Timestamp::from_unix_ms(at.unix_ms().saturating_add(step)).unwrap_or(at)
}

/// The newest message that a raise is for, if it shows.
fn newest_of(raise: &Raise, fields: &ChatFields) -> Option<Timestamp> {
    let value = raise.after.get(&fields.last_message_at)?;
    let one = RawDocumentBuf::try_from(&doc! { "at": value.clone() }).ok()?;
    field(&one, "at").and_then(|value| fields.times.read_any(value))
}

impl Work<'_> {
    /// Raises the times of chats, after their messages can be read there.
    pub(super) async fn raise(&self, rows: &[Pointed]) -> Result<(), MigrateError> {
        let raises: Vec<(&Bson, &Raise)> =
            rows.iter().filter_map(|row| Some((&row.to, row.raise.as_ref()?))).collect();
        if raises.is_empty() || self.raise_by(&raises).await? == raises.len() as u64 {
            return Ok(());
        }
        let fields = &self.migrator.codec.mapping().fields;
        let done = self.raised_already(&raises).await?;
        for (chat, raise) in raises {
            if !done.contains(&bytes_of(chat)) {
                self.raise_again(chat, newest_of(raise, fields)).await?;
            }
        }
        Ok(())
    }

    async fn raise_by(&self, raises: &[(&Bson, &Raise)]) -> Result<u64, MigrateError> {
        let updates = raises.iter().map(|(chat, raise)| {
            let mut query = doc! { "_id": (*chat).clone() };
            query.extend(
                raise.after.keys().map(|name| (name.clone(), as_seen(raise.before.get(name)).into())),
            );
            doc! { "q": query, "u": { "$set": raise.after.clone() }, "collation": simple_document() }
        });
        let updates: Vec<Document> = updates.collect();
        let chats = self.migrator.chats_name();
        let reply =
            self.migrator.write(doc! { "update": chats, "updates": updates, "ordered": false }).await?;
        let mut forbidden = 0;
        for error in reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
            let why = error.get_str("errmsg").unwrap_or_default();
            // A rule of the collection forbids it, for what is stored in the chat: the messages are pointed all the same.
            if number(error.get("code")) != Some(i64::from(code::DOCUMENT_VALIDATION_FAILURE)) {
                return Err(StoreError::Unavailable(format!("{chats}: {why}")).into());
            }
            forbidden += 1;
        }
        Ok(number(reply.get("n")).unwrap_or_default().unsigned_abs() + forbidden)
    }

    /// Those of the chats that have the times which they were to have.
    async fn raised_already(&self, raises: &[(&Bson, &Raise)]) -> Result<HashSet<Vec<u8>>, MigrateError> {
        let ids: Vec<&Bson> = raises.iter().map(|(chat, _)| *chat).collect();
        let found = self.migrator.times_of(&ids).await?;
        let is_done = |(chat, raise): &&(&Bson, &Raise)| {
            let now = found.get(&bytes_of(chat));
            now.is_none_or(|now| raise.after.iter().all(|(name, value)| now.get(name) == Some(value)))
        };
        Ok(raises.iter().filter(is_done).map(|(chat, _)| bytes_of(chat)).collect())
    }

    /// Somebody else has raised the times at the same moment.
    async fn raise_again(&self, chat: &Bson, newest: Option<Timestamp>) -> Result<(), MigrateError> {
        let fields = &self.migrator.codec.mapping().fields;
        for _ in 0..RAISES {
            let found = self.migrator.times_of(&[chat]).await?;
            let Some(now) = found.get(&bytes_of(chat)) else { return Ok(()) };
            let raw =
                RawDocumentBuf::try_from(now).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let raise = Times::of(&raw, fields).raised(fields, newest);
            let row = Pointed {
                to: chat.clone(),
                absent: Vec::new(),
                null: Vec::new(),
                raise: Some(raise.clone()),
            };
            let noted = self.migrator.journal_pointed(self.lease, self.run, &[row]).await?;
            let raised = self.raise_by(&[(chat, &raise)]).await?;
            self.migrator.set_state(&[noted], EntryState::Done).await?;
            if raised == 1 {
                return Ok(());
            }
        }
        self.control.note(&format!(
            "the chat {} is written to all the time: its times are not raised for messages that were pointed to it",
            shown(chat)
        ));
        Ok(())
    }
}

impl MongoMigrator {
    /// The times of chats as they are stored, by `_id`.
    pub(in crate::migration) async fn times_of(
        &self,
        ids: &[&Bson],
    ) -> Result<HashMap<Vec<u8>, Document>, MigrateError> {
        let fields = &self.codec.mapping().fields;
        let chats = self.database.collection::<Document>(self.chats_name());
        let found: Vec<Document> = persist(|| async {
            let find = chats.find(doc! { "_id": { "$in": ids } });
            let find = find.projection(doc! { &fields.last_message_at: 1, &fields.updated_at: 1 });
            find.await?.try_collect().await
        })
        .await?;
        let by_id = found.into_iter().filter_map(|chat| Some((bytes_of(chat.get("_id")?), chat)));
        Ok(by_id.collect())
    }
}
