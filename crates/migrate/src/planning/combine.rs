//! One value out of several, by a rule.

use std::collections::HashSet;

use bson::{RawBson, RawBsonRef};

use super::order::{compare, rank};
use crate::{
    FieldRule,
    fields::{Fields, array, bytes_of, elements, same},
    text_of,
};

/// The value that the rule makes of `values`, which are not null and of which the first is the survivor's if it has
/// one; or why it makes none.
pub(super) fn combine(rule: FieldRule, values: &[&RawBson]) -> Result<RawBson, String> {
    if let [only] = values {
        return Ok((*only).clone());
    }
    match rule {
        FieldRule::Max => extreme(values, |new, best| compare(new, best).is_gt()),
        FieldRule::Min => extreme(values, |new, best| compare(new, best).is_lt()),
        FieldRule::Sum => sum(values),
        FieldRule::Union => union(values),
        FieldRule::Survivor => Ok(values[0].clone()),
        FieldRule::All => all(&values.iter().copied().map(Some).collect::<Vec<_>>())
            .map(|value| value.unwrap_or(RawBson::Null)),
        FieldRule::Recompute | FieldRule::Newest => Err("cannot be worked out here".to_owned()),
    }
}

/// What is so in all chats; as in the first in which it is not so, if there is one. `values` are those of all chats, the
/// survivor's first. Nothing is absence.
pub(super) fn all(values: &[Option<&RawBson>]) -> Result<Option<RawBson>, String> {
    if let Some(not) = values.iter().find(|value| !is_so(**value)) {
        return Ok(not.cloned());
    }
    let so: Vec<&RawBson> = values.iter().copied().flatten().collect();
    let Some((first, others)) = so.split_first() else { return Ok(None) };
    let is_of_one_kind =
        others.iter().all(|other| rank(other.as_raw_bson_ref()) == rank(first.as_raw_bson_ref()));
    match first {
        RawBson::Array(_) if is_of_one_kind => in_all_lists(&so).map(Some),
        RawBson::Document(_) if is_of_one_kind => in_all_maps(&so).map(Some),
        RawBson::String(_) | RawBson::ObjectId(_)
            if others.iter().any(|other| !same(other.as_raw_bson_ref(), first.as_raw_bson_ref())) =>
        {
            Err(format!(
                "{first:?} is no flag, no date and no list, of which could be said that it is so in all chats"
            ))
        }
        // What ends or hides a chat does so as late as it did in the last one of them.
        RawBson::DateTime(_)
        | RawBson::Timestamp(_)
        | RawBson::Int32(_)
        | RawBson::Int64(_)
        | RawBson::Double(_)
            if is_of_one_kind =>
        {
            extreme(&so, |new, best| compare(new, best).is_gt()).map(Some)
        }
        _ => Ok(Some((*first).clone())),
    }
}

fn is_so(value: Option<&RawBson>) -> bool {
    match value {
        None
        | Some(
            RawBson::Null
            | RawBson::Undefined
            | RawBson::Boolean(false)
            | RawBson::Int32(0)
            | RawBson::Int64(0),
        ) => false,
        Some(RawBson::Double(number)) => *number != 0.0,
        Some(RawBson::String(text)) => !text.is_empty(),
        Some(RawBson::Array(list)) => !list.is_empty(),
        Some(RawBson::Document(map)) => !map.is_empty(),
        Some(_) => true,
    }
}

/// The members of the first list that all lists have, whatever form an id has in which.
fn in_all_lists(lists: &[&RawBson]) -> Result<RawBson, String> {
    let name = |element: &RawBson| {
        let element = element.as_raw_bson_ref();
        text_of(element).map_or_else(|| bytes_of(element), String::into_bytes)
    };
    let mut read = Vec::with_capacity(lists.len());
    for list in lists {
        read.push(elements(list.as_raw_bson_ref()).map_err(|error| error.to_string())?.unwrap_or_default());
    }
    let (first, others) = read.split_first().ok_or("no list")?;
    let others: Vec<HashSet<Vec<u8>>> = others.iter().map(|list| list.iter().map(name).collect()).collect();
    let kept = first.iter().filter(|element| others.iter().all(|other| other.contains(&name(element))));
    Ok(array(kept))
}

