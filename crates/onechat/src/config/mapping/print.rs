//! A mapping as the section of the file that gives it.

use anyhow::Context as _;
use onechat_mongo::{IdMapping, Mapping, MessagePlace, PublicIdForm, TimeForm};
use toml::{Table, Value};

use super::{chat_field_names, chat_id_name, form_name, message_field_names, order_name, times_name};

/// The section that gives this mapping.
pub(in crate::config) fn to_toml(mapping: &Mapping) -> anyhow::Result<Table> {
    let text = |text: &str| Value::String(text.to_owned());
    let mut section = Table::new();
    section.insert("chats".into(), text(&mapping.chats));
    section.insert("messages".into(), text(&mapping.messages));
    section.insert("participants".into(), text(form_name(mapping.participant_form)));
    if mapping.fields.context.is_some() {
        section.insert("context".into(), text(form_name(mapping.context_form)));
    }
    if let Some(path) = &mapping.participant_path {
        section.insert("participant_path".into(), text(path));
    }
    for (setting, collection) in
        [("participant_ref", &mapping.participant_ref), ("context_ref", &mapping.context_ref)]
    {
        section.extend(collection.iter().map(|collection| (setting.to_owned(), text(collection))));
    }
    if let MessagePlace::Listed { reference: Some(collection), .. } = &mapping.message_place {
        section.insert("message_ref".into(), text(collection));
    }
    section.extend(mapping.order.map(|order| ("order".to_owned(), text(order_name(order)))));
    for (setting, filter) in [
        ("only", &mapping.only),
        ("visible", &mapping.visible),
        ("visible_messages", &mapping.visible_messages),
    ] {
        section.extend(filter.iter().map(|filter| (setting.to_owned(), text(&filter.to_string()))));
    }
    if let IdMapping::Field { name, form } = &mapping.id {
        let form = match form {
            PublicIdForm::Text => "string",
            PublicIdForm::Uuid => "uuid",
        };
        section.insert("id_field".into(), text(name));
        section.insert("id_form".into(), text(form));
    }
    section.extend(mapping.chat_id.map(|form| ("chat_id".to_owned(), text(chat_id_name(form)))));
    for (setting, name) in
        chat_field_names(mapping).into_iter().chain(message_field_names(&mapping.message_fields))
    {
        if let Some((table, setting)) = setting.split_once('.').filter(|(table, _)| *table != "constants") {
            let fields = section.entry(table).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(fields) = fields else { continue };
            match fields.get_mut(setting) {
                Some(Value::Array(names)) => names.push(text(name)),
                Some(first) => *first = Value::Array(vec![first.clone(), text(name)]),
                None => drop(fields.insert(setting.to_owned(), text(name))),
            }
        }
    }
    for (table, form) in
        [("chat_fields", mapping.fields.times), ("message_fields", mapping.message_fields.times)]
    {
        if let Some(Value::Table(fields)) = section.get_mut(table).filter(|_| form != TimeForm::default()) {
            fields.insert("times".to_owned(), text(times_name(form)));
        }
    }
    if let (Some(previous), Some(Value::Table(fields))) = (&mapping.previous, section.get_mut("previous")) {
        fields.insert("key_format".to_owned(), text(previous.key_format.name()));
        fields.extend(previous.context.iter().map(|context| ("context".to_owned(), text(context))));
    }
    if let (Some(form), Some(Value::Table(fields))) =
        (mapping.message_fields.chat_form, section.get_mut("message_fields"))
    {
        fields.insert("chat_form".to_owned(), text(form_name(form)));
    }
    if !mapping.constants.is_empty() {
        let constants = Table::try_from(&mapping.constants).context("the constants cannot be printed")?;
        section.insert("constants".into(), Value::Table(constants));
    }
    Ok(section)
}
