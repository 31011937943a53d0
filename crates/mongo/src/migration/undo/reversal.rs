//! What it takes to undo an entry, as a value: the journal compared with what is there now.

use mongodb::bson::{Bson, RawDocumentBuf};
use onechat_migrate::undo_document;

use super::super::{
    MigrateError, MongoMigrator,
    journal::{Entry, Item, shown},
    survey::bytes_of,
};
use super::{
    edited::EditedRows,
    now::{Now, value_at},
};

/// What it takes to undo one entry. Every part names what it expects to find.
pub(super) struct Reversal {
    pub(super) entry: Entry,
    /// Chats that live again, byte for byte.
    pub(super) chats: Vec<Insert>,
    /// Rows that were removed, byte for byte. A unique index may allow them only once others are pointed back.
    pub(super) rows: Vec<Insert>,
    pub(super) replacements: Vec<Replacement>,
    pub(super) points: Vec<Point>,
    pub(super) revived: u64,
    pub(super) kept: u64,
    pub(super) conflicts: Vec<String>,
}

pub(super) struct Insert {
    pub(super) collection: String,
    pub(super) document: RawDocumentBuf,
}

pub(super) struct Replacement {
    pub(super) collection: String,
    pub(super) id: Bson,
    pub(super) now: RawDocumentBuf,
    pub(super) target: RawDocumentBuf,
}

/// Rows that are pointed back.
pub(super) struct Point {
    pub(super) collection: String,
    pub(super) field: String,
    /// What they name now.
    pub(super) now: Bson,
    /// What they named before the merge.
    pub(super) target: Bson,
    pub(super) ids: Vec<Bson>,
}

/// An entry with what it changed.
pub(in crate::migration) struct Loaded {
    pub(in crate::migration) entry: Entry,
    pub(in crate::migration) items: Vec<Item>,
}

impl Loaded {
    /// About how much there is to read and write.
    pub(in crate::migration) fn bytes(&self) -> usize {
        let of = |image: &Option<RawDocumentBuf>| image.as_ref().map_or(0, |image| image.as_bytes().len());
        let bytes = |item: &Item| match item {
            Item::Survivor { before, after, .. } | Item::Edit { before, after, .. } => {
                before.as_bytes().len() + of(after)
            }
            Item::Loser { before, .. } => before.as_bytes().len(),
            Item::Moved { ids, .. } => ids.len() * 32,
            Item::Conflict(_) => 0,
        };
        self.items.iter().map(bytes).sum()
    }

    /// Rows that were changed one by one.
    pub(super) fn edited_rows(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.items.iter().filter_map(|item| match item {
            Item::Edit { collection, id, .. } => Some((collection.clone(), bytes_of(id))),
            _ => None,
        })
    }
}

impl MongoMigrator {
    pub(in crate::migration) async fn load(&self, entry: Entry) -> Result<Loaded, MigrateError> {
        let mut items = Vec::new();
        let mut cursor = self.items(entry.id).await?;
        while let Some(item) = cursor.next().await? {
            items.push(item);
        }
        Ok(Loaded { entry, items })
    }
}

impl Reversal {
    /// Compares.
    pub(super) fn of(loaded: Loaded, chats: &str, now: &Now) -> Self {
        let Loaded { entry, items } = loaded;
        let mut reversal = Self {
            entry,
            chats: Vec::new(),
            rows: Vec::new(),
            replacements: Vec::new(),
            points: Vec::new(),
            revived: 0,
            kept: 0,
            conflicts: Vec::new(),
        };
        // Of several images of one loser the last one is what was deleted.
        let mut losers: Vec<(Bson, RawDocumentBuf)> = Vec::new();
        let (mut edited, mut moved) = (EditedRows::default(), Vec::new());
        for item in items {
            match item {
                Item::Survivor { id, before, after: Some(after) } => {
                    reversal.replace(chats, id, &before, &after, now);
                }
                Item::Edit { collection, id, before, after, .. } => {
                    edited.add(collection, id, before, after);
                }
                Item::Loser { id, before } => {
                    losers.retain(|(known, _)| *known != id);
                    losers.push((id, before));
                }
                Item::Moved { collection, field, from, to, ids } => {
                    moved.push(Point { collection, field, now: to, target: from, ids });
                }
                Item::Survivor { after: None, .. } | Item::Conflict(_) => {}
            }
        }
        for point in moved {
            let Point { collection, field, now: to, target: from, ids } = edited.without_edited(point);
            reversal.point(collection, field, to, from, ids, now);
        }
        for row in edited.into_rows() {
            let (before, after) = row.as_a_whole(now.document(&row.collection, &row.id));
            if let Some(after) = after {
                reversal.replace(&row.collection, row.id, &before, &after, now);
            } else {
                let insert = reversal.insert(&row.collection, &row.id, before, now);
                reversal.rows.extend(insert);
            }
        }
        for (id, before) in losers {
            let insert = reversal.insert(chats, &id, before, now);
            reversal.revived += u64::from(insert.is_some());
            reversal.chats.extend(insert);
        }
        reversal.kept += now.written_since(&reversal.entry);
        reversal
    }

