//! A condition on documents of chats, written by an operator. The server evaluates it, always; here it is only read.

use std::{collections::BTreeSet, fmt, str::FromStr};

use mongodb::{
    Database,
    bson::{Bson, Document, RawDocumentBuf, doc},
    error::ErrorKind,
};

use crate::{
    Mapping, OpenError,
    error::{code, code_of, reason},
    index::simple,
};

/// What combines conditions.
const COMBINING: &[&str] = &["$and", "$or", "$nor"];
/// What depends on more than the document, or is no condition that can be combined with others.
const REFUSED: &[(&str, &str)] = &[
    ("$where", "it is a program"),
    ("$function", "it is a program"),
    ("$expr", "it compares computed values, which no index and no validator knows"),
    ("$text", "it needs an index of its own"),
    ("$near", "it sorts"),
    ("$nearSphere", "it sorts"),
    ("$sampleRate", "it is a matter of chance"),
];

/// A filter in MongoDB's query language.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Document);

/// Why a text is no [`Filter`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is no JSON.
    #[error(
        "it is no Extended JSON: {0}; write one document in MongoDB's query language, such as {example}",
        example = EXAMPLE
    )]
    NoJson(String),
    /// It is no document.
    #[error("it is no document; write a filter in MongoDB's query language, such as {example}", example = EXAMPLE)]
    NoDocument,
    /// It has an operator that cannot be used.
    #[error("{operator} cannot be used here, since {why}: use conditions on fields, such as {example}", example = EXAMPLE)]
    Operator {
        /// The operator.
        operator: String,
        /// What is the matter with it.
        why: String,
    },
}

const EXAMPLE: &str = r#"'{"isGroup": {"$ne": true}}'"#;

impl Filter {
    pub(crate) fn document(&self) -> &Document {
        &self.0
    }

    /// Its conditions, which all have to be met.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = Self> {
        let all = self.0.clone().into_iter().flat_map(|(name, value)| match (name.as_str(), value) {
            ("$and", Bson::Array(parts)) => {
                parts.into_iter().filter_map(|part| part.as_document().cloned()).collect()
            }
            (_, value) => vec![doc! { name: value }],
        });
        all.map(Self)
    }

    /// The fields at the top of documents that it is about.
    pub fn fields(&self) -> BTreeSet<&str> {
        let mut fields = BTreeSet::new();
        each_condition(&self.0, &mut |path, _| {
            fields.insert(path.split('.').next().unwrap_or(path));
        });
        fields
    }
}

/// Sees that the server understands the filters of a mapping.
pub(crate) async fn try_out(database: &Database, mapping: &Mapping) -> Result<(), OpenError> {
    let filters = [
        ("only", &mapping.only, &mapping.chats),
        ("visible", &mapping.visible, &mapping.chats),
        ("visible_messages", &mapping.visible_messages, &mapping.messages),
    ];
    for (setting, filter, collection) in filters {
        let Some(filter) = filter else { continue };
        let documents = database.collection::<RawDocumentBuf>(collection);
        // Nothing is looked for, so this takes no time, whatever there is.
        let none = doc! { "_id": { "$in": [] }, "$and": [filter.document().clone()] };
        let tried = documents.find_one(none).collation(simple()).await;
        tried.map_err(|error| {
            let is_about_us =
                matches!(code_of(&error), Some(code::UNAUTHORIZED | code::AUTHENTICATION_FAILED));
            match &*error.kind {
                ErrorKind::Command(refused) if !is_about_us => OpenError::Mapping(format!(
                    "the server does not understand {setting} of [mongodb], {filter}: {}",
                    refused.message
                )),
                _ => OpenError::Unavailable(reason(&error)),
            }
        })?;
    }
    Ok(())
}

/// Calls with every path and its condition, however they are combined.
fn each_condition<'a>(filter: &'a Document, on: &mut dyn FnMut(&'a str, &'a Bson)) {
    for (name, value) in filter {
        if COMBINING.contains(&name.as_str()) {
            let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
            parts.iter().filter_map(Bson::as_document).for_each(|part| each_condition(part, on));
        } else {
            on(name, value);
        }
    }
}

