//! What becomes of rows that were written to the id of a chat after it was merged.

use bson::{RawBson, RawDocumentBuf};

use super::{
    clashes, folds,
    ids::{ChatIds, Identities},
    messages::Messages,
    record::Notes,
    references::{Context, point_edited},
    renumber::renumber,
    row_state::{self, Known},
    rows::Rows,
    timeline::Timeline,
};
use crate::{Blocked, FieldRule, Reference, RowEdit, RowState, UuidOrder};

/// What becomes of rows of one reference that name a chat that was merged, and of the rows of the surviving one that they meet
/// there: a participant's state, the same message, the same values in a unique index, the last one of a sequence. Chats are given by their `_id` and their
/// public id, and legacy UUIDs among these are read in the order `uuids`. Only rows that change are in the answer.
///
/// # Errors
///
/// [`Blocked`] if a unique index keeps a row from naming the chat that lives on, or if it differs from the one that it meets
/// there in what no rule covers.
pub fn swept(
    reference: &Reference,
    loser: (&RawBson, &RawBson),
    survivor: (&RawBson, &RawBson),
    found: &[RawDocumentBuf],
    uuids: Option<UuidOrder>,
) -> Result<Vec<RowEdit>, Blocked> {
    let chat = |(document, public): (&RawBson, &RawBson)| ChatIds {
        document: document.clone(),
        public: public.clone(),
    };
    let ids = Identities::new(vec![chat(survivor), chat(loser)], uuids)?;
    let context = Context { reference, ids: &ids };
    let (mut rows, mut messages, mut notes) = (Rows::default(), Messages::default(), Notes::default());
    let taken: Vec<_> = found.iter().map(|row| rows.add(&reference.collection, row)).collect();
    if let Some(fields) = &reference.messages {
        folds::fold(&context, fields, &taken, &mut rows, &mut messages)?;
    }
    if let Some(state) = &reference.state {
        let timeline = Timeline::default();
        let known = Known { messages: &messages, timeline: &timeline };
        row_state::unite(&context, &since_the_merge(state), &taken, &mut rows, known, &mut notes)?;
    }
    if let Some(sequence) = &reference.sequence {
        renumber(&context, sequence, &taken, &mut rows)?;
    }
    for unique in &reference.unique {
        clashes::resolve(&context, unique, &taken, &mut rows)?;
    }
    for row in taken {
        let Some(now) = rows.now(row) else { continue };
        if let Some(pointed) = context.pointed(now, &mut notes)? {
            rows.replace(row, pointed, "names the chat that lives on");
        }
    }
    point_edited(&[context], &mut rows, &mut notes)?;
    if notes.unexplained.is_empty() {
        Ok(rows.into_edits())
    } else {
        Err(Blocked::Unexplained(notes.unexplained))
    }
}

/// A row that came after the merge began with nothing: what it counts comes on top of what the merge has worked out.
fn since_the_merge(state: &RowState) -> RowState {
    let mut state = state.clone();
    for rule in state.rules.values_mut().filter(|rule| **rule == FieldRule::Recompute) {
        *rule = FieldRule::Sum;
    }
    state
}
