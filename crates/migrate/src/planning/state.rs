//! State per participant that is embedded in chats: what a participant has in each of them becomes one.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, RawBson};

use super::{
    combine::{combine, counter},
    messages::Messages,
    record::{Held, Notes, Record, Rulebook, Treatment, first, merge},
};
use crate::{
    Blocked, FieldRule, StateField, StateForm,
    fields::{Fields, array, elements, is_null, same, text_of, value_at},
};

/// What one participant has in one chat.
struct Entry<'a> {
    owner: &'a Bson,
    record: usize,
    value: RawBson,
}

/// Merges the state of all participants. `read_until` holds the chats' fields of that name, for counters that are
/// values themselves.
pub(super) fn unite(
    rules: &StateField,
    values: &[Held<'_>],
    read_until: &[&RawBson],
    messages: &Messages,
    notes: &mut Notes,
) -> Result<RawBson, Blocked> {
    if let [only] = values
        && !rules.rules.values().any(|rule| *rule == FieldRule::Recompute)
    {
        return Ok(only.value.clone());
    }
    match &rules.form {
        StateForm::Map => map(rules, values, read_until, messages, notes),
        StateForm::Array { participant } => list(rules, participant, values, messages, notes),
    }
}

fn map(
    rules: &StateField,
    values: &[Held<'_>],
    read_until: &[&RawBson],
    messages: &Messages,
    notes: &mut Notes,
) -> Result<RawBson, Blocked> {
    let mut merged = Fields::default();
    let mut entries: Vec<(String, Vec<Entry<'_>>)> = Vec::new();
    for held in values {
        let RawBson::Document(document) = held.value else {
            return Err(misshapen(rules, held, "sub-document"));
        };
        let fields = Fields::read(document).map_err(|error| unreadable(held, &error))?;
        for (participant, value) in fields.iter() {
            let entry = Entry { owner: held.owner, record: held.record, value: value.clone() };
            match entries.iter_mut().find(|(known, _)| known == participant) {
                Some((_, entries)) => entries.push(entry),
                None => entries.push((participant.to_owned(), vec![entry])),
            }
        }
    }
    for (participant, entries) in &entries {
        let sibling = read_until
            .iter()
            .filter_map(|value| value_at(value.as_document()?, participant)?.as_datetime())
            .max();
        let one = Participant { name: participant, rules, messages, keep: None };
        merged.set(participant, one.unite(entries, sibling, notes)?);
    }
    Ok(RawBson::Document(merged.build()))
}

fn list(
    rules: &StateField,
    name: &str,
    values: &[Held<'_>],
    messages: &Messages,
    notes: &mut Notes,
) -> Result<RawBson, Blocked> {
    // The first element of each participant, with those of the same one; elements that name nobody stand for
    // themselves, once for each chat that has something else there.
    let mut entries: Vec<(Option<String>, Vec<Entry<'_>>)> = Vec::new();
    for held in values {
        let elements = elements(held.value.as_raw_bson_ref()).map_err(|error| unreadable(held, &error))?;
        for value in elements.ok_or_else(|| misshapen(rules, held, "array"))? {
            let participant = value.as_document().and_then(|element| text_of(value_at(element, name)?));
            let is_first = std::ptr::eq(held, &raw const values[0]);
            let place = entries.iter_mut().find(|(known, entries)| match &participant {
                Some(_) => *known == participant,
                None => {
                    !is_first
                        && known.is_none()
                        && same(entries[0].value.as_raw_bson_ref(), value.as_raw_bson_ref())
                }
            });
            let entry = Entry { owner: held.owner, record: held.record, value };
            match place {
                Some((_, entries)) => entries.push(entry),
                None => entries.push((participant, vec![entry])),
            }
        }
    }
    let mut merged = Vec::with_capacity(entries.len());
    for (participant, entries) in &entries {
        merged.push(match participant {
            Some(participant) => Participant { name: participant, rules, messages, keep: Some(name) }
                .unite(entries, None, notes)?,
            None => entries[0].value.clone(),
        });
    }
    Ok(array(&merged))
}

/// One participant's state.
struct Participant<'a> {
    name: &'a str,
    rules: &'a StateField,
    messages: &'a Messages,
    /// The sub-field with the participant.
    keep: Option<&'a str>,
}

impl Participant<'_> {
    fn unite(
        &self,
        entries: &[Entry<'_>],
        read_until: Option<DateTime>,
        notes: &mut Notes,
    ) -> Result<RawBson, Blocked> {
        let some: Vec<&Entry<'_>> =
            entries.iter().filter(|entry| !is_null(entry.value.as_raw_bson_ref())).collect();
        if some.is_empty() {
            return Ok(entries[0].value.clone());
        }
        let mut records = Vec::with_capacity(some.len());
        for entry in &some {
            let RawBson::Document(document) = &entry.value else {
                return self.plain(&some, read_until, notes);
            };
            let unreadable = |error: bson::error::Error| Blocked::unreadable(&entry.owner, &error);
            records.push((entry.owner, Fields::read(document).map_err(unreadable)?));
        }
        let records: Vec<Record<'_>> =
            records.iter().map(|(owner, fields)| Record { owner, fields }).collect();
        let path = self.path();
        let rulebook = StateRules {
            rules: &self.rules.rules,
            keep: self.keep.into_iter().chain(["_id"]).collect(),
            unread: self.messages.unread(self.name, latest(&records, self.rules.read_until.as_deref())),
            report: &|field| format!("{path}.{field}"),
        };
        Ok(RawBson::Document(merge(&records, &rulebook, notes)?.build()))
    }

    /// Where the state is not a sub-document, but a value.
    fn plain(
        &self,
        entries: &[&Entry<'_>],
        read_until: Option<DateTime>,
        notes: &mut Notes,
    ) -> Result<RawBson, Blocked> {
        let path = self.path();
        let blocked = |reason| Blocked::Rule { field: path.clone(), reason };
        let values: Vec<&RawBson> = entries.iter().map(|entry| &entry.value).collect();
        match self.rules.rules.get("") {
            Some(FieldRule::Recompute) => {
                counter(self.messages.unread(self.name, read_until), values[0]).map_err(blocked)
            }
            Some(rule) => combine(*rule, &values).map_err(blocked),
            None => {
                let held = entries.iter().map(|entry| Held {
                    record: entry.record,
                    owner: entry.owner,
                    value: &entry.value,
                });
                let held: Vec<Held<'_>> = held.collect();
                Ok(first(&path, &held, notes).unwrap_or(RawBson::Null))
            }
        }
    }

    fn path(&self) -> String {
        format!("{}.{}", self.rules.field, self.name)
    }
}

/// The latest time that one of the records has in the field.
pub(super) fn latest(records: &[Record<'_>], field: Option<&str>) -> Option<DateTime> {
    let time = |record: &Record<'_>| record.fields.get(field?)?.as_datetime();
    records.iter().filter_map(time).max()
}

/// The rules of one participant's state, in chats or in rows.
pub(super) struct StateRules<'a> {
    pub(super) rules: &'a BTreeMap<String, FieldRule>,
    /// Fields of which the first record's stays, without a report.
    pub(super) keep: Vec<&'a str>,
    /// What a counter that is recomputed comes to.
    pub(super) unread: u64,
    pub(super) report: &'a dyn Fn(&str) -> String,
}

impl Rulebook for StateRules<'_> {
    fn treat(&self, path: &str, values: &[Held<'_>], _notes: &mut Notes) -> Result<Treatment, Blocked> {
        let treatment = match self.rules.get(path) {
            Some(FieldRule::Recompute) if !values.is_empty() => {
                let blocked = |reason| Blocked::Rule { field: self.report(path), reason };
                Treatment::Value(Some(counter(self.unread, values[0].value).map_err(blocked)?))
            }
            Some(rule) => Treatment::Rule(*rule),
            None if self.keep.contains(&path) => Treatment::First,
            None if leads_to(self.rules.keys(), path) => Treatment::Inside,
            None => Treatment::Default,
        };
        Ok(treatment)
    }

    fn report(&self, path: &str) -> String {
        (self.report)(path)
    }
}

/// Whether one of the paths leads through `path`.
pub(super) fn leads_to<'a>(mut paths: impl Iterator<Item = &'a String>, path: &str) -> bool {
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
