//! Takes a change of one document back without losing what was written since.

use bson::{Bson, RawDocument, RawDocumentBuf};

/// What a document becomes when a change is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// The document to store.
    pub document: RawDocumentBuf,
    /// Fields that were written since and are kept.
    pub kept: Vec<String>,
    /// Fields that both the change and somebody since have written: path, what the change would restore, what stays.
    pub conflicts: Vec<(String, Option<Bson>, Option<Bson>)>,
}

/// Takes the change from `before` to `after` back on a document that is now `now`.
///
/// If `now` is `after`, the result is `before`, byte for byte. Otherwise, field by field: what the change did not
/// touch stays as it is now; what it touched and nobody has written since is restored; of an array to which elements
/// were added since, the new ones are kept behind the restored ones; anything else stays as it is now and is listed.
pub fn undo_document(before: &RawDocument, after: &RawDocument, now: &RawDocument) -> Undone {
    let _ = (before, after, now);
    todo!()
}
