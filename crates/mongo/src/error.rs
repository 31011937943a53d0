//! The one place where the driver's errors become ours. Matched by code and by the server's own documents, never
//! by text.

use mongodb::{
    bson::{Bson, Document},
    error::{Error, ErrorKind, WriteFailure},
};
use onechat_core::{KeyFormat, StoreError};

use crate::index::IndexStatus;

/// Why a store cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string cannot be understood.
    #[error("the connection string is not right: {0}")]
    ConnectionString(String),
    /// The connection string names no database.
    #[error(
        "the connection string names no database: write {write}, where `chat` may be any name; a database that does \
         not exist yet is made by the first write"
    )]
    NoDatabase {
        /// The same connection string with a database, and without its secrets.
        write: String,
    },
    /// The mapping cannot be used.
    #[error("the layout of documents is not right: {0}")]
    Mapping(String),
    /// No server answers, or it refuses us.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// The keys in the collection are of another format than the one configured.
    #[error(
        "the keys in {collection} are in the format {stored}, and the configuration says {configured}; \
         set the key format to {stored}"
    )]
    KeyFormat {
        /// The collection of chats.
        collection: String,
        /// The format of the keys there.
        stored: KeyFormat,
        /// The format that was asked for.
        configured: KeyFormat,
    },
    /// The keys that count are in another field than the configuration names.
    #[error(
        "the keys in {collection} are in the field {stored}, and the configuration names {configured}: set \
         `participants_key` of [mongodb.chat_fields] to {stored}; to have other keys, name these in \
         [mongodb.previous] (docs/guide-migration.md, \"Other keys\"), or take the guarantee back with them \
         (`onechat rollback`) and migrate anew"
    )]
    KeyField {
        /// The collection of chats.
        collection: String,
        /// The field with the keys.
        stored: String,
        /// The field that was asked for.
        configured: String,
    },
    /// The chats in the collection were given their keys by other contexts than the configuration names.
    #[error(
        "the keys in {collection} were made with {}, and the configuration has {}: \
         set `context` of [mongodb.chat_fields] to what they were made with, or have other keys: docs/guide-migration.md",
        shown(stored.as_deref()), shown(configured.as_deref())
    )]
    Context {
        /// The collection of chats.
        collection: String,
        /// The field of the contexts when the keys were made.
        stored: Option<String>,
        /// The field that was asked for.
        configured: Option<String>,
    },
    /// Other chats of the collection were given keys than the configuration selects.
    #[error(
        "the keys in {collection} were given to {}, and the configuration selects {}: set `only` of [mongodb] to what it \
         was, have other keys (docs/guide-migration.md), or take the guarantee back with that (`onechat rollback`) and migrate \
         anew",
        selected(stored.as_deref()), selected(configured.as_deref())
    )]
    Only {
        /// The collection of chats.
        collection: String,
        /// The filter when the keys were made.
        stored: Option<String>,
        /// The filter that was asked for.
        configured: Option<String>,
    },
    /// The keys of the configuration are replacing others, on which servers may still rely.
    #[error(
        "the keys in {field} of {collection} are replacing those in {previous}, which other servers may still rely on: \
         name these in [mongodb.previous] (`participants_key = {previous:?}`) until `onechat rekey finish` is through"
    )]
    Replacing {
        /// The collection of chats.
        collection: String,
        /// The field of the configured keys.
        field: String,
        /// The field of the keys that they replace.
        previous: String,
    },
    /// Other keys have replaced those of the configuration.
    #[error(
        "the keys in {field} of {collection} do not count any more (`onechat rekey finish`): those in {successor:?} do; \
         start with the configuration that names these"
    )]
    Retired {
        /// The collection of chats.
        collection: String,
        /// The field of the configured keys.
        field: String,
        /// The field of the keys that count.
        successor: String,
    },
    /// The previous keys are not those that are there.
    #[error("[mongodb.previous] names the keys in {field} of {collection}, and that does not fit: {reason}")]
    Previous {
        /// The collection of chats.
        collection: String,
        /// The field of the previous keys.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// What we have noted beside the collection cannot be understood.
    #[error("what is noted about {collection} in {meta} cannot be understood: {reason}; use a newer onechat")]
    Meta {
        /// The collection of chats.
        collection: String,
        /// Where the note is.
        meta: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn shown(context: Option<&str>) -> String {
    context.map_or_else(|| "no context".to_owned(), |field| format!("the context in the field {field:?}"))
}

fn selected(only: Option<&str>) -> String {
    only.map_or_else(|| "all chats".to_owned(), |filter| format!("those of {filter}"))
}

/// Why indexes could not be made or dropped.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Documents that the index forbids are there already.
    #[error(
        "{collection} has documents that the unique index forbids: `onechat audit` lists them, \
         and they have to be merged or removed first"
    )]
    Duplicates {
        /// The collection.
        collection: String,
    },
    /// An index is in the way.
    #[error("the index {name} of {collection} has our name, but is another index: drop or rename it first")]
    InTheWay {
        /// The collection.
        collection: String,
        /// The index.
        name: String,
    },
    /// A document has arrays in two fields of one index.
    #[error(
        "{collection} has documents with more than one array among {fields}, which no index can hold: put them right first"
    )]
    Arrays {
        /// The collection.
        collection: String,
        /// The fields of the index.
        fields: String,
    },
    /// The guard of a migration is there, which is not unique yet.
    #[error(
        "the index {name} of {collection} keeps new duplicates out and is not unique yet: `onechat migrate`, or \
         `onechat enforce` once the old duplicates are merged, makes it so"
    )]
    Guarding {
        /// The collection.
        collection: String,
        /// The index.
        name: String,
    },
    /// After it was made, the server does not show it.
    #[error("the server does not show what was made: {0:?}")]
    NotThere(Vec<IndexStatus>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Codes by the names that the server's `error_codes.yml` gives them.
pub(crate) mod code {
    pub(crate) const BAD_VALUE: i32 = 2;
    pub(crate) const UNAUTHORIZED: i32 = 13;
    pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
    pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;
    pub(crate) const INDEX_NOT_FOUND: i32 = 27;
    pub(crate) const INDEX_OPTIONS_CONFLICT: i32 = 85;
    pub(crate) const INDEX_KEY_SPECS_CONFLICT: i32 = 86;
    pub(crate) const MAX_TIME_MS_EXPIRED: i32 = 50;
    pub(crate) const NOT_A_REPLICA_SET: i32 = 123;
    pub(crate) const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
    pub(crate) const INVALID_RESUME_TOKEN: i32 = 260;
    pub(crate) const CONVERSION_FAILURE: i32 = 241;
    pub(crate) const CHANGE_STREAM_FATAL_ERROR: i32 = 280;
    pub(crate) const CHANGE_STREAM_HISTORY_LOST: i32 = 286;
    pub(crate) const CANNOT_INDEX_PARALLEL_ARRAYS: i32 = 171;
    pub(crate) const CANNOT_CONVERT_INDEX_TO_UNIQUE: i32 = 359;
    pub(crate) const BSON_OBJECT_TOO_LARGE: i32 = 10334;
    pub(crate) const DUPLICATE_KEY: i32 = 11000;
    /// An update would have made a document of more than 16 MiB. It has no name.
    pub(crate) const UPDATED_DOCUMENT_TOO_LARGE: i32 = 17419;
}

/// The server's code of an error, however the driver wraps it.
pub(crate) fn code_of(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        _ => None,
    }
}

