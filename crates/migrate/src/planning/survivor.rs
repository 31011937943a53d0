//! Which chat of a group lives on: the same on every machine, whatever order the chats came in.

use std::cmp::Reverse;

use bson::{Bson, RawBson, RawBsonRef, RawDocumentBuf};

use super::{
    embedded::{self, Listed},
    ids::ChatIds,
    order::compare,
};
use crate::{
    Blocked, ChatRow, FieldNames, MergeRules, SurvivorPolicy,
    fields::{Fields, bson_of},
    name_of, text_of, time_of,
};

/// A chat, read.
#[derive(Debug)]
pub(super) struct Chat<'a> {
    pub(super) row: &'a ChatRow,
    pub(super) fields: Fields,
    pub(super) id: Bson,
    pub(super) ids: ChatIds,
    pub(super) public_id: String,
    /// When it was created, in milliseconds: its date, else the time of its ObjectId; nothing if neither tells.
    pub(super) created_ms: Option<i64>,
    /// What it was when the group was read, if somebody has written to it since.
    pub(super) earlier: Option<RawDocumentBuf>,
    /// The time of its newest message, or of its last use, in milliseconds.
    pub(super) active_ms: Option<i64>,
    /// How many messages it has.
    messages: u64,
}

impl<'a> Chat<'a> {
    fn read(rules: &MergeRules, row: &'a ChatRow, listed: &Listed<'_>) -> Result<Self, Blocked> {
        let id = row.document.get("_id").ok().flatten().unwrap_or(RawBsonRef::Null);
        let id_text = bson_of(id).to_string();
        let fields = Fields::read(&row.document).map_err(|error| Blocked::unreadable(&id_text, &error))?;
        let names = &rules.names;
        let (public, public_id) = match &names.public_id {
            Some(name) => {
                let public = fields.get(name).cloned();
                let text = public.as_ref().and_then(|public| text_of(public.as_raw_bson_ref()));
                (public, text)
            }
            None => (Some(RawBson::from(id)), name_of(id, names.uuids)),
        };
        let public = public.zip(public_id).filter(|(_, text)| !text.is_empty());
        let (public, public_id) = public.ok_or(Blocked::NoPublicId(id_text))?;
        let (elements, newest) = embedded(rules, &fields, listed);
        Ok(Self {
            id: bson_of(id),
            public_id,
            ids: ChatIds { document: id.into(), public },
            created_ms: created_ms(names, &fields, id),
            active_ms: [date(&fields, &names.last_message_at), ms(row.activity.newest), newest]
                .into_iter()
                .flatten()
                .max(),
            messages: row.activity.messages + elements,
            earlier: None,
            row,
            fields,
        })
    }
}

/// The chats: the survivor, then the losers, the oldest first.
pub(super) fn in_order<'a>(
    rules: &MergeRules,
    rows: &'a [ChatRow],
    listed: &Listed<'_>,
) -> Result<Vec<Chat<'a>>, Blocked> {
    let chats = rows.iter().map(|row| Chat::read(rules, row, listed));
    let mut chats = chats.collect::<Result<Vec<_>, _>>()?;
    chats.sort_by(|one, other| {
        let ids = || compare(one.ids.document.as_raw_bson_ref(), other.ids.document.as_raw_bson_ref());
        // As the store has it: what does not tell its age is taken for very old.
        one.created_ms.unwrap_or(0).cmp(&other.created_ms.unwrap_or(0)).then_with(ids)
    });
    let ranked = chats.iter().enumerate();
    let survivor = match rules.survivor {
        SurvivorPolicy::Oldest => Some(0),
        SurvivorPolicy::MostMessages => {
            ranked.max_by_key(|(index, chat)| (chat.messages, Reverse(*index))).map(|(index, _)| index)
        }
        SurvivorPolicy::MostRecent => {
            ranked.max_by_key(|(index, chat)| (chat.active_ms, Reverse(*index))).map(|(index, _)| index)
        }
    };
    if let Some(slice) = survivor.and_then(|survivor| chats.get_mut(..=survivor)) {
        slice.rotate_right(1);
    }
    Ok(chats)
}

fn created_ms(names: &FieldNames, fields: &Fields, id: RawBsonRef<'_>) -> Option<i64> {
    let of_id = || id.as_object_id().map(|id| id.timestamp().timestamp_millis());
    date(fields, &names.created_at).or_else(of_id)
}

fn date(fields: &Fields, name: &str) -> Option<i64> {
    ms(time_of(fields.get(name)?.as_raw_bson_ref()))
}

fn ms(at: Option<bson::DateTime>) -> Option<i64> {
    at.map(bson::DateTime::timestamp_millis)
}

/// How many elements the embedded arrays have, and the time of the newest.
fn embedded(rules: &MergeRules, fields: &Fields, listed: &Listed<'_>) -> (u64, Option<i64>) {
    let (mut count, mut newest) = (0, None);
    for array in &rules.embedded {
        let Some(RawBson::Array(elements)) = fields.get(&array.field) else { continue };
        for element in elements.into_iter().flatten() {
            count += 1;
            newest = newest.max(ms(embedded::time_of_element(array, element, listed)));
        }
    }
    (count, newest)
}
