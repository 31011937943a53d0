//! Rows that cannot be pointed to the chat that lives on by setting a field: they name several chats, or a unique
//! index is in the way.

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc};
use onechat_core::StoreError;
use onechat_migrate::{Control, MessageFieldsOfRows, Reference};

use super::{
    MigrateError, MongoMigrator,
    apply::replace,
    commands::persist,
    journal::{Item, raw, shown},
    sweep::Merged,
};
use crate::{
    codec::{field, text_of},
    error::{Written, sort_out},
};

/// What is needed to point one row.
pub(super) struct Straggler<'a> {
    pub(super) migrator: &'a MongoMigrator,
    pub(super) reference: &'a Reference,
    pub(super) merged: &'a Merged,
    pub(super) control: &'a dyn Control,
}

impl Straggler<'_> {
    /// Whether the row was changed.
    pub(super) async fn point(&self, id: &Bson) -> Result<bool, MigrateError> {
        let Some(row) = self.row(doc! { "_id": id.clone() }).await? else { return Ok(false) };
        let Merged { from, from_public, to, to_public, .. } = self.merged;
        let pointed = onechat_migrate::pointed(self.reference, (from, from_public), (to, to_public), &row);
        let Ok(Some(pointed)) = pointed else { return Ok(false) };
        if self.replace(id, &row, Some(pointed.clone()), "names the chat that lives on").await? {
            return Ok(true);
        }
        let Some(fields) = &self.reference.messages else {
            self.control.note(&format!(
                "{}: the row {} names a merged chat, and a unique index keeps it from naming the one that lives on",
                self.reference.collection,
                shown(id)
            ));
            return Ok(false);
        };
        self.fold(id, &row, &pointed, fields).await
    }

    /// The sender has sent this to the chat that lives on too: it is kept once, or under another id if it says
    /// something else.
    async fn fold(
        &self,
        id: &Bson,
        row: &RawDocumentBuf,
        pointed: &RawDocumentBuf,
        fields: &MessageFieldsOfRows,
    ) -> Result<bool, MigrateError> {
        let value = |row: &RawDocumentBuf, name: &str| field(row, name).and_then(|v| Bson::try_from(v).ok());
        let other = doc! {
            &self.reference.field: value(pointed, &self.reference.field),
            &fields.sender: value(pointed, &fields.sender),
            &fields.client_message_id: value(pointed, &fields.client_message_id),
        };
        let Some(other) = self.row(other).await? else { return Ok(false) };
        if value(&other, &fields.text) == value(row, &fields.text) {
            return self.replace(id, row, None, "sent twice: another message stands for it").await;
        }
        let client =
            field(pointed, &fields.client_message_id).and_then(RawBsonRef::as_str).unwrap_or_default();
        let loser = text_of(self.merged.from.as_raw_bson_ref()).unwrap_or_default();
        let mut renamed =
            Document::try_from(pointed.as_ref()).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        renamed.insert(&fields.client_message_id, format!("{client}~{loser}"));
        let renamed =
            RawDocumentBuf::try_from(&renamed).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.replace(id, row, Some(renamed), "its sender gave another message the same id").await
    }

    async fn row(&self, filter: Document) -> Result<Option<RawDocumentBuf>, MigrateError> {
        let rows = self.migrator.database.collection::<RawDocumentBuf>(&self.reference.collection);
        persist(|| async { rows.find_one(filter.clone()).collation(crate::index::simple()).await }).await
    }

    /// Whether the row is now what it should be; not if a unique index refuses it, or somebody was faster.
    async fn replace(
        &self,
        id: &Bson,
        before: &RawDocumentBuf,
        after: Option<RawDocumentBuf>,
        reason: &str,
    ) -> Result<bool, MigrateError> {
        let collection = &self.reference.collection;
        let mut command = doc! { "ordered": false };
        let statement = match &after {
            Some(after) => replace(id, before, after, true)?,
            None => {
                let same = doc! { "$eq": ["$$ROOT", { "$literal": raw_document(before)? }] };
                let delete = doc! {
                    "q": { "_id": id.clone(), "$expr": same }, "limit": 1,
                    "collation": crate::index::simple_document(),
                };
                RawDocumentBuf::try_from(&delete).map_err(|error| StoreError::Corrupt(error.to_string()))?
            }
        };
        let statement =
            Document::try_from(statement.as_ref()).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let (verb, list) = if after.is_some() { ("update", "updates") } else { ("delete", "deletes") };
        command.insert(list, vec![statement]);
        // The verb has to be the first.
        let mut whole = doc! { verb: collection };
        whole.extend(command);
        let item = Item::Edit {
            collection: collection.clone(),
            id: id.clone(),
            before: before.clone(),
            after,
            reason: reason.to_owned(),
        };
        // Journaled once it is known to be possible: a row that a unique index refuses is tried in other ways.
        let reply = self.migrator.write(whole).await?;
        let done = matches!(sort_out(&reply, 1)[..], [Written::Stored])
            && crate::error::number(reply.get("n")) == Some(1);
        if done {
            self.migrator.add_items(self.merged.entry, &self.merged.run, &[item]).await?;
        }
        Ok(done)
    }
}

fn raw_document(document: &RawDocumentBuf) -> Result<Document, StoreError> {
    let _ = raw(&Bson::Null)?;
    Document::try_from(document.as_ref()).map_err(|error| StoreError::Corrupt(error.to_string()))
}
