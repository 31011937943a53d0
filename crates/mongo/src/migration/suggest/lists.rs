//! Arrays of ids in chats, of the rows of another collection: messages that do not name their chat, for one.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};

use super::{
    super::{MigrateError, MongoMigrator, commands::persist},
    chats::timed,
    kinds::{SENDERS, are_messages},
    rows::Messages,
    sample::{Sample, is_most, person_of, plain},
};

/// How many different ids of a field are looked for.
const VALUES: usize = 200;

/// An array of ids.
#[derive(Debug)]
pub(super) struct List {
    pub(super) field: String,
    /// The collection with the rows.
    pub(super) ids_of: String,
    /// Where in an element the id stands, if it is a reference of the driver.
    pub(super) path: Option<&'static str>,
    /// When a row was made.
    pub(super) time: Option<String>,
    /// The rows as messages, if they are some.
    pub(super) messages: Option<Messages>,
}

impl MongoMigrator {
    /// The arrays of ids of the chats, but for those of rows of the collections `not`.
    pub(super) async fn lists(
        &self,
        sample: &Sample,
        samples: &[Sample],
        not: &[&str],
        taken: &[&str],
    ) -> Result<Vec<List>, MigrateError> {
        let mut lists = Vec::new();
        for (field, values) in sample.fields() {
            if taken.contains(&field) {
                continue;
            }
            let arrays: Vec<&Vec<Bson>> = values.iter().filter_map(|value| value.as_array()).collect();
            let elements: Vec<&Bson> = arrays.iter().flat_map(|array| array.iter()).collect();
            let refers =
                |element: &&&Bson| element.as_document().is_some_and(|inner| inner.contains_key("$id"));
            let path = is_most(elements.iter().filter(refers).count(), elements.len(), 50).then_some("$id");
            let is_id = |element: &&Bson| path.is_some() || element.as_document().is_none();
            let ids: Vec<Bson> =
                elements.into_iter().filter(is_id).filter_map(|id| id_of(id, path)).collect();
            let Some(rows) = self.holder(&ids, samples, not).await? else { continue };
            let fields = rows.fields();
            let sender = fields.iter().find(|(name, values)| {
                SENDERS.iter().any(|part| plain(name).starts_with(part))
                    && is_most(
                        values.iter().filter(|value| person_of(value).is_some()).count(),
                        values.len(),
                        80,
                    )
            });
            let messages = sender.filter(|_| are_messages(&rows.documents));
            lists.push(List {
                field: field.to_owned(),
                ids_of: rows.collection.clone(),
                path,
                time: timed(rows, &["creat", "sent", "time", "date", "at", "ts"]),
                messages: messages.and_then(|(sender, _)| Messages::of(rows, None, sender)),
            });
        }
        lists.retain(|list| list.messages.is_some() || list.time.is_some());
        Ok(lists)
    }

    /// The collection whose rows have these ids, but for that of chats itself and those of `not`.
    pub(super) async fn holder<'a>(
        &self,
        ids: &[Bson],
        samples: &'a [Sample],
        not: &[&str],
    ) -> Result<Option<&'a Sample>, MigrateError> {
        let mut different = BTreeMap::new();
        for id in ids {
            if different.len() < VALUES {
                different.extend(person_of(id).map(|text| (text, id)));
            }
        }
        if different.is_empty() {
            return Ok(None);
        }
        // Numbers are ids everywhere: what is a text here is looked for as one.
        let is_number = |id: &Bson| matches!(id, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_));
        let forms = |id: &Bson| {
            let mut forms = self.codec.names(id);
            forms.retain(|form| is_number(form) == is_number(id));
            forms
        };
        let wanted: Vec<Bson> = different.values().flat_map(|id| forms(id)).collect();
        for sample in samples.iter().filter(|sample| !not.contains(&sample.collection.as_str())) {
            let collection = self.database.collection::<Document>(&sample.collection);
            let filter = doc! { "_id": { "$in": &wanted } };
            let found = persist(|| async { collection.count_documents(filter.clone()).await }).await?;
            if is_most(usize::try_from(found).unwrap_or(usize::MAX), different.len(), 50) {
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }
}

/// The id that an element is or leads to.
fn id_of(element: &Bson, path: Option<&str>) -> Option<Bson> {
    match path {
        None => Some(element.clone()),
        Some(path) => element.as_document()?.get(path).cloned(),
    }
}
