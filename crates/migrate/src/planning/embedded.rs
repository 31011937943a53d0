//! Unites arrays that are embedded in chats: in the order of time, each element once, none lost.

use std::{cmp::Ordering, collections::HashMap};

use bson::{Bson, RawBson, RawBsonRef};

use super::{
    order::compare,
    record::{Held, Notes},
};
use crate::{
    Blocked, Conflict, EmbeddedArray,
    fields::{array, bson_of, bytes_of, elements, is_null, same, value_at},
};

/// The elements of all chats, the survivor's first where time does not tell.
pub(super) fn unite(
    rules: &EmbeddedArray,
    values: &[Held<'_>],
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
        repeats += united.add(rules, held.owner, elements, notes);
    }
    if repeats > 0 {
        notes.repeats.push((rules.field.clone(), repeats));
    }
    if rules.time.is_some() {
        united.elements.sort_by(|(one, _), (other, _)| by_time(one.as_ref(), other.as_ref()));
    }
    Ok(array(united.elements.iter().map(|(_, element)| element)))
}

/// Elements with the time by which they are sorted.
#[derive(Default)]
struct United {
    elements: Vec<(Option<RawBson>, RawBson)>,
}

/// What makes two elements the same.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Id(Vec<u8>),
    /// What one chat has twice was said twice: only what two chats have is a repeat.
    Whole(Vec<u8>),
}

impl United {
    /// Adds a chat's elements, but for those that are there already. How many those were.
    fn add(&mut self, rules: &EmbeddedArray, owner: &Bson, elements: Vec<RawBson>, notes: &mut Notes) -> u64 {
        let mut known: HashMap<Identity, Vec<usize>> = HashMap::with_capacity(self.elements.len());
        for (index, (_, element)) in self.elements.iter().enumerate().rev() {
            known.entry(identity(rules, element)).or_default().push(index);
        }
        let mut repeats = 0;
        let mut time = None;
        for element in elements {
            // An element without a time stays behind the one that it stood behind.
            time = time_of(rules, &element).or(time);
            let identity = identity(rules, &element);
            let is_id = matches!(identity, Identity::Id(_));
            let places = known.entry(identity).or_default();
            let place = if is_id { places.last().copied() } else { places.pop() };
            let Some(place) = place else {
                if is_id {
                    places.push(self.elements.len());
                }
                self.elements.push((time.clone(), element));
                continue;
            };
            repeats += 1;
            let kept = &self.elements[place].1;
            if !same(kept.as_raw_bson_ref(), element.as_raw_bson_ref()) {
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
    let id = rules.id.as_ref().and_then(|id| value_at(element.as_document()?, id));
    match id.filter(|id| !is_null(*id)) {
        Some(id) => Identity::Id(bytes_of(id)),
        None => Identity::Whole(bytes_of(element.as_raw_bson_ref())),
    }
}

fn time_of(rules: &EmbeddedArray, element: &RawBson) -> Option<RawBson> {
    let time = value_at(element.as_document()?, rules.time.as_ref()?)?;
    (!is_null(time)).then(|| time.into())
}

fn by_time(one: Option<&RawBson>, other: Option<&RawBson>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => {
            let (one, other) = (one.as_raw_bson_ref(), other.as_raw_bson_ref());
            // Not by type, which would put equal times out of their order.
            match (one, other) {
                (RawBsonRef::DateTime(one), RawBsonRef::DateTime(other)) => one.cmp(&other),
                _ => compare(one, other),
            }
        }
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}
