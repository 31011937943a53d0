//! Takes a change of one document back without losing what was written since.

use std::collections::{HashMap, HashSet};

use bson::{Bson, RawBson, RawDocument, RawDocumentBuf};

use crate::fields::{Fields, array, bson_of, bytes_of, elements, same};

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
/// were added since, the new ones are kept behind the restored ones; sub-documents are taken field by field; anything
/// else stays as it is now and is listed. The fields are in the order of `before`; those that came since follow.
pub fn undo_document(before: &RawDocument, after: &RawDocument, now: &RawDocument) -> Undone {
    if now.as_bytes() == after.as_bytes() {
        return Undone { document: before.to_owned(), kept: Vec::new(), conflicts: Vec::new() };
    }
    let mut undoing = Undoing::default();
    let document = undoing.documents("", before, after, now).unwrap_or_else(|| {
        // Not readable: nothing of it is touched.
        let whole = |document: &RawDocument| Some(bson_of(bson::RawBsonRef::Document(document)));
        undoing.conflicts.push((String::new(), whole(before), whole(now)));
        now.to_owned()
    });
    Undone { document, kept: undoing.kept, conflicts: undoing.conflicts }
}

#[derive(Default)]
struct Undoing {
    kept: Vec<String>,
    conflicts: Vec<(String, Option<Bson>, Option<Bson>)>,
}

impl Undoing {
    /// Nothing if one of them cannot be read.
    fn documents(
        &mut self,
        prefix: &str,
        before: &RawDocument,
        after: &RawDocument,
        now: &RawDocument,
    ) -> Option<RawDocumentBuf> {
        let (before, after, now) =
            (Fields::read(before).ok()?, Fields::read(after).ok()?, Fields::read(now).ok()?);
        let mut undone = Fields::default();
        let since = now.iter().map(|(name, _)| name).filter(|name| before.get(name).is_none());
        for name in before.iter().map(|(name, _)| name).chain(since) {
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            if let Some(value) = self.value(&path, before.get(name), after.get(name), now.get(name)) {
                undone.set(name, value);
            }
        }
        Some(undone.build())
    }

    fn value(
        &mut self,
        path: &str,
        before: Option<&RawBson>,
        after: Option<&RawBson>,
        now: Option<&RawBson>,
    ) -> Option<RawBson> {
        if are_same(now, after) {
            return before.cloned();
        }
        if are_same(before, after) {
            self.kept.push(path.to_owned());
            return now.cloned();
        }
        if are_same(now, before) {
            return now.cloned();
        }
        match (before, after, now) {
            (
                Some(RawBson::Document(before)),
                Some(RawBson::Document(after)),
                Some(RawBson::Document(now)),
            ) => {
                let marks = (self.kept.len(), self.conflicts.len());
                if let Some(document) = self.documents(path, before, after, now) {
                    return Some(RawBson::Document(document));
                }
                self.kept.truncate(marks.0);
                self.conflicts.truncate(marks.1);
            }
            (None | Some(RawBson::Array(_)), Some(RawBson::Array(_)), Some(RawBson::Array(_))) => {
                if let Some(value) = added_since(before, after, now) {
                    self.kept.push(path.to_owned());
                    return Some(value);
                }
            }
            _ => {}
        }
        let shown = |value: Option<&RawBson>| value.map(|value| bson_of(value.as_raw_bson_ref()));
        self.conflicts.push((path.to_owned(), shown(before), shown(now)));
        now.cloned()
    }
}

/// The elements before, and behind them those that are there now and were not after the change. Nothing if one that was
/// there after the change is gone or changed: what that would mean for the elements before, nobody can tell.
fn added_since(before: Option<&RawBson>, after: Option<&RawBson>, now: Option<&RawBson>) -> Option<RawBson> {
    let list = |value: Option<&RawBson>| match value {
        Some(value) => elements(value.as_raw_bson_ref()).ok().flatten(),
        None => Some(Vec::new()),
    };
    let (mut undone, after, now) = (list(before)?, list(after)?, list(now)?);
    let mut expected: HashMap<Vec<u8>, usize> = HashMap::with_capacity(after.len());
    for element in &after {
        *expected.entry(bytes_of(element.as_raw_bson_ref())).or_default() += 1;
    }
    let restored: HashSet<Vec<u8>> =
        undone.iter().map(|element| bytes_of(element.as_raw_bson_ref())).collect();
    let mut found = 0;
    for element in now {
        let bytes = bytes_of(element.as_raw_bson_ref());
        match expected.get_mut(&bytes) {
            Some(left) if *left > 0 => {
                *left -= 1;
                found += 1;
            }
            // Somebody has put it back already.
            None if restored.contains(&bytes) => {}
            _ => undone.push(element),
        }
    }
    (found == after.len()).then(|| array(&undone))
}

fn are_same(one: Option<&RawBson>, other: Option<&RawBson>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one.as_raw_bson_ref(), other.as_raw_bson_ref()),
        (None, None) => true,
        _ => false,
    }
}
