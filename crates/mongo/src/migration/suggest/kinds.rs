//! What values there are, and what becomes of several of them.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document};

use super::sample::{is_most, is_time, person_of, plain};

/// The rule that makes sense for a field by what is stored there and how it is called: counts are added up, the latest
/// time stays, arrays are united. Nothing for all else, and for what may hide a chat or is in an order of its own: that an
/// operator has to say.
pub(super) fn rule_of(field: &str, values: &[&Bson]) -> Option<&'static str> {
    let known = values.iter().filter(|value| !matches!(value, Bson::Null)).count();
    let most =
        |is: &dyn Fn(&Bson) -> bool| is_most(values.iter().filter(|value| is(value)).count(), known, 80);
    let name = plain(field);
    if hides(field) {
        return None;
    }
    let is_called_time = TIMES.iter().any(|part| name.contains(part)) || ends_as_time(field);
    let is_date = |value: &Bson| matches!(value, Bson::DateTime(_) | Bson::Timestamp(_));
    if most(&is_date) || (most(&is_time) && is_called_time) {
        let is_first = ["creat", "join", "first", "since", "start"].iter().any(|part| name.contains(part));
        return Some(if is_first { "min" } else { "max" });
    }
    if most(&|value| matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_))) {
        return COUNTS.iter().any(|part| name.contains(part)).then_some("sum");
    }
    // Messages may say the same twice, and are in an order.
    let has_documents = |value: &Bson| {
        value.as_array().is_some_and(|list| list.iter().any(|element| element.as_document().is_some()))
    };
    if values.iter().any(|value| has_ids(value) || has_documents(value)) {
        return None;
    }
    most(&|value| matches!(value, Bson::Array(_))).then_some("union")
}

/// What counts are called.
const COUNTS: [&str; 6] = ["count", "total", "numberof", "unread", "unseen", "badge"];
/// What numbers that are times are called.
const TIMES: [&str; 11] =
    ["time", "date", "last", "seen", "read", "activ", "latest", "creat", "updat", "since", "join"];

/// `sentAt`, `sent_at`, `ts`.
fn ends_as_time(field: &str) -> bool {
    field.ends_with("At") || field.ends_with("_at") || field.ends_with("On") || plain(field) == "ts"
}

/// What hides a chat or ends it is called.
const HIDES: [&str; 15] = [
    "hid", "delet", "remov", "archiv", "mute", "block", "banned", "left", "expir", "clear", "trash",
    "unmatch", "spam", "closed", "ended",
];

/// Whether the field is called like what hides or ends a chat, for all or for some.
pub(super) fn hides(field: &str) -> bool {
    let name = plain(field);
    HIDES.iter().any(|part| name.contains(part))
}

/// Whether the field points to the newest message, or copies it: called so, or made so, and no time or count.
pub(super) fn is_pointer(field: &str, values: &[&Bson]) -> bool {
    let name = plain(field);
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if !["last", "latest", "newest", "recent"].iter().any(|part| name.starts_with(part)) {
        return false;
    }
    let is_known = |value: &&&Bson| !matches!(value, Bson::Null);
    if values.iter().any(|value| is_known(&value))
        && values.iter().filter(is_known).all(|value| is_copy(value))
    {
        return true;
    }
    let is_person = has(&["sender", "author"]);
    let is_told = |value: &&Bson| match value {
        Bson::ObjectId(_) | Bson::String(_) | Bson::Document(_) | Bson::Binary(_) | Bson::Null => true,
        Bson::Int32(_) | Bson::Int64(_) => is_person,
        _ => false,
    };
    let is_called_so = is_person || has(&["message", "msg", "text", "body", "content", "preview", "snippet"]);
    is_called_so && values.iter().all(is_told)
}

/// Whether it is what somebody said, or that for each of several people.
fn is_copy(value: &Bson) -> bool {
    let is_message = |document: &Document| {
        let is_sender = |name: &String| SENDERS.iter().any(|part| plain(name).starts_with(part));
        is_said(document.keys()) && document.keys().any(is_sender)
    };
    value.as_document().is_some_and(|document| {
        let each = |inner: &Bson| inner.as_document().is_some_and(is_message);
        is_message(document) || !document.is_empty() && document.values().all(each)
    })
}

/// Whether it is a list of ids: of messages, which have an order, or of people.
fn has_ids(value: &Bson) -> bool {
    let is_id = |element: &Bson| {
        element.as_object_id().is_some()
            || element.as_document().is_some_and(|inner| inner.contains_key("$id"))
    };
    value.as_array().is_some_and(|list| list.iter().any(is_id))
}

/// What the field with what was said is called.
const SAID: [&str; 6] = ["text", "body", "content", "message", "msg", "caption"];

/// Whether somebody said something there.
pub(super) fn is_said<'a>(mut fields: impl Iterator<Item = &'a String>) -> bool {
    fields.any(|field| SAID.contains(&plain(field).as_str()))
}

/// Whether these are the fields of messages: in most of the documents somebody said something.
pub(super) fn are_messages(documents: &[Document]) -> bool {
    let is_one = |document: &&Document| {
        let is_text = |value: &Bson| match value {
            Bson::String(_) => true,
            Bson::Document(inner) => inner.get("text").is_some_and(|text| text.as_str().is_some()),
            _ => false,
        };
        let said =
            document.iter().any(|(name, value)| SAID.contains(&plain(name).as_str()) && is_text(value));
        let is_sender = |(name, value): (&String, &Bson)| {
            SENDERS.iter().any(|part| plain(name).starts_with(part)) && person_of(value).is_some()
        };
        said && document.iter().any(is_sender)
    };
    is_most(documents.iter().filter(is_one).count(), documents.len(), 70)
}

/// What the sender of a message is called.
pub(super) const SENDERS: [&str; 11] = [
    "sender",
    "from",
    "author",
    "writer",
    "sentby",
    "createdby",
    "postedby",
    "poster",
    "owner",
    "user",
    "by",
];

/// The field with what was said: called so, or else the one with the longest texts.
pub(super) fn text_field(fields: &BTreeMap<&str, Vec<&Bson>>, except: &[&str]) -> Option<String> {
    let texts: BTreeMap<&str, usize> = fields
        .iter()
        .filter(|(field, _)| !except.contains(*field) && !plain(field).ends_with("id"))
        .filter_map(|(field, values)| {
            let texts: Vec<usize> = values.iter().filter_map(|value| value.as_str().map(str::len)).collect();
            is_most(texts.len(), values.len(), 50)
                .then(|| (*field, texts.iter().sum::<usize>() / texts.len()))
        })
        .collect();
    let named = SAID.iter().find_map(|name| texts.keys().find(|field| plain(field) == *name));
    let longest = || texts.iter().max_by_key(|(_, length)| **length).map(|(field, _)| field);
    named.or_else(longest).map(|field| (*field).to_owned())
}
