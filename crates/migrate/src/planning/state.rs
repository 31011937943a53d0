//! State per participant that is embedded in chats: what a participant has in each of them becomes one.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, RawBson};

use super::{
    combine::{all, combine, counter},
    messages::Messages,
    record::{Held, Notes, Owned, Record, Rulebook, Treatment, merge},
    survivor::Chat,
    timeline::{Pointer, Timeline},
};
use crate::{
    Blocked, FieldRule, Place, StateField, StateForm,
    fields::{Fields, array, elements, is_null, same, value_at},
    time_of,
};

/// What merging the state of participants depends on besides the state.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) chats: &'a [Chat<'a>],
    pub(super) messages: &'a Messages,
    pub(super) timeline: &'a Timeline,
}

/// What one participant has in one chat; nothing if the chat says nothing of them.
struct Entry<'a> {
    chat: usize,
    owner: &'a Bson,
    value: Option<RawBson>,
}

/// Merges the state of all participants. `values` are those of the chats that have any.
pub(super) fn unite(
    rules: &StateField,
    values: &[Held<'_>],
    facts: Facts<'_>,
    notes: &mut Notes,
) -> Result<Option<RawBson>, Blocked> {
    let merged = match &rules.form {
        StateForm::Map => map(rules, values, facts, notes)?,
        StateForm::Array { participant } => list(rules, participant, values, facts, notes)?,
    };
    // A chat without any state is given none that is empty.
    let is_empty = match &merged {
        RawBson::Document(map) => map.is_empty(),
        RawBson::Array(list) => list.is_empty(),
        _ => false,
    };
    let is_new = !values.iter().any(|held| held.chat == 0);
    Ok((!is_empty || !is_new).then_some(merged))
}

fn map(
    rules: &StateField,
    values: &[Held<'_>],
    facts: Facts<'_>,
    notes: &mut Notes,
) -> Result<RawBson, Blocked> {
    let mut merged = Fields::default();
    let mut states: Vec<(String, Vec<Entry<'_>>)> = Vec::new();
    for held in values {
        let RawBson::Document(document) = held.value else {
            return Err(misshapen(rules, held, "sub-document"));
        };
        let fields = Fields::read(document).map_err(|error| unreadable(held, &error))?;
        for (participant, value) in fields.iter() {
            let entry = Entry { chat: held.chat, owner: held.owner, value: Some(value.clone()) };
            match states.iter_mut().find(|(known, _)| known == participant) {
                Some((_, entries)) => entries.push(entry),
                None => states.push((participant.to_owned(), vec![entry])),
            }
        }
    }
    for (participant, entries) in states {
        let read_until = rules
            .read_until
            .iter()
            .flat_map(|field| facts.chats.iter().filter_map(|chat| chat.fields.some(field)?.as_document()));
        let read_until = read_until.filter_map(|map| time_of(value_at(map, &participant)?)).max();
        let one = Participant { name: &participant, rules, facts, keep: None };
        if let Some(state) = one.unite(&with_absent(entries, facts.chats), read_until, notes)? {
            merged.set(&participant, state);
        }
    }
    Ok(RawBson::Document(merged.build()))
}

fn list(
    rules: &StateField,
    name: &str,
    values: &[Held<'_>],
    facts: Facts<'_>,
    notes: &mut Notes,
) -> Result<RawBson, Blocked> {
    // The first element of each participant, with those of the same one; elements that name nobody stand for
    // themselves, once for each chat that has something else there.
    let mut states: Vec<(Option<String>, Vec<Entry<'_>>)> = Vec::new();
    for held in values {
        let elements = elements(held.value.as_raw_bson_ref()).map_err(|error| unreadable(held, &error))?;
        for value in elements.ok_or_else(|| misshapen(rules, held, "array"))? {
            let participant =
                value.as_document().and_then(|element| facts.messages.name_of(value_at(element, name)?));
            let is_first = std::ptr::eq(held, &raw const values[0]);
            let place = states.iter_mut().find(|(known, entries)| match (&participant, &entries[0].value) {
                (Some(_), _) => *known == participant,
                (None, Some(other)) => {
                    !is_first && known.is_none() && same(other.as_raw_bson_ref(), value.as_raw_bson_ref())
                }
                (None, None) => false,
            });
            let entry = Entry { chat: held.chat, owner: held.owner, value: Some(value) };
            match place {
                Some((_, entries)) => entries.push(entry),
                None => states.push((participant, vec![entry])),
            }
        }
    }
    let mut merged = Vec::with_capacity(states.len());
    for (participant, entries) in states {
        let Some(participant) = participant else {
            merged.extend(entries.into_iter().next().and_then(|entry| entry.value));
            continue;
        };
        let one = Participant { name: &participant, rules, facts, keep: Some(name) };
        merged.extend(one.unite(&with_absent(entries, facts.chats), None, notes)?);
    }
    Ok(array(&merged))
}

/// The entries in the order of the chats, with one for each chat that says nothing.
fn with_absent<'a>(mut entries: Vec<Entry<'a>>, chats: &'a [Chat<'a>]) -> Vec<Entry<'a>> {
    for (chat, of_chat) in chats.iter().enumerate() {
        if !entries.iter().any(|entry| entry.chat == chat) {
            entries.push(Entry { chat, owner: &of_chat.id, value: None });
        }
    }
    entries.sort_by_key(|entry| entry.chat);
    entries
}

/// One participant's state.
struct Participant<'a> {
    name: &'a str,
    rules: &'a StateField,
    facts: Facts<'a>,
    /// The sub-field with the participant.
    keep: Option<&'a str>,
}

impl Participant<'_> {
    /// Nothing if the participant has no state any more.
    fn unite(
        &self,
        entries: &[Entry<'_>],
        read_until: Option<DateTime>,
        notes: &mut Notes,
    ) -> Result<Option<RawBson>, Blocked> {
        let some =
            || entries.iter().filter_map(|entry| entry.value.as_ref()).filter(|value| !is_nothing(value));
        let Some(first) = some().next() else {
            return Ok(entries.iter().find_map(|entry| entry.value.clone()));
        };
        if self.rules.rules.contains_key("") || some().any(|value| value.as_document().is_none()) {
            return self.plain(first, entries, read_until, notes);
        }
        let read = entries.iter().map(|entry| {
            let document = entry.value.as_ref().and_then(RawBson::as_document);
            Owned::read(entry.chat, entry.owner, document)
        });
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let records: Vec<Record<'_>> = read.iter().map(Owned::as_record).collect();
        let path = self.path();
        let rulebook = StateRules {
            rules: &self.rules.rules,
            keep: self.keep.into_iter().chain(["_id"]).collect(),
            unread: self.facts.messages.unread(self.name, latest(&records, self.rules.read_until.as_deref())),
            timeline: self.facts.timeline,
            is_one_without: false,
            report: &|field| format!("{path}.{field}"),
            place: &|field| self.place(field),
            is_late: &|chat, field, value| self.is_late(chat, field, value),
        };
        Ok(Some(RawBson::Document(merge(&records, &rulebook, notes)?.build())))
    }

    /// Where the state is not a sub-document, but a value.
    fn plain(
        &self,
        first: &RawBson,
        entries: &[Entry<'_>],
        read_until: Option<DateTime>,
        notes: &mut Notes,
    ) -> Result<Option<RawBson>, Blocked> {
        let path = self.path();
        let blocked = |reason| Blocked::Rule { field: path.clone(), reason };
        let held = || entries.iter().filter_map(|entry| Some((entry.chat, entry.value.as_ref()?)));
        let some: Vec<(usize, &RawBson)> = held().filter(|(_, value)| !is_nothing(value)).collect();
        match self.rules.rules.get("") {
            Some(FieldRule::Recompute) => {
                let unread = self.facts.messages.unread(self.name, read_until);
                counter(unread, first).map(Some).map_err(blocked)
            }
            Some(FieldRule::All) => {
                let of_all: Vec<Option<&RawBson>> =
                    entries.iter().map(|entry| entry.value.as_ref()).collect();
                all(&of_all).map_err(blocked)
            }
            Some(FieldRule::Newest) => {
                let pointers: Vec<Pointer<'_>> = some
                    .iter()
                    .map(|(chat, value)| Pointer {
                        chat: *chat,
                        value,
                        whole: value,
                        is_late: self.is_late(*chat, "", value),
                    })
                    .collect();
                Ok(self.facts.timeline.newest(&pointers, false))
            }
            Some(rule) => {
                let values: Vec<&RawBson> = some.iter().map(|(_, value)| *value).collect();
                combine(*rule, &values).map(Some).map_err(blocked)
            }
            None => {
                let values = entries.iter().map(|entry| {
                    let value = entry.value.as_ref().filter(|value| !is_nothing(value));
                    (entry.owner, value.map(RawBson::as_raw_bson_ref))
                });
                notes.ask_unless_same(|| self.place(""), values);
                Ok(Some(first.clone()))
            }
        }
    }

    /// Whether somebody has written it since the group was read. Of elements of an array nobody can tell.
    fn is_late(&self, chat: usize, field: &str, value: &RawBson) -> bool {
        let Some(earlier) = &self.facts.chats[chat].earlier else { return false };
        let mut path = self.path();
        if !field.is_empty() {
            path = format!("{path}.{field}");
        }
        self.rules.form == StateForm::Map
            && value_at(earlier, &path).is_none_or(|known| !same(known, value.as_raw_bson_ref()))
    }

    fn path(&self) -> String {
        format!("{}.{}", self.rules.field, self.name)
    }

    fn place(&self, path: &str) -> Place {
        let participant = match &self.rules.form {
            StateForm::Map => None,
            StateForm::Array { participant } => Some(participant.clone()),
        };
        Place::State { field: self.rules.field.clone(), participant, path: path.to_owned() }
    }
}

fn is_nothing(value: &RawBson) -> bool {
    is_null(value.as_raw_bson_ref())
}

/// The latest time that one of the records has in the field.
pub(super) fn latest(records: &[Record<'_>], field: Option<&str>) -> Option<DateTime> {
    let time = |record: &Record<'_>| time_of(record.fields.get(field?)?.as_raw_bson_ref());
    records.iter().filter_map(time).max()
}

/// The rules of one participant's state, in chats or in rows.
pub(super) struct StateRules<'a> {
    pub(super) rules: &'a BTreeMap<String, FieldRule>,
    /// Fields that are the same for the participant, or name the record: the first record's stays.
    pub(super) keep: Vec<&'a str>,
    /// What a counter that is recomputed comes to.
    pub(super) unread: u64,
    pub(super) timeline: &'a Timeline,
    /// Whether a chat of the group says nothing of the participant.
    pub(super) is_one_without: bool,
    pub(super) report: &'a dyn Fn(&str) -> String,
    pub(super) place: &'a dyn Fn(&str) -> Place,
    /// Whether a chat's value was written after the group was read.
    pub(super) is_late: &'a dyn Fn(usize, &str, &RawBson) -> bool,
}

impl Rulebook for StateRules<'_> {
    fn treat(&self, path: &str, values: &[Held<'_>], _notes: &mut Notes) -> Result<Treatment, Blocked> {
        let treatment = match self.rules.get(path) {
            Some(FieldRule::Recompute) if !values.is_empty() => {
                let blocked = |reason| Blocked::Rule { field: self.report(path), reason };
                Treatment::Value(Some(counter(self.unread, values[0].value).map_err(blocked)?))
            }
            Some(rule) => Treatment::Rule(*rule),
            None if self.keep.contains(&path) => {
                Treatment::Value(values.first().map(|held| held.value.clone()))
            }
            None if leads_to(self.rules.keys().map(String::as_str), path)
                || leads_to(self.keep.iter().copied(), path) =>
            {
                Treatment::Inside
            }
            None => Treatment::Agreed,
        };
        Ok(treatment)
    }

    fn report(&self, path: &str) -> String {
        (self.report)(path)
    }

    fn place(&self, path: &str) -> Place {
        (self.place)(path)
    }

    fn newest(&self, path: &str, values: &[Held<'_>]) -> Option<RawBson> {
        let pointers: Vec<Pointer<'_>> = values
            .iter()
            .map(|held| Pointer {
                chat: held.chat,
                value: held.value,
                whole: held.value,
                is_late: (self.is_late)(held.chat, path, held.value),
            })
            .collect();
        self.timeline.newest(&pointers, false)
    }

    fn is_one_without(&self) -> bool {
        self.is_one_without
    }
}

/// Whether one of the paths leads through `path`.
pub(super) fn leads_to<'a>(mut paths: impl Iterator<Item = &'a str>, path: &str) -> bool {
    paths.any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn misshapen(rules: &StateField, held: &Held<'_>, what: &str) -> Blocked {
    Blocked::Rule {
        field: rules.field.clone(),
        reason: format!("it is no {what} in the chat {}", held.owner),
    }
}

fn unreadable(held: &Held<'_>, error: &bson::error::Error) -> Blocked {
    Blocked::unreadable(held.owner, error)
}
