//! The survivor's document afterwards.

use std::{cmp::Reverse, collections::HashMap};

use bson::{DateTime, RawBson, RawDocumentBuf};

use super::{
    embedded,
    messages::Messages,
    record::{Held, Notes, Record, Rulebook, Treatment, first, merge},
    state::{self, leads_to},
    survivor::Chat,
};
use crate::{Blocked, FieldRule, Group, MergeRules, StateField, StateForm, fields::Fields};

/// The most that a document may have.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The survivor's document with what the losers add, and the key. `messages` are those of other collections.
pub(super) fn merged(
    rules: &MergeRules,
    group: &Group,
    chats: &[Chat<'_>],
    mut messages: Messages,
    notes: &mut Notes,
) -> Result<Fields, Blocked> {
    let mut fields = chats[0].fields.clone();
    if chats.len() > 1 {
        let arrays = arrays(rules, chats, &mut messages, notes)?;
        let rulebook = ChatRules { rules, chats, arrays, messages, states: states(rules) };
        let records: Vec<Record<'_>> =
            chats.iter().map(|chat| Record { owner: &chat.id, fields: &chat.fields }).collect();
        fields = merge(&records, &rulebook, notes)?;
    }
    fields.set(&rules.names.participants_key, RawBson::String(group.key.as_str().to_owned()));
    Ok(fields)
}

/// The document, if it is not too large.
pub(super) fn checked(fields: &Fields) -> Result<RawDocumentBuf, Blocked> {
    let document = fields.build();
    match document.as_bytes().len() {
        bytes if bytes > MAX_BYTES => Err(Blocked::TooLarge { bytes, max: MAX_BYTES }),
        _ => Ok(document),
    }
}

/// The embedded arrays, united. What is unread depends on them.
fn arrays(
    rules: &MergeRules,
    chats: &[Chat<'_>],
    messages: &mut Messages,
    notes: &mut Notes,
) -> Result<HashMap<String, RawBson>, Blocked> {
    let mut arrays = HashMap::new();
    for array in &rules.embedded {
        let held = held(chats, &array.field);
        if !held.is_empty() {
            let united = embedded::unite(array, &held, notes)?;
            if rules.needs_messages() {
                messages.add_embedded(array, &united);
            }
            arrays.insert(array.field.clone(), united);
        }
    }
    Ok(arrays)
}

fn held<'a>(chats: &'a [Chat<'_>], field: &str) -> Vec<Held<'a>> {
    let chats = chats.iter().enumerate();
    chats
        .filter_map(|(record, chat)| Some(Held { record, owner: &chat.id, value: chat.fields.some(field)? }))
        .collect()
}

/// The fields with state; participants that are sub-documents may have some even if no rule says so.
fn states(rules: &MergeRules) -> Vec<StateField> {
    let mut states = rules.state.clone();
    let participants = &rules.names.participants;
    if let Some(path) = &rules.names.participant_path
        && !states.iter().any(|state| state.field == *participants)
    {
        states.push(StateField {
            field: participants.clone(),
            form: StateForm::Array { participant: path.clone() },
            rules: std::collections::BTreeMap::new(),
            read_until: None,
        });
    }
    states
}

struct ChatRules<'a> {
    rules: &'a MergeRules,
    chats: &'a [Chat<'a>],
    arrays: HashMap<String, RawBson>,
    messages: Messages,
    states: Vec<StateField>,
}

impl Rulebook for ChatRules<'_> {
    fn treat(&self, path: &str, values: &[Held<'_>], notes: &mut Notes) -> Result<Treatment, Blocked> {
        let names = &self.rules.names;
        if values.is_empty() || path == "_id" || path == "__v" || path == names.participants_key {
            return Ok(if values.is_empty() { Treatment::Default } else { Treatment::First });
        }
        if let Some(state) = self.states.iter().find(|state| state.field == path) {
            let until = state.read_until.iter();
            let until: Vec<&RawBson> = until
                .flat_map(|field| self.chats.iter().filter_map(|chat| chat.fields.some(field)))
                .collect();
            return Ok(Treatment::Value(Some(state::unite(state, values, &until, &self.messages, notes)?)));
        }
        if path == names.participants || Some(path) == names.public_id.as_deref() {
            return Ok(Treatment::First);
        }
        if let Some(array) = self.arrays.get(path) {
            return Ok(Treatment::Value(Some(array.clone())));
        }
        Ok(match self.rules.fields.get(path) {
            Some(FieldRule::Recompute) => Treatment::Value(self.of_last_active(values)),
            Some(rule) => Treatment::Rule(*rule),
            None if leads_to(self.rules.fields.keys(), path) => Treatment::Inside,
            None if path == names.created_at => self.created(path, values, notes),
            None if (path == names.updated_at || path == names.last_message_at) && are_dates(values) => {
                Treatment::Rule(FieldRule::Max)
            }
            None => Treatment::Default,
        })
    }

    fn report(&self, path: &str) -> String {
        path.to_owned()
    }
}

impl ChatRules<'_> {
    /// The earliest time at which one of the chats is known to have existed.
    fn created(&self, path: &str, values: &[Held<'_>], notes: &mut Notes) -> Treatment {
        if !are_dates(values) {
            return Treatment::Value(first(path, values, notes));
        }
        let earliest = self.chats.iter().filter_map(|chat| chat.created_ms).min();
        let survivor = &self.chats[0];
        let tells_it = survivor.fields.some(path).is_none() && survivor.created_ms == earliest;
        let earliest = earliest.filter(|_| !tells_it);
        Treatment::Value(earliest.map(|ms| RawBson::DateTime(DateTime::from_millis(ms))))
    }

    /// The value of the chat that was active last, among those that have one.
    fn of_last_active(&self, values: &[Held<'_>]) -> Option<RawBson> {
        let latest =
            values.iter().max_by_key(|held| (self.chats[held.record].active_ms, Reverse(held.record)));
        latest.map(|held| held.value.clone())
    }
}

fn are_dates(values: &[Held<'_>]) -> bool {
    values.iter().all(|held| matches!(held.value, RawBson::DateTime(_)))
}
