//! The messages of a group, as far as they matter to counters of what is unread.

use bson::{DateTime, RawBson};

use crate::{
    EmbeddedArray, MergeRules, ReferenceRows,
    fields::{text_of, value_at},
    time_of, time_of_row,
};

/// Sender and time of each message.
#[derive(Debug, Default)]
pub(super) struct Messages(Vec<(Option<String>, DateTime)>);

impl Messages {
    /// Those in other collections.
    pub(super) fn of_rows(rules: &MergeRules, references: &[ReferenceRows]) -> Self {
        let mut messages = Vec::new();
        for (reference, rows) in rules.references.iter().zip(references) {
            let Some(fields) = &reference.messages else { continue };
            messages.extend(rows.messages.iter().filter_map(|row| {
                let time = time_of_row(value_at(row, &fields.created_at), row.get("_id").ok().flatten())?;
                Some((value_at(row, &fields.sender).and_then(text_of), time))
            }));
        }
        Self(messages)
    }

    /// The elements of a united array, if they have a time and a sender.
    pub(super) fn add_embedded(&mut self, rules: &EmbeddedArray, elements: &RawBson) {
        let (Some(time), Some(sender), Some(elements)) = (&rules.time, &rules.sender, elements.as_array())
        else {
            return;
        };
        for element in elements {
            let Some(element) = element.ok().and_then(bson::RawBsonRef::as_document) else { continue };
            if let Some(time) = value_at(element, time).and_then(time_of) {
                self.0.push((value_at(element, sender).and_then(text_of), time));
            }
        }
    }

    /// A row that is removed because another stands for it does not count twice.
    pub(super) fn forget(&mut self, sender: Option<&str>, time: Option<DateTime>) {
        let gone = |(known, at): &(Option<String>, DateTime)| known.as_deref() == sender && Some(*at) == time;
        if let Some(index) = self.0.iter().position(gone) {
            self.0.swap_remove(index);
        }
    }

    /// How many messages others have sent since `read_until`.
    pub(super) fn unread(&self, participant: &str, read_until: Option<DateTime>) -> u64 {
        let is_unread = |(sender, time): &&(Option<String>, DateTime)| {
            sender.as_deref() != Some(participant) && read_until.is_none_or(|until| *time > until)
        };
        self.0.iter().filter(is_unread).count() as u64
    }
}
