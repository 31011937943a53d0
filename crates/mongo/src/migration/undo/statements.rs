//! Reversals as commands. Each statement names what it expects to find, and each command how many of them have to
//! find it.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use onechat_core::StoreError;

use super::super::{apply::replace, commands::COMMAND_BYTES, journal::JOURNAL};
use super::{
    now::intention,
    reversal::{Insert, Point, Replacement, Reversal},
};
use crate::collections::ALIASES;

/// How many ids one statement names.
const IDS: usize = 1000;
/// How many lines an entry keeps of what could not be given back.
const LINES: usize = 1000;
/// A command, and how many documents it has to match or insert; any number, if that is nothing.
pub(super) struct Command {
    pub(super) command: RawDocumentBuf,
    pub(super) expected: Option<usize>,
}

/// Brings back the chats that ended.
pub(super) fn chats(reversals: &[Reversal]) -> Vec<Command> {
    inserts(reversals.iter().flat_map(|reversal| &reversal.chats))
}

/// Brings back the rows that were removed. Comes after everything that makes room for them in a unique index.
pub(super) fn rows(reversals: &[Reversal]) -> Vec<Command> {
    inserts(reversals.iter().flat_map(|reversal| &reversal.rows))
}

fn inserts<'a>(all: impl Iterator<Item = &'a Insert>) -> Vec<Command> {
    let mut by_collection: BTreeMap<&str, Statements> = BTreeMap::new();
    for insert in all {
        by_collection.entry(&insert.collection).or_default().push(insert.document.clone(), 1);
    }
    let commands = by_collection.into_iter().flat_map(|(collection, statements)| {
        statements.into_commands(|documents| rawdoc! { "insert": collection, "documents": documents })
    });
    commands.collect()
}

/// Points rows back.
pub(super) fn points(reversals: &[Reversal]) -> Result<Vec<Command>, StoreError> {
    let mut by_collection: BTreeMap<&str, Statements> = BTreeMap::new();
    for point in reversals.iter().flat_map(|reversal| &reversal.points) {
        let statements = by_collection.entry(&point.collection).or_default();
        for ids in point.ids.chunks(IDS) {
            statements.push(back(point, ids)?, ids.len());
        }
    }
    Ok(updates(by_collection))
}

fn back(point: &Point, ids: &[Bson]) -> Result<RawDocumentBuf, StoreError> {
    raw(&doc! {
        "q": { "_id": { "$in": ids }, &point.field: point.now.clone() },
        "u": { "$set": { &point.field: point.target.clone() } },
        "multi": true,
        "collation": { "locale": "simple" },
    })
}

/// Replaces documents that are still what they were when they were read.
pub(super) fn replacements(reversals: &[Reversal]) -> Result<Vec<Command>, StoreError> {
    let mut by_collection: BTreeMap<&str, Statements> = BTreeMap::new();
    for replacement in reversals.iter().flat_map(|reversal| &reversal.replacements) {
        let Replacement { collection, id, now, target } = replacement;
        by_collection.entry(collection).or_default().push(replace(id, now, target, true)?, 1);
    }
    Ok(updates(by_collection))
}

/// Lets the old ids be ids of chats again.
pub(super) fn aliases(reversals: &[Reversal]) -> Result<Command, StoreError> {
    let deletes = reversals.iter().map(|reversal| {
        let losers = &reversal.entry.losers;
        let ids: Vec<&String> = losers.iter().map(|(_, public)| public).collect();
        doc! { "q": { "_id": { "$in": ids }, "entry": reversal.entry.id }, "limit": 0 }
    });
    let deletes: Vec<Document> = deletes.collect();
    Ok(Command { command: raw(&doc! { "delete": ALIASES, "deletes": deletes })?, expected: None })
}

/// Notes what documents are about to become, and that the entries are being undone.
pub(super) fn intentions(reversals: &[Reversal]) -> Result<Vec<Command>, StoreError> {
    let mut statements = Statements::default();
    for reversal in reversals {
        let intentions = reversal.replacements.iter();
        let intentions: Vec<String> =
            intentions.map(|one| intention(&one.collection, &one.id, &one.target)).collect();
        let update = doc! {
            "$set": { "state": "undoing" },
            "$addToSet": { "intentions": { "$each": intentions } },
        };
        statements.push(raw(&doc! { "q": { "_id": reversal.entry.id }, "u": update })?, 1);
    }
    Ok(updates(BTreeMap::from([(JOURNAL, statements)])))
}

/// Notes that the entries are undone, and what could not be given back. Once only.
pub(super) fn conclusions(reversals: &[Reversal]) -> Result<Vec<Command>, StoreError> {
    let mut statements = Statements::default();
    for reversal in reversals {
        let lines: Vec<&String> = reversal.conflicts.iter().take(LINES).collect();
        let update = vec![
            doc! { "$set": {
                "state": "undone", "undoneAt": "$$NOW", "undoConflicts": { "$literal": lines },
            } },
            doc! { "$unset": "intentions" },
        ];
        let query = doc! { "_id": reversal.entry.id, "state": { "$in": ["done", "undoing"] } };
        statements.push(raw(&doc! { "q": query, "u": update })?, 1);
    }
    Ok(updates(BTreeMap::from([(JOURNAL, statements)])))
}

fn updates(by_collection: BTreeMap<&str, Statements>) -> Vec<Command> {
    let commands = by_collection.into_iter().flat_map(|(collection, statements)| {
        statements.into_commands(|updates| rawdoc! { "update": collection, "updates": updates })
    });
    commands.collect()
}

/// Statements of one command, or of several if one would be too large.
#[derive(Default)]
struct Statements {
    chunks: Vec<(RawArrayBuf, usize, usize)>,
}

impl Statements {
    fn push(&mut self, statement: RawDocumentBuf, expected: usize) {
        let bytes = statement.as_bytes().len();
        match self.chunks.last_mut() {
            Some((array, size, sum)) if *size + bytes <= COMMAND_BYTES => {
                array.push(statement);
                *size += bytes;
                *sum += expected;
            }
            _ => {
                let mut array = RawArrayBuf::new();
                array.push(statement);
                self.chunks.push((array, bytes, expected));
            }
        }
    }

    fn into_commands(self, command: impl Fn(RawArrayBuf) -> RawDocumentBuf) -> Vec<Command> {
        let commands = self
            .chunks
            .into_iter()
            .map(|(array, _, expected)| Command { command: command(array), expected: Some(expected) });
        commands.collect()
    }
}

fn raw(document: &Document) -> Result<RawDocumentBuf, StoreError> {
    RawDocumentBuf::try_from(document).map_err(|error| StoreError::Corrupt(error.to_string()))
}
