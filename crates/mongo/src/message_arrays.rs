//! Messages that a chat holds itself, or lists by their ids. The array is in the order in which they were sent, and that is
//! the order of pages too: old backends show it as it is.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, Document, RawArray, RawBsonRef, RawDocument, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::{ChatId, Message, MessageCursor, NewMessage, Page, PageSize, Sent, StoreError};

use crate::{
    attempt::{Deadline, Pauses, until},
    codec::{StoredChat, field, field_at, id_value, text_of},
    collections::{Collections, MOST_HOPS, PAGE_BYTES},
    error::{code, code_of},
    index::simple,
};

/// Where an array of a chat stands in a page's pipeline.
const ALL: &str = "all";
/// Where the type of a chat's field stands beside what was found in it.
const KIND: &str = "__onechat_kind";

/// What became of a message that was to be put into its chat.
enum Put {
    There(Sent),
    /// The chat was merged or removed.
    NoChat,
    /// It may be there, or another program has just taken it away.
    Unknown,
}

impl Collections {
    /// Puts a message into its chat, once. The update looks for the sender's own id and writes in one step, so nothing has to
    /// be unique besides.
    pub(crate) async fn embed(
        &self,
        mut chat: StoredChat,
        array: &str,
        message: &NewMessage,
    ) -> Result<Option<Sent>, StoreError> {
        let deadline = self.deadline();
        let mut pauses = Pauses::default();
        let mut hops = 0;
        while hops < MOST_HOPS {
            match self.put(&chat, array, message, deadline).await? {
                Put::There(sent) => return Ok(Some(sent)),
                // A merge takes along what is in the chat, so there is nothing to clear away.
                Put::NoChat => match self.by_id(&chat.chat.id).await? {
                    Some(next) => chat = next,
                    None => return Ok(None),
                },
                Put::Unknown if deadline.has_passed() => break,
                Put::Unknown => {
                    pauses.pause(deadline).await;
                    continue;
                }
            }
            hops += 1;
        }
        Err(StoreError::Unavailable("the chat changed over and over while a message was sent".to_owned()))
    }

    async fn put(
        &self,
        chat: &StoredChat,
        array: &str,
        message: &NewMessage,
        deadline: Deadline,
    ) -> Result<Put, StoreError> {
        let element = self.codec.new_element(message, chat)?;
        let fields = &self.codec.mapping().message_fields;
        let same = doc! { "$elemMatch": {
            &fields.sender: self.codec.participant(&message.sender),
            &fields.client_message_id: message.client_message_id.as_str(),
        } };
        let filter = doc! {
            "_id": chat.document_id.clone(),
            // Null also stands for a field that is not there. Anything else is not ours to replace.
            "$or": [{ array: { "$type": "array" } }, { array: Bson::Null }],
            array: { "$not": same.clone() },
        };
        let mut change = self.raise(message.now, true);
        change.insert(array, doc! { "$concatArrays": [array_at(array), [{ "$literal": element.clone() }]] });
        let change = [doc! { "$set": change }];
        let written = until(deadline, &self.metrics, || async {
            let update = self.chats.update_one(filter.clone(), change.to_vec()).collation(simple());
            match update.await {
                Ok(updated) => Ok(Ok(updated.matched_count > 0)),
                Err(error) => refusal_of(&error).map(Err).ok_or(error),
            }
        });
        let sent = |element: &Document, created| {
            let raw =
                RawDocumentBuf::try_from(element).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            Ok(Put::There(Sent { message: self.codec.message(&raw, &chat.chat.id)?, created }))
        };
        if written.await?? {
            return sent(&element, true);
        }
        // An earlier try of this call, or an earlier call's message: its id tells which.
        let this = doc! { "_id": chat.document_id.clone() };
        let fields = doc! { "_id": 0, array: same.clone(), KIND: { "$type": path(array) } };
        let found = until(deadline, &self.metrics, || async {
            let find = self.chats.find_one(this.clone()).projection(fields.clone());
            find.collation(simple()).max_time(deadline.server_time()).await
        });
        let Some(found) = found.await? else { return Ok(Put::NoChat) };
        let first = field(&found, array).and_then(RawBsonRef::as_array);
        if let Some(Ok(RawBsonRef::Document(first))) = first.and_then(|first| first.into_iter().next()) {
            let first = self.codec.message(first, &chat.chat.id)?;
            let created = first.id == message.id;
            return Ok(Put::There(Sent { message: first, created }));
        }
        match field(&found, KIND).and_then(RawBsonRef::as_str) {
            Some("array" | "null" | "missing") | None => Ok(Put::Unknown),
            Some(kind) => Err(StoreError::Refused(format!(
                "{array} of the chat {} is no array of messages, but has the type {kind}",
                chat.chat.id
            ))),
        }
    }

