//! From `[mongodb]` to a mapping that makes sense, and back to what `--print-config` shows.

mod print;

use anyhow::{Context as _, bail, ensure};
use onechat_mongo::{
    ChatFields, ChatIdForm, Filter, IdMapping, Mapping, MessageFields, MessagePlace, Order, PreviousKeys,
    PublicIdForm, TimeForm, UuidOrder, ValueForm,
};
use serde_json::Map;
use toml::{Table, Value};

pub(super) use self::print::to_toml;
use super::mongo_settings::{
    ChatFieldSettings, ChatIdAs, IdForm, MessageFieldSettings, MongoSettings, OneOrMore, OrderOfFields,
    PreviousSettings, TimesAs, ValueAs,
};

/// Fields with a meaning of their own: the document's id, and the version that Mongoose keeps.
const RESERVED: &[&str] = &["_id", "__v"];

/// Settings that may lead into sub-documents.
const PATHS: &[&str] =
    &["chat_fields.context", "message_fields.sender", "message_fields.receiver", "message_fields.context"];

/// The mapping that the section describes.
pub(super) fn resolve(settings: MongoSettings) -> anyhow::Result<Mapping> {
    let default = Mapping::default();
    let message_place = message_place(&settings.chat_fields, settings.message_ref)?;
    let mapping = Mapping {
        chats: settings.chats.unwrap_or(default.chats),
        messages: settings.messages.unwrap_or(default.messages),
        fields: chat_fields(settings.chat_fields),
        participant_form: settings.participants.map_or(default.participant_form, form),
        context_form: settings.context.map_or(default.context_form, form),
        participant_path: settings.participant_path,
        participant_ref: settings.participant_ref,
        context_ref: settings.context_ref,
        order: settings.order.map(order),
        id: id_mapping(settings.id_field, settings.id_form)?,
        message_place,
        chat_id: settings.chat_id.map(chat_id),
        constants: constants(settings.constants)?,
        only: filter("only", settings.only)?,
        visible: filter("visible", settings.visible)?,
        visible_messages: filter("visible_messages", settings.visible_messages)?,
        message_fields: message_fields(settings.message_fields),
        previous: settings.previous.map(previous).transpose().context("[mongodb.previous]")?,
    };
    check(&mapping)?;
    Ok(mapping)
}

fn form(given: ValueAs) -> ValueForm {
    match given {
        ValueAs::String => ValueForm::Text,
        ValueAs::ObjectId => ValueForm::ObjectId,
        ValueAs::Uuid => ValueForm::Uuid,
        ValueAs::UuidLegacyJava => ValueForm::LegacyUuid(UuidOrder::Java),
        ValueAs::UuidLegacyCsharp => ValueForm::LegacyUuid(UuidOrder::CSharp),
        ValueAs::UuidLegacyPython => ValueForm::LegacyUuid(UuidOrder::Python),
        ValueAs::Int32 => ValueForm::Int32,
        ValueAs::Int64 => ValueForm::Int64,
        ValueAs::Double => ValueForm::Double,
    }
}

fn form_name(form: ValueForm) -> &'static str {
    match form {
        ValueForm::Text => "string",
        ValueForm::ObjectId => "object_id",
        ValueForm::Uuid => "uuid",
        ValueForm::LegacyUuid(UuidOrder::Java) => "uuid_legacy_java",
        ValueForm::LegacyUuid(UuidOrder::CSharp) => "uuid_legacy_csharp",
        ValueForm::LegacyUuid(UuidOrder::Python) => "uuid_legacy_python",
        ValueForm::Int32 => "int32",
        ValueForm::Int64 => "int64",
        ValueForm::Double => "double",
    }
}

