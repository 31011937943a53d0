//! Which mappings make sense.

use super::root;
use crate::{IdMapping, Mapping, OpenError, TimeForm};

pub(super) fn check(mapping: &Mapping) -> Result<(), OpenError> {
    let fields = &mapping.fields;
    let public = match &mapping.id {
        IdMapping::ObjectId => None,
        IdMapping::Field { name, .. } => Some(name),
    };
    let mut chat: Vec<&str> =
        vec![&fields.participants_key, &fields.created_at, &fields.updated_at, &fields.last_message_at];
    chat.extend(public.map(String::as_str));
    chat.extend(fields.participants.iter().map(String::as_str));
    chat.extend(fields.context.as_deref().map(root));
    chat.extend(mapping.constants.keys().map(String::as_str));
    chat.extend(mapping.message_place.field());
    chat.extend(mapping.previous.iter().map(|previous| &*previous.participants_key));
    let of_message = &mapping.message_fields;
    let mut message: Vec<&str> = vec![
        &of_message.chat,
        root(&of_message.sender),
        &of_message.text,
        &of_message.client_message_id,
        &of_message.created_at,
    ];
    message.extend(of_message.receiver.iter().chain(&of_message.context).map(|path| root(path)));
    for names in [chat, message] {
        for (index, &name) in names.iter().enumerate() {
            if name.is_empty()
                || name.contains(['.', '\0'])
                || name.starts_with('$')
                || name == "_id"
                || name == "__v"
            {
                return Err(OpenError::Mapping(format!("{name:?} cannot be the name of a field")));
            }
            if names[..index].contains(&name) {
                return Err(OpenError::Mapping(format!("{name:?} is the name of two fields")));
            }
        }
    }
    let collections = [&mapping.chats, &mapping.messages];
    if let Some(name) = collections.iter().find(|name| name.is_empty() || name.contains(['$', '\0'])) {
        return Err(OpenError::Mapping(format!("{name:?} cannot be the name of a collection")));
    }
    if mapping.chats == mapping.messages {
        return Err(OpenError::Mapping("chats and messages are in one collection".to_owned()));
    }
    if fields.times == TimeForm::Timestamp {
        return Err(OpenError::Mapping(
            "chats have times as timestamps, which no server can raise: only messages can".to_owned(),
        ));
    }
    if mapping.visible_messages.is_some() && !mapping.message_place.has_rows() {
        return Err(OpenError::Mapping(
            "visible_messages is for messages that are rows, and here they are in their chats".to_owned(),
        ));
    }
    check_keys(mapping)?;
    let paths = [
        (mapping.participant_path.as_deref(), &mapping.participant_ref),
        (fields.context.as_deref(), &mapping.context_ref),
        (Some(&*of_message.sender), &mapping.participant_ref),
        (of_message.receiver.as_deref(), &mapping.participant_ref),
        (of_message.context.as_deref(), &mapping.context_ref),
    ];
    for (path, reference) in paths {
        let Some(path) = path else { continue };
        if !is_path(path) {
            return Err(OpenError::Mapping(format!("{path:?} is no path of fields")));
        }
        if path.ends_with("$id") && reference.is_none() {
            return Err(OpenError::Mapping(format!(
                "{path:?} is in references (DBRef), and nothing says to which collection: participant_ref and \
                 context_ref do"
            )));
        }
    }
    match &fields.participants[..] {
        [] => return Err(OpenError::Mapping("there is no field of participants".to_owned())),
        [_] if mapping.order.is_some() => {
            return Err(OpenError::Mapping(
                "an array of participants has no order: order is for two or more fields of them".to_owned(),
            ));
        }
        _ => {}
    }
    if !mapping.has_one_uuid_order() {
        return Err(OpenError::Mapping(
            "legacy UUIDs have several orders of bytes, in participants, contexts and ids of chats"
                .to_owned(),
        ));
    }
    Ok(())
}

/// What the keys are made of, and what they must not depend on.
fn check_keys(mapping: &Mapping) -> Result<(), OpenError> {
    let fields = &mapping.fields;
    if let (Some(one), Some(other)) =
        (&fields.context, mapping.previous.as_ref().and_then(|previous| previous.context.as_ref()))
        && one != other
        && root(one) == root(other)
    {
        return Err(OpenError::Mapping(format!(
            "{one:?} and {other:?}, the contexts of the keys and of the previous ones, are in one field"
        )));
    }
    let previous = mapping.previous.as_ref().map(|previous| &previous.participants_key);
    let mut keys = [&fields.participants_key].into_iter().chain(previous);
    let is_selected_by =
        |key: &&String| mapping.only.as_ref().is_some_and(|only| only.fields().contains(key.as_str()));
    if let Some(key) = keys.find(is_selected_by) {
        return Err(OpenError::Mapping(format!(
            "only is about {key:?}, the key, which is given to what is inside: it has to select by other fields"
        )));
    }
    Ok(())
}

/// Names of fields, of which the last one may be that of the id in a reference.
fn is_path(path: &str) -> bool {
    let (all, last) = path.rsplit_once('.').map_or(("", path), |(all, last)| (all, last));
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('$') && !part.contains('\0');
    (all.is_empty() || all.split('.').all(is_name)) && (last == "$id" || is_name(last))
}
