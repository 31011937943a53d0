//! Rows that an entry has changed one by one, some of them several times: by the merge, and by sweeps after it.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf};

use super::super::survey::bytes_of;
use super::{now::value_at, reversal::Point};

/// The rows, in the order in which they were changed first.
#[derive(Default)]
pub(super) struct EditedRows {
    rows: Vec<EditedRow>,
    places: HashMap<(String, Vec<u8>), usize>,
}

/// A row, with all that was done to it.
pub(super) struct EditedRow {
    pub(super) collection: String,
    pub(super) id: Bson,
    edits: Vec<Edit>,
    /// Fields that were set, apart from the edits: from what, to what.
    moves: Vec<(String, Bson, Bson)>,
}

struct Edit {
    before: RawDocumentBuf,
    /// Nothing if the row was removed.
    after: Option<RawDocumentBuf>,
}

impl EditedRows {
    pub(super) fn add(
        &mut self,
        collection: String,
        id: Bson,
        before: RawDocumentBuf,
        after: Option<RawDocumentBuf>,
    ) {
        let place = *self.places.entry((collection.clone(), bytes_of(&id))).or_insert_with(|| {
            self.rows.push(EditedRow { collection, id, edits: Vec::new(), moves: Vec::new() });
            self.rows.len() - 1
        });
        self.rows[place].edits.push(Edit { before, after });
    }

    /// Takes the rows that were changed in other ways too out of those that are pointed back.
    pub(super) fn without_edited(&mut self, mut point: Point) -> Point {
        point.ids.retain(|id| match self.places.get(&(point.collection.clone(), bytes_of(id))) {
            Some(place) => {
                let moved = (point.field.clone(), point.target.clone(), point.now.clone());
                self.rows[*place].moves.push(moved);
                false
            }
            None => true,
        });
        point
    }

    pub(super) fn into_rows(self) -> Vec<EditedRow> {
        self.rows
    }
}

impl EditedRow {
    /// What the row was before all of it, and what it was made in the end. The journal may name a change that was not made after
    /// all, so they are put together by what they found and left: the last one is the one that left what stands there `now`,
    /// or else one that no other one has built on.
    pub(super) fn as_a_whole(
        &self,
        now: Option<&RawDocumentBuf>,
    ) -> (RawDocumentBuf, Option<RawDocumentBuf>) {
        let is_built_on = |edit: &Edit| {
            edit.after.as_ref().is_some_and(|after| self.edits.iter().any(|one| one.before == *after))
        };
        let last = self.edits.iter().rposition(|edit| edit.after.as_ref() == now);
        let last = last.or_else(|| self.edits.iter().rposition(|edit| !is_built_on(edit)));
        let last = last.unwrap_or(self.edits.len() - 1);
        let mut at = last;
        // Each step goes back to another edit, and there are no more of them.
        for _ in 1..self.edits.len() {
            let found = &self.edits[at].before;
            match self.edits.iter().position(|edit| edit.after.as_ref() == Some(found)) {
                Some(earlier) if earlier != at => at = earlier,
                _ => break,
            }
        }
        let before = self.moves.iter().fold(self.edits[at].before.clone(), |before, (field, from, to)| {
            if value_at(&before, field).as_ref() == Some(to) { with(&before, field, from) } else { before }
        });
        (before, self.edits[last].after.clone())
    }
}

/// The row with another value at a path that leads through sub-documents.
fn with(row: &RawDocument, path: &str, value: &Bson) -> RawDocumentBuf {
    fn set(document: &mut Document, path: &str, value: &Bson) {
        match path.split_once('.') {
            Some((first, rest)) => {
                if let Ok(inner) = document.get_document_mut(first) {
                    set(inner, rest, value);
                }
            }
            None => {
                document.insert(path, value.clone());
            }
        }
    }
    let changed = Document::try_from(row).ok().and_then(|mut document| {
        set(&mut document, path, value);
        RawDocumentBuf::try_from(&document).ok()
    });
    changed.unwrap_or_else(|| row.to_owned())
}
