//! The survivor's document afterwards.

use std::{cmp::Reverse, collections::HashMap};

use bson::{DateTime, RawBson, RawDocumentBuf};

use super::{
    embedded::{self, Listed},
    messages::Messages,
    record::{Held, Notes, Record, Rulebook, Treatment, merge},
    state::{self, Facts, leads_to},
    survivor::Chat,
    timeline::{Pointer, Timeline},
};
use crate::{
    Blocked, FieldRule, Group, MergeRules, Place, StateField, StateForm,
    fields::{Fields, same, value_at},
    time_of, times,
};

/// The most that a document may have.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What the document depends on besides the chats.
pub(super) struct Elsewhere<'a> {
    /// Messages of other collections.
    pub(super) messages: Messages,
    pub(super) timeline: &'a Timeline,
    pub(super) listed: &'a Listed<'a>,
}

/// The survivor's document with what the losers add, and the key.
pub(super) fn merged(
    rules: &MergeRules,
    group: &Group,
    chats: &[Chat<'_>],
    mut elsewhere: Elsewhere<'_>,
    notes: &mut Notes,
) -> Result<Fields, Blocked> {
    let mut fields = chats[0].fields.clone();
    if chats.len() > 1 {
        let arrays = arrays(rules, chats, &mut elsewhere, notes)?;
        let Elsewhere { messages, timeline, .. } = elsewhere;
        let rulebook = ChatRules { rules, chats, arrays, messages, timeline, states: states(rules) };
        let chats = chats.iter().enumerate();
        let records: Vec<Record<'_>> = chats
            .map(|(index, chat)| Record { chat: index, owner: &chat.id, fields: &chat.fields })
            .collect();
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
    elsewhere: &mut Elsewhere<'_>,
    notes: &mut Notes,
) -> Result<HashMap<String, RawBson>, Blocked> {
    let mut arrays = HashMap::new();
    for array in &rules.embedded {
        let held = held(chats, &array.field);
        if !held.is_empty() {
            let united = embedded::unite(array, &held, elsewhere.listed, notes)?;
            if rules.needs_messages() {
                elsewhere.messages.add_embedded(array, &united);
            }
            arrays.insert(array.field.clone(), united);
        }
    }
    Ok(arrays)
}

fn held<'a>(chats: &'a [Chat<'_>], field: &str) -> Vec<Held<'a>> {
    let chats = chats.iter().enumerate();
    chats
        .filter_map(|(index, chat)| {
            Some(Held { chat: index, owner: &chat.id, value: chat.fields.some(field)? })
        })
        .collect()
}

/// The fields with state; participants that are sub-documents may have some even if no rule says so.
fn states(rules: &MergeRules) -> Vec<StateField> {
    let mut states = rules.state.clone();
    if let (Some(path), [participants]) = (&rules.names.participant_path, &rules.names.participants[..])
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
    timeline: &'a Timeline,
    states: Vec<StateField>,
}

impl Rulebook for ChatRules<'_> {
    fn treat(&self, path: &str, values: &[Held<'_>], notes: &mut Notes) -> Result<Treatment, Blocked> {
        let names = &self.rules.names;
        if path == "_id" || path == "__v" || path == names.participants_key {
            return Ok(Treatment::First);
        }
        if names.previous_key.as_deref() == Some(path) {
            return Ok(Treatment::Rule(FieldRule::Survivor));
        }
        let rule = self.rules.fields.get(path);
        // Null is a value to the rule for what hides a chat; to any other it is nothing.
        if values.is_empty() {
            return Ok(rule.map_or(Treatment::Agreed, |rule| Treatment::Rule(*rule)));
        }
        if let Some(state) = self.states.iter().find(|state| state.field == path) {
            let facts = Facts { chats: self.chats, messages: &self.messages, timeline: self.timeline };
            return Ok(Treatment::Value(state::unite(state, values, facts, notes)?));
        }
        if names.of_the_identity().any(|name| name == path) {
            return Ok(Treatment::First);
        }
        if let Some(array) = self.arrays.get(path) {
            return Ok(Treatment::Value(Some(array.clone())));
        }
        Ok(match rule {
            Some(FieldRule::Recompute) => Treatment::Value(self.of_last_active(values)),
            Some(rule) => Treatment::Rule(*rule),
            None if names.of_the_identity().any(|name| leads_to([&*name].into_iter(), path)) => {
                Treatment::Inside
            }
            None if leads_to(self.rules.fields.keys().map(String::as_str), path) => Treatment::Inside,
            None if path == names.created_at => self.created(values),
            None if path == names.updated_at || path == names.last_message_at => latest(values),
            None => Treatment::Agreed,
        })
    }

    fn report(&self, path: &str) -> String {
        path.to_owned()
    }

    fn place(&self, path: &str) -> Place {
        Place::Chat(path.to_owned())
    }

    fn newest(&self, path: &str, values: &[Held<'_>]) -> Option<RawBson> {
        let top = path.split('.').next().unwrap_or(path);
        let pointers: Vec<Pointer<'_>> = values
            .iter()
            .map(|held| {
                let chat = &self.chats[held.chat];
                let is_late = chat.earlier.as_ref().is_some_and(|earlier| {
                    value_at(earlier, path).is_none_or(|known| !same(known, held.value.as_raw_bson_ref()))
                });
                let whole = chat.fields.get(top).unwrap_or(held.value);
                Pointer { chat: held.chat, value: held.value, whole, is_late }
            })
            .collect();
        self.timeline.newest(&pointers, true)
    }
}

impl ChatRules<'_> {
    /// The earliest time at which one of the chats is known to have existed.
    fn created(&self, values: &[Held<'_>]) -> Treatment {
        let times: Option<Vec<DateTime>> =
            values.iter().map(|held| time_of(held.value.as_raw_bson_ref())).collect();
        let Some(times) = times else { return Treatment::Agreed };
        let Some(earliest) = self.chats.iter().filter_map(|chat| chat.created_ms).min() else {
            return Treatment::Agreed;
        };
        let survivor = &self.chats[0];
        if survivor.created_ms == Some(earliest) && !values.iter().any(|held| held.chat == 0) {
            return Treatment::First;
        }
        let stated = times.iter().position(|time| time.timestamp_millis() == earliest);
        Treatment::Value(match stated {
            Some(index) => Some(values[index].value.clone()),
            None => times::in_form_of(values[0].value, DateTime::from_millis(earliest)),
        })
    }

    /// The value of the chat that was active last, among those that have one.
    fn of_last_active(&self, values: &[Held<'_>]) -> Option<RawBson> {
        let latest = values.iter().max_by_key(|held| (self.chats[held.chat].active_ms, Reverse(held.chat)));
        latest.map(|held| held.value.clone())
    }
}

/// The latest time, in whatever form; a question if one of the values is none.
fn latest(values: &[Held<'_>]) -> Treatment {
    let times: Option<Vec<DateTime>> =
        values.iter().map(|held| time_of(held.value.as_raw_bson_ref())).collect();
    let Some(times) = times else { return Treatment::Agreed };
    let latest = times.iter().zip(values).max_by_key(|(time, held)| (**time, Reverse(held.chat)));
    Treatment::Value(latest.map(|(_, held)| held.value.clone()))
}