fn chat_id(given: ChatIdAs) -> ChatIdForm {
    match given {
        ChatIdAs::ObjectId => ChatIdForm::ObjectId,
        ChatIdAs::String => ChatIdForm::Text,
        ChatIdAs::UuidString => ChatIdForm::UuidText,
        ChatIdAs::Uuid => ChatIdForm::Uuid,
        ChatIdAs::UuidLegacyJava => ChatIdForm::LegacyUuid(UuidOrder::Java),
        ChatIdAs::UuidLegacyCsharp => ChatIdForm::LegacyUuid(UuidOrder::CSharp),
        ChatIdAs::UuidLegacyPython => ChatIdForm::LegacyUuid(UuidOrder::Python),
        ChatIdAs::Number => ChatIdForm::Number,
    }
}

fn chat_id_name(form: ChatIdForm) -> &'static str {
    match form {
        ChatIdForm::ObjectId => "object_id",
        ChatIdForm::Text => "string",
        ChatIdForm::UuidText => "uuid_string",
        ChatIdForm::Uuid => "uuid",
        ChatIdForm::LegacyUuid(UuidOrder::Java) => "uuid_legacy_java",
        ChatIdForm::LegacyUuid(UuidOrder::CSharp) => "uuid_legacy_csharp",
        ChatIdForm::LegacyUuid(UuidOrder::Python) => "uuid_legacy_python",
        ChatIdForm::Number => "number",
    }
}

fn order(given: OrderOfFields) -> Order {
    match given {
        OrderOfFields::Request => Order::Request,
        OrderOfFields::Sorted => Order::Sorted,
        OrderOfFields::Roles => Order::Roles,
    }
}

fn order_name(order: Order) -> &'static str {
    match order {
        Order::Request => "request",
        Order::Sorted => "sorted",
        Order::Roles => "roles",
    }
}

fn filter(setting: &str, given: Option<String>) -> anyhow::Result<Option<Filter>> {
    given.map(|text| text.parse().with_context(|| format!("{setting} is {text}"))).transpose()
}

fn chat_fields(given: ChatFieldSettings) -> ChatFields {
    let default = ChatFields::default();
    ChatFields {
        participants: match given.participants {
            None => default.participants,
            Some(OneOrMore::One(name)) => vec![name],
            Some(OneOrMore::More(names)) => names,
        },
        context: given.context,
        participants_key: given.participants_key.unwrap_or(default.participants_key),
        created_at: given.created_at.unwrap_or(default.created_at),
        updated_at: given.updated_at.unwrap_or(default.updated_at),
        last_message_at: given.last_message_at.unwrap_or(default.last_message_at),
        times: given.times.map_or(default.times, times),
    }
}

fn message_fields(given: MessageFieldSettings) -> MessageFields {
    let default = MessageFields::default();
    MessageFields {
        chat: given.chat.unwrap_or(default.chat),
        chat_form: given.chat_form.map(form),
        sender: given.sender.unwrap_or(default.sender),
        receiver: given.receiver,
        context: given.context,
        text: given.text.unwrap_or(default.text),
        client_message_id: given.client_message_id.unwrap_or(default.client_message_id),
        created_at: given.created_at.unwrap_or(default.created_at),
        times: given.times.map_or(default.times, times),
    }
}

fn message_place(given: &ChatFieldSettings, reference: Option<String>) -> anyhow::Result<MessagePlace> {
    ensure!(
        reference.is_none() || given.message_ids.is_some(),
        "message_ref is for references to messages in a chat's array: name the array too, with message_ids in \
         [mongodb.chat_fields]"
    );
    reference.as_deref().map_or(Ok(()), |collection| check_collection("message_ref", collection))?;
    match (given.messages.clone(), given.message_ids.clone()) {
        (None, None) => Ok(MessagePlace::Rows),
        (Some(field), None) => Ok(MessagePlace::Embedded { field }),
        (None, Some(field)) => Ok(MessagePlace::Listed { field, reference }),
        (Some(_), Some(_)) => bail!(
            "chat_fields.messages is for messages that are sub-documents of their chat, and chat_fields.message_ids for an \
             array of their ids: name one of them"
        ),
    }
}

