//! Which chat lives on for one that was merged, and for one that was merged into that.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use onechat_core::ChatId;

use super::super::{
    MigrateError, MongoMigrator,
    commands::{ANSWER, persist},
};
use crate::{
    codec::{field, text_of},
    collections::ALIASES,
};

/// How long a chain of merges may be.
const HOPS: usize = 16;

/// Aliases, followed to their end.
#[derive(Default)]
pub(super) struct Lineage {
    /// From a name, public or `_id`, to the survivor's `_id` and public id.
    next: HashMap<String, (Bson, String)>,
}

impl Lineage {
    /// All names of the chats that a chat has become, by and by, itself first.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut at = name.to_owned();
        for _ in 0..HOPS {
            let Some((id, public)) = self.next.get(&at) else { break };
            let id = text(id);
            at.clone_from(public);
            names.extend([id, public.clone()]);
        }
        names
    }

    /// The public id of the chat at the end, and its `_id`.
    pub(super) fn end(&self, name: &str) -> Option<(Bson, String)> {
        let mut end = None;
        let mut at = name.to_owned();
        for _ in 0..HOPS {
            let Some(next) = self.next.get(&at) else { break };
            end = Some(next.clone());
            at.clone_from(&next.1);
        }
        end
    }
}

impl MongoMigrator {
    /// Follows the aliases of these names, all together, hop by hop.
    pub(super) async fn lineage(&self, names: Vec<(String, Bson)>) -> Result<Lineage, MigrateError> {
        let mut lineage = Lineage::default();
        let mut asked: HashSet<String> = names.iter().map(|(name, _)| name.clone()).collect();
        let mut open = names;
        for _ in 0..HOPS {
            if open.is_empty() {
                break;
            }
            let mut further = Vec::new();
            for names in open.chunks(1000) {
                for alias in self.aliases_of(names).await? {
                    let Ok(public) = alias.get_str("chat").map(str::to_owned) else { continue };
                    let to = alias.get("to").cloned().unwrap_or_else(|| Bson::String(public.clone()));
                    if asked.insert(public.clone()) {
                        further.push((public.clone(), to.clone()));
                    }
                    let own = alias.get_str("_id").map(str::to_owned).ok();
                    let from = alias.get("from").map(text);
                    for name in own.into_iter().chain(from) {
                        lineage.next.insert(name, (to.clone(), public.clone()));
                    }
                }
            }
            open = further;
        }
        Ok(lineage)
    }

    async fn aliases_of(&self, names: &[(String, Bson)]) -> Result<Vec<Document>, MigrateError> {
        let aliases = self.database.collection::<Document>(ALIASES);
        let texts: Vec<&String> = names.iter().map(|(text, _)| text).collect();
        let ids: Vec<&Bson> = names.iter().map(|(_, id)| id).collect();
        let filter = doc! { "$or": [{ "_id": { "$in": texts } }, { "from": { "$in": ids } }] };
        persist(|| async { aliases.find(filter.clone()).batch_size(ANSWER).await?.try_collect().await }).await
    }

    /// Which of these public ids are those of chats that live.
    pub(super) async fn living(&self, ids: &[String]) -> Result<HashSet<String>, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let id_field = self.codec.id_field();
        let values = ids.iter().filter_map(|id| ChatId::new(id.as_str()).ok());
        let values: Vec<Bson> = values.filter_map(|id| self.codec.id(&id)).collect();
        let filter = doc! { id_field: { "$in": values } };
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(filter.clone()).projection(doc! { id_field: 1 });
            find.batch_size(ANSWER).await?.try_collect().await
        })
        .await?;
        Ok(found.iter().filter_map(|chat| field(chat, id_field).and_then(text_of)).collect())
    }
}

/// An id as the text that stands for it.
pub(super) fn text(id: &Bson) -> String {
    match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(id) => id.clone(),
        Bson::Binary(binary) => match uuid::Uuid::from_slice(&binary.bytes) {
            Ok(uuid) => uuid.to_string(),
            Err(_) => id.to_string(),
        },
        other => other.to_string(),
    }
}
