//! Takes keys back that were given, where they are still as they were given.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::super::{
    MigrateError, RunId,
    commands::persist,
    journal::{Entry, JOURNAL, KeyChange, shown},
    survey::bytes_of,
};
use super::{
    Undo,
    now::{id_of, value_at},
    order::{Keys, chats_of},
};
use crate::error::number;

impl Undo<'_> {
    /// Chats that a later run has merged are left alone, and so is their part of the journal: that has to be undone first.
    pub(super) async fn take_back(&mut self, run: &RunId, mut keys: Keys) -> Result<(), MigrateError> {
        let is_whole = !self.leave_what_was_merged(run, &mut keys).await?;
        let keys = &keys;
        let mut now = self.keys_now(&keys.changes).await?;
        self.foreseen.keys_of(&keys.changes, &mut now);
        let mut statements = Vec::new();
        for change in &keys.changes {
            match now.get(&bytes_of(&change.id)) {
                Some(key) if is_as_written(change, key.as_ref()) => statements.push(self.statement(change)),
                // It was never given, or is taken back already.
                Some(key) if *key == change.before => {}
                Some(key) => self.key_conflict(change, &has(key.as_ref())),
                None => self.key_conflict(change, "is gone"),
            }
        }
        let Some(lease) = self.lease else {
            self.report.keys += statements.len() as u64;
            self.foreseen.keys_taken_back(&keys.changes);
            return Ok(());
        };
        self.control.pace(statements.len() as u64).await?;
        lease.check().await?;
        if !statements.is_empty() {
            let update =
                doc! { "update": self.migrator.chats_name(), "updates": statements, "ordered": false };
            let reply = self.migrator.write(update).await?;
            self.report.keys += number(reply.get("nModified")).unwrap_or_default().unsigned_abs();
        }
        if !is_whole {
            return Ok(());
        }
        let state = doc! { "q": { "_id": keys.id }, "u": { "$set": { "state": "undone" } } };
        self.migrator.write(doc! { "update": JOURNAL, "updates": [state] }).await?;
        Ok(())
    }

    /// Whether there were any.
    async fn leave_what_was_merged(&mut self, run: &RunId, keys: &mut Keys) -> Result<bool, MigrateError> {
        let ids: Vec<Bson> = keys.changes.iter().map(|change| change.id.clone()).collect();
        // A dry run leaves the later entries of the same run as they are.
        let within = self.lease.is_none().then_some(run);
        let later = self.migrator.merged_after(keys.order, &ids, within).await?;
        let mut merged: HashMap<Vec<u8>, &Entry> = HashMap::new();
        for entry in &later {
            merged.extend(chats_of(entry).map(|chat| (bytes_of(chat), entry)));
        }
        let before = keys.changes.len();
        keys.changes.retain(|change| {
            let Some(entry) = merged.get(&bytes_of(&change.id)) else { return true };
            self.report.conflicts.push(format!(
                "{} {}: its key is not taken back, since the entry {} of the run {} came later and has to do with this chat; \
                 undo that first",
                self.migrator.chats_name(),
                shown(&change.id),
                entry.id,
                entry.run
            ));
            false
        });
        Ok(keys.changes.len() < before)
    }

    async fn keys_now(&self, changes: &[KeyChange]) -> Result<HashMap<Vec<u8>, Option<Bson>>, MigrateError> {
        let key = self.migrator.codec.key_field();
        let chats = self.migrator.database.collection::<RawDocumentBuf>(self.migrator.chats_name());
        let ids: Vec<&Bson> = changes.iter().map(|change| &change.id).collect();
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(doc! { "_id": { "$in": &ids } }).projection(doc! { key: 1 });
            find.await?.try_collect().await
        })
        .await?;
        let found = found.iter().filter_map(|chat| Some((bytes_of(&id_of(chat)?), value_at(chat, key))));
        Ok(found.collect())
    }

    fn statement(&self, change: &KeyChange) -> Document {
        let key = self.migrator.codec.key_field();
        let update = if let Some(before) = &change.before {
            doc! { "$set": { key: before.clone() } }
        } else {
            doc! { "$unset": { key: "" } }
        };
        // Null is what a chat without the field has, too.
        let as_written = change.after.clone().map_or(Bson::Null, Bson::String);
        doc! {
            "q": { "_id": change.id.clone(), key: as_written },
            "u": update,
            "collation": { "locale": "simple" },
        }
    }

    fn key_conflict(&mut self, change: &KeyChange, what: &str) {
        let chats = self.migrator.chats_name();
        let given = match &change.after {
            Some(key) => format!("was given the key {key:?}"),
            None => "lost its key".to_owned(),
        };
        let id = shown(&change.id);
        self.report.conflicts.push(format!("{chats} {id} {given} and {what}: this is not taken back"));
    }
}

fn is_as_written(change: &KeyChange, now: Option<&Bson>) -> bool {
    match (&change.after, now) {
        (Some(after), Some(Bson::String(now))) => after == now,
        (None, None | Some(Bson::Null)) => true,
        _ => false,
    }
}

fn has(key: Option<&Bson>) -> String {
    key.map_or_else(|| "has none now".to_owned(), |key| format!("has {} now", shown(key)))
}