fn previous(given: PreviousSettings) -> anyhow::Result<PreviousKeys> {
    let PreviousSettings { participants_key, key_format, context } = given;
    let participants_key = participants_key
        .context("participants_key is missing: name the field of the keys that other servers still use")?;
    let key_format = key_format.as_deref().map(str::parse).transpose()?.unwrap_or_default();
    Ok(PreviousKeys { participants_key, key_format, context })
}

fn times(given: TimesAs) -> TimeForm {
    match given {
        TimesAs::Date => TimeForm::Date,
        TimesAs::Milliseconds => TimeForm::Milliseconds,
        TimesAs::Seconds => TimeForm::Seconds,
        TimesAs::Text => TimeForm::Text,
        TimesAs::Timestamp => TimeForm::Timestamp,
    }
}

fn times_name(form: TimeForm) -> &'static str {
    match form {
        TimeForm::Date => "date",
        TimeForm::Milliseconds => "milliseconds",
        TimeForm::Seconds => "seconds",
        TimeForm::Text => "text",
        TimeForm::Timestamp => "timestamp",
    }
}

fn id_mapping(field: Option<String>, form: Option<IdForm>) -> anyhow::Result<IdMapping> {
    let form = match (&field, form) {
        (None, None) => return Ok(IdMapping::ObjectId),
        (None, Some(_)) => bail!("id_form says how the ids in id_field are written: set id_field too"),
        (Some(_), None | Some(IdForm::String)) => PublicIdForm::Text,
        (Some(_), Some(IdForm::Uuid)) => PublicIdForm::Uuid,
    };
    Ok(field.map_or(IdMapping::ObjectId, |name| IdMapping::Field { name, form }))
}

fn constants(given: Table) -> anyhow::Result<Map<String, serde_json::Value>> {
    let one = |(name, value)| {
        let value = to_json(value).with_context(|| format!("constants.{name}"))?;
        Ok((name, value))
    };
    given.into_iter().map(one).collect()
}

fn to_json(value: Value) -> anyhow::Result<serde_json::Value> {
    Ok(match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => {
            ensure!(number.is_finite(), "{number} cannot be a constant");
            number.into()
        }
        Value::Boolean(boolean) => boolean.into(),
        Value::Datetime(time) => bail!("{time} cannot be a constant: a time is not, and a text needs quotes"),
        Value::Array(items) => items.into_iter().map(to_json).collect::<anyhow::Result<Vec<_>>>()?.into(),
        Value::Table(table) => constants(table)?.into(),
    })
}

fn check(mapping: &Mapping) -> anyhow::Result<()> {
    check_collection("chats", &mapping.chats)?;
    check_collection("messages", &mapping.messages)?;
    ensure!(
        mapping.chats != mapping.messages,
        "chats and messages are both {:?}: they need a collection each",
        mapping.chats
    );
    ensure!(
        mapping.visible_messages.is_none() || !matches!(mapping.message_place, MessagePlace::Embedded { .. }),
        "visible_messages is for messages in a collection of their own, and by chat_fields.messages they are in their chats"
    );
    if let Some(path) = &mapping.participant_path {
        check_path("participant_path", path)?;
    }
    check_forms(mapping)?;
    ensure!(
        mapping.fields.context.is_some() || mapping.context_form == ValueForm::default(),
        "context says how contexts are written: name their field too, with context in [mongodb.chat_fields]"
    );
    let of_message = &mapping.message_fields;
    ensure!(
        of_message.context.is_none() || (mapping.fields.context.is_some() && of_message.receiver.is_some()),
        "message_fields.context says what the chat of a message's sender and receiver is about: name receiver too, and the \
         field of contexts in chats, with context in [mongodb.chat_fields]"
    );
    ensure!(
        mapping.fields.times != TimeForm::Timestamp,
        "chat_fields.times is \"timestamp\", which no server can raise: only message_fields.times can be that"
    );
    let previous = mapping.previous.as_ref().map(|previous| &previous.participants_key);
    for key in [&mapping.fields.participants_key].into_iter().chain(previous) {
        ensure!(
            mapping.only.as_ref().is_none_or(|only| !only.fields().contains(key.as_str())),
            "only is about {key:?}, the key, which is given to what is inside: it has to select by other fields"
        );
    }
    let chats = chat_field_names(mapping);
    check_fields(&chats)?;
    check_previous_context(mapping, &chats)?;
    check_fields(&message_field_names(&mapping.message_fields))
}