    /// A page of the messages in the chat's array, latest first.
    pub(crate) async fn embedded_in(
        &self,
        chat: &StoredChat,
        array: &str,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let size = i64::try_from(size.get()).unwrap_or(i64::MAX);
        let end = match before {
            None => doc! { "$size": path(ALL) }.into(),
            Some(before) => match place_of(before.id.as_str(), &chat.chat.id) {
                Some(place) => doc! { "$min": [place, { "$size": path(ALL) }] }.into(),
                None => self.end_before(before),
            },
        };
        let stages = [
            doc! { "$match": { "_id": chat.document_id.clone() } },
            doc! { "$project": { "_id": 0, ALL: array_at(array) } },
            doc! { "$set": { "end": end } },
            doc! { "$project": { "end": 1, "page": { "$cond": [
                { "$gt": ["$end", 0] },
                { "$slice": [path(ALL), { "$max": [0, { "$subtract": ["$end", size] }] }, { "$min": ["$end", size] }] },
                [],
            ] } } },
        ];
        let _place = self.place_for_pages(1).await;
        let deadline = self.deadline();
        let found: Vec<RawDocumentBuf> = until(deadline, &self.metrics, || async {
            let page = self.chats.aggregate(stages.clone()).max_time(deadline.server_time());
            page.with_type::<RawDocumentBuf>().await?.try_collect().await
        })
        .await?;
        let none = Page { items: Vec::new(), next: None };
        let Some(found) = found.first() else { return Ok(none) };
        let end = field(found, "end").and_then(RawBsonRef::as_i32).unwrap_or_default();
        let Some(RawBsonRef::Array(page)) = field(found, "page") else { return Ok(none) };
        let (mut items, mut bytes, mut left) = (Vec::new(), 0, end);
        for element in backwards(page)? {
            if bytes > PAGE_BYTES {
                break;
            }
            let element = element.as_document().ok_or_else(|| {
                StoreError::Corrupt(format!("the chat {} has in {array} what is no message", chat.chat.id))
            })?;
            bytes += element.as_bytes().len();
            left -= 1;
            items.push(match field(element, "_id") {
                Some(_) => self.codec.message(element, &chat.chat.id)?,
                None => self.codec.message(&with_id(element, &chat.chat.id, left)?, &chat.chat.id)?,
            });
        }
        let next = items.last().filter(|_| left > 0).map(MessageCursor::after);
        Ok(Page { items, next })
    }

    /// How many elements are before the message of a cursor; if it is gone, before its time.
    fn end_before(&self, before: &MessageCursor) -> Bson {
        let fields = &self.codec.mapping().message_fields;
        let ids = doc! { "$map": { "input": path(ALL), "in": { "$ifNull": ["$$this._id", Bson::Null] } } };
        let at = doc! { "$indexOfArray": [ids, { "$literal": id_value(before.id.as_str()) }] };
        let time = format!("$$this.{}", fields.created_at);
        let earlier = doc! { "$lt": [time, { "$literal": fields.times.compared(before.at) }] };
        let earlier = doc! { "$size": { "$filter": { "input": path(ALL), "cond": earlier } } };
        doc! { "$let": {
            "vars": { "at": at },
            "in": { "$cond": [{ "$gte": ["$$at", 0] }, "$$at", earlier] },
        } }
        .into()
    }

    /// A page of the rows that the chat lists, latest first. What leads to no row is passed over.
    pub(crate) async fn listed_in(
        &self,
        chat: &StoredChat,
        array: &str,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let _place = self.place_for_pages(1).await;
        let deadline = self.deadline();
        let this = doc! { "_id": chat.document_id.clone() };
        let found = until(deadline, &self.metrics, || async {
            let find = self.chats.find_one(this.clone()).projection(doc! { "_id": 0, array: 1 });
            find.max_time(deadline.server_time()).await
        });
        let found = found.await?;
        let list = match found.as_ref().and_then(|found| field(found, array)) {
            Some(RawBsonRef::Array(list)) => ids_of(list)?,
            _ => Vec::new(),
        };
        let end = before.map_or(list.len(), |before| {
            let before = before.id.as_str();
            // Ids begin with their times: where the message is gone from the list, older ones go on.
            list.iter()
                .rposition(|id| id == before)
                .unwrap_or_else(|| list.partition_point(|id| id.as_str() < before))
        });
        let (mut items, mut bytes, mut left) = (Vec::new(), 0, &list[..end]);
        while !left.is_empty() && items.len() < size.get() && bytes <= PAGE_BYTES {
            let (rest, part) = left.split_at(left.len().saturating_sub(size.get() - items.len()));
            let rows = self.rows_with(part, deadline).await?;
            left = rest;
            for (index, id) in part.iter().enumerate().rev() {
                // Listed twice, it counts where it is listed last.
                let is_listed_again = || list[rest.len() + index + 1..].contains(id);
                let Some(row) = rows.get(id).filter(|_| !is_listed_again()) else { continue };
                bytes += row.as_bytes().len();
                items.push(self.codec.message(row, &chat.chat.id)?);
                if bytes > PAGE_BYTES {
                    left = &list[..rest.len() + index];
                    break;
                }
            }
        }
        let next = items.last().filter(|_| !left.is_empty()).map(MessageCursor::after);
        Ok(Page { items, next })
    }

