//! Which chat lives on for one that was merged, and for one that was merged into that.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use onechat_core::ChatId;

use super::super::{
    MigrateError, MongoMigrator,
    commands::{ANSWER, persist},
};
use crate::{codec::field, collections::ALIASES};

/// How long a chain of merges may be.
const HOPS: usize = 16;

/// Aliases, followed to their end.
#[derive(Default)]
pub(super) struct Lineage {
    /// From a name, public or `_id`, to the survivor.
    next: HashMap<String, Next>,
}

/// A survivor.
#[derive(Clone)]
struct Next {
    id: Bson,
    /// That as text.
    name: String,
    public: String,
}

impl Lineage {
    /// All names of the chats that a chat has become, by and by, itself first.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let mut at = name.to_owned();
        for _ in 0..HOPS {
            let Some(next) = self.next.get(&at) else { break };
            at.clone_from(&next.public);
            names.extend([next.name.clone(), next.public.clone()]);
        }
        names
    }

    /// The public id of the chat at the end, and its `_id`.
    pub(super) fn end(&self, name: &str) -> Option<(Bson, String)> {
        let mut end = None;
        let mut at = name.to_owned();
        for _ in 0..HOPS {
            let Some(next) = self.next.get(&at) else { break };
            end = Some((next.id.clone(), next.public.clone()));
            at.clone_from(&next.public);
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
                    let from = alias.get("from").map(|from| self.codec.name(from));
                    let name = self.codec.name(&to);
                    let next = Next { id: to, name, public };
                    for name in own.into_iter().chain(from) {
                        lineage.next.insert(name, next.clone());
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
        let values: Vec<Bson> = values.flat_map(|id| self.codec.ids(&id)).collect();
        let filter = doc! { id_field: { "$in": values } };
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(filter.clone()).projection(doc! { id_field: 1 });
            find.batch_size(ANSWER).await?.try_collect().await
        })
        .await?;
        Ok(found.iter().filter_map(|chat| self.codec.id_text(field(chat, id_field)?)).collect())
    }
}
