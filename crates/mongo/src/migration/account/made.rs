//! Chats that a run has made, and the messages that it has pointed there: both are there, or what a later merge made of them.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawBsonRef, RawDocumentBuf, doc};
use onechat_migrate::Control;

use super::{
    super::{
        MigrateError, MongoMigrator, RunId,
        commands::{ANSWER, persist},
        journal::{JOURNAL, MadeChats, PointedMessages, shown},
        survey::bytes_of,
    },
    AccountReport,
    rows::Suspect,
};
use crate::codec::field;

impl MongoMigrator {
    pub(super) async fn check_made(
        &self,
        run: &RunId,
        suspects: &mut Vec<Suspect>,
        report: &mut AccountReport,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let journal = self.database.collection::<RawDocumentBuf>(JOURNAL);
        let filter = doc! {
            "run": run.0, "chats": self.chats_name(), "type": { "$in": ["made", "pointed"] }, "state": "done",
        };
        // The names first: what is checked may take longer than a cursor lives.
        let names: Vec<RawDocumentBuf> = persist(|| async {
            journal
                .find(filter.clone())
                .projection(doc! { "_id": 1 })
                .batch_size(ANSWER)
                .await?
                .try_collect()
                .await
        })
        .await?;
        let total = names.len() as u64;
        for (done, name) in (1..).zip(&names) {
            let id = field(name, "_id").and_then(RawBsonRef::as_object_id);
            let found = persist(|| async { journal.find_one(doc! { "_id": id }).await }).await?;
            let Some(document) = found else { continue };
            if field(&document, "type").and_then(RawBsonRef::as_str) == Some("made") {
                self.check_chats(&MadeChats::of(&document)?, report).await?;
            } else {
                self.check_pointed(&PointedMessages::of(&document)?, suspects, report).await?;
            }
            control.pace(0).await?;
            control.advance("account of chats", done, total);
        }
        Ok(())
    }

    /// Each chat that was made is there, or lives on in another one. One that somebody else was faster to make never was.
    async fn check_chats(&self, made: &MadeChats, report: &mut AccountReport) -> Result<(), MigrateError> {
        let public =
            |chat: &RawDocumentBuf| field(chat, self.codec.id_field()).and_then(|id| self.codec.id_text(id));
        let names = made.chats.iter().filter_map(|chat| Some((public(&chat.image)?, chat.id.clone())));
        let lineage = self.lineage(names.collect()).await?;
        let ends = made.chats.iter().filter_map(|chat| {
            let name = public(&chat.image)?;
            Some(lineage.end(&name).map_or(name, |(_, end)| end))
        });
        let living = self.living(&ends.collect::<Vec<_>>()).await?;
        let is_gone = |name: &String| {
            lineage.end(name).map_or_else(|| !living.contains(name), |(_, end)| !living.contains(&end))
        };
        let gone = made.chats.iter().filter(|chat| public(&chat.image).as_ref().is_some_and(is_gone));
        for chat in gone {
            let key = field(&chat.image, self.codec.key_field()).and_then(RawBsonRef::as_str);
            if !self.has_key(key.unwrap_or_default()).await? {
                report.miss(|| format!("the chat {} was made, and is gone", shown(&chat.id)));
            }
        }
        Ok(())
    }

    async fn has_key(&self, key: &str) -> Result<bool, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let filter = doc! { self.codec.key_field(): key };
        let found = persist(|| async {
            chats
                .find_one(filter.clone())
                .projection(doc! { "_id": 1 })
                .collation(crate::index::simple())
                .await
        });
        Ok(found.await?.is_some())
    }

    async fn check_pointed(
        &self,
        messages: &PointedMessages,
        suspects: &mut Vec<Suspect>,
        report: &mut AccountReport,
    ) -> Result<(), MigrateError> {
        let PointedMessages { collection, field, rows, .. } = messages;
        let names = rows.iter().map(|row| (self.codec.name(&row.to), row.to.clone()));
        let (now, lineage) = futures_util::try_join!(self.named_by(messages), self.lineage(names.collect()))?;
        for row in rows {
            let names = lineage.names(&self.codec.name(&row.to));
            for id in row.ids() {
                match now.get(&bytes_of(id)) {
                    Some(Some(value)) if names.contains(&self.codec.name(value)) => {}
                    // A unique index refused it, which was said, or it was written anew without a chat.
                    Some(None | Some(Bson::Null)) => {}
                    Some(Some(other)) => report.miss(|| {
                        let (other, to) = (self.codec.name(other), self.codec.name(&row.to));
                        format!("{collection} {} names {other} in {field}, not {to}", shown(id))
                    }),
                    None => suspects.push(Suspect {
                        collection: collection.clone(),
                        id: id.clone(),
                        text: format!("{collection} {} was pointed to its chat, and is gone", shown(id)),
                    }),
                }
            }
        }
        Ok(())
    }
}
