//! What names chats that were made, and what messages name that were pointed to them.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawBsonRef, RawDocumentBuf, doc};

use super::super::{
    MigrateError, MongoMigrator,
    commands::persist,
    journal::{MadeChat, Pointed, PointedMessages},
    survey::bytes_of,
    watch::values_at,
};
use super::now::{id_of, value_at};
use crate::codec::field;

/// How many ids one query names.
const IDS: usize = 1000;

impl MongoMigrator {
    /// What the messages have where they name their chat, by `_id`.
    pub(in crate::migration) async fn named_by(
        &self,
        messages: &PointedMessages,
    ) -> Result<HashMap<Vec<u8>, Option<Bson>>, MigrateError> {
        let rows = self.database.collection::<RawDocumentBuf>(&messages.collection);
        let ids: Vec<&Bson> = messages.rows.iter().flat_map(Pointed::ids).collect();
        let mut now = HashMap::new();
        for ids in ids.chunks(IDS) {
            let found: Vec<RawDocumentBuf> = persist(|| async {
                let find = rows.find(doc! { "_id": { "$in": ids } });
                find.projection(doc! { &messages.field: 1 }).await?.try_collect().await
            })
            .await?;
            let named = |row: &RawDocumentBuf| Some((bytes_of(&id_of(row)?), value_at(row, &messages.field)));
            now.extend(found.iter().filter_map(named));
        }
        Ok(now)
    }

    pub(super) async fn chats_now(
        &self,
        made: &[MadeChat],
    ) -> Result<HashMap<Vec<u8>, RawDocumentBuf>, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let ids: Vec<&Bson> = made.iter().map(|chat| &chat.id).collect();
        let found: Vec<RawDocumentBuf> =
            persist(|| async { chats.find(doc! { "_id": { "$in": &ids } }).await?.try_collect().await })
                .await?;
        Ok(found.into_iter().filter_map(|chat| Some((bytes_of(&id_of(&chat)?), chat))).collect())
    }

    /// How many messages name each of the chats, and which other collection does.
    pub(super) async fn rows_that_name(
        &self,
        made: &[MadeChat],
    ) -> Result<(Vec<u64>, Vec<Option<String>>), MigrateError> {
        let (mut by_name, mut forms) = (HashMap::new(), Vec::new());
        for (at, chat) in made.iter().enumerate() {
            let public = field(&chat.image, self.codec.id_field()).and_then(|id| Bson::try_from(id).ok());
            for name in
                [Some(chat.id.clone()), public].into_iter().flatten().flat_map(|id| self.codec.names(&id))
            {
                by_name.insert(self.codec.same_name_of(&name), at);
                forms.push(name);
            }
        }
        let (mut messages, mut others) = (vec![0; made.len()], vec![None; made.len()]);
        for reference in &self.rules.references {
            let rows = self.database.collection::<RawDocumentBuf>(&reference.collection);
            let stages = vec![
                doc! { "$match": { &reference.field: { "$in": &forms } } },
                doc! { "$group": { "_id": format!("${}", reference.field), "rows": { "$sum": 1 } } },
            ];
            let found: Vec<RawDocumentBuf> = persist(|| async {
                let groups = rows.aggregate(stages.clone()).collation(crate::index::simple());
                groups.allow_disk_use(true).with_type().await?.try_collect().await
            })
            .await?;
            for group in &found {
                let rows = field(group, "rows").and_then(|rows| match rows {
                    RawBsonRef::Int32(rows) => u64::try_from(rows).ok(),
                    RawBsonRef::Int64(rows) => u64::try_from(rows).ok(),
                    _ => None,
                });
                values_at(group, "_id", &mut |value| {
                    let Some(at) = by_name.get(&self.codec.same_name(value)) else { return };
                    if reference.messages.is_some() {
                        messages[*at] += rows.unwrap_or(1);
                    } else {
                        others[*at] = Some(format!("a row of {}", reference.collection));
                    }
                });
            }
        }
        Ok((messages, others))
    }
}
