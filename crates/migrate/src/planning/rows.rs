//! The rows of other collections that are changed one by one, while a plan is being made.

use std::collections::HashMap;

use bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf};

use super::order::compare;
use crate::{
    RowEdit,
    fields::{bson_of, bytes_of},
};

/// A row as the plan leaves it so far.
#[derive(Debug)]
struct Row {
    collection: String,
    before: RawDocumentBuf,
    /// Nothing if it is removed.
    now: Option<RawDocumentBuf>,
    reasons: Vec<String>,
}

/// All rows that were looked at, once each, though several references may show them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    by_id: HashMap<(String, Vec<u8>), usize>,
}

/// One of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowIndex(usize);

impl Rows {
    /// Takes a row in, unless it is known.
    pub(super) fn add(&mut self, collection: &str, document: &RawDocumentBuf) -> RowIndex {
        let key = (collection.to_owned(), bytes_of(id_of(document)));
        RowIndex(*self.by_id.entry(key).or_insert_with(|| {
            self.rows.push(Row {
                collection: collection.to_owned(),
                before: document.clone(),
                now: Some(document.clone()),
                reasons: Vec::new(),
            });
            self.rows.len() - 1
        }))
    }

    /// The row as it is to be; nothing if it is removed.
    pub(super) fn now(&self, row: RowIndex) -> Option<&RawDocumentBuf> {
        self.rows[row.0].now.as_ref()
    }

    /// The row's `_id`.
    pub(super) fn id(&self, row: RowIndex) -> Bson {
        bson_of(id_of(&self.rows[row.0].before))
    }

    pub(super) fn is_edited(&self, row: RowIndex) -> bool {
        !self.rows[row.0].reasons.is_empty()
    }

    pub(super) fn replace(&mut self, row: RowIndex, document: RawDocumentBuf, reason: impl Into<String>) {
        let row = &mut self.rows[row.0];
        if row.now.as_ref() != Some(&document) {
            row.now = Some(document);
            row.reasons.push(reason.into());
        }
    }

    pub(super) fn remove(&mut self, row: RowIndex, reason: impl Into<String>) {
        self.rows[row.0].now = None;
        self.rows[row.0].reasons.push(reason.into());
    }

    /// The rows of a collection that are changed and stay.
    pub(super) fn changed_of(&self, collection: &str) -> Vec<RowIndex> {
        let rows = (0..self.rows.len()).map(RowIndex);
        rows.filter(|row| {
            self.is_edited(*row) && self.now(*row).is_some() && self.rows[row.0].collection == collection
        })
        .collect()
    }

    /// The rows of a collection that are changed or removed, as they were.
    pub(super) fn edited_before<'a>(&'a self, collection: &'a str) -> impl Iterator<Item = &'a RawDocument> {
        let edited = move |row: &&Row| !row.reasons.is_empty() && row.collection == collection;
        self.rows.iter().filter(edited).map(|row| &*row.before)
    }

    /// What is changed, by collection and `_id`.
    pub(super) fn into_edits(self) -> Vec<RowEdit> {
        let mut rows: Vec<Row> = self.rows.into_iter().filter(|row| !row.reasons.is_empty()).collect();
        rows.sort_by(|one, other| {
            let by_id = || compare(id_of(&one.before), id_of(&other.before));
            one.collection.cmp(&other.collection).then_with(by_id)
        });
        let edit = |row: Row| RowEdit {
            id: bson_of(id_of(&row.before)),
            collection: row.collection,
            before: row.before,
            after: row.now,
            reason: row.reasons.join("; "),
        };
        rows.into_iter().map(edit).collect()
    }
}

/// A row's `_id`.
pub(super) fn id_of(document: &RawDocument) -> RawBsonRef<'_> {
    document.get("_id").ok().flatten().unwrap_or(RawBsonRef::Null)
}
