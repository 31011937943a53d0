//! Looks at a database and says how it seems to be laid out, and asks what only its operator knows. Reads only.

mod census;
mod chats;
mod context;
mod identity;
mod inside;
mod kinds;
mod lists;
mod members;
mod no_chats;
mod pairs;
mod print;
mod questions;
mod rest;
mod rows;
mod sample;
mod words;

use mongodb::bson::Bson;
use onechat_migrate::{Control, Differences, MergeRules};
use serde::Serialize;

pub use self::questions::{Answer, Question};
use self::{
    census::Census,
    chats::{Chats, People},
    identity::Constant,
    inside::Inside,
    lists::List,
    no_chats::Between,
    rows::{Known, Messages, Row},
    sample::{Sample, time_form},
};
use super::{MigrateError, MongoMigrator};
use crate::{Mapping, codec::Codec};

/// A configuration that fits what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Suggestion {
    /// The text of a configuration file, with comments that say what each part was inferred from.
    pub toml: String,
    /// What has to be answered in it before a migration begins.
    pub questions: Vec<Question>,
}

impl Findings {
    fn has_field(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field == name)
    }

    /// The array of the chats that has the ids of their messages.
    fn list_of_messages(&self) -> Option<&List> {
        let messages = self.messages.as_ref().filter(|_| self.embedded.is_none())?;
        self.lists.iter().find(|list| list.ids_of == messages.collection)
    }
}

/// Reads parts of a configuration file as the program does, put together as one; or says why it refuses them.
pub type Reading<'a> = &'a (dyn Fn(&[&str]) -> Result<(Mapping, MergeRules), String> + Sync);

/// What was found.
struct Findings {
    chats: Chats,
    /// How many chats there are, about, and how many were looked at.
    count: u64,
    sampled: usize,
    /// How many other collections there are.
    others: usize,
    messages: Option<Messages>,
    rows: Vec<Row>,
    lists: Vec<List>,
    /// The array of the chats that has their messages, if they are in no collection.
    embedded: Option<String>,
    /// How the times of chats are written, if not as dates.
    times: Option<&'static str>,
    inside: Inside,
    constants: Vec<Constant>,
    /// Fields other than the key with unique indexes.
    unique: Vec<String>,
    /// All fields of the sampled chats.
    fields: Vec<String>,
    /// Fields by which the server deletes chats, although they have another meaning.
    expiring: Vec<String>,
}

/// What a look at the samples has found.
enum Looked<'a> {
    /// Chats, what names them elsewhere, and which of that are the messages.
    Chats(Box<Chats>, Vec<Row>, Option<Messages>),
    /// Messages alone.
    NoChats(Between<'a>),
}

impl MongoMigrator {
    /// Samples every collection of the database, counts what the chats have in their fields, and compares chats of the same
    /// people. What it returns is read by `reading` first: it never suggests what the program refuses.
    pub async fn suggest(
        &self,
        reading: Reading<'_>,
        control: &dyn Control,
    ) -> Result<Suggestion, MigrateError> {
        let names = self.collections().await?;
        let (mut samples, total) = (Vec::new(), names.len() as u64 * 2);
        for name in names {
            control.pace(0).await?;
            samples.push(self.sample(&name).await?);
            control.advance("suggest", samples.len() as u64, total);
        }
        let looked = match self.look(&samples, control).await? {
            Looked::Chats(chats, rows, messages) => (*chats, rows, messages),
            Looked::NoChats(between) => {
                let suggestion = no_chats::suggestion(&between, &samples);
                reading(&[&suggestion.toml]).map_err(|why| refused(&why))?;
                return Ok(suggestion);
            }
        };
        let (found, census, not) = self.find(&samples, looked, control).await?;
        let toml = print::toml(&found);
        let mut whose = format!("{} has its participants in {}", found.chats.collection, found.chats.whose());
        let subjects: Vec<&str> =
            census.fields.keys().map(String::as_str).filter(|field| words::is_subject(field)).collect();
        if !subjects.is_empty() {
            whose = format!("{whose}, and its chats may be about {}", subjects.join(" or "));
        }
        reading(&[&toml]).map_err(|why| refused(&format!("{whose}; {why}")))?;
        let differences = self.differences_by(&[&toml], reading, control).await?;
        let mut questions = Vec::new();
        if let Some(sample) = of_chats(&samples, &found.chats) {
            questions.extend(identity::only(&census, sample, &found.constants, &differences));
            let not: Vec<&str> = borrowed(&not);
            questions.extend(self.context(&census, (sample, &samples), &found, &not, &differences).await?);
        }
        let is_accepted = |answer: &Answer| reading(&[&toml, &answer.toml]).is_ok();
        for question in &mut questions {
            question.answers.retain(is_accepted);
        }
        // What else differs, if these are answered as it is likely.
        let likely = questions.iter().filter_map(|question| Some(question.answers.first()?.toml.as_str()));
        let parts: Vec<&str> = [toml.as_str()].into_iter().chain(likely).collect();
        let is_answered = parts.len() > 1 && reading(&parts).is_ok();
        let rest =
            if is_answered { self.differences_by(&parts, reading, control).await? } else { differences };
        let asked: Vec<String> = questions.iter().flat_map(|question| question.fields.clone()).collect();
        for one in rest.fields.iter().filter(|one| is_answered || !asked.contains(&one.field)) {
            let mut question = rest::question(one, &census, &found.inside);
            question.answers.retain(is_accepted);
            questions.push(question);
        }
        let toml = print::with_questions(toml, &questions);
        reading(&[&toml]).map_err(|why| refused(&why))?;
        Ok(Suggestion { toml, questions })
    }

