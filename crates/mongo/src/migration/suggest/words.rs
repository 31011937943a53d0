//! What fields and their values are called that tell chats apart: groups from direct chats, dead ones from living ones.

use mongodb::bson::Bson;

use super::{
    kinds::hides,
    sample::{is_time, plain},
};

/// What a value says about a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A chat of exactly these people.
    Direct,
    /// A group, a channel, a room.
    Group,
    Unknown,
}

/// In names of flags, and in values.
const GROUPS: [&str; 11] = [
    "group",
    "channel",
    "public",
    "broadcast",
    "multi",
    "team",
    "communit",
    "room",
    "open",
    "event",
    "class",
];
const DIRECTS: [&str; 10] =
    ["direct", "personal", "private", "onetoone", "oneonone", "single", "individual", "p2p", "1to1", "1on1"];
/// Values that are such as they are.
const DIRECT_VALUES: [&str; 8] = ["dm", "d", "im", "one", "pair", "duo", "user", "11"];
const GROUP_VALUES: [&str; 4] = ["g", "mpim", "gm", "c"];

/// What a value of a field that tells kinds apart says.
pub(super) fn word_of(value: &Bson) -> Word {
    let Some(text) = value.as_str().map(plain) else { return Word::Unknown };
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if DIRECT_VALUES.contains(&text.as_str()) || has(&DIRECTS) {
        Word::Direct
    } else if GROUP_VALUES.contains(&text.as_str()) || has(&GROUPS) {
        Word::Group
    } else {
        Word::Unknown
    }
}

/// What a flag says if it is true, by its name.
pub(super) fn flag_of(field: &str) -> Word {
    let name = plain(field);
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if is_of_messages(field) {
        Word::Unknown
    } else if has(&DIRECTS) || ["dm", "isdm", "isim"].contains(&name.as_str()) {
        Word::Direct
    } else if has(&GROUPS) {
        Word::Group
    } else {
        Word::Unknown
    }
}

/// Whether a field that is called so tells kinds of chats apart.
pub(super) fn tells_kinds(field: &str) -> bool {
    let name = plain(field);
    let is_called_so =
        ["type", "kind", "category", "scope", "visibility"].iter().any(|part| name.ends_with(part));
    !is_of_messages(field) && (is_called_so || ["t", "mode", "model"].contains(&name.as_str()))
}

/// The kind of a message or of a file, or what the newest one is.
fn is_of_messages(field: &str) -> bool {
    let name = plain(field);
    ["messag", "msg", "mime", "file", "media"].iter().any(|part| name.contains(part))
        || ["last", "latest", "newest", "recent"].iter().any(|part| name.starts_with(part))
}

/// Whether the field marks chats that are over for everybody: deleted, unmatched, closed.
pub(super) fn is_end(field: &str) -> bool {
    const ENDS: [&str; 12] = [
        "delet", "remov", "unmatch", "ended", "endat", "closed", "deactiv", "cancel", "terminat", "trash",
        "dissolv", "discard",
    ];
    let name = plain(field);
    ENDS.iter().any(|part| name.contains(part))
}

/// Whether a flag says that a chat is alive.
pub(super) fn is_life(field: &str) -> bool {
    let name = plain(field);
    let name = name.strip_prefix("is").unwrap_or(&name);
    ["active", "enabled", "alive", "live", "valid"].contains(&name)
}

/// Whether the field says how far a chat has come.
pub(super) fn is_status(field: &str) -> bool {
    let name = plain(field);
    !is_of_messages(field) && (name.ends_with("status") || name.ends_with("state") || name == "stage")
}

/// Whether a status says that a chat is over.
pub(super) fn is_over(value: &Bson) -> bool {
    let Some(text) = value.as_str() else { return false };
    let name = plain(text);
    hides(text)
        || is_end(text)
        || ["inactiv", "reject", "declin", "over", "dead", "end"].iter().any(|p| name.starts_with(p))
}

/// Whether the field has names of chats, of which the same people may have several.
pub(super) fn is_name(field: &str) -> bool {
    const OF_OTHERS: [&str; 13] = [
        "user",
        "sender",
        "buyer",
        "seller",
        "receiver",
        "recipient",
        "creator",
        "admin",
        "owner",
        "first",
        "file",
        "class",
        "collection",
    ];
    let name = plain(field);
    let is_called_so =
        ["name", "title", "topic", "subject", "label", "slug"].iter().any(|part| name.ends_with(part));
    is_called_so && !is_of_messages(field) && !OF_OTHERS.iter().any(|part| name.contains(part))
}

/// Whether a field of this name is likely what a chat is about.
pub(super) fn is_subject(field: &str) -> bool {
    const SUBJECTS: [&str; 45] = [
        "product",
        "listing",
        "item",
        "order",
        "booking",
        "ride",
        "trip",
        "job",
        "project",
        "property",
        "advert",
        "offer",
        "match",
        "gig",
        "service",
        "ticket",
        "appointment",
        "vehicle",
        "pet",
        "house",
        "apartment",
        "course",
        "task",
        "request",
        "auction",
        "campaign",
        "context",
        "reservation",
        "deal",
        "contract",
        "proposal",
        "shift",
        "delivery",
        "tenant",
        "workspace",
        "organization",
        "organisation",
        "company",
        "shop",
        "store",
        "site",
        "case",
        "lead",
        "transaction",
        "application",
    ];
    const WHOLE: [&str; 12] = [
        "ad",
        "post",
        "event",
        "car",
        "team",
        "about",
        "ref",
        "reference",
        "orgid",
        "adid",
        "postid",
        "eventid",
    ];
    let name = plain(field);
    !is_of_messages(field)
        && (SUBJECTS.iter().any(|part| name.contains(part)) || WHOLE.contains(&name.as_str()))
}

/// Whether the field names who began a chat, or leads it.
pub(super) fn is_beginner(field: &str) -> bool {
    let name = plain(field);
    ["creat", "start", "initiat", "begun", "invit", "admin"].iter().any(|part| name.contains(part))
}

/// Whether it is the truth, as a flag or as a number that stands for one.
pub(super) fn is_true(value: &Bson) -> bool {
    matches!(value, Bson::Boolean(true) | Bson::Int32(1) | Bson::Int64(1)) || *value == Bson::Double(1.0)
}

/// The opposite.
pub(super) fn is_false(value: &Bson) -> bool {
    matches!(value, Bson::Boolean(false) | Bson::Int32(0) | Bson::Int64(0)) || *value == Bson::Double(0.0)
}

/// Whether a time says when something ended.
pub(super) fn is_moment(value: &Bson) -> bool {
    is_time(value) || value.as_str().is_some_and(|text| text.len() >= 10 && text.as_bytes()[4] == b'-')
}