    /// The rows with these ids, by their texts. Lists and rows may have them in different forms.
    async fn rows_with(
        &self,
        ids: &[String],
        deadline: Deadline,
    ) -> Result<HashMap<String, RawDocumentBuf>, StoreError> {
        let ids: Vec<Bson> = ids.iter().flat_map(|id| crate::codec::forms_of(id)).collect();
        let rows: Vec<RawDocumentBuf> = until(deadline, &self.metrics, || async {
            let these = self.codec.visible_messages(doc! { "_id": { "$in": &ids } });
            let find = self.messages.find(these).max_time(deadline.server_time());
            find.await?.try_collect().await
        })
        .await?;
        let named = rows.into_iter().filter_map(|row| Some((field(&row, "_id").and_then(text_of)?, row)));
        Ok(named.collect())
    }
}

/// The element with an id that tells its place in the array: it has none of its own.
fn with_id(element: &RawDocument, chat: &ChatId, place: i32) -> Result<RawDocumentBuf, StoreError> {
    let mut document = Document::try_from(element).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    document.insert("_id", format!("{chat}:{place}"));
    RawDocumentBuf::try_from(&document).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The place in the array that an id tells, if it is one of those.
fn place_of(id: &str, chat: &ChatId) -> Option<i32> {
    id.strip_prefix(chat.as_str())?.strip_prefix(':')?.parse().ok().filter(|place| *place >= 0)
}

/// Why the database refuses for good to change a chat.
pub(crate) fn refusal_of(error: &Error) -> Option<StoreError> {
    let why = match code_of(error)? {
        code::DOCUMENT_VALIDATION_FAILURE => "the collection's validator forbids what the chat would become",
        code::BSON_OBJECT_TOO_LARGE | code::UPDATED_DOCUMENT_TOO_LARGE => {
            "the chat's document is full: it holds all its messages, and can have 16 MiB"
        }
        _ => return None,
    };
    Some(StoreError::Refused(why.to_owned()))
}

/// The array of a chat's messages with this one in it, once, in the form that the others have.
pub(crate) fn listed(array: &str, id: &Bson, reference: Option<&str>) -> Document {
    let list = array_at(array);
    let literal = |value: Bson| doc! { "$literal": value };
    if let Some(collection) = reference {
        let entry = literal(doc! { "$ref": collection, "$id": id.clone() }.into());
        return with(&list, std::slice::from_ref(&entry), &entry.clone().into());
    }
    let (as_it_is, as_text) = (literal(id.clone()), literal(text_form(id)));
    let first = doc! { "$type": { "$first": list.clone() } };
    let entry = doc! { "$cond": [{ "$eq": [first, "string"] }, as_text.clone(), as_it_is.clone()] };
    with(&list, &[as_it_is, as_text], &entry.into())
}

/// The list with the entry at its end, unless it has one of these.
fn with(list: &Document, same: &[Document], entry: &Bson) -> Document {
    let is_there: Vec<Document> =
        same.iter().map(|same| doc! { "$in": [same.clone(), list.clone()] }).collect();
    doc! { "$cond": [{ "$or": is_there }, list.clone(), { "$concatArrays": [list.clone(), [entry.clone()]] }] }
}

fn text_form(id: &Bson) -> Bson {
    id.as_object_id().map_or_else(|| id.clone(), |id| Bson::String(id.to_hex()))
}

/// The array in a field; an empty one if there is none.
fn array_at(name: &str) -> Document {
    doc! { "$cond": [{ "$isArray": path(name) }, path(name), []] }
}

fn path(name: &str) -> String {
    format!("${name}")
}

fn backwards(array: &RawArray) -> Result<Vec<RawBsonRef<'_>>, StoreError> {
    let mut all = array
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    all.reverse();
    Ok(all)
}

/// The texts of the ids of a list, whose elements may be references.
fn ids_of(list: &RawArray) -> Result<Vec<String>, StoreError> {
    let mut ids = backwards(list)?;
    ids.reverse();
    let id = |element: RawBsonRef<'_>| match element {
        RawBsonRef::Document(reference) => field_at(reference, "$id").and_then(text_of),
        RawBsonRef::DbPointer(_) => None,
        id => text_of(id),
    };
    Ok(ids.into_iter().filter_map(id).collect())
}