    fn replace(
        &mut self,
        collection: &str,
        id: Bson,
        before: &RawDocumentBuf,
        after: &RawDocumentBuf,
        now: &Now,
    ) {
        let Some(document) = now.document(collection, &id) else {
            self.conflict(collection, &id, "is gone, so nothing of it was given back");
            return;
        };
        // An undo that was cut off got as far as this document.
        if document == before || now.is_intended(&self.entry, collection, &id, document) {
            return;
        }
        let undone = undo_document(before, after, document);
        self.kept += undone.kept.len() as u64;
        for (path, restored, stays) in &undone.conflicts {
            let text = |value: &Option<Bson>| value.as_ref().map_or_else(|| "nothing".to_owned(), in_short);
            let what = format!("has {} in {path}, written since; it was {}", text(stays), text(restored));
            self.conflict(collection, &id, &what);
        }
        if undone.document != *document {
            let (collection, now, target) = (collection.to_owned(), document.clone(), undone.document);
            self.replacements.push(Replacement { collection, id, now, target });
        }
    }

    fn insert(&mut self, collection: &str, id: &Bson, before: RawDocumentBuf, now: &Now) -> Option<Insert> {
        match now.document(collection, id) {
            None => return Some(Insert { collection: collection.to_owned(), document: before }),
            Some(document) if *document == before => {}
            Some(_) => self.conflict(collection, id, "was made anew since, and stays as it is"),
        }
        None
    }

    fn point(&mut self, collection: String, field: String, to: Bson, from: Bson, ids: Vec<Bson>, now: &Now) {
        let mut still = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(row) = now.row(&collection, &field, &id) else {
                self.conflict(&collection, &id, "was deleted since");
                continue;
            };
            match value_at(row, &field) {
                Some(value) if value == to => still.push(id),
                // Somebody else was first, or an undo that was cut off.
                Some(value) if value == from => {}
                Some(value) => {
                    let what = format!("names {} in {field} since, not {}", in_short(&value), in_short(&to));
                    self.conflict(&collection, &id, &what);
                }
                None => self.conflict(&collection, &id, &format!("has no {field} any more")),
            }
        }
        if !still.is_empty() {
            self.points.push(Point { collection, field, now: to, target: from, ids: still });
        }
    }

    fn conflict(&mut self, collection: &str, id: &Bson, what: &str) {
        self.conflicts.push(format!("{collection} {} {what}", shown(id)));
    }

    /// How many documents it writes.
    pub(in crate::migration) fn documents(&self) -> u64 {
        let rows: usize = self.points.iter().map(|point| point.ids.len()).sum();
        (self.chats.len() + self.rows.len() + self.replacements.len() + rows + 1) as u64
    }

    pub(super) fn moved_back(&self) -> u64 {
        self.points.iter().map(|point| point.ids.len() as u64).sum()
    }
}

/// A value for people, not longer than a line.
fn in_short(value: &Bson) -> String {
    const MOST: usize = 80;
    let text = shown(value);
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// Which rows of the entry's references its journal names, so that others are told from them.
pub(super) fn journaled_rows(items: &[Item]) -> impl Iterator<Item = Vec<u8>> {
    items.iter().flat_map(|item| match item {
        Item::Moved { ids, .. } => ids.iter().map(bytes_of).collect(),
        _ => Vec::new(),
    })
}
