//! A few documents of each collection, and what kinds of values they have where.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc, spec::BinarySubtype};
use onechat_migrate::number_of;

use super::super::{MigrateError, MongoMigrator, commands::persist};
use crate::{
    codec::{text_of, with_raw},
    error::{code, code_of},
};

/// How many documents of a collection are looked at.
const DOCUMENTS: i32 = 400;
/// How many bytes of them are kept.
const BYTES: usize = 8 << 20;
/// How deep paths are followed.
const DEPTH: usize = 4;

/// What was looked at of one collection.
pub(super) struct Sample {
    pub(super) collection: String,
    /// How many documents it has, about.
    pub(super) count: u64,
    pub(super) documents: Vec<Document>,
    /// The fields of its unique indexes.
    pub(super) unique: Vec<Vec<String>>,
    /// The fields by which the server deletes documents (TTL).
    pub(super) expiring: Vec<String>,
}

impl Sample {
    /// The same of other documents, such as those inside.
    pub(super) fn with(&self, documents: Vec<Document>) -> Self {
        let collection = self.collection.clone();
        Self { collection, count: 0, documents, unique: Vec::new(), expiring: Vec::new() }
    }

    /// The names of the fields at the top of the documents, in order, with their values.
    pub(super) fn fields(&self) -> BTreeMap<&str, Vec<&Bson>> {
        let mut fields: BTreeMap<&str, Vec<&Bson>> = BTreeMap::new();
        for (name, value) in self.documents.iter().flatten() {
            fields.entry(name).or_default().push(value);
        }
        fields
    }
}

impl MongoMigrator {
    /// The names of all collections that are not the server's or ours.
    pub(super) async fn collections(&self) -> Result<Vec<String>, MigrateError> {
        let filter = doc! { "type": "collection" };
        let mut names =
            persist(|| async { self.database.list_collection_names().filter(filter.clone()).await }).await?;
        names.retain(|name| !name.starts_with("system.") && !name.starts_with("onechat_"));
        names.sort();
        Ok(names)
    }

    pub(super) async fn sample(&self, name: &str) -> Result<Sample, MigrateError> {
        let collection = self.database.collection::<RawDocumentBuf>(name);
        let count = persist(|| async { collection.estimated_document_count().await }).await?;
        let stages = vec![doc! { "$sample": { "size": DOCUMENTS } }];
        let documents = persist(|| async {
            let (mut kept, mut bytes) = (Vec::new(), 0);
            let mut cursor = collection.aggregate(stages.clone()).batch_size(20).await?;
            while cursor.advance().await? && bytes < BYTES {
                bytes += cursor.current().as_bytes().len();
                kept.extend(Document::try_from(cursor.current()).ok());
            }
            Ok(kept)
        });
        let documents = documents.await?;
        let indexes = self.specifications(name).await?;
        let fields = |index: &Document| -> Vec<String> {
            index.get_document("key").map(|key| key.keys().cloned().collect()).unwrap_or_default()
        };
        let unique = indexes.iter().filter(|index| index.get_bool("unique").unwrap_or(false));
        let expiring = indexes.iter().filter(|index| index.contains_key("expireAfterSeconds"));
        Ok(Sample {
            collection: name.to_owned(),
            count,
            documents,
            unique: unique.map(fields).collect(),
            expiring: expiring.flat_map(fields).collect(),
        })
    }

    async fn specifications(&self, collection: &str) -> Result<Vec<Document>, MigrateError> {
        let list = doc! { "listIndexes": collection };
        persist(|| async {
            match self.database.run_cursor_command(list.clone()).await {
                Err(error) if code_of(&error) == Some(code::NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
                other => other?.try_collect().await,
            }
        })
        .await
    }
}

/// An id as text, whatever form it has; nothing if it can be none.
pub(super) fn id_text(value: &Bson) -> Option<String> {
    match value {
        Bson::String(text) => Some(text.clone()).filter(|text| !text.is_empty() && text.len() <= 256),
        Bson::ObjectId(id) => Some(id.to_hex()),
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            text_of(mongodb::bson::RawBsonRef::Binary(mongodb::bson::raw::RawBinaryRef {
                subtype: binary.subtype,
                bytes: &binary.bytes,
            }))
        }
        _ => None,
    }
}

