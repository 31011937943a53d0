//! Rows elsewhere that were written: those that name a merged chat are pointed to the one that lives on.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf, doc};

use super::super::{MigrateError, commands::persist};
use super::{Watch, stream::Batch};
use crate::{
    codec::{field, text_of},
    collections::ALIASES,
};

/// How many documents one query names.
const IDS: usize = 1000;

impl Watch<'_> {
    pub(super) async fn heal_rows(&mut self, batch: &Batch) -> Result<(), MigrateError> {
        let mut named: BTreeMap<String, Bson> = BTreeMap::new();
        for reference in &self.migrator.rules.references {
            let Some(ids) = batch.documents.get(&reference.collection) else { continue };
            for ids in ids.chunks(IDS) {
                self.names(&reference.collection, &reference.field, ids, &mut named).await?;
            }
        }
        let aliases = self.aliases_among(named).await?;
        if aliases.is_empty() {
            return Ok(());
        }
        self.control.pace(aliases.len() as u64).await?;
        let swept = self.migrator.sweep_aliases(self.lease, &aliases, self.control).await?;
        self.report.moved += swept;
        Ok(())
    }

    /// What these rows name, by its text.
    async fn names(
        &self,
        collection: &str,
        path: &str,
        ids: &[Bson],
        named: &mut BTreeMap<String, Bson>,
    ) -> Result<(), MigrateError> {
        let rows = self.migrator.database.collection::<RawDocumentBuf>(collection);
        let rows: Vec<RawDocumentBuf> = persist(|| async {
            let find = rows.find(doc! { "_id": { "$in": ids } }).projection(doc! { path: 1, "_id": 0 });
            find.await?.try_collect().await
        })
        .await?;
        for row in &rows {
            values_at(row, path, &mut |value| {
                if let Ok(value) = Bson::try_from(value) {
                    named.insert(self.migrator.codec.name(&value), value);
                }
            });
        }
        Ok(())
    }

    /// The public ids of merged chats among these names.
    async fn aliases_among(&self, named: BTreeMap<String, Bson>) -> Result<Vec<String>, MigrateError> {
        let aliases = self.migrator.database.collection::<RawDocumentBuf>(ALIASES);
        let mut found = Vec::new();
        let named: Vec<(String, Bson)> = named.into_iter().collect();
        for named in named.chunks(IDS) {
            let texts: Vec<&String> = named.iter().map(|(text, _)| text).collect();
            // Rows may have ids in another form than chats.
            let values: Vec<Bson> =
                named.iter().flat_map(|(_, value)| self.migrator.codec.names(value)).collect();
            let filter = doc! { "$or": [{ "_id": { "$in": texts } }, { "from": { "$in": values } }] };
            let page: Vec<RawDocumentBuf> = persist(|| async {
                aliases.find(filter.clone()).projection(doc! { "_id": 1 }).await?.try_collect().await
            })
            .await?;
            found.extend(page.iter().filter_map(|alias| field(alias, "_id").and_then(text_of)));
        }
        Ok(found)
    }
}

/// Every value at a path that may lead through arrays.
pub(in crate::migration) fn values_at(
    document: &RawDocument,
    path: &str,
    each: &mut dyn FnMut(RawBsonRef<'_>),
) {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    if let Some(value) = field(document, first) {
        descend(value, rest, each);
    }
}

fn descend(value: RawBsonRef<'_>, rest: Option<&str>, each: &mut dyn FnMut(RawBsonRef<'_>)) {
    match (value, rest) {
        (RawBsonRef::Array(array), rest) => {
            array.into_iter().flatten().for_each(|element| descend(element, rest, each));
        }
        (RawBsonRef::Document(document), Some(rest)) => values_at(document, rest, each),
        (value, None) => each(value),
        (_, Some(_)) => {}
    }
}