/// An operator that cannot be used, with what is the matter with it.
fn refused(value: &Bson) -> Option<FilterError> {
    match value {
        Bson::Document(document) => document.iter().find_map(|(name, value)| {
            let row = REFUSED.iter().find(|(operator, _)| operator == name);
            let error = row.map(|(operator, why)| FilterError::Operator {
                operator: (*operator).to_owned(),
                why: (*why).to_owned(),
            });
            error.or_else(|| refused(value))
        }),
        Bson::Array(values) => values.iter().find_map(refused),
        _ => None,
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        // Read by BSON itself, which keeps the order of fields: to equal a sub-document is to have its order.
        let value: Bson =
            serde_json::from_str(text).map_err(|error| FilterError::NoJson(error.to_string()))?;
        if let Some(error) = refused(&value) {
            return Err(error);
        }
        let Bson::Document(filter) = value else { return Err(FilterError::NoDocument) };
        let mut other = None;
        each_condition(&filter, &mut |path, _| {
            if path.starts_with('$') && other.is_none() {
                other = Some(path.to_owned());
            }
        });
        match other {
            Some(operator) => {
                Err(FilterError::Operator { operator, why: "it is no condition on a field".to_owned() })
            }
            None => Ok(Self(filter)),
        }
    }
}

/// As canonical Extended JSON.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &serde_json::to_string(&Ordered(&Bson::Document(self.0.clone()))).map_err(|_| fmt::Error)?,
        )
    }
}

/// Fields in their order, which the JSON of others would sort.
struct Ordered<'a>(&'a Bson);

impl serde::Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Bson::Document(document) => {
                serializer.collect_map(document.iter().map(|(name, value)| (name, Ordered(value))))
            }
            Bson::Array(values) => serializer.collect_seq(values.iter().map(Ordered)),
            leaf => leaf.clone().into_relaxed_extjson().serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;

    use super::*;

    #[test]
    fn a_filter_is_read_and_written_as_it_is() {
        let texts = [
            r#"{"isGroup":{"$ne":true}}"#,
            r#"{"z":{"b":1,"a":2},"a":null}"#,
            r#"{"$or":[{"kind":"direct"},{"$nor":[{"kind":{"$exists":true}}]}]}"#,
            r#"{"at":{"$gt":{"$date":"2024-01-01T00:00:00Z"}},"n":{"$in":[1,2.5,5000000000]}}"#,
        ];
        for text in texts {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.to_string(), text);
            assert_eq!(filter.to_string().parse(), Ok(filter));
        }
        let id = ObjectId::from_bytes([7; 12]);
        let filter: Filter = format!(r#"{{"owner": {{"$oid": "{id}"}}}}"#).parse().unwrap();
        assert_eq!(filter.document(), &doc! { "owner": id });
    }

    #[test]
    fn fields_are_found_however_conditions_are_combined() {
        let text = r#"{"a.b":1,"$or":[{"c":1},{"$and":[{"d":{"$gt":1}},{"e":1}]}]}"#;
        let filter: Filter = text.parse().unwrap();
        assert_eq!(filter.fields().into_iter().collect::<Vec<_>>(), ["a", "c", "d", "e"]);
    }

    #[test]
    fn what_the_server_could_not_always_evaluate_is_refused() {
        let cases = [
            (r#"{"$where": "true"}"#, "$where cannot be used"),
            (r#"{"$and": [{"a": 1}, {"$expr": {"$eq": ["$a", "$b"]}}]}"#, "$expr cannot be used"),
            (r#"{"$text": {"$search": "x"}}"#, "$text cannot be used"),
            (r#"{"place": {"$near": [1, 2]}}"#, "$near cannot be used"),
            (r#"{"place": {"$not": {"$nearSphere": [1, 2]}}}"#, "$nearSphere cannot be used"),
            (r#"{"$jsonSchema": {}}"#, "$jsonSchema cannot be used"),
            ("[]", "it is no document"),
            ("true", "it is no document"),
            ("isGroup", "it is no Extended JSON"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
