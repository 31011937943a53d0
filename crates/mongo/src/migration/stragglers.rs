//! Rows that cannot be pointed to the chat that lives on by setting a field: they name several chats, are a participant's state,
//! or a unique index is in the way.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use onechat_core::StoreError;
use onechat_migrate::{Control, Reference, RowEdit};

use super::{
    MigrateError, MongoMigrator,
    apply::{delete, replace, scalar},
    commands::persist,
    journal::{Item, shown},
    sweep::{Merged, Swept},
};
use crate::{
    codec::field,
    error::{Written, number, sort_out},
};

/// What is needed to point one row.
pub(super) struct Straggler<'a> {
    pub(super) migrator: &'a MongoMigrator,
    pub(super) reference: &'a Reference,
    pub(super) merged: &'a Merged,
    pub(super) control: &'a dyn Control,
}

impl Straggler<'_> {
    /// Points the row, or says why it cannot be.
    pub(super) async fn point(&self, id: &Bson) -> Result<Swept, MigrateError> {
        let Some(row) = self.rows(doc! { "_id": id.clone() }).await?.pop() else {
            return Ok(Swept::default());
        };
        let mut rows = match self.met_by(&row) {
            Some(filter) => self.rows(filter).await?,
            None => Vec::new(),
        };
        rows.extend(self.last_of_the_sequence().await?);
        rows.retain(|other| field(other, "_id") != field(&row, "_id"));
        rows.push(row);
        let Merged { from, from_public, to, to_public, .. } = self.merged;
        let uuids = self.migrator.rules.names.uuids;
        match onechat_migrate::swept(self.reference, (from, from_public), (to, to_public), &rows, uuids) {
            Ok(edits) => Ok(Swept { moved: self.carry_out(edits).await?.into(), blocked: 0 }),
            Err(blocked) => {
                self.control.note(&format!(
                    "{}: the row {} names a merged chat, and cannot name the one that lives on: {blocked}",
                    self.reference.collection,
                    shown(id)
                ));
                Ok(Swept { moved: 0, blocked: 1 })
            }
        }
    }

    /// The row of the surviving chat with the highest number, where rows are counted within each chat.
    async fn last_of_the_sequence(&self) -> Result<Option<RawDocumentBuf>, MigrateError> {
        let Some(sequence) = &self.reference.sequence else { return Ok(None) };
        let filter = doc! { &self.reference.field: { "$in": self.living() } };
        let rows = self.migrator.database.collection::<RawDocumentBuf>(&self.reference.collection);
        persist(|| async {
            let find = rows.find_one(filter.clone()).sort(doc! { sequence: -1 });
            find.collation(crate::index::simple()).await
        })
        .await
    }

    /// Everything by which rows may name the surviving chat.
    fn living(&self) -> Vec<Bson> {
        let owned = |id: &RawBson| Bson::try_from(id.clone()).ok();
        let chats = [&self.merged.to, &self.merged.to_public].into_iter().filter_map(owned);
        chats.flat_map(|id| self.migrator.codec.names(&id)).collect()
    }

    /// The rows of the surviving chat that this one meets: the state of the same participant, the same message, the same values
    /// in a unique index.
    fn met_by(&self, row: &RawDocument) -> Option<Document> {
        let Reference { field: path, messages, state, unique, .. } = self.reference;
        let mut groups: Vec<Vec<&str>> =
            unique.iter().map(|fields| fields.iter().map(String::as_str).collect()).collect();
        groups.extend(messages.iter().map(|of| vec![of.sender.as_str(), of.client_message_id.as_str()]));
        groups.extend(state.iter().map(|state| vec![state.participant.as_str()]));
        let alike: Vec<Document> = groups.iter().filter_map(|fields| self.alike(row, fields)).collect();
        (!alike.is_empty()).then(|| doc! { path: { "$in": self.living() }, "$or": alike })
    }

    async fn rows(&self, filter: Document) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let rows = self.migrator.database.collection::<RawDocumentBuf>(&self.reference.collection);
        persist(|| async {
            rows.find(filter.clone()).collation(crate::index::simple()).await?.try_collect().await
        })
        .await
    }

    /// Each change is in the journal before it is made, on the condition that the row is as it was read. What takes a row in is
    /// written before that row is removed: cut off between the two, a counter may have something twice, and nothing is lost.
    async fn carry_out(&self, edits: Vec<RowEdit>) -> Result<bool, MigrateError> {
        let (replacements, removals): (Vec<RowEdit>, Vec<RowEdit>) =
            edits.into_iter().partition(|edit| edit.after.is_some());
        let mut is_changed = false;
        for edit in replacements.into_iter().chain(removals) {
            if !self.change(edit).await? {
                break;
            }
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// Whether the row is now what it should be; not if a unique index refuses it, or somebody was faster.
    async fn change(&self, edit: RowEdit) -> Result<bool, MigrateError> {
        let RowEdit { collection, id, before, after, reason } = edit;
        let (verb, list, statement) = match &after {
            Some(after) => ("update", "updates", replace(&id, &before, after, true)?),
            None => ("delete", "deletes", delete(&id, &before, true)?),
        };
        let corrupt = |error: mongodb::bson::error::Error| StoreError::Corrupt(error.to_string());
        let statement = Document::try_from(statement.as_ref()).map_err(corrupt)?;
        let command = doc! { verb: &collection, list: [statement], "ordered": false };
        let item = Item::Edit { collection, id, before, after, reason };
        let noted = self.migrator.add_items(self.merged.entry, &self.merged.run, &[item]).await?;
        let reply = self.migrator.write(command).await?;
        let is_done =
            matches!(sort_out(&reply, 1)[..], [Written::Stored]) && number(reply.get("n")) == Some(1);
        if !is_done {
            self.migrator.forget_items(&noted).await?;
        }
        Ok(is_done)
    }

    /// Rows with the same values in these fields; nothing if the row has none in one of them.
    fn alike(&self, row: &RawDocument, fields: &[&str]) -> Option<Document> {
        let mut filter = Document::new();
        for path in fields {
            let value = scalar(row, path).filter(|value| !matches!(value, RawBsonRef::Null))?;
            // The same person may be a string in one row and an ObjectId in another.
            filter.insert(*path, doc! { "$in": self.migrator.codec.names(&Bson::try_from(value).ok()?) });
        }
        Some(filter)
    }
}