/// The previous context may be that of now; otherwise it is a field of its own.
fn check_previous_context(mapping: &Mapping, chats: &[(String, &str)]) -> anyhow::Result<()> {
    let context = mapping.previous.as_ref().and_then(|previous| previous.context.as_deref());
    let Some(context) = context.filter(|context| mapping.fields.context.as_deref() != Some(context)) else {
        return Ok(());
    };
    let setting = "previous.context";
    check_path(setting, context)?;
    check_field(setting, root(context))?;
    match chats.iter().find(|(_, name)| root(name) == root(context)) {
        Some((other, name)) => {
            bail!("{other} is {name:?} and {setting} is {context:?}: they are in one field")
        }
        None => Ok(()),
    }
}

/// What has to be said of references and of fields for each participant, and what must not.
fn check_forms(mapping: &Mapping) -> anyhow::Result<()> {
    let is_reference = |path: Option<&str>| path.is_some_and(|path| path.ends_with("$id"));
    let of_message = &mapping.message_fields;
    let participants =
        [mapping.participant_path.as_deref(), Some(&*of_message.sender), of_message.receiver.as_deref()];
    let previous = mapping.previous.as_ref().and_then(|previous| previous.context.as_deref());
    let contexts = [mapping.fields.context.as_deref(), previous, of_message.context.as_deref()];
    for (setting, is_needed, given) in [
        ("participant_ref", participants.into_iter().any(is_reference), &mapping.participant_ref),
        ("context_ref", contexts.into_iter().any(is_reference), &mapping.context_ref),
    ] {
        match given {
            None => ensure!(
                !is_needed,
                "a path ends in $id, the id in a reference: {setting} has to name the collection that references lead to"
            ),
            Some(collection) => {
                ensure!(is_needed, "{setting} is for references, whose path ends in $id, and there is none");
                check_collection(setting, collection)?;
            }
        }
    }
    ensure!(!mapping.fields.participants.is_empty(), "chat_fields.participants is empty: name a field");
    ensure!(
        mapping.order.is_none() || mapping.fields.participants.len() > 1,
        "order says who goes into which field: it is for two or more chat_fields.participants"
    );
    ensure!(
        mapping.has_one_uuid_order(),
        "participants, context, chat_id and message_fields.chat_form name legacy UUIDs of different orders of bytes, which \
         nothing tells apart"
    );
    Ok(())
}

/// Every field of a chat with the setting that names it.
fn chat_field_names(mapping: &Mapping) -> Vec<(String, &str)> {
    let ChatFields {
        participants,
        context,
        participants_key,
        created_at,
        updated_at,
        last_message_at,
        times: _,
    } = &mapping.fields;
    let mut names = Vec::new();
    if let IdMapping::Field { name, .. } = &mapping.id {
        names.push(("id_field".to_owned(), name.as_str()));
    }
    names.extend(context.iter().map(|name| ("chat_fields.context".to_owned(), name.as_str())));
    names.extend(participants.iter().map(|name| ("chat_fields.participants".to_owned(), name.as_str())));
    let fields = [
        ("participants_key", participants_key),
        ("created_at", created_at),
        ("updated_at", updated_at),
        ("last_message_at", last_message_at),
    ];
    names.extend(fields.map(|(setting, name)| (format!("chat_fields.{setting}"), name.as_str())));
    names.extend(match &mapping.message_place {
        MessagePlace::Rows => None,
        MessagePlace::Embedded { field } => Some(("chat_fields.messages".to_owned(), field.as_str())),
        MessagePlace::Listed { field, .. } => Some(("chat_fields.message_ids".to_owned(), field.as_str())),
    });
    names.extend(
        mapping
            .previous
            .iter()
            .map(|previous| ("previous.participants_key".to_owned(), previous.participants_key.as_str())),
    );
    names.extend(mapping.constants.keys().map(|name| (format!("constants.{name}"), name.as_str())));
    names
}

