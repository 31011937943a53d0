//! What belongs to no set, or to many, and how much there is in all.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::{Check, Strictness};
use crate::{
    ExpectedIds, Kept, LegacyError, Place, Totals,
    value::{hex, text_at, text_of},
};

impl Check<'_> {
    pub(super) async fn kept(&mut self, kept: &[Kept]) -> Result<(), LegacyError> {
        for place in Place::ALL {
            let wanted: Vec<&Kept> = kept.iter().filter(|one| one.collection == place.name()).collect();
            let ids = wanted.iter().map(|one| one.id.clone());
            let there = self.by_id(place.name(), ids.collect()).await?;
            for one in wanted {
                let found = text_of(&one.id).and_then(|id| there.get(&id));
                let is_same = found.is_some_and(|found| hex(found.as_bytes()) == one.bytes);
                self.say(!is_same, || {
                    format!("{} of {} was to stay as it was, and is {found:?}", one.id, place.name())
                });
            }
        }
        Ok(())
    }

    pub(super) async fn ids(&mut self, ids: &[ExpectedIds]) -> Result<(), LegacyError> {
        let Some(first) = ids.first() else { return Ok(()) };
        let there = self.by_id(&first.collection, ids.iter().map(|one| one.id.clone()).collect()).await?;
        for one in ids {
            let found = text_of(&one.id).and_then(|id| there.get(&id));
            let array = found.and_then(|found| found.get_array(&one.field).ok());
            let values = array.into_iter().flatten().flatten().filter_map(|value| Bson::try_from(value).ok());
            let mut values: Vec<String> = values.filter_map(|value| text_of(&value)).collect();
            values.sort();
            self.say(values != one.values, || {
                format!("{} of {} names {values:?}, not {:?}", one.id, one.collection, one.values)
            });
        }
        Ok(())
    }

    pub(super) async fn totals(&mut self, totals: &Totals) -> Result<(), LegacyError> {
        if self.strictness != Strictness::Exact {
            return Ok(());
        }
        let wanted = [
            (Place::Chats, totals.chats_after),
            (Place::Messages, totals.messages_after),
            (Place::Memberships, totals.memberships_after),
        ];
        for (place, wanted) in wanted {
            let there = self.collection(place.name()).count_documents(Document::new()).await?;
            self.say(there != wanted, || format!("{} has {there} documents, not {wanted}", place.name()));
        }
        Ok(())
    }

    async fn by_id(
        &self,
        collection: &str,
        ids: Vec<Bson>,
    ) -> Result<HashMap<String, RawDocumentBuf>, LegacyError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.collection(collection).find(doc! { "_id": { "$in": ids } }).await?;
        let rows: Vec<RawDocumentBuf> = rows.try_collect().await?;
        Ok(rows.into_iter().map(|row| (text_at(&row, "_id").unwrap_or_default(), row)).collect())
    }
}
