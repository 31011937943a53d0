//! What values there are, and what becomes of several of them.

use std::collections::BTreeMap;

use mongodb::bson::Bson;

use super::sample::{is_most, plain};

/// The rule that makes sense for a field by what is stored there: counts are added up, the latest time stays, arrays
/// are united. Nothing for all else, and for what may hide a chat or is in an order of its own: that an operator has to say.
pub(super) fn rule_of(field: &str, values: &[&Bson]) -> Option<&'static str> {
    let most = |is: fn(&Bson) -> bool| {
        let known = values.iter().filter(|value| !matches!(value, Bson::Null)).count();
        is_most(values.iter().filter(|value| is(value)).count(), known, 80)
    };
    let name = plain(field);
    if HIDES.iter().any(|part| name.contains(part)) {
        return None;
    }
    if most(|value| matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_))) {
        return Some("sum");
    }
    if most(|value| matches!(value, Bson::DateTime(_))) {
        let is_first = ["creat", "join", "first", "since"].iter().any(|part| name.contains(part));
        return Some(if is_first { "min" } else { "max" });
    }
    if values.iter().any(|value| has_ids(value)) {
        return None;
    }
    most(|value| matches!(value, Bson::Array(_))).then_some("union")
}

/// What a list of those is called for whom a chat is hidden or over.
const HIDES: [&str; 9] = ["hid", "delet", "remov", "archiv", "mut", "block", "ban", "left", "expir"];

/// Whether the field points to the newest message, or copies it: called so, and no time or number.
pub(super) fn is_pointer(field: &str, values: &[&Bson]) -> bool {
    let name = plain(field);
    let is_called_so = ["last", "latest", "newest", "recent"].iter().any(|part| name.starts_with(part))
        && ["message", "msg"].iter().any(|part| name.contains(part));
    let is_told =
        |value: &&Bson| matches!(value, Bson::ObjectId(_) | Bson::String(_) | Bson::Document(_) | Bson::Null);
    is_called_so && values.iter().all(is_told)
}

/// Whether it is a list of ids: of messages, which have an order, or of people.
fn has_ids(value: &Bson) -> bool {
    value.as_array().is_some_and(|list| list.iter().any(|element| element.as_object_id().is_some()))
}

/// What the field with what was said is called.
const SAID: [&str; 6] = ["text", "body", "content", "message", "msg", "caption"];

/// Whether somebody said something there.
pub(super) fn is_said<'a>(mut fields: impl Iterator<Item = &'a String>) -> bool {
    fields.any(|field| SAID.contains(&plain(field).as_str()))
}

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
