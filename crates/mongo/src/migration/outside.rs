//! Keys on documents outside `only`: in the way of chats inside, and of the unique index.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc};
use onechat_migrate::Blocked;

use super::{
    Lease, MigrateError, MongoMigrator, RunId,
    apply::Decided,
    commands::persist,
    journal::{KeyChange, shown},
};
use crate::{
    codec::field,
    error::number,
    index::{simple, simple_document},
};

/// How many examples an operator is shown.
const EXAMPLES: i64 = 3;

impl MongoMigrator {
    /// Takes the key of a document outside `only` away when a chat inside needs it. Otherwise a run stops before it changes
    /// anything, if there are any such keys.
    #[must_use]
    pub fn taking_outside_keys(self, takes: bool) -> Self {
        Self { takes_outside_keys: takes, ..self }
    }

    /// What an operator has to be asked before anything is changed: there are keys outside, and nothing says what is to
    /// become of them. Reads only.
    pub async fn question_of_outside_keys(&self) -> Result<Option<String>, MigrateError> {
        let key = self.codec.key_field();
        let keyed =
            if self.takes_outside_keys { None } else { self.codec.outside(doc! { key: { "$gt": "" } }) };
        let Some(keyed) = keyed else { return Ok(None) };
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let count =
            persist(|| async { chats.count_documents(keyed.clone()).collation(simple()).await }).await?;
        if count == 0 {
            return Ok(None);
        }
        let examples: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(keyed.clone()).projection(doc! { "_id": 1 }).limit(EXAMPLES);
            find.collation(simple()).await?.try_collect().await
        })
        .await?;
        let id = |document: &RawDocumentBuf| field(document, "_id").and_then(|id| Bson::try_from(id).ok());
        let examples: Vec<String> = examples.iter().filter_map(id).map(|id| shown(&id)).collect();
        Ok(Some(format!(
            "{count} documents of {} that `only` leaves out have a {key} (for example {}), and chats inside may need \
             it: set `outside_keys = \"take\"` in [migrate], and a key is taken away from such a document when a chat \
             inside needs it (and given back by an undo); or, if another program needs these keys, name a field of \
             onechat's own: `participants_key` in [mongodb.chat_fields]. Nothing was changed.",
            self.chats_name(),
            examples.join(", ")
        )))
    }

    pub(super) async fn ensure_outside_keys_may_be_taken(&self) -> Result<(), MigrateError> {
        match self.question_of_outside_keys().await? {
            Some(question) => Err(MigrateError::Refused(question)),
            None => Ok(()),
        }
    }

    /// Blocks merges by which a survivor would leave `only`: a field that it takes over from a loser can do that.
    pub(super) async fn keep_inside(&self, decided: &mut [Decided]) -> Result<(), MigrateError> {
        let Some(only) = self.codec.only() else { return Ok(()) };
        let fields = only.fields().into_iter().collect::<Vec<_>>().join(", ");
        for (_, plan) in decided {
            let Some(after) = plan.as_ref().ok().and_then(|plan| plan.survivor_after.as_ref()) else {
                continue;
            };
            let mut parts = Document::new();
            for name in only.fields() {
                let value = field(after, name).and_then(|value| Bson::try_from(value).ok());
                parts.extend(value.map(|value| (name.to_owned(), value)));
            }
            let command = doc! {
                "aggregate": 1,
                "pipeline": [
                    { "$documents": { "$literal": [parts] } },
                    { "$match": only.document().clone() },
                    { "$count": "inside" },
                ],
                "cursor": {},
                "collation": simple_document(),
            };
            let reply = persist(|| async { self.database.run_command(command.clone()).await }).await?;
            let found = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
            if found.is_ok_and(Vec::is_empty) {
                *plan = Err(Blocked::LeavesFilter(fields.clone()));
            }
        }
        Ok(())
    }

    /// Takes these keys away from documents outside, each only while it is outside. How many were taken.
    pub(super) async fn take_from_outside(
        &self,
        lease: &Lease,
        run: &RunId,
        keys: &[&str],
    ) -> Result<u64, MigrateError> {
        let key_field = self.codec.key_field();
        let Some(holding) = self.codec.outside(doc! { key_field: { "$in": keys } }) else { return Ok(0) };
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(holding.clone()).projection(doc! { key_field: 1 });
            find.collation(simple()).await?.try_collect().await
        })
        .await?;
        let changes = found.iter().filter_map(|document| {
            let id = field(document, "_id").and_then(|id| Bson::try_from(id).ok())?;
            let key = field(document, key_field).and_then(RawBsonRef::as_str)?;
            Some(KeyChange { id, before: Some(key.into()), after: None })
        });
        let changes: Vec<KeyChange> = changes.collect();
        if changes.is_empty() {
            return Ok(0);
        }
        lease.check().await?;
        self.journal_keys(lease, run, &changes).await?;
        let is_ours = self.indexes().on_the_key().await?.keeps_out().is_some_and(|index| index.ours);
        let statements = changes.iter().filter_map(|change| {
            let this = doc! { "_id": change.id.clone(), key_field: change.before.clone() };
            // Null keeps the place of the field for an undo; but an index of others may have one null only.
            let update = if is_ours {
                doc! { "$set": { key_field: Bson::Null } }
            } else {
                doc! { "$unset": { key_field: "" } }
            };
            Some(doc! { "q": self.codec.outside(this)?, "u": update, "collation": simple_document() })
        });
        let statements: Vec<Document> = statements.collect();
        let update = doc! { "update": self.chats_name(), "updates": statements, "ordered": false };
        let reply = self.write(update).await?;
        Ok(number(reply.get("nModified")).unwrap_or_default().unsigned_abs())
    }
}