/// How an id is written, as the configuration calls it; nothing if it can be none.
pub(super) fn id_form(value: &Bson) -> Option<&'static str> {
    Some(match value {
        Bson::String(text) if !text.is_empty() => "string",
        Bson::ObjectId(_) => "object_id",
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid => "uuid",
        Bson::Int32(_) => "int32",
        Bson::Int64(_) => "int64",
        Bson::Double(number) if number.fract() == 0.0 => "double",
        _ => return None,
    })
}

/// Who a participant is, as text: an id of any form, or a whole number.
pub(super) fn person_text(value: &Bson) -> Option<String> {
    match value {
        Bson::Int32(number) => Some(number.to_string()),
        Bson::Int64(number) => Some(number.to_string()),
        Bson::Double(_) => with_raw(value, number_of).map(|number| number.to_string()),
        other => id_text(other),
    }
}

/// The same for an id, a reference to one (`$id`), or a document with one.
pub(super) fn person_of(value: &Bson) -> Option<String> {
    match value {
        Bson::Document(inner) => {
            ["$id", "_id", "id", "userId"].iter().find_map(|name| person_text(inner.get(*name)?))
        }
        other => person_text(other),
    }
}

/// Whether it is a point in time: a date, its text as ISO 8601 has it, or the number of milliseconds or seconds of one in this century.
pub(super) fn is_time(value: &Bson) -> bool {
    const MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
    match value {
        Bson::DateTime(_) | Bson::Timestamp(_) => true,
        Bson::String(text) => DateTime::parse_rfc3339_str(text).is_ok(),
        Bson::Int64(number) => MS.contains(number) || MS.contains(&number.saturating_mul(1000)),
        Bson::Int32(number) => MS.contains(&(i64::from(*number) * 1000)),
        #[expect(clippy::cast_precision_loss, reason = "the bounds are exact")]
        Bson::Double(number) => (MS.start as f64..MS.end as f64).contains(number),
        _ => false,
    }
}

/// How most of these times are written, as the configuration calls it; nothing if as dates.
pub(super) fn time_form(values: &[&Bson]) -> Option<&'static str> {
    const S: std::ops::Range<i64> = 946_684_800..4_102_444_800;
    let known = values.iter().filter(|value| !matches!(value, Bson::Null)).count();
    let form = |value: &Bson| match value {
        Bson::Timestamp(_) => Some("timestamp"),
        Bson::String(text) => DateTime::parse_rfc3339_str(text).ok().map(|_| "text"),
        #[expect(clippy::cast_possible_truncation, reason = "only the order of magnitude counts")]
        Bson::Double(number) => Some(if S.contains(&(*number as i64)) { "seconds" } else { "milliseconds" }),
        Bson::Int32(_) => Some("seconds"),
        Bson::Int64(number) => Some(if S.contains(number) { "seconds" } else { "milliseconds" }),
        _ => None,
    };
    ["milliseconds", "seconds", "text", "timestamp"]
        .into_iter()
        .find(|name| is_most(values.iter().filter(|value| form(value) == Some(name)).count(), known, 60))
}

/// The value at a path of sub-documents.
pub(super) fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Bson> {
    match path.split_once('.') {
        Some((first, rest)) => at(document.get_document(first).ok()?, rest),
        None => document.get(path),
    }
}

/// Every path of a document, through sub-documents and arrays, with the values that are no sub-documents.
pub(super) fn leaves<'a>(document: &'a Document, on: &mut dyn FnMut(&str, &'a Bson)) {
    fn within<'a>(value: &'a Bson, path: &str, depth: usize, on: &mut dyn FnMut(&str, &'a Bson)) {
        match value {
            Bson::Document(inner) if depth < DEPTH => {
                for (name, value) in inner {
                    within(value, &format!("{path}.{name}"), depth + 1, on);
                }
            }
            // Long ones say no more than short ones.
            Bson::Array(values) => values.iter().take(20).for_each(|value| within(value, path, depth, on)),
            value => on(path, value),
        }
    }
    for (name, value) in document {
        within(value, name, 1, on);
    }
}

/// A name without what people write differently: `created_at`, `createdAt`.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether at least this part of `all` is `some`, and there is any.
pub(super) fn is_most(some: usize, all: usize, percent: usize) -> bool {
    some > 0 && some * 100 >= all * percent
}
