//! What a merge will do, as a value: it prints, compares, goes through a file, and leaves nothing to decide.

use std::fmt::Display;

use bson::{Bson, RawDocumentBuf};
use serde::{Deserialize, Serialize};

use crate::{Difference, extended};

/// What becomes of one group of duplicates. As JSON it is readable, and comes back byte for byte. The same whatever order the group's documents came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// The key that the survivor has afterwards.
    pub key: String,
    /// Whose chats these are.
    pub participants: Vec<String>,
    /// What they are about, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The `_id` of the chat that lives on.
    #[serde(with = "extended::value")]
    pub survivor: Bson,
    /// What the API calls it.
    pub survivor_public_id: String,
    /// SHA-256 of its document before, in hexadecimal: a group that has changed is planned anew.
    pub survivor_fingerprint: String,
    /// The survivor's document afterwards; nothing if it stays as it is. Its key included.
    #[serde(with = "extended::optional_document")]
    pub survivor_after: Option<RawDocumentBuf>,
    /// The chats that end, by `_id`.
    pub losers: Vec<LoserPlan>,
    /// Rows elsewhere that are pointed to the survivor.
    pub moves: Vec<Move>,
    /// Rows elsewhere that are changed one by one.
    pub edits: Vec<RowEdit>,
    /// What could not be kept in one place; it stays in the journal.
    pub conflicts: Vec<Conflict>,
    /// Elements of embedded arrays that were there twice, by field.
    pub repeats: Vec<(String, u64)>,
}

/// A chat that ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoserPlan {
    /// Its `_id`.
    #[serde(with = "extended::value")]
    pub id: Bson,
    /// What the API calls it; from then on an alias of the survivor, unless that one is called the same.
    pub public_id: String,
    /// SHA-256 of its document, in hexadecimal.
    pub fingerprint: String,
}

/// All rows whose field has the value `from`, the edited ones excepted, get the value `to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// The collection.
    pub collection: String,
    /// The path of the field; a single value, in sub-documents at most.
    pub field: String,
    /// The loser, in the form in which the rows have it.
    #[serde(with = "extended::value")]
    pub from: Bson,
    /// The survivor, in the same form.
    #[serde(with = "extended::value")]
    pub to: Bson,
    /// How many there were when the plan was made. More may come meanwhile; they are moved too.
    pub rows: u64,
}

/// One row that is changed in its own way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowEdit {
    /// The collection.
    pub collection: String,
    /// The row's `_id`.
    #[serde(with = "extended::value")]
    pub id: Bson,
    /// The row before.
    #[serde(with = "extended::document")]
    pub before: RawDocumentBuf,
    /// The row afterwards; nothing if another row stands for it.
    #[serde(with = "extended::optional_document")]
    pub after: Option<RawDocumentBuf>,
    /// Why, for people.
    pub reason: String,
}

/// Values that differ and cannot both stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its path in the chat; for a row of another collection that one's name and a colon before it.
    pub field: String,
    /// What stays.
    #[serde(with = "extended::value")]
    pub kept: Bson,
    /// What goes, with the `_id` of the document that had it.
    #[serde(with = "extended::pairs")]
    pub dropped: Vec<(Bson, Bson)>,
}

/// Why a group cannot be merged. Nothing of it is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The survivor would be larger than a document may be.
    #[error(
        "the merged chat would have {bytes} bytes, and a document has at most {max}: move its messages to a collection of their own first"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most there may be.
        max: usize,
    },
    /// Two rows of a collection would have the same values in a unique index.
    #[error(
        "rows {rows:?} of {collection} would have the same {fields:?} in a unique index: say in [[migrate.references]] or [[migrate.renumber]] what becomes of them, or remove one"
    )]
    Clash {
        /// The collection.
        collection: String,
        /// The index's fields.
        fields: Vec<String>,
        /// The rows, by `_id`.
        rows: Vec<String>,
    },
    /// A document is not what a document should be.
    #[error("{id}: not readable as BSON: {reason}")]
    Unreadable {
        /// Its `_id`, if that can be read.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A chat has no id that an alias could be made of.
    #[error("the chat {0} has no id that clients could have used, so none that could be kept working")]
    NoPublicId(String),
    /// Two of the chats have one id outside.
    #[error(
        "two chats are called {0:?}, with an `_id` of another type each: nobody knows which of them a row names by it"
    )]
    TwofoldId(String),
    /// The chats differ in fields of which no rule says what becomes of them.
    #[error("{}", crate::differences::in_a_line(.0))]
    Unexplained(Vec<Difference>),
    /// The survivor would be outside the filter that says which chats are under the guarantee.
    #[error("by {0} the merged chat would be outside `only`: give its fields rules by which it stays inside")]
    LeavesFilter(String),
    /// A rule cannot be applied to what is stored.
    #[error("{field}: {reason}")]
    Rule {
        /// The field with the rule.
        field: String,
        /// Why not.
        reason: String,
    },
}

impl Blocked {
    pub(crate) fn unreadable(id: &dyn Display, error: &bson::error::Error) -> Self {
        Self::Unreadable { id: id.to_string(), reason: error.to_string() }
    }
}
