//! What values the fields of chats have, in all chats: a sample does not show what is rare, and a group is rare among
//! direct chats.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson, Document};
use onechat_migrate::Control;

use super::{
    super::{MigrateError, MongoMigrator, survey::Pass},
    chats::Chats,
    sample::Sample,
};

/// A field with more different values than these tells nothing apart.
const MOST_VALUES: usize = 24;
/// How many fields are looked at.
const MOST_FIELDS: usize = 40;

/// How many chats there are of a kind, and how many of them are of two people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) all: u64,
    pub(super) of_two: u64,
}

impl Count {
    fn add(&mut self, is_of_two: bool) {
        self.all += 1;
        self.of_two += u64::from(is_of_two);
    }
}

/// The values of one field. Null is the same as nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// Each different value, until there are too many.
    pub(super) known: Vec<(Bson, Count)>,
    pub(super) absent: Count,
    pub(super) is_many: bool,
    pub(super) present: Count,
}

impl Values {
    fn add(&mut self, value: &Bson, is_of_two: bool) {
        self.present.add(is_of_two);
        if let Some((_, count)) = self.known.iter_mut().find(|(known, _)| known == value) {
            count.add(is_of_two);
        } else if self.known.len() >= MOST_VALUES {
            self.is_many = true;
        } else {
            let mut count = Count::default();
            count.add(is_of_two);
            self.known.push((value.clone(), count));
        }
    }

    /// In words.
    pub(super) fn facts(&self) -> String {
        let mut parts: Vec<String> = if self.is_many || self.known.len() > 6 {
            let examples: Vec<String> =
                self.known.iter().take(3).map(|(value, _)| value.to_string()).collect();
            let more = if self.is_many { "more than " } else { "" };
            vec![format!(
                "{more}{} values, such as {}, in {} chats",
                self.known.len(),
                examples.join(", "),
                self.present.all
            )]
        } else {
            self.known.iter().map(|(value, count)| format!("{value} in {}", count.all)).collect()
        };
        if self.absent.all > 0 {
            parts.push(format!("absent or null in {}", self.absent.all));
        }
        parts.join("; ")
    }
}

/// The fields of all chats that have one value each, no arrays and no sub-documents.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) fields: BTreeMap<String, Values>,
    chats: Count,
}

impl Census {
    fn add(&mut self, document: &Document, is_of_two: bool, not: &mut BTreeSet<String>) {
        self.chats.add(is_of_two);
        for (field, value) in document.iter().filter(|(_, value)| !matches!(value, Bson::Null)) {
            if not.contains(field) {
                continue;
            }
            if matches!(value, Bson::Array(_) | Bson::Document(_)) {
                self.fields.remove(field);
                not.insert(field.clone());
            } else if let Some(values) = self.fields.get_mut(field) {
                values.add(value, is_of_two);
            } else if self.fields.len() < MOST_FIELDS {
                let mut values = Values::default();
                values.add(value, is_of_two);
                self.fields.insert(field.clone(), values);
            }
        }
    }

    fn finish(mut self) -> Self {
        for values in self.fields.values_mut() {
            values.absent = Count {
                all: self.chats.all - values.present.all,
                of_two: self.chats.of_two - values.present.of_two,
            };
        }
        self
    }
}

impl MongoMigrator {
    /// Reads all chats, but for what is in lists and sub-documents.
    pub(super) async fn census(
        &self,
        sample: &Sample,
        chats: &Chats,
        taken: &[&str],
        control: &dyn Control,
    ) -> Result<Census, MigrateError> {
        let people = chats.people_fields();
        let mut not: BTreeSet<String> =
            ["_id", "__v"].iter().chain(taken).map(|name| (*name).to_owned()).collect();
        let is_large = |value: &&&Bson| matches!(value, Bson::Array(_) | Bson::Document(_));
        let large =
            sample.fields().into_iter().filter(|(_, values)| values.iter().any(|value| is_large(&value)));
        not.extend(large.map(|(field, _)| field.to_owned()));
        let is_simple = |field: &String| !field.contains('.') && !field.starts_with('$') && field != "_id";
        let left_out = not.iter().filter(|field| is_simple(field) && !people.contains(&field.as_str()));
        let projection: Document = left_out.map(|field| (field.clone(), Bson::Int32(0))).collect();
        let mut census = Census::default();
        let mut pass = Pass::over(&self.database, &chats.collection, projection).await?;
        while pass.advance().await? {
            if let Ok(document) = Document::try_from(pass.document()) {
                let is_of_two = chats.size(&document) == 2;
                census.add(&document, is_of_two, &mut not);
            }
            if let Some((done, total)) = pass.milestone() {
                control.advance("suggest", done, total);
                control.pace(0).await?;
            }
        }
        Ok(census.finish())
    }
}
