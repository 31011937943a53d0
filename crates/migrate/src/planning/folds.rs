//! Messages that a sender's client has sent to two chats of the group under one id of its own.
//!
//! In one chat that id is unique, and a client may repeat a message that it got no answer to: said twice, it is kept
//! once. If other words were said under the same id, both are kept, and one of them gets another id.

use std::collections::HashMap;

use bson::{RawBson, RawBsonRef};

use super::{
    messages::Messages,
    order::compare,
    references::Context,
    rows::{RowIndex, Rows, id_of},
};
use crate::{
    Blocked, MessageFieldsOfRows,
    fields::{Fields, bytes_of, is_null, same, value_at},
    text_of, time_of_row,
};

pub(super) fn fold(
    context: &Context<'_>,
    fields: &MessageFieldsOfRows,
    taken: &[RowIndex],
    rows: &mut Rows,
    messages: &mut Messages,
) -> Result<(), Blocked> {
    for group in repeated(context, fields, taken, rows) {
        let mut different: Vec<RowIndex> = Vec::new();
        for row in group {
            let words = said(context, rows, fields, row);
            match different.iter().find(|older| said(context, rows, fields, **older) == words) {
                Some(older) if chat(context, rows, *older) != chat(context, rows, row) => {
                    let now = rows.now(row).cloned().unwrap_or_default();
                    let sender = value_at(&now, &fields.sender).and_then(|sender| messages.name_of(sender));
                    let time = time_of_row(value_at(&now, &fields.created_at), Some(id_of(&now)));
                    messages.forget(sender.as_deref(), time);
                    let reason = format!("sent twice: the message {} stands for it", rows.id(*older));
                    rows.remove(row, reason);
                }
                _ => different.push(row),
            }
        }
        rename(context, fields, &different, rows)?;
    }
    Ok(())
}

/// Messages with one sender and one id of the sender's, the oldest first; only where they are in several chats.
fn repeated(
    context: &Context<'_>,
    fields: &MessageFieldsOfRows,
    taken: &[RowIndex],
    rows: &Rows,
) -> Vec<Vec<RowIndex>> {
    let mut groups: Vec<Vec<RowIndex>> = Vec::new();
    let mut places = HashMap::new();
    for &row in taken {
        let Some(now) = rows.now(row) else { continue };
        let client = value_at(now, &fields.client_message_id).filter(|id| !is_null(*id));
        let Some(client) = client.filter(|id| id.as_str() != Some("")) else { continue };
        let sender = value_at(now, &fields.sender).unwrap_or(RawBsonRef::Null);
        let key = (bytes_of(sender), bytes_of(client));
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(row);
    }
    groups.retain(|group| {
        let first = chat(context, rows, group[0]);
        group.iter().any(|row| chat(context, rows, *row) != first)
    });
    for group in &mut groups {
        group.sort_by_cached_key(|row| rows.now(*row).map(|now| age(now, fields)));
    }
    groups
}

/// One of several messages with different words keeps its id: the survivor's, else the oldest.
fn rename(
    context: &Context<'_>,
    fields: &MessageFieldsOfRows,
    different: &[RowIndex],
    rows: &mut Rows,
) -> Result<(), Blocked> {
    let keeper = different.iter().copied().find(|row| chat(context, rows, *row) == Some(0));
    let keeper = keeper.or(different.first().copied());
    let of_keeper = keeper.and_then(|keeper| chat(context, rows, keeper));
    for &row in different {
        let (Some(loser), Some(now)) = (chat(context, rows, row), rows.now(row)) else { continue };
        // What one chat has twice, it may go on having twice.
        if loser == 0 || Some(loser) == of_keeper {
            continue;
        }
        let Some(client) = value_at(now, &fields.client_message_id).and_then(text_of) else { continue };
        let unreadable = |error: bson::error::Error| Blocked::unreadable(&rows.id(row), &error);
        let mut renamed = Fields::read(now).map_err(unreadable)?;
        let id = format!("{client}~{}", context.ids.text(loser));
        renamed.set(&fields.client_message_id, RawBson::String(id));
        rows.replace(row, renamed.build(), "its sender gave another message the same id");
    }
    Ok(())
}

fn chat(context: &Context<'_>, rows: &Rows, row: RowIndex) -> Option<usize> {
    rows.now(row).and_then(|now| context.chat(now))
}

/// What was said: the words; of a message without any (a picture), everything but where and when.
fn said(context: &Context<'_>, rows: &Rows, fields: &MessageFieldsOfRows, row: RowIndex) -> Option<Vec<u8>> {
    let now = rows.now(row)?;
    if let Some(text) =
        value_at(now, &fields.text).filter(|text| !is_null(*text) && text.as_str() != Some(""))
    {
        return Some(bytes_of(text));
    }
    let mut rest = Fields::read(now).ok()?;
    for field in ["_id", "__v", &context.reference.field, &fields.created_at, "updatedAt"] {
        rest.remove(field);
    }
    Some(rest.build().into_bytes())
}

/// When a message was sent, and its `_id`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Age(i64, Id);

/// An `_id` in the order of all values.
struct Id(RawBson);

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        same(self.0.as_raw_bson_ref(), other.0.as_raw_bson_ref())
    }
}

impl Eq for Id {}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        compare(self.0.as_raw_bson_ref(), other.0.as_raw_bson_ref())
    }
}

fn age(row: &bson::RawDocument, fields: &MessageFieldsOfRows) -> Age {
    let id = id_of(row);
    let date = time_of_row(value_at(row, &fields.created_at), Some(id));
    Age(date.map_or(0, bson::DateTime::timestamp_millis), Id(id.into()))
}
