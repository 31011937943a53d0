//! The messages of a group in the order of time: what pointers to the newest one, and copies of it, are decided by.

use std::{
    cmp::{Ordering, Reverse},
    collections::HashMap,
};

use bson::{RawBson, RawBsonRef, RawDocumentBuf};

use super::{ids::Identities, order::compare, survivor::Chat};
use crate::{
    Group, MergeRules, RowEdit,
    fields::{Fields, elements, is_null, same, value_at},
    text_of, time_of, time_of_row,
};

/// One message, wherever it is stored.
#[derive(Debug)]
struct Message {
    id: RawBson,
    /// In milliseconds.
    ms: Option<i64>,
    /// What copies of it may have: its time, its text, its sender.
    said: [Option<RawBson>; 3],
    /// The chat that it belongs to, if that is known.
    chat: Option<usize>,
    /// Whether another one stands for it.
    is_gone: bool,
}

/// Where the parts of a message stand.
struct Names<'a> {
    id: &'a str,
    time: Option<&'a str>,
    sender: Option<&'a str>,
    text: Option<&'a str>,
}

/// One chat's value.
#[derive(Clone, Copy)]
pub(super) struct Pointer<'a> {
    pub(super) chat: usize,
    pub(super) value: &'a RawBson,
    /// What it is a part of: of a copy's text that is the copy, whose other parts tell the message.
    pub(super) whole: &'a RawBson,
    /// Whether somebody has written it after the group was read: nothing that was read is newer.
    pub(super) is_late: bool,
}

/// All messages, and when each chat was active last.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    messages: Vec<Message>,
    by_id: HashMap<String, usize>,
    active_ms: Vec<Option<i64>>,
}

