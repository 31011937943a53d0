//! Makes one record of several: chats, the state of one participant in them, rows of one participant.

use bson::{Bson, RawBson};

use super::combine::combine;
use crate::{
    Blocked, Conflict, FieldRule,
    fields::{Fields, bson_of, same},
};

/// Fields, and the `_id` of the document they stand in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) owner: &'a Bson,
    pub(super) fields: &'a Fields,
}

/// A value that is not null, and which record has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) record: usize,
    pub(super) owner: &'a Bson,
    pub(super) value: &'a RawBson,
}

/// What becomes of a field.
pub(super) enum Treatment {
    /// The first record's, whether it has one or not; others are dropped without a report.
    First,
    /// The first value there is; others that differ are conflicts.
    Default,
    /// By a rule.
    Rule(FieldRule),
    /// This, or nothing.
    Value(Option<RawBson>),
    /// Sub-document by sub-document, field by field.
    Inside,
}

/// What is noted while planning, for the operator.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) conflicts: Vec<Conflict>,
    pub(super) repeats: Vec<(String, u64)>,
}

/// The rules of one kind of record.
pub(super) trait Rulebook {
    /// What becomes of the field at `path`. `values` is never empty, unless every record has null there.
    fn treat(&self, path: &str, values: &[Held<'_>], notes: &mut Notes) -> Result<Treatment, Blocked>;

    /// The path as conflicts name it.
    fn report(&self, path: &str) -> String;
}

/// The first record, with what the others have to add. Fields keep the first record's order; new ones follow.
pub(super) fn merge(
    records: &[Record<'_>],
    rulebook: &dyn Rulebook,
    notes: &mut Notes,
) -> Result<Fields, Blocked> {
    merge_at("", records, rulebook, notes)
}

fn merge_at(
    prefix: &str,
    records: &[Record<'_>],
    rulebook: &dyn Rulebook,
    notes: &mut Notes,
) -> Result<Fields, Blocked> {
    let mut merged = records[0].fields.clone();
    for name in names(records) {
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        let values: Vec<Held<'_>> = records
            .iter()
            .enumerate()
            .filter_map(|(record, Record { owner, fields })| {
                Some(Held { record, owner, value: fields.some(name)? })
            })
            .collect();
        let value = match rulebook.treat(&path, &values, notes)? {
            Treatment::First => continue,
            Treatment::Value(value) => value,
            _ if values.is_empty() => None,
            Treatment::Rule(rule) => {
                let plain: Vec<&RawBson> = values.iter().map(|held| held.value).collect();
                let blocked = |reason| Blocked::Rule { field: rulebook.report(&path), reason };
                Some(combine(rule, &plain).map_err(blocked)?)
            }
            Treatment::Inside => match inside(&values)? {
                Some(inner) => {
                    let inner: Vec<Record<'_>> =
                        inner.iter().map(|(owner, fields)| Record { owner, fields }).collect();
                    Some(RawBson::Document(merge_at(&path, &inner, rulebook, notes)?.build()))
                }
                None => first(&rulebook.report(&path), &values, notes),
            },
            Treatment::Default => first(&rulebook.report(&path), &values, notes),
        };
        match value {
            Some(value) => merged.set(name, value),
            // Null tells a reader as little as absence, and is kept where it is all there is.
            None if merged.get(name).is_none() && values.is_empty() => merged.set(name, RawBson::Null),
            None => {}
        }
    }
    Ok(merged)
}

fn names<'a>(records: &[Record<'a>]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for record in records {
        for (name, _) in record.fields.iter() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The sub-documents that the values are; nothing if one of them is something else.
fn inside<'a>(values: &[Held<'a>]) -> Result<Option<Vec<(&'a Bson, Fields)>>, Blocked> {
    let mut inner = Vec::with_capacity(values.len());
    for held in values {
        let RawBson::Document(document) = held.value else { return Ok(None) };
        let unreadable = |error: bson::error::Error| Blocked::unreadable(&held.owner, &error);
        inner.push((held.owner, Fields::read(document).map_err(unreadable)?));
    }
    Ok(Some(inner))
}

/// The first value; each other one that is not the same is a conflict.
pub(super) fn first(path: &str, values: &[Held<'_>], notes: &mut Notes) -> Option<RawBson> {
    let (kept, others) = values.split_first()?;
    let dropped: Vec<(Bson, Bson)> = others
        .iter()
        .filter(|other| !same(other.value.as_raw_bson_ref(), kept.value.as_raw_bson_ref()))
        .map(|other| (bson_of(other.value.as_raw_bson_ref()), other.owner.clone()))
        .collect();
    if !dropped.is_empty() {
        let kept = bson_of(kept.value.as_raw_bson_ref());
        notes.conflicts.push(Conflict { field: path.to_owned(), kept, dropped });
    }
    Some(kept.value.clone())
}