/// What the driver says, without the server's whole reply, which may hold documents.
pub(crate) fn reason(error: &Error) -> String {
    error.kind.to_string()
}

/// Whether trying again cannot help: nobody elects away a missing right.
pub(crate) fn is_permanent(error: &Error) -> bool {
    matches!(code_of(error), Some(code::UNAUTHORIZED | code::AUTHENTICATION_FAILED | code::BAD_VALUE))
        || matches!(
            &*error.kind,
            ErrorKind::Authentication { .. }
                | ErrorKind::InvalidArgument { .. }
                | ErrorKind::InvalidTlsConfig { .. }
        )
}

pub(crate) fn unavailable(error: &Error) -> StoreError {
    StoreError::Unavailable(reason(error))
}

/// What became of one document of an unordered insert.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Written {
    /// It is there, on a majority of the members.
    Stored,
    /// A unique index has its values already: the index's fields in order.
    Duplicate(Vec<String>),
    /// A rule of the collection forbids it.
    Refused(String),
    /// Nobody knows, and why.
    Unknown(String),
}

/// Reads the reply to an insert of `count` documents, error by error.
pub(crate) fn sort_out(reply: &Document, count: usize) -> Vec<Written> {
    let doubt = reply.get_document("writeConcernError").ok();
    let all = doubt.map_or(Written::Stored, |doubt| {
        Written::Unknown(format!(
            "not known to be on a majority: {}",
            doubt.get_str("errmsg").unwrap_or_default()
        ))
    });
    let mut written = vec![all; count];
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(Bson::as_document) {
        let index = number(error.get("index")).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| written.get_mut(index)) {
            *slot = one_error(error);
        }
    }
    written
}

fn one_error(error: &Document) -> Written {
    let text = error.get_str("errmsg").unwrap_or_default();
    match number(error.get("code")).and_then(|code| i32::try_from(code).ok()) {
        Some(code::DUPLICATE_KEY) => {
            let pattern = error.get_document("keyPattern");
            Written::Duplicate(pattern.map(|pattern| pattern.keys().cloned().collect()).unwrap_or_default())
        }
        Some(code::DOCUMENT_VALIDATION_FAILURE) => {
            Written::Refused("the collection's validator forbids the document".to_owned())
        }
        code => Written::Unknown(format!("{text} (code {})", code.unwrap_or_default())),
    }
}

/// A number, however the server's reply has it.
pub(crate) fn number(value: Option<&Bson>) -> Option<i64> {
    match value? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "a reply counts in whole numbers")]
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn errors_are_told_apart_by_index_code_and_key_pattern() {
        let reply = doc! { "ok": 1, "n": 2, "writeErrors": [
            { "index": 1, "code": 11000, "keyPattern": { "participantsKey": 1 }, "errmsg": "E11000" },
            { "index": 2, "code": 11000, "keyPattern": { "a": 1, "b": -1 }, "errmsg": "E11000" },
            { "index": 3, "code": 121, "errmsg": "Document failed validation" },
            { "index": 4, "code": 1, "errmsg": "what is this" },
        ]};
        let written = sort_out(&reply, 6);
        assert_eq!(written[0], Written::Stored);
        assert_eq!(written[1], Written::Duplicate(vec!["participantsKey".to_owned()]));
        assert_eq!(written[2], Written::Duplicate(vec!["a".to_owned(), "b".to_owned()]));
        assert!(matches!(written[3], Written::Refused(_)));
        assert!(matches!(written[4], Written::Unknown(_)));
        assert_eq!(written[5], Written::Stored);
    }

    #[test]
    fn without_the_majority_nothing_is_called_stored() {
        let reply = doc! { "ok": 1, "n": 1, "writeErrors": [
            { "index": 1, "code": 11000, "keyPattern": { "participantsKey": 1 }, "errmsg": "E11000" },
        ], "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
        let written = sort_out(&reply, 2);
        assert!(matches!(written[0], Written::Unknown(_)));
        assert!(matches!(written[1], Written::Duplicate(_)));
    }
}
