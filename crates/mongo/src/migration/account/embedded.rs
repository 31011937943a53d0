//! Elements of arrays in chats, configured or not: whatever any chat of a group had is in the one that lives on, unless a
//! rule says otherwise.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawArray, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use onechat_migrate::{Conflict, EmbeddedArray, FieldRule};

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
        if loaded.entry.losers.is_empty() {
            return Ok(());
        }
        self.check_other_arrays(loaded, report);
        if self.rules.embedded.is_empty() {
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
                living.iter().flat_map(|living| self.elements(living, array)).map(|(key, _)| key).collect();
            for (id, before) in images(&loaded.items) {
                for (key, element) in self.elements(before, array) {
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

    /// Arrays that nobody has configured, and those that are united by a rule. What is done to the merged chat afterwards is
    /// not the merge's, so they are compared with what the merge made of it.
    fn check_other_arrays(&self, loaded: &Loaded, report: &mut AccountReport) {
        let entry = &loaded.entry;
        let survivor = loaded.items.iter().find_map(|item| match item {
            Item::Survivor { before, after, .. } => Some(after.as_ref().unwrap_or(before)),
            _ => None,
        });
        let Some(survivor) = survivor else { return };
        for (id, before) in images(&loaded.items) {
            let mut arrays = Vec::new();
            arrays_in(before, "", &mut arrays);
            for (path, elements) in arrays.into_iter().filter(|(path, _)| !self.is_explained(path)) {
                let there: HashSet<Vec<u8>> = match array_at(survivor, &path) {
                    Some(there) => there.into_iter().flatten().map(packed).collect(),
                    None => HashSet::new(),
                };
                for element in elements.into_iter().flatten().filter(|one| !there.contains(&packed(*one))) {
                    report.miss(|| {
                        let element = Bson::try_from(element).unwrap_or(Bson::Null);
                        format!(
                            "{path} {} of the chat {} is not in {}",
                            shown(&element),
                            shown(id),
                            shown(&entry.survivor)
                        )
                    });
                }
            }
        }
    }

    /// Whether the configuration says what becomes of an array, and that is not that nothing of it is lost.
    fn is_explained(&self, path: &str) -> bool {
        let leads_to = |known: &str| {
            path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let names = &self.rules.names;
        let embedded = self.rules.embedded.iter().map(|array| &array.field);
        let state = self.rules.state.iter().map(|state| &state.field);
        let mut covered = embedded.chain(state).chain(&names.participants);
        let mut rules = self.rules.fields.iter().filter(|(_, rule)| **rule != FieldRule::Union);
        covered.any(|known| leads_to(known)) || rules.any(|(known, _)| leads_to(known))
    }

    /// The elements of an array, each with what tells it from others.
    fn elements(&self, document: &RawDocument, array: &EmbeddedArray) -> Vec<(Vec<u8>, Bson)> {
        let Some(RawBsonRef::Array(values)) = field(document, &array.field) else { return Vec::new() };
        let keyed = values.into_iter().flatten().filter_map(|value| {
            let id = array.id.as_deref().and_then(|path| value_at(value.as_document()?, path));
            let owned = Bson::try_from(value).ok()?;
            let key = match &id {
                // The same row may be named by an ObjectId here and a text there.
                _ if array.ids_of.is_some() => self.codec.name(id.as_ref().unwrap_or(&owned)).into_bytes(),
                Some(id) => bytes_of(id),
                None => packed(value),
            };
            Some((key, owned))
        });
        keyed.collect()
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

/// The arrays of a document, by path through sub-documents.
fn arrays_in<'a>(document: &'a RawDocument, prefix: &str, arrays: &mut Vec<(String, &'a RawArray)>) {
    for (name, value) in document.iter().flatten() {
        let path = if prefix.is_empty() { name.as_str().to_owned() } else { format!("{prefix}.{name}") };
        match value {
            RawBsonRef::Array(array) => arrays.push((path, array)),
            RawBsonRef::Document(inner) => arrays_in(inner, &path, arrays),
            _ => {}
        }
    }
}

fn array_at<'a>(document: &'a RawDocument, path: &str) -> Option<&'a RawArray> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (field(document, first)?, rest) {
        (RawBsonRef::Document(inner), Some(rest)) => array_at(inner, rest),
        (RawBsonRef::Array(array), None) => Some(array),
        _ => None,
    }
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
