//! The messages of a group, as far as they matter to counters of what is unread.

use bson::{DateTime, RawBson, RawBsonRef};

use crate::{
    EmbeddedArray, MergeRules, ReferenceRows, UuidOrder, fields::value_at, name_of, time_of, time_of_row,
};

/// Sender and time of each message.
#[derive(Debug, Default)]
pub(super) struct Messages {
    all: Vec<(Option<String>, DateTime)>,
    uuids: Option<UuidOrder>,
}

impl Messages {
    /// Those in other collections.
    pub(super) fn of_rows(rules: &MergeRules, references: &[ReferenceRows]) -> Self {
        let mut messages = Vec::new();
        for (reference, rows) in rules.references.iter().zip(references) {
            let Some(fields) = &reference.messages else { continue };
            messages.extend(rows.messages.iter().filter_map(|row| {
                let time = time_of_row(value_at(row, &fields.created_at), row.get("_id").ok().flatten())?;
                let sender = value_at(row, &fields.sender);
                Some((sender.and_then(|sender| name_of(sender, rules.names.uuids)), time))
            }));
        }
        Self { all: messages, uuids: rules.names.uuids }
    }

    /// Who a value says has sent something, in whatever form.
    pub(super) fn name_of(&self, value: RawBsonRef<'_>) -> Option<String> {
        name_of(value, self.uuids)
    }

    /// The elements of a united array, if they have a time and a sender.
    pub(super) fn add_embedded(&mut self, rules: &EmbeddedArray, elements: &RawBson) {
        let (Some(time), Some(sender), Some(elements)) = (&rules.time, &rules.sender, elements.as_array())
        else {
            return;
        };
        for element in elements {
            let Some(element) = element.ok().and_then(RawBsonRef::as_document) else { continue };
            if let Some(time) = value_at(element, time).and_then(time_of) {
                let sender = value_at(element, sender).and_then(|sender| self.name_of(sender));
                self.all.push((sender, time));
            }
        }
    }

    /// A row that is removed because another stands for it does not count twice.
    pub(super) fn forget(&mut self, sender: Option<&str>, time: Option<DateTime>) {
        let gone = |(known, at): &(Option<String>, DateTime)| known.as_deref() == sender && Some(*at) == time;
        if let Some(index) = self.all.iter().position(gone) {
            self.all.swap_remove(index);
        }
    }

    /// How many messages others have sent since `read_until`.
    pub(super) fn unread(&self, participant: &str, read_until: Option<DateTime>) -> u64 {
        let is_unread = |(sender, time): &&(Option<String>, DateTime)| {
            sender.as_deref() != Some(participant) && read_until.is_none_or(|until| *time > until)
        };
        self.all.iter().filter(is_unread).count() as u64
    }
}
