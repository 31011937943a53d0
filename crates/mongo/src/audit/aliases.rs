//! What shows between the ids of merged chats and the chats that live.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, Document, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::{
    ChatId,
    ports::{FindingKind, Findings},
};

use super::{MongoAudit, ids::shown};
use crate::{codec::field, collections::ALIASES};

/// How many are fetched together.
const BATCH: usize = 1000;

impl MongoAudit {
    pub(super) async fn aliases(&self, findings: &mut Findings) -> Result<u64, Error> {
        let aliases: Collection<Document> = self.database.collection(ALIASES);
        let mut cursor = aliases.find(doc! {}).await?;
        let (mut count, mut batch) = (0, Vec::with_capacity(BATCH));
        while let Some(alias) = cursor.try_next().await? {
            count += 1;
            let of = |name: &str| shown(alias.get(name).unwrap_or(&Bson::Null));
            batch.push((of("_id"), of("chat")));
            if batch.len() == BATCH {
                self.compare_aliases(&std::mem::take(&mut batch), findings).await?;
            }
        }
        self.compare_aliases(&batch, findings).await?;
        Ok(count)
    }

    async fn compare_aliases(
        &self,
        aliases: &[(String, String)],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let texts = aliases.iter().flat_map(|(alias, chat)| [alias, chat]);
        let ids: Vec<Bson> =
            texts.filter_map(|id| ChatId::new(id.as_str()).ok()).flat_map(|id| self.codec.ids(&id)).collect();
        let id_field = self.codec.id_field();
        let chats = self.chats();
        let find = chats.find(doc! { id_field: { "$in": ids } }).projection(doc! { id_field: 1 });
        let living: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
        let living: HashSet<String> =
            living.iter().filter_map(|chat| self.codec.id_text(field(chat, id_field)?)).collect();
        for (alias, chat) in aliases {
            if living.contains(alias) {
                findings.add(FindingKind::AliasOfLiveChat, || alias.clone());
            }
            if !living.contains(chat) {
                findings.add(FindingKind::DanglingAlias, || format!("{alias} of {chat}"));
            }
        }
        Ok(())
    }
}