/// By key: what a map has for somebody stays if all maps have it so.
fn in_all_maps(maps: &[&RawBson]) -> Result<RawBson, String> {
    let mut read = Vec::with_capacity(maps.len());
    for map in maps {
        let map = map.as_document().ok_or("no map")?;
        read.push(Fields::read(map).map_err(|error| error.to_string())?);
    }
    let (first, _) = read.split_first().ok_or("no map")?;
    let mut kept = Fields::default();
    for (name, _) in first.iter() {
        let values: Vec<Option<&RawBson>> = read.iter().map(|map| map.get(name)).collect();
        // What is said beside a flag (why, by whom) is the survivor's.
        if let Some(value) = all(&values).unwrap_or_else(|_| values[0].cloned()) {
            kept.set(name, value);
        }
    }
    Ok(RawBson::Document(kept.build()))
}

fn extreme(
    values: &[&RawBson],
    is_better: impl Fn(RawBsonRef<'_>, RawBsonRef<'_>) -> bool,
) -> Result<RawBson, String> {
    let mut best = values[0];
    for &value in values {
        let (new, old) = (value.as_raw_bson_ref(), best.as_raw_bson_ref());
        if rank(new) != rank(old) || matches!(new, RawBsonRef::Array(_) | RawBsonRef::Document(_)) {
            return Err(format!("{value:?} and {best:?} cannot be compared"));
        }
        if is_better(new, old) {
            best = value;
        }
    }
    Ok(best.clone())
}

/// In the widest type of the numbers; a sum that this type cannot hold would be a wrong number.
#[expect(clippy::cast_precision_loss, reason = "a double among the numbers makes a double of all of them")]
fn sum(values: &[&RawBson]) -> Result<RawBson, String> {
    let too_large = || format!("the sum of {values:?} is too large for its type");
    let (mut whole, mut broken) = (0_i128, 0_f64);
    let (mut is_long, mut is_double) = (false, false);
    for value in values {
        match value {
            RawBson::Int32(value) => whole += i128::from(*value),
            RawBson::Int64(value) => {
                whole += i128::from(*value);
                is_long = true;
            }
            RawBson::Double(value) => {
                broken += value;
                is_double = true;
            }
            other => return Err(format!("{other:?} is no number that can be added")),
        }
    }
    if is_double {
        let sum = broken + whole as f64;
        return if sum.is_finite() { Ok(RawBson::Double(sum)) } else { Err(too_large()) };
    }
    if is_long {
        return i64::try_from(whole).map(RawBson::Int64).map_err(|_| too_large());
    }
    i32::try_from(whole).map(RawBson::Int32).map_err(|_| too_large())
}

fn union(values: &[&RawBson]) -> Result<RawBson, String> {
    let mut united: Vec<RawBson> = Vec::new();
    for value in values {
        let elements = elements(value.as_raw_bson_ref()).map_err(|error| error.to_string())?;
        for element in elements.ok_or_else(|| format!("{value:?} is no array"))? {
            if !united.iter().any(|known| same(known.as_raw_bson_ref(), element.as_raw_bson_ref())) {
                united.push(element);
            }
        }
    }
    Ok(array(&united))
}

/// A counter with the value `count`, of the type of `like`.
#[expect(clippy::cast_precision_loss, reason = "no chat has 2^53 messages")]
pub(super) fn counter(count: u64, like: &RawBson) -> Result<RawBson, String> {
    let too_large = |_| format!("{count} messages are too many for a counter of its type");
    match like {
        RawBson::Int32(_) => i32::try_from(count).map(RawBson::Int32).map_err(too_large),
        RawBson::Int64(_) => i64::try_from(count).map(RawBson::Int64).map_err(too_large),
        RawBson::Double(_) => Ok(RawBson::Double(count as f64)),
        other => Err(format!("{other:?} is no counter")),
    }
}
