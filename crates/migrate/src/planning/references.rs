//! What becomes of the rows that name a chat of the group.

use bson::{RawBson, RawBsonRef, RawDocumentBuf};

use super::{
    clashes, folds,
    ids::Identities,
    messages::Messages,
    order::compare,
    paths::{Pointing, named},
    record::Notes,
    renumber::renumber,
    row_state::{self, Known},
    rows::{RowIndex, Rows, id_of},
    timeline::Timeline,
};
use crate::{
    Blocked, Group, MergeRules, Move, Reference, RowEdit,
    fields::{bson_of, same, value_at},
};

/// What planning the rows needs to know.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) reference: &'a Reference,
    pub(super) ids: &'a Identities,
}

impl Context<'_> {
    /// The chats of the group that a row names, in order of appearance.
    pub(super) fn chats(&self, row: &RawDocumentBuf) -> Vec<usize> {
        let path: Vec<&str> = self.reference.field.split('.').collect();
        named(self.ids, RawBsonRef::Document(row), &path)
    }

    /// The one chat of the group that a row names.
    pub(super) fn chat(&self, row: &RawDocumentBuf) -> Option<usize> {
        match self.chats(row).as_slice() {
            [chat] => Some(*chat),
            _ => None,
        }
    }

    /// A path of a row, as conflicts name it.
    pub(super) fn report(&self, path: &str) -> String {
        format!("{}: {path}", self.reference.collection)
    }

    /// The row, naming the survivor instead of losers; nothing if it names none.
    pub(super) fn pointed(
        &self,
        row: &RawDocumentBuf,
        notes: &mut Notes,
    ) -> Result<Option<RawDocumentBuf>, Blocked> {
        let field = &self.reference.field;
        let id = bson_of(id_of(row));
        Pointing { ids: self.ids, row: &id, report: self.report(field) }.row(row, field, notes)
    }
}

/// The moves and the edits of all references. `messages` loses those that another stands for.
pub(super) fn planned(
    rules: &MergeRules,
    group: &Group,
    ids: &Identities,
    messages: &mut Messages,
    timeline: &Timeline,
    notes: &mut Notes,
) -> Result<(Vec<Move>, Vec<RowEdit>), Blocked> {
    let mut rows = Rows::default();
    let taken = taken_in(rules, group, &mut rows);
    let contexts: Vec<Context<'_>> =
        rules.references.iter().map(|reference| Context { reference, ids }).collect();
    for (context, taken) in contexts.iter().zip(&taken) {
        if let Some(fields) = &context.reference.messages {
            folds::fold(context, fields, taken, &mut rows, messages)?;
        }
    }
    for (context, taken) in contexts.iter().zip(&taken) {
        if let Some(state) = &context.reference.state {
            let known = Known { messages, timeline };
            row_state::unite(context, state, taken, &mut rows, known, notes)?;
        }
        if let Some(sequence) = &context.reference.sequence {
            renumber(context, sequence, taken, &mut rows)?;
        }
        for unique in &context.reference.unique {
            clashes::resolve(context, unique, taken, &mut rows)?;
        }
    }
    for ((context, taken), found) in contexts.iter().zip(&taken).zip(&group.references) {
        let is_moved =
            |value: RawBsonRef<'_>| found.counts.iter().any(|(known, _)| is_stored_as(known, value));
        for row in taken.iter().copied().filter(|row| !rows.is_edited(*row)).collect::<Vec<_>>() {
            let Some(now) = rows.now(row) else { continue };
            if value_at(now, &context.reference.field).is_some_and(is_moved) {
                continue;
            }
            if let Some(pointed) = context.pointed(now, notes)? {
                rows.replace(row, pointed, "names the chat that lives on");
            }
        }
    }
    point_edited(&contexts, &mut rows, notes)?;
    let moves = moves(rules, group, ids, &rows);
    Ok((moves, rows.into_edits()))
}

/// The rows of each reference, in the order of their `_id`s. Chats of the group are not rows to be edited here: what
/// becomes of them is planned as chats.
fn taken_in(rules: &MergeRules, group: &Group, rows: &mut Rows) -> Vec<Vec<RowIndex>> {
    let mut taken = Vec::with_capacity(rules.references.len());
    for (reference, found) in rules.references.iter().zip(&group.references) {
        let is_chat = |row: &RawDocumentBuf| group.chats.iter().any(|chat| chat.document == *row);
        let mut found: Vec<&RawDocumentBuf> = found.rows.iter().filter(|row| !is_chat(row)).collect();
        found.sort_by(|one, other| compare(id_of(one), id_of(other)));
        taken.push(found.into_iter().map(|row| rows.add(&reference.collection, row)).collect());
    }
    taken
}

/// A move leaves out the rows that are edited, so these have to name the survivor in every field that could name one.
pub(super) fn point_edited(
    contexts: &[Context<'_>],
    rows: &mut Rows,
    notes: &mut Notes,
) -> Result<(), Blocked> {
    for context in contexts {
        for row in rows.changed_of(&context.reference.collection) {
            let Some(now) = rows.now(row) else { continue };
            if let Some(pointed) = context.pointed(now, notes)? {
                rows.replace(row, pointed, "names the chat that lives on");
            }
        }
    }
    Ok(())
}

fn moves(rules: &MergeRules, group: &Group, ids: &Identities, rows: &Rows) -> Vec<Move> {
    let mut moves = Vec::new();
    for (reference, found) in rules.references.iter().zip(&group.references) {
        for (from, count) in &found.counts {
            let Ok(value) = RawBson::try_from(from.clone()) else { continue };
            let Some(to) = ids.pointed(value.as_raw_bson_ref()) else { continue };
            let edited = rows
                .edited_before(&reference.collection)
                .filter(|row| value_at(row, &reference.field).is_some_and(|value| is_stored_as(from, value)))
                .count();
            moves.push(Move {
                collection: reference.collection.clone(),
                field: reference.field.clone(),
                from: from.clone(),
                to: bson_of(to.as_raw_bson_ref()),
                rows: count.saturating_sub(edited as u64),
            });
        }
    }
    moves.sort_by(|one, other| {
        let names = |moved: &Move| (moved.collection.clone(), moved.field.clone());
        let from = |moved: &Move| RawBson::try_from(moved.from.clone()).unwrap_or(RawBson::Null);
        let by_value = || compare(from(one).as_raw_bson_ref(), from(other).as_raw_bson_ref());
        names(one).cmp(&names(other)).then_with(by_value)
    });
    moves
}

fn is_stored_as(known: &bson::Bson, value: RawBsonRef<'_>) -> bool {
    RawBson::try_from(known.clone()).is_ok_and(|known| same(known.as_raw_bson_ref(), value))
}
