//! Makes one record of several: chats, the state of one participant in them, rows of one participant.

use bson::{Bson, RawBson, RawBsonRef, RawDocument};

use super::combine::{all, combine};
use crate::{
    Blocked, Conflict, Difference, FieldRule, Place,
    fields::{Fields, are_equal},
};

/// Fields, and whose they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// The chat that they belong to: 0 is the survivor.
    pub(super) chat: usize,
    /// The `_id` of the document that they stand in.
    pub(super) owner: &'a Bson,
    pub(super) fields: &'a Fields,
}

/// A record that was read for the merge.
#[derive(Debug)]
pub(super) struct Owned<'a> {
    chat: usize,
    owner: &'a Bson,
    fields: Fields,
}

impl<'a> Owned<'a> {
    /// A sub-document of a document; nothing is one without fields.
    pub(super) fn read(
        chat: usize,
        owner: &'a Bson,
        document: Option<&RawDocument>,
    ) -> Result<Self, Blocked> {
        let unreadable = |error| Blocked::unreadable(owner, &error);
        let fields = document.map(Fields::read).transpose().map_err(unreadable)?.unwrap_or_default();
        Ok(Self { chat, owner, fields })
    }

    pub(super) fn as_record(&self) -> Record<'_> {
        Record { chat: self.chat, owner: self.owner, fields: &self.fields }
    }
}

/// A value that is not null, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) chat: usize,
    pub(super) owner: &'a Bson,
    pub(super) value: &'a RawBson,
}

/// What becomes of a field.
pub(super) enum Treatment {
    /// The first record's, whether it has one or not; others are dropped without a report.
    First,
    /// All records have the same, or have nothing; else there is a question.
    Agreed,
    /// By a rule.
    Rule(FieldRule),
    /// This, or what the first record has.
    Value(Option<RawBson>),
    /// Sub-document by sub-document, field by field.
    Inside,
}

/// What is noted while planning, for the operator.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) conflicts: Vec<Conflict>,
    pub(super) repeats: Vec<(String, u64)>,
    /// Fields of which nothing says what becomes of them. What else was planned holds only without any.
    pub(super) unexplained: Vec<Difference>,
}

impl Notes {
    /// Notes a question, once for each field. `values` are those of all records, the first one's first. Whether there is one.
    pub(super) fn ask_unless_same<'a>(
        &mut self,
        place: impl FnOnce() -> Place,
        values: impl Iterator<Item = (&'a Bson, Option<RawBsonRef<'a>>)> + Clone,
    ) -> bool {
        let mut all = values.clone().map(|(_, value)| value);
        let Some(first) = all.next() else { return false };
        let is_same = all.all(|other| match (first, other) {
            (Some(first), Some(other)) => are_equal(first, other),
            (first, other) => first.is_none() && other.is_none(),
        });
        if is_same {
            return false;
        }
        let place = place();
        if !self.unexplained.iter().any(|known| known.place == place) {
            self.unexplained.push(Difference::new(place, values));
        }
        true
    }
}

/// The rules of one kind of record.
pub(super) trait Rulebook {
    /// What becomes of the field at `path`. `values` is never empty, unless every record has null there.
    fn treat(&self, path: &str, values: &[Held<'_>], notes: &mut Notes) -> Result<Treatment, Blocked>;

    /// The path as an operator reads it of one that a rule cannot be applied to.
    fn report(&self, path: &str) -> String;

    /// Where the configuration has the path.
    fn place(&self, path: &str) -> Place;

    /// The value that follows the newest message.
    fn newest(&self, path: &str, values: &[Held<'_>]) -> Option<RawBson>;

    /// Whether a chat of the group has no record at all, in which nothing is so.
    fn is_one_without(&self) -> bool {
        false
    }
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
            .filter_map(|Record { chat, owner, fields }| {
                Some(Held { chat: *chat, owner, value: fields.some(name)? })
            })
            .collect();
        let blocked = |reason| Blocked::Rule { field: rulebook.report(&path), reason };
        let value = match rulebook.treat(&path, &values, notes)? {
            Treatment::First => continue,
            Treatment::Value(value) => value,
            Treatment::Rule(FieldRule::All) => {
                let mut of_all: Vec<Option<&RawBson>> =
                    records.iter().map(|record| record.fields.get(name)).collect();
                if rulebook.is_one_without() {
                    of_all.push(None);
                }
                match all(&of_all).map_err(blocked)? {
                    Some(value) => merged.set(name, value),
                    None => merged.remove(name),
                }
                continue;
            }
            _ if values.is_empty() => None,
            Treatment::Rule(FieldRule::Newest) => rulebook.newest(&path, &values),
            Treatment::Rule(rule) => {
                let plain: Vec<&RawBson> = values.iter().map(|held| held.value).collect();
                Some(combine(rule, &plain).map_err(blocked)?)
            }
            Treatment::Inside => {
                let Some(inner) = inside(records, name)? else {
                    agree(&path, name, records, rulebook, notes);
                    continue;
                };
                let inner: Vec<Record<'_>> = inner.iter().map(Owned::as_record).collect();
                let united = merge_at(&path, &inner, rulebook, notes)?;
                let is_new = merged.get(name).is_none() && united.iter().next().is_none();
                (!is_new).then(|| RawBson::Document(united.build()))
            }
            Treatment::Agreed => {
                agree(&path, name, records, rulebook, notes);
                continue;
            }
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

/// What all records have stays; what they differ in is a question. Null is absence.
fn agree(path: &str, name: &str, records: &[Record<'_>], rulebook: &dyn Rulebook, notes: &mut Notes) {
    let values =
        records.iter().map(|record| (record.owner, record.fields.some(name).map(RawBson::as_raw_bson_ref)));
    notes.ask_unless_same(|| rulebook.place(path), values);
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

/// The sub-documents that the records have, an empty one for nothing; nothing if one of them is something else.
fn inside<'a>(records: &[Record<'a>], name: &str) -> Result<Option<Vec<Owned<'a>>>, Blocked> {
    let mut inner = Vec::with_capacity(records.len());
    for Record { chat, owner, fields } in records {
        let document = match fields.some(name) {
            None => None,
            Some(RawBson::Document(document)) => Some(document),
            Some(_) => return Ok(None),
        };
        inner.push(Owned::read(*chat, owner, document.map(|document| &**document))?);
    }
    Ok(Some(inner))
}
