//! The messages of a group, as far as they matter to counters of what is unread.

use bson::{DateTime, RawBson};

use crate::{
    EmbeddedArray, ReferenceRows,
    fields::{text_of, value_at},
};

/// Sender and time of each message.
#[derive(Debug, Default)]
pub(super) struct Messages(Vec<(Option<String>, DateTime)>);

impl Messages {
    /// Those in other collections.
    pub(super) fn of_rows(references: &[ReferenceRows]) -> Self {
        let rows = references.iter().flat_map(|rows| &rows.messages);
        let message = |(sender, time): &(bson::Bson, DateTime)| {
            let sender = RawBson::try_from(sender.clone()).ok();
            (sender.and_then(|sender| text_of(sender.as_raw_bson_ref())), *time)
        };
        Self(rows.map(message).collect())
    }

    /// The elements of a united array, if they have a time and a sender.
    pub(super) fn add_embedded(&mut self, rules: &EmbeddedArray, elements: &RawBson) {
        let (Some(time), Some(sender), Some(elements)) = (&rules.time, &rules.sender, elements.as_array())
        else {
            return;
        };
        for element in elements {
            let Some(element) = element.ok().and_then(bson::RawBsonRef::as_document) else { continue };
            if let Some(time) = value_at(element, time).and_then(bson::RawBsonRef::as_datetime) {
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