    /// What the chats have in them, and the collections to which nothing that they are about leads.
    async fn find(
        &self,
        samples: &[Sample],
        (chats, rows, mut messages): (Chats, Vec<Row>, Option<Messages>),
        control: &dyn Control,
    ) -> Result<(Findings, Census, Vec<String>), MigrateError> {
        let Some(sample) = of_chats(samples, &chats) else { return Err(refused("the chats are gone")) };
        let people = sample.documents.iter().flat_map(|document| chats.people(document)).map(Bson::String);
        let users = self.holder(&people.collect::<Vec<_>>(), samples, &[&chats.collection]).await?;
        let mut not = vec![chats.collection.clone()];
        not.extend(users.map(|users| users.collection.clone()));

        let mut taken = taken(&chats, &rows);
        let mut lists = self.lists(sample, samples, &borrowed(&not), &borrowed(&taken)).await?;
        taken.extend(lists.iter().map(|list| list.field.clone()));
        if messages.is_none() {
            messages = lists.iter_mut().find_map(|list| list.messages.take());
        }
        let mut inside = Inside::of(sample, &chats, &borrowed(&taken));
        let mut embedded = None;
        if messages.is_none() {
            let mut arrays = inside.embedded.iter_mut();
            let said = arrays.find_map(|array| Some((array.field.clone(), array.messages.take()?)));
            (embedded, messages) = said.unzip();
        }
        let meant: Vec<String> = taken.iter().chain(inside.fields.keys()).cloned().collect();
        let census = self.census(sample, &chats, &borrowed(&meant), control).await?;
        let unique = sample.unique.iter().filter_map(|index| match index.as_slice() {
            [field] if field != "_id" && !meant.contains(field) => Some(field.clone()),
            _ => None,
        });
        let expiring = sample.expiring.iter().filter(|field| taken.contains(*field));
        let times = [&chats.created_at, &chats.updated_at, &chats.last_message_at].into_iter().flatten();
        let fields = sample.fields();
        let times = times.filter_map(|name| fields.get(name.as_str()));
        let times = time_form(&times.flatten().copied().collect::<Vec<_>>());
        let found = Findings {
            // No server can raise a timestamp in a chat.
            times: times.filter(|form| *form != "timestamp"),
            embedded,
            count: sample.count,
            sampled: sample.documents.len(),
            others: samples.len() - 1,
            messages,
            rows,
            lists,
            inside,
            constants: identity::constants(&census),
            unique: unique.collect(),
            fields: sample.fields().into_keys().map(str::to_owned).collect(),
            expiring: expiring.cloned().collect(),
            chats,
        };
        Ok((found, census, not))
    }

    /// What chats of the same people differ in by this configuration.
    async fn differences_by(
        &self,
        parts: &[&str],
        reading: Reading<'_>,
        control: &dyn Control,
    ) -> Result<Differences, MigrateError> {
        let (mapping, rules) = reading(parts).map_err(|why| refused(&why))?;
        let codec = Codec::new(mapping).map_err(|error| refused(&error.to_string()))?;
        let migrator = Self { codec, rules, ..self.clone() };
        migrator.differences(control).await
    }