fn message_field_names(fields: &MessageFields) -> Vec<(String, &str)> {
    let MessageFields {
        chat,
        sender,
        receiver,
        context,
        text,
        client_message_id,
        created_at,
        times: _,
        chat_form: _,
    } = fields;
    let fields = [
        ("chat", Some(chat)),
        ("sender", Some(sender)),
        ("receiver", receiver.as_ref()),
        ("context", context.as_ref()),
        ("text", Some(text)),
        ("client_message_id", Some(client_message_id)),
        ("created_at", Some(created_at)),
    ];
    let given = fields.into_iter().filter_map(|(setting, name)| Some((setting, name?)));
    given.map(|(setting, name)| (format!("message_fields.{setting}"), name.as_str())).collect()
}

fn check_fields(names: &[(String, &str)]) -> anyhow::Result<()> {
    for (index, (setting, name)) in names.iter().enumerate() {
        let is_path = PATHS.contains(&setting.as_str());
        if is_path {
            check_path(setting, name)?;
        }
        check_field(setting, if is_path { root(name) } else { name })?;
        let name = root(name);
        if let Some((other, _)) = names[..index].iter().find(|(_, earlier)| root(earlier) == name) {
            bail!("{other} and {setting} are both {name:?}: a field can hold one thing only");
        }
    }
    Ok(())
}

/// The field at the top of the document that a path leads into.
pub(super) fn root(path: &str) -> &str {
    path.split_once('.').map_or(path, |(root, _)| root)
}

pub(super) fn check_field(setting: &str, name: &str) -> anyhow::Result<()> {
    ensure!(!name.is_empty(), "{setting} is empty: give the name of a field");
    ensure!(
        !name.contains('.'),
        "{setting} is {name:?}: a name with a dot is no field at the top of a document"
    );
    ensure!(!name.starts_with('$'), "{setting} is {name:?}: names that begin with $ belong to MongoDB");
    ensure!(!name.contains('\0'), "{setting} is {name:?}: a name cannot contain the character 0");
    ensure!(
        !RESERVED.contains(&name),
        "{setting} is {name:?}, which every document has already: for its id, or for Mongoose's version"
    );
    Ok(())
}

/// A path through sub-documents and arrays; it may end in the `_id` of a sub-document, or in the `$id` of a reference.
pub(super) fn check_path(setting: &str, path: &str) -> anyhow::Result<()> {
    ensure!(!path.is_empty(), "{setting} is empty: give the name of a field");
    let names = if path == "$id" { "" } else { path.strip_suffix(".$id").unwrap_or(path) };
    ensure!(
        path == "$id"
            || !names.split('.').any(|part| part.is_empty() || part.starts_with('$') || part.contains('\0')),
        "{setting} is {path:?}, which is no path: its parts are names of fields, separated by dots"
    );
    Ok(())
}

pub(super) fn check_collection(setting: &str, name: &str) -> anyhow::Result<()> {
    ensure!(!name.is_empty(), "{setting} is empty: give the name of a collection");
    ensure!(
        !name.contains(['$', '\0']) && !name.starts_with("system."),
        "{setting} is {name:?}, which MongoDB does not take as the name of a collection"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
