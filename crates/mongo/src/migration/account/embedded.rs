//! Elements of embedded arrays: whatever any chat of a group had is in the one that lives on.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use onechat_migrate::{Conflict, EmbeddedArray};

use super::{
    super::{
        MigrateError, MongoMigrator,
        commands::persist,
        journal::{Item, shown},
        survey::{bytes_of, packed},
        undo::{Loaded, Now, value_at},
    },
    AccountReport, Lineage,
};
use crate::codec::field;

impl MongoMigrator {
    pub(super) async fn check_elements(
        &self,
        loaded: &Loaded,
        now: &Now,
        lineage: &Lineage,
        report: &mut AccountReport,
    ) -> Result<(), MigrateError> {
        if self.rules.embedded.is_empty() || loaded.entry.losers.is_empty() {
            return Ok(());
        }
        let entry = &loaded.entry;
        let living = match now.document(self.chats_name(), &entry.survivor) {
            Some(living) => Some(living.clone()),
            None => match lineage.end(&entry.survivor_public_id) {
                Some((id, _)) => self.chat(&id).await?,
                None => None,
            },
        };
        let dropped = loaded.items.iter().filter_map(|item| match item {
            Item::Conflict(conflict) => Some(conflict),
            _ => None,
        });
        let dropped: Vec<&Conflict> = dropped.collect();
        for array in &self.rules.embedded {
            let there: HashSet<Vec<u8>> =
                living.iter().flat_map(|living| elements(living, array)).map(|(key, _)| key).collect();
            for (id, before) in images(&loaded.items) {
                for (key, element) in elements(before, array) {
                    if !there.contains(&key) && !is_recorded(&dropped, array, &key, &element) {
                        report.miss(|| {
                            let (field, element) = (&array.field, shown_element(&element, array));
                            format!(
                                "{field} {element} of the chat {} is not in {}",
                                shown(id),
                                shown(&entry.survivor)
                            )
                        });
                    }
                }
            }
        }
        Ok(())
    }

    async fn chat(&self, id: &Bson) -> Result<Option<RawDocumentBuf>, MigrateError> {
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let found: Vec<RawDocumentBuf> =
            persist(|| async { chats.find(doc! { "_id": id }).limit(1).await?.try_collect().await }).await?;
        Ok(found.into_iter().next())
    }
}

/// The chats of a group as they were.
fn images(items: &[Item]) -> impl Iterator<Item = (&Bson, &RawDocumentBuf)> {
    items.iter().filter_map(|item| match item {
        Item::Survivor { id, before, .. } | Item::Loser { id, before } => Some((id, before)),
        _ => None,
    })
}

/// The elements of an array, each with what tells it from others.
fn elements(document: &RawDocument, array: &EmbeddedArray) -> Vec<(Vec<u8>, Bson)> {
    let Some(RawBsonRef::Array(values)) = field(document, &array.field) else { return Vec::new() };
    let keyed = values.into_iter().flatten().filter_map(|value| {
        let id = array.id.as_deref().and_then(|path| value_at(value.as_document()?, path));
        let owned = Bson::try_from(value).ok()?;
        let key = match &id {
            Some(id) => bytes_of(id),
            None => packed(value),
        };
        Some((key, owned))
    });
    keyed.collect()
}

fn is_recorded(dropped: &[&Conflict], array: &EmbeddedArray, key: &[u8], element: &Bson) -> bool {
    let is_it = |value: &Bson| {
        let id = array.id.as_ref().and_then(|id| value.as_document()?.get(id));
        value == element || id.is_some_and(|id| bytes_of(id) == key)
    };
    dropped.iter().flat_map(|conflict| &conflict.dropped).any(|(_, value)| is_it(value))
}

fn shown_element(element: &Bson, array: &EmbeddedArray) -> String {
    let id = array.id.as_ref().and_then(|id| element.as_document()?.get(id));
    shown(id.unwrap_or(element))
}
