//! Looks at a database and says how it seems to be laid out. Reads only.

mod chats;
mod inside;
mod kinds;
mod print;
mod rows;
mod sample;

use onechat_migrate::Control;
use serde::Serialize;

use self::{
    chats::Chats,
    inside::Inside,
    rows::{Known, Messages, Row},
    sample::Sample,
};
use super::{MigrateError, MongoMigrator};

/// A configuration that fits what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Suggestion {
    /// The text of a configuration file, with comments that say what each part was inferred from.
    pub toml: String,
}

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
    inside: Inside,
}

impl MongoMigrator {
    /// Samples every collection of the database.
    pub async fn suggest(&self, control: &dyn Control) -> Result<Suggestion, MigrateError> {
        let names = self.collections().await?;
        let (mut samples, total) = (Vec::new(), names.len() as u64 * 2);
        for name in names {
            control.pace(0).await?;
            samples.push(self.sample(&name).await?);
            control.advance("suggest", samples.len() as u64, total);
        }
        let Some(chats) = Chats::among(&samples, self.chats_name()) else {
            return Err(MigrateError::Refused(
                "no collection looks like chats: none has an array of participants, as ids or as sub-documents \
                 with one"
                    .to_owned(),
            ));
        };
        let (mut known, mut rows, mut messages) = (Known::new(), Vec::new(), None);
        for (done, sample) in samples.iter().enumerate() {
            control.pace(0).await?;
            for row in self.rows_of(sample, &chats, &mut known).await? {
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
        Ok(Suggestion { toml: print::toml(&findings(&samples, chats, messages, rows)) })
    }
}

fn best(messages: Option<&(usize, Messages)>) -> Option<usize> {
    messages.map(|(score, _)| *score)
}

fn findings(samples: &[Sample], chats: Chats, messages: Option<Messages>, rows: Vec<Row>) -> Findings {
    let sample = samples.iter().find(|sample| sample.collection == chats.collection);
    let sample = sample.expect("the chats were found in one of the samples");
    let mut taken: Vec<&str> = vec![&chats.participants];
    taken.extend(chats.key.as_ref().map(|key| key.field.as_str()));
    taken.extend(chats.public_id.as_ref().map(|id| id.field.as_str()));
    let times = [&chats.created_at, &chats.updated_at, &chats.last_message_at];
    taken.extend(times.into_iter().flatten().map(String::as_str));
    let own = rows.iter().filter(|row| row.collection == chats.collection);
    taken.extend(own.map(|row| row.field.as_str()));
    let inside = Inside::of(sample, &chats, &taken);
    Findings {
        count: sample.count,
        sampled: sample.documents.len(),
        others: samples.len() - 1,
        inside,
        chats,
        messages,
        rows,
    }
}

impl Messages {
    fn are(&self, row: &Row) -> bool {
        row.collection == self.collection && row.field == self.chat
    }
}