    /// Which collection has the chats, and what names them elsewhere.
    async fn look<'a>(
        &self,
        samples: &'a [Sample],
        control: &dyn Control,
    ) -> Result<Looked<'a>, MigrateError> {
        for chats in Chats::among(samples, self.chats_name()) {
            let Some(sample) = of_chats(samples, &chats) else { continue };
            let (rows, messages) = self.named(samples, &chats, control).await?;
            // Messages may have an array of people too: chats are named by something, or hold it.
            let holds = |field: &str| sample::plain(field).contains("messag");
            let has_list = sample
                .fields()
                .iter()
                .any(|(field, values)| holds(field) && values.iter().any(|value| value.as_array().is_some()));
            if messages.is_some() || has_list || !kinds::are_messages(&sample.documents) {
                return Ok(Looked::Chats(Box::new(chats), rows, messages));
            }
        }
        let (mut refusals, mut between) = (Vec::new(), Vec::new());
        for sample in samples {
            let Some((one, other)) = pairs::of(sample) else { continue };
            if kinds::are_messages(&sample.documents) {
                refusals.push(format!(
                    "{} holds messages, each from {one} to {other}, and nothing holds chats: which of the collections with such \
                     messages are to have chats? Name its fields in [mongodb.message_fields], and say chats_from_messages = \
                     true in [migrate]",
                    sample.collection
                ));
                between.push(Between { sample, sender: one, receiver: other });
            } else if pairs::are_chats(sample) {
                if let Some(copies) = pairs::copies(sample, &one, &other) {
                    let joint = copies.joint.map_or_else(String::new, |joint| {
                        format!(", and what both share is named by {joint}")
                    });
                    return Err(MigrateError::Refused(format!(
                        "{} has two documents for most pairs, one with {one} and {other} and one with the two swapped{joint}: \
                         is it one document for each owner? Such a collection cannot be migrated",
                        sample.collection
                    )));
                }
                let chats = Chats::of(sample, People::Fields(vec![one, other]));
                let (rows, messages) = self.named(samples, &chats, control).await?;
                return Ok(Looked::Chats(Box::new(chats), rows, messages));
            }
        }
        if let Some(between) = no_chats::the_one(between) {
            return Ok(Looked::NoChats(between));
        }
        for sample in samples.iter().filter(|sample| kinds::are_messages(&sample.documents)) {
            refusals.push(format!(
                "{} holds messages, no chats: what somebody said, and who said it, stand in each document",
                sample.collection
            ));
        }
        let why = if refusals.is_empty() {
            "none has an array of participants, as ids or as sub-documents with one, or two people in two fields".to_owned()
        } else {
            refusals.join("; ")
        };
        Err(MigrateError::Refused(format!("no collection looks like chats: {why}")))
    }

    /// What names the chats elsewhere, and which of that are the messages.
    async fn named(
        &self,
        samples: &[Sample],
        chats: &Chats,
        control: &dyn Control,
    ) -> Result<(Vec<Row>, Option<Messages>), MigrateError> {
        let (mut known, mut rows, mut messages) = (Known::new(), Vec::new(), None);
        let total = samples.len() as u64 * 2;
        for (done, sample) in samples.iter().enumerate() {
            control.pace(0).await?;
            for row in self.rows_of(sample, chats, &mut known).await? {
                let score = row.as_messages(sample, &known);
                if score.as_ref().map(|(score, _)| *score) > best(messages.as_ref()) {
                    messages = score;
                }
                rows.push(row);
            }
            control.advance("suggest", total / 2 + done as u64 + 1, total);
        }
        let messages = messages.map(|(_, messages)| messages);
        rows.retain(|row: &Row| !messages.as_ref().is_some_and(|messages| messages.are(row)));
        Ok((rows, messages))
    }
}

fn of_chats<'a>(samples: &'a [Sample], chats: &Chats) -> Option<&'a Sample> {
    samples.iter().find(|sample| sample.collection == chats.collection)
}

fn refused(why: &str) -> MigrateError {
    MigrateError::Refused(format!(
        "the layout that this database seems to have cannot be configured: {}",
        why.trim_end().replace('\n', " ")
    ))
}

fn best(messages: Option<&(usize, Messages)>) -> Option<usize> {
    messages.map(|(score, _)| *score)
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The fields of chats that have a meaning.
fn taken(chats: &Chats, rows: &[Row]) -> Vec<String> {
    let mut taken: Vec<String> = chats.people_fields().into_iter().map(str::to_owned).collect();
    let key = chats.key.as_ref().filter(|key| key.is_known()).map(|key| key.field.clone());
    taken.push(key.unwrap_or_else(|| Mapping::default().fields.participants_key));
    taken.extend(chats.public_id.as_ref().map(|id| id.field.clone()));
    // Where nothing else is found, the usual names have these meanings.
    let usual = Mapping::default().fields;
    let times = [
        (&chats.created_at, usual.created_at),
        (&chats.updated_at, usual.updated_at),
        (&chats.last_message_at, usual.last_message_at),
    ];
    taken.extend(times.into_iter().map(|(found, usual)| found.clone().unwrap_or(usual)));
    let own = rows.iter().filter(|row| row.collection == chats.collection);
    taken.extend(own.map(|row| row.field.clone()));
    taken
}

impl Messages {
    fn are(&self, row: &Row) -> bool {
        row.collection == self.collection && Some(&row.field) == self.chat.as_ref()
    }
}