impl Timeline {
    /// Empty unless a rule asks for it.
    pub(super) fn new(rules: &MergeRules, group: &Group, chats: &[Chat<'_>], ids: &Identities) -> Self {
        let mut timeline =
            Self { active_ms: chats.iter().map(|chat| chat.active_ms).collect(), ..Self::default() };
        if !rules.has_newest() {
            return timeline;
        }
        let mapped = rules.message_fields();
        for (reference, rows) in rules.references.iter().zip(&group.references) {
            let Some(fields) = &reference.messages else { continue };
            let names = Names {
                id: "_id",
                time: Some(&fields.created_at),
                sender: Some(&fields.sender),
                text: Some(&fields.text),
            };
            for row in &rows.messages {
                let chat = value_at(row, &reference.field).and_then(|value| ids.named(value));
                timeline.add(row, &names, chat);
            }
        }
        for array in &rules.embedded {
            let time = array.time.as_deref();
            let text = mapped.map(|fields| fields.text.as_str());
            if array.ids_of.is_some() {
                let sender = mapped.map(|fields| fields.sender.as_str());
                let names = Names { id: "_id", time, sender, text };
                group.listed.iter().for_each(|row| timeline.add(row, &names, None));
                continue;
            }
            let names = Names {
                id: array.id.as_deref().unwrap_or("_id"),
                time,
                sender: array.sender.as_deref(),
                text,
            };
            for (index, chat) in chats.iter().enumerate() {
                let list = chat.fields.some(&array.field).map(RawBson::as_raw_bson_ref);
                let list = list.and_then(|list| elements(list).ok().flatten());
                for element in list.iter().flatten().filter_map(RawBson::as_document) {
                    timeline.add(&element.to_owned(), &names, Some(index));
                }
            }
        }
        timeline
    }

    fn add(&mut self, row: &RawDocumentBuf, names: &Names<'_>, chat: Option<usize>) {
        let is_said = |value: &RawBsonRef<'_>| !is_null(*value) && value.as_str() != Some("");
        let part = |name: Option<&str>| value_at(row, name?).filter(is_said).map(RawBson::from);
        let (id, time) = (value_at(row, names.id), names.time.and_then(|name| value_at(row, name)));
        let message = Message {
            ms: time_of_row(time, id).map(bson::DateTime::timestamp_millis),
            id: id.map_or(RawBson::Null, RawBson::from),
            said: [part(names.time), part(names.text), part(names.sender)],
            chat,
            is_gone: false,
        };
        if let Some(text) = id.and_then(text_of) {
            if self.by_id.contains_key(&text) {
                return;
            }
            self.by_id.insert(text, self.messages.len());
        }
        self.messages.push(message);
    }

    /// Others stand for the rows that are removed.
    pub(super) fn forget(&mut self, edits: &[RowEdit]) {
        for edit in edits.iter().filter(|edit| edit.after.is_none()) {
            let id = RawBson::try_from(edit.id.clone()).ok();
            let text = id.and_then(|id| text_of(id.as_raw_bson_ref()));
            if let Some(index) = text.and_then(|text| self.by_id.get(&text).copied()) {
                self.messages[index].is_gone = true;
            }
        }
    }

    /// The value that points to the newest message, or is a copy of it. If no chat's does, and `carries`, the newest value is
    /// made to.
    pub(super) fn newest(&self, pointers: &[Pointer<'_>], carries: bool) -> Option<RawBson> {
        let rank = |pointer: &Pointer<'_>| (pointer.is_late, self.ms(pointer), Reverse(pointer.chat));
        let best = pointers.iter().max_by_key(|pointer| rank(pointer))?;
        let Some(from) = self.message_of(best).filter(|_| !best.is_late) else {
            // An id of a message that is not there any more.
            let newer = self.last(|one| one.ms > own_ms(best.value)).filter(|_| carries && !best.is_late);
            let renamed = newer.and_then(|newer| id_like(best.value, newer));
            return Some(renamed.unwrap_or_else(|| best.value.clone()));
        };
        let to = if carries {
            self.last(|_| true)
        } else if from.is_gone {
            self.last(|one| one.ms <= from.ms)
        } else {
            None
        };
        let to = to.filter(|to| to.ms >= from.ms || from.is_gone);
        Some(to.and_then(|to| carried(best.value, from, to)).unwrap_or_else(|| best.value.clone()))
    }

    /// The time of what a chat's value points to or copies; else when that chat was active last.
    fn ms(&self, pointer: &Pointer<'_>) -> Option<i64> {
        let of_message = self.message_of(pointer).and_then(|message| message.ms);
        of_message
            .or_else(|| own_ms(pointer.whole))
            .or_else(|| self.active_ms.get(pointer.chat).copied().flatten())
    }

    fn message_of(&self, pointer: &Pointer<'_>) -> Option<&Message> {
        let whole = pointer.whole.as_raw_bson_ref();
        self.named(whole).or_else(|| self.copied(whole, pointer.chat)).or_else(|| {
            // The sender, or something else of the last message of its chat.
            let last = self.last(|one| one.chat == Some(pointer.chat))?;
            carried(pointer.value, last, last).map(|_| last)
        })
    }

    /// The message whose id it is, or has.
    fn named(&self, value: RawBsonRef<'_>) -> Option<&Message> {
        if let Some(text) = text_of(value) {
            return self.by_id.get(&text).map(|index| &self.messages[*index]);
        }
        let RawBsonRef::Document(document) = value else { return None };
        let fields = document.iter().flatten().map(|(_, value)| value);
        fields.filter(|value| !matches!(value, RawBsonRef::Document(_))).find_map(|value| self.named(value))
    }

    /// The message of which it is a copy, or the copy of a part: best one of the same chat, then one with the same time.
    fn copied(&self, value: RawBsonRef<'_>, chat: usize) -> Option<&Message> {
        let parts: Vec<RawBsonRef<'_>> = match value {
            RawBsonRef::Document(document) => document.iter().flatten().map(|(_, value)| value).collect(),
            value => vec![value],
        };
        let has = |part: &Option<RawBson>| {
            part.as_ref().is_some_and(|part| parts.iter().any(|known| same(part.as_raw_bson_ref(), *known)))
        };
        // Who sent it tells nothing by itself.
        let score = |message: &Message| {
            let [time, text, sender] = &message.said;
            (has(time) || has(text)).then(|| [has(text), has(time), message.chat == Some(chat), has(sender)])
        };
        let scored = self.messages.iter().filter_map(|message| Some((score(message)?, message)));
        scored
            .max_by(|(one, a), (other, b)| one.cmp(other).then_with(|| by_time(a, b)))
            .map(|(_, found)| found)
    }

    fn last(&self, is_asked: impl Fn(&Message) -> bool) -> Option<&Message> {
        let living = self.messages.iter().filter(|message| !message.is_gone && is_asked(message));
        living.max_by(|one, other| by_time(one, other))
    }
}

fn by_time(one: &Message, other: &Message) -> Ordering {
    one.ms.cmp(&other.ms).then_with(|| compare(one.id.as_raw_bson_ref(), other.id.as_raw_bson_ref()))
}

/// The time that an id has, or the latest one in a copy.
fn own_ms(value: &RawBson) -> Option<i64> {
    match value.as_raw_bson_ref() {
        RawBsonRef::ObjectId(id) => Some(id.timestamp().timestamp_millis()),
        RawBsonRef::String(text) => {
            let id = bson::oid::ObjectId::parse_str(text).ok().map(|id| id.timestamp());
            id.or_else(|| time_of(RawBsonRef::String(text))).map(bson::DateTime::timestamp_millis)
        }
        RawBsonRef::Document(document) => {
            let times = document.iter().flatten().filter_map(|(name, value)| match value {
                RawBsonRef::DateTime(at) => Some(at.timestamp_millis()),
                RawBsonRef::ObjectId(id) if matches!(name.as_str(), "_id" | "id" | "$id") => {
                    Some(id.timestamp().timestamp_millis())
                }
                _ => None,
            });
            times.max()
        }
        value @ (RawBsonRef::DateTime(_) | RawBsonRef::Timestamp(_)) => {
            time_of(value).map(bson::DateTime::timestamp_millis)
        }
        _ => None,
    }
}

/// The id of a message in the form of another one's; nothing if that is none.
fn id_like(value: &RawBson, message: &Message) -> Option<RawBson> {
    match value {
        RawBson::ObjectId(_) => message.id.as_object_id().map(RawBson::ObjectId),
        RawBson::String(text) => {
            bson::oid::ObjectId::parse_str(text).ok()?;
            text_of(message.id.as_raw_bson_ref()).map(RawBson::String)
        }
        _ => None,
    }
}

/// What says of one message what `value` says of another; nothing if `value` says nothing of that, or something that cannot be
/// said of the one.
fn carried(value: &RawBson, from: &Message, to: &Message) -> Option<RawBson> {
    let RawBson::Document(document) = value else { return said_of(value, from, to)? };
    let mut fields = Fields::read(document).ok()?;
    let parts = fields.iter().filter_map(|(name, part)| Some((name.to_owned(), said_of(part, from, to)?)));
    let parts: Vec<(String, Option<RawBson>)> = parts.collect();
    if parts.is_empty() {
        return None;
    }
    for (name, part) in parts {
        fields.set(&name, part?);
    }
    Some(RawBson::Document(fields.build()))
}

/// The part of `to` that `value` is of `from`; nothing if it is none of it, and nothing inside if `to` has no such part.
#[expect(clippy::option_option, reason = "the two are not the same")]
fn said_of(value: &RawBson, from: &Message, to: &Message) -> Option<Option<RawBson>> {
    let raw = value.as_raw_bson_ref();
    let ids = (text_of(raw), text_of(from.id.as_raw_bson_ref()), text_of(to.id.as_raw_bson_ref()));
    if let (Some(id), Some(old), Some(new)) = ids
        && id == old
    {
        return Some(Some(match raw {
            RawBsonRef::String(_) => RawBson::String(new),
            _ => to.id.clone(),
        }));
    }
    let mut parts = from.said.iter().zip(&to.said);
    parts.find_map(|(old, new)| {
        let is_it = old.as_ref().is_some_and(|old| same(old.as_raw_bson_ref(), raw));
        is_it.then(|| new.clone())
    })
}
