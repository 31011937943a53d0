//! Takes back what was done for messages that named no chat: they name none again, and chats that were made for them end, unless
//! something came into them since.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use onechat_core::StoreError;

use super::super::{
    MigrateError, MongoMigrator, RunId,
    apply::delete,
    from_messages::as_seen,
    journal::{Entry, JOURNAL, MadeChat, MadeChats, Pointed, PointedMessages, shown},
    survey::bytes_of,
};
use super::{Undo, order::chats_of};
use crate::{error::number, index::simple_document};

/// How often chats are looked at again that somebody has written to in that moment.
const LOOKS: usize = 5;

/// What becomes of a chat that was made.
enum Fate {
    Ends(RawDocumentBuf),
    Stays(String),
    /// It is not there, or never was.
    Gone,
}

impl Undo<'_> {
    /// Messages that name the chat still name none again, and its times are what they were, unless they were raised since.
    pub(super) async fn point_back(
        &mut self,
        run: &RunId,
        mut messages: PointedMessages,
    ) -> Result<(), MigrateError> {
        let chats: Vec<Bson> = messages.rows.iter().map(|row| row.to.clone()).collect();
        let later = self.merged_since(run, messages.order, &chats).await?;
        let before = messages.rows.len();
        messages.rows.retain(|row| !self.is_built_on(&later, &row.to));
        let mut is_whole = messages.rows.len() == before;
        let (mut statements, mut chats) = (Vec::new(), Vec::new());
        let now = self.migrator.named_by(&messages).await?;
        for row in &messages.rows {
            let still = |undo: &mut Self, ids: &[Bson]| -> Vec<Bson> {
                ids.iter().filter(|id| undo.names_still(&messages, row, id, &now)).cloned().collect()
            };
            let (absent, null) = (still(self, &row.absent), still(self, &row.null));
            let count = (absent.len() + null.len()) as u64;
            if self.lease.is_none() {
                self.foreseen.pointed_back(&row.to, count);
                self.report.moved_back += count;
            }
            let chat = &messages.field;
            let changes =
                [(absent, doc! { "$unset": { chat: "" } }), (null, doc! { "$set": { chat: Bson::Null } })];
            for (ids, change) in changes.into_iter().filter(|(ids, _)| !ids.is_empty()) {
                chats.push(&row.to);
                statements.push(doc! {
                    "q": { "_id": { "$in": ids }, chat: row.to.clone() }, "u": change, "multi": true,
                    "collation": simple_document(),
                });
            }
        }
        let Some(lease) = self.lease else { return Ok(()) };
        self.control.pace(messages.rows.iter().map(|row| row.len() as u64).sum()).await?;
        lease.check().await?;
        self.lower(&messages.rows).await?;
        if !statements.is_empty() {
            let update = doc! { "update": &messages.collection, "updates": statements, "ordered": false };
            let reply = self.migrator.write(update).await?;
            self.report.moved_back += number(reply.get("nModified")).unwrap_or_default().unsigned_abs();
            for error in reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
                is_whole = false;
                let at = number(error.get("index")).and_then(|at| usize::try_from(at).ok());
                let chat = at.and_then(|at| chats.get(at)).map(|chat| shown(chat)).unwrap_or_default();
                self.report.conflicts.push(format!(
                    "{}: messages of the chat {chat} go on naming it: {}. If a unique index is in the way, drop it, and repeat \
                     this command",
                    messages.collection,
                    error.get_str("errmsg").unwrap_or_default()
                ));
            }
        }
        self.conclude(is_whole, messages.id).await
    }

    /// Chats that nothing names and nobody has changed end.
    pub(super) async fn unmake(&mut self, run: &RunId, mut made: MadeChats) -> Result<(), MigrateError> {
        let ids: Vec<Bson> = made.chats.iter().map(|chat| chat.id.clone()).collect();
        let later = self.merged_since(run, made.order, &ids).await?;
        let before = made.chats.len();
        made.chats.retain(|chat| !self.is_built_on(&later, &chat.id));
        let mut is_whole = made.chats.len() == before;
        for look in 0..LOOKS {
            if made.chats.is_empty() {
                break;
            }
            let fates = self.fates(&made.chats).await?;
            let (mut ending, mut stay) = (Vec::new(), Vec::new());
            for (chat, fate) in std::mem::take(&mut made.chats).into_iter().zip(fates) {
                match fate {
                    Fate::Ends(document) => ending.push((chat, document)),
                    Fate::Stays(why) => stay.push((chat, why)),
                    Fate::Gone => {}
                }
            }
            is_whole &= stay.is_empty();
            for (chat, why) in stay {
                let chats = self.migrator.chats_name();
                self.report
                    .conflicts
                    .push(format!("{chats} {}, which this run has made, stays: {why}", shown(&chat.id)));
            }
            let Some(lease) = self.lease else {
                self.report.removed += ending.len() as u64;
                return Ok(());
            };
            if ending.is_empty() {
                break;
            }
            self.control.pace(ending.len() as u64).await?;
            lease.check().await?;
            let removed = self.migrator.remove(&ending).await?;
            self.report.removed += removed;
            // Somebody has written to one in that moment.
            if removed < ending.len() as u64 {
                made.chats = ending.into_iter().map(|(chat, _)| chat).collect();
                is_whole &= look + 1 < LOOKS;
            }
        }
        self.conclude(is_whole, made.id).await
    }

    async fn conclude(&self, is_whole: bool, id: mongodb::bson::oid::ObjectId) -> Result<(), MigrateError> {
        if !is_whole {
            return Ok(());
        }
        let state = doc! { "q": { "_id": id }, "u": { "$set": { "state": "undone" } } };
        self.migrator.write(doc! { "update": JOURNAL, "updates": [state] }).await?;
        Ok(())
    }

    /// Merges that came later and have to do with these chats, by chat.
    async fn merged_since(
        &self,
        run: &RunId,
        order: i64,
        chats: &[Bson],
    ) -> Result<HashMap<Vec<u8>, Entry>, MigrateError> {
        // A dry run leaves the later entries of the same run as they are.
        let within = self.lease.is_none().then_some(run);
        let mut merged = HashMap::new();
        for entry in self.migrator.merged_after(order, chats, within).await? {
            let chats: Vec<Vec<u8>> = chats_of(&entry).map(bytes_of).collect();
            merged.extend(chats.into_iter().map(|chat| (chat, entry.clone())));
        }
        Ok(merged)
    }

    fn is_built_on(&mut self, later: &HashMap<Vec<u8>, Entry>, chat: &Bson) -> bool {
        let Some(entry) = later.get(&bytes_of(chat)) else { return false };
        self.report.conflicts.push(format!(
            "{} {}: what was done for its messages is not taken back, since the entry {} of the run {} came later and has to \
             do with this chat; undo that first",
            self.migrator.chats_name(),
            shown(chat),
            entry.id,
            entry.run
        ));
        true
    }

    /// Whether the message names the chat still; says what else it does.
    fn names_still(
        &mut self,
        messages: &PointedMessages,
        row: &Pointed,
        id: &Bson,
        now: &HashMap<Vec<u8>, Option<Bson>>,
    ) -> bool {
        let PointedMessages { collection, field, .. } = messages;
        let what = match now.get(&bytes_of(id)) {
            Some(Some(value)) if *value == row.to => return true,
            // It was never pointed, or is pointed back already.
            Some(None | Some(Bson::Null)) => return false,
            Some(Some(other)) => format!("names {} in {field} since, not {}", shown(other), shown(&row.to)),
            None => "was deleted since".to_owned(),
        };
        self.report.conflicts.push(format!("{collection} {} {what}", shown(id)));
        false
    }

    /// Gives chats the times that they had, unless they were raised since.
    async fn lower(&mut self, rows: &[Pointed]) -> Result<(), MigrateError> {
        let raises: Vec<_> = rows.iter().filter_map(|row| Some((&row.to, row.raise.as_ref()?))).collect();
        let ids: Vec<&Bson> = raises.iter().map(|(chat, _)| *chat).collect();
        let now = self.migrator.times_of(&ids).await?;
        let mut statements = Vec::new();
        for (chat, raise) in raises {
            let Some(now) = now.get(&bytes_of(chat)) else { continue };
            let are = |times: &Document| raise.after.keys().all(|name| now.get(name) == times.get(name));
            if !are(&raise.after) {
                self.report.kept += u64::from(!are(&raise.before));
                continue;
            }
            let mut query = doc! { "_id": chat.clone() };
            query.extend(raise.after.iter().map(|(name, at)| (name.clone(), as_seen(Some(at)).into())));
            let added = raise.after.keys().filter(|name| !raise.before.contains_key(*name));
            let added: Document = added.map(|name| (name.clone(), "".into())).collect();
            let mut change = Document::new();
            if !raise.before.is_empty() {
                change.insert("$set", raise.before.clone());
            }
            if !added.is_empty() {
                change.insert("$unset", added);
            }
            statements.push(doc! { "q": query, "u": change, "collation": simple_document() });
        }
        if !statements.is_empty() {
            let chats = self.migrator.chats_name();
            let update = doc! { "update": chats, "updates": statements, "ordered": false };
            let reply = self.migrator.write(update).await?;
            self.report.kept += reply.get_array("writeErrors").map_or(0, |errors| errors.len() as u64);
        }
        Ok(())
    }

    async fn fates(&self, made: &[MadeChat]) -> Result<Vec<Fate>, MigrateError> {
        let now = self.migrator.chats_now(made).await?;
        let (rows, other) = self.migrator.rows_that_name(made).await?;
        let fields = &self.migrator.codec.mapping().fields;
        let content = |chat: &RawDocumentBuf| {
            let mut chat = Document::try_from(chat.as_ref()).unwrap_or_default();
            chat.remove(&fields.last_message_at);
            chat.remove(&fields.updated_at);
            chat
        };
        let fate = |(at, chat): (usize, &MadeChat)| {
            let Some(document) = now.get(&bytes_of(&chat.id)) else { return Fate::Gone };
            let messages = rows[at].saturating_sub(self.foreseen.pointed(&chat.id));
            if messages > 0 {
                return Fate::Stays(format!(
                    "messages that this run has not pointed there are in it ({messages})"
                ));
            }
            if let Some(other) = &other[at] {
                return Fate::Stays(format!("{other} names it"));
            }
            if content(document) != content(&chat.image) {
                return Fate::Stays("it was changed since".to_owned());
            }
            Fate::Ends(document.clone())
        };
        Ok(made.iter().enumerate().map(fate).collect())
    }
}

impl MongoMigrator {
    /// Removes chats that are as they were read. How many.
    async fn remove(&self, chats: &[(MadeChat, RawDocumentBuf)]) -> Result<u64, MigrateError> {
        let corrupt = |error: mongodb::bson::error::Error| StoreError::Corrupt(error.to_string());
        let deletes = chats.iter().map(|(chat, document)| {
            Document::try_from(delete(&chat.id, document, true)?.as_ref()).map_err(corrupt)
        });
        let deletes = deletes.collect::<Result<Vec<Document>, StoreError>>()?;
        let command = doc! { "delete": self.chats_name(), "deletes": deletes, "ordered": false };
        let reply = self.write(command).await?;
        Ok(number(reply.get("n")).unwrap_or_default().unsigned_abs())
    }
}
