//! Unites arrays that are embedded in chats: in the order of time, each element once, none lost.

use std::collections::HashMap;

use bson::{Bson, DateTime, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use super::record::{Held, Notes};
use crate::{
    Blocked, Conflict, EmbeddedArray,
    fields::{array, bson_of, bytes_of, elements, is_null, same, value_at},
    text_of, time_of, time_of_row,
};

/// The elements of all chats, the survivor's first where time does not tell.
pub(super) fn unite(
    rules: &EmbeddedArray,
    values: &[Held<'_>],
    listed: &Listed<'_>,
    notes: &mut Notes,
) -> Result<RawBson, Blocked> {
    if let [only] = values {
        return Ok(only.value.clone());
    }
    let mut united = United::default();
    let mut repeats = 0;
    for held in values {
        let elements = elements(held.value.as_raw_bson_ref());
        let elements = elements.map_err(|error| Blocked::unreadable(&held.owner, &error))?;
        let elements = elements.ok_or_else(|| Blocked::Rule {
            field: rules.field.clone(),
            reason: format!("it is no array in the chat {}", held.owner),
        })?;
        repeats += united.add(rules, held.owner, elements, listed, notes);
    }
    if repeats > 0 {
        notes.repeats.push((rules.field.clone(), repeats));
    }
    if united.is_mixed && rules.time.is_some() {
        united.elements.sort_by_key(|(time, _)| *time);
    }
    Ok(array(united.elements.iter().map(|(_, element)| element)))
}

/// Elements with the time by which they are sorted.
#[derive(Default)]
struct United {
    elements: Vec<(Option<DateTime>, RawBson)>,
    /// Whether more than one chat has contributed.
    is_mixed: bool,
}

/// What makes two elements the same.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Id(Vec<u8>),
    /// What one chat has twice was said twice: only what two chats have is a repeat.
    Whole(Vec<u8>),
    /// A bare text has nothing else that would tell whether it was said twice: all of them are kept.
    None,
}

impl United {
    /// Adds a chat's elements, but for those that are there already. How many those were.
    fn add(
        &mut self,
        rules: &EmbeddedArray,
        owner: &Bson,
        elements: Vec<RawBson>,
        listed: &Listed<'_>,
        notes: &mut Notes,
    ) -> u64 {
        let had_some = !self.elements.is_empty();
        let mut known: HashMap<Identity, Vec<usize>> = HashMap::with_capacity(self.elements.len());
        for (index, (_, element)) in self.elements.iter().enumerate().rev() {
            known.entry(identity(rules, element)).or_default().push(index);
        }
        let mut repeats = 0;
        let mut time = None;
        for element in elements {
            // An element without a time stays behind the one that it stood behind.
            time = time_of_element(rules, element.as_raw_bson_ref(), listed).or(time);
            let identity = identity(rules, &element);
            let is_id = matches!(identity, Identity::Id(_));
            let is_bare = matches!(identity, Identity::None);
            let places = known.entry(identity).or_default();
            let place = if is_id { places.last().copied() } else { places.pop().filter(|_| !is_bare) };
            let Some(place) = place else {
                if is_id {
                    places.push(self.elements.len());
                }
                self.is_mixed |= had_some;
                self.elements.push((time, element));
                continue;
            };
            repeats += 1;
            let kept = &self.elements[place].1;
            // The same row may be named by an ObjectId here and a text there.
            if rules.ids_of.is_none() && !same(kept.as_raw_bson_ref(), element.as_raw_bson_ref()) {
                notes.conflicts.push(Conflict {
                    field: rules.field.clone(),
                    kept: bson_of(kept.as_raw_bson_ref()),
                    dropped: vec![(bson_of(element.as_raw_bson_ref()), owner.clone())],
                });
            }
        }
        repeats
    }
}

fn identity(rules: &EmbeddedArray, element: &RawBson) -> Identity {
    if let Some(id) = rules.ids_of.as_ref().and_then(|_| named_by(rules, element.as_raw_bson_ref())) {
        return Identity::Id(text_of(id).map_or_else(|| bytes_of(id), String::into_bytes));
    }
    let id = rules.id.as_ref().and_then(|id| value_at(element.as_document()?, id));
    match id.filter(|id| !is_null(*id)) {
        Some(id) => Identity::Id(bytes_of(id)),
        None if rules.ids_of.is_none() && element.as_document().is_none() => Identity::None,
        None => Identity::Whole(bytes_of(element.as_raw_bson_ref())),
    }
}

/// The rows that arrays of ids name, by their ids.
pub(super) struct Listed<'a>(HashMap<Vec<u8>, &'a RawDocument>);

impl<'a> Listed<'a> {
    pub(super) fn new(rows: &'a [RawDocumentBuf]) -> Self {
        let named = rows.iter().filter_map(|row| {
            let id = row.get("_id").ok().flatten()?;
            Some((text_of(id).map_or_else(|| bytes_of(id), String::into_bytes), &**row))
        });
        Self(named.collect())
    }

    fn row(&self, id: RawBsonRef<'_>) -> Option<&'a RawDocument> {
        self.0.get(&text_of(id).map_or_else(|| bytes_of(id), String::into_bytes)).copied()
    }
}

/// The id of the row that an element of an array of ids names.
fn named_by<'a>(rules: &EmbeddedArray, element: RawBsonRef<'a>) -> Option<RawBsonRef<'a>> {
    match &rules.id {
        Some(path) => value_at(element.as_document()?, path).filter(|id| !is_null(*id)),
        None => Some(element),
    }
}

/// The time of an element, or of the row that it names; of a row that is not there the time of its ObjectId.
pub(super) fn time_of_element(
    rules: &EmbeddedArray,
    element: RawBsonRef<'_>,
    listed: &Listed<'_>,
) -> Option<DateTime> {
    let path = rules.time.as_ref()?;
    if rules.ids_of.is_none() {
        return time_of(value_at(element.as_document()?, path)?);
    }
    let id = named_by(rules, element)?;
    time_of_row(listed.row(id).and_then(|row| value_at(row, path)), Some(id))
}
