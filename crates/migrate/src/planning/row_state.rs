//! State per participant that is kept as rows: one row for each participant and chat.

use super::{
    messages::Messages,
    record::{Notes, Record, merge},
    references::Context,
    rows::{RowIndex, Rows},
    state::{StateRules, latest},
    timeline::Timeline,
};
use crate::{
    Blocked, FieldRule, Place, RowState,
    fields::{Fields, bytes_of, value_at},
    name_of,
};

/// The survivor's row of each participant takes in those of the losers, which are removed. Without one, the row of
/// the loser that was planned first is pointed to the survivor.
pub(super) fn unite(
    context: &Context<'_>,
    state: &RowState,
    taken: &[RowIndex],
    rows: &mut Rows,
    known: Known<'_>,
    notes: &mut Notes,
) -> Result<(), Blocked> {
    let needs_all = state.rules.values().any(|rule| *rule == FieldRule::All);
    for (participant, mut group) in by_participant(context, state, taken, rows) {
        group.sort_by_key(|(chat, _)| *chat);
        let (_, kept) = group[0];
        // What the survivor has twice is not the merge's business.
        let mut merging: Vec<(usize, RowIndex)> =
            group.iter().filter(|(chat, row)| *chat > 0 && *row != kept).copied().collect();
        let is_one_without =
            (0..context.ids.len()).any(|chat| !group.iter().any(|(known, _)| *known == chat));
        if merging.is_empty() && !(needs_all && is_one_without && group[0].0 > 0) {
            continue;
        }
        merging.insert(0, group[0]);
        let merged = merged(context, state, &participant, &merging, is_one_without, rows, known, notes)?;
        let reason = format!("the state of {} in all chats", shown(&participant));
        rows.replace(kept, merged.build(), reason);
        for (_, other) in merging.into_iter().skip(1) {
            let reason = format!("the row {} stands for it", rows.id(kept));
            rows.remove(other, reason);
        }
    }
    Ok(())
}

type Participant = (Option<String>, Vec<u8>);

/// Rows that name one chat of the group, with which one, by participant.
fn by_participant(
    context: &Context<'_>,
    state: &RowState,
    taken: &[RowIndex],
    rows: &Rows,
) -> Vec<(Participant, Vec<(usize, RowIndex)>)> {
    let mut groups: Vec<(Participant, Vec<(usize, RowIndex)>)> = Vec::new();
    for &row in taken {
        let Some(now) = rows.now(row) else { continue };
        let Some(chat) = context.chat(now) else { continue };
        let Some(value) = value_at(now, &state.participant) else { continue };
        // The same person may be a string in one row and an ObjectId in another.
        let text = name_of(value, None);
        let bytes = if text.is_some() { Vec::new() } else { bytes_of(value) };
        let participant = (text, bytes);
        match groups.iter_mut().find(|(known, _)| *known == participant) {
            Some((_, group)) => group.push((chat, row)),
            None => groups.push((participant, vec![(chat, row)])),
        }
    }
    groups
}

/// What is known of the messages of the group.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) messages: &'a Messages,
    pub(super) timeline: &'a Timeline,
}

#[expect(clippy::too_many_arguments, reason = "it is a part of the only function that calls it")]
fn merged(
    context: &Context<'_>,
    state: &RowState,
    participant: &Participant,
    group: &[(usize, RowIndex)],
    is_one_without: bool,
    rows: &Rows,
    known: Known<'_>,
    notes: &mut Notes,
) -> Result<Fields, Blocked> {
    let mut read = Vec::with_capacity(group.len());
    for &(chat, row) in group {
        let id = rows.id(row);
        let Some(now) = rows.now(row) else { continue };
        let fields = Fields::read(now).map_err(|error| Blocked::unreadable(&id, &error))?;
        read.push((chat, id, fields));
    }
    let records: Vec<Record<'_>> =
        read.iter().map(|(chat, owner, fields)| Record { chat: *chat, owner, fields }).collect();
    let until = latest(&records, state.read_until.as_deref());
    let top = |path: &'_ str| path.split('.').next().unwrap_or_default().to_owned();
    let (field, person) = (top(&context.reference.field), top(&state.participant));
    let rulebook = StateRules {
        rules: &with_times(state),
        keep: vec!["_id", "__v", &field, &person],
        unread: participant.0.as_ref().map_or(0, |name| known.messages.unread(name, until)),
        timeline: known.timeline,
        is_one_without,
        report: &|path| context.report(&format!("{path} of {}", shown(participant))),
        place: &|path| Place::Rows {
            collection: context.reference.collection.clone(),
            path: path.to_owned(),
        },
        is_late: &|_, _, _| false,
    };
    merge(&records, &rulebook, notes)
}

/// Mongoose dates every row: those dates differ always, and are no conflict.
fn with_times(state: &RowState) -> std::collections::BTreeMap<String, FieldRule> {
    let mut rules = state.rules.clone();
    rules.entry("createdAt".to_owned()).or_insert(FieldRule::Min);
    rules.entry("updatedAt".to_owned()).or_insert(FieldRule::Max);
    rules
}

fn shown(participant: &Participant) -> &str {
    participant.0.as_deref().unwrap_or("nobody that could be named")
}
