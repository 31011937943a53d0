//! The configuration as text, with what each part was inferred from.

use std::{collections::BTreeMap, fmt::Write as _};

use mongodb::bson::Bson;

use super::{
    Findings, Question,
    chats::{Chats, Key, LEGACY_UUID, People},
    rows::{Messages, Row},
};
use crate::Mapping;

/// A configuration that the program reads as it is.
pub(super) fn toml(found: &Findings) -> String {
    let mut text = Toml::new();
    let (chats, count) = (&found.chats, found.count);
    text.comment(&format!(
        "Inferred from {} of about {count} documents in {}, and samples of {} other collections. Read it before you use it.",
        found.sampled, chats.collection, found.others
    ));
    key_format(&mut text, chats.key.as_ref());
    text.table("mongodb");
    text.value("chats", &chats.collection);
    if let (Some(messages), None) = (&found.messages, &found.embedded) {
        text.value("messages", &messages.collection);
    }
    let forms: Vec<String> = chats.forms.iter().map(|(form, count)| format!("{count} {form}")).collect();
    text.comment(&format!("How the sampled participants are written: {}.", forms.join(", ")));
    text.value("participants", chats.forms.first().map_or("string", |(form, _)| form));
    if let Some(path) = chats.path() {
        text.value("participant_path", path);
    }
    let has_references = found.messages.as_ref().is_some_and(|messages| messages.sender.ends_with("$id"));
    if let Some(reference) = chats.reference.as_ref().filter(|_| has_references || chats.path().is_some()) {
        text.value("participant_ref", reference);
    }
    if let Some(list) = found.list_of_messages().filter(|list| list.path.is_some()) {
        text.value("message_ref", &list.ids_of);
    }
    if let (Some(messages), None) = (&found.messages, &found.embedded) {
        text.visible_messages(messages);
    }
    if let People::Fields(fields) = &chats.people {
        text.comment(&format!(
            "Who of a new chat goes into {}: order = \"roles\" if requests say who is what, \"request\" or \"sorted\" if that is of \
             no matter. Without it no chat is created.",
            fields.join(" and who into ")
        ));
    }
    if let Some(id) = &chats.public_id {
        text.comment("An id beside _id, different in each chat: leave it out if clients do not know it.");
        text.value("id_field", &id.field);
        text.value("id_form", if id.is_uuid { "uuid" } else { "string" });
    }
    chat_id(&mut text, chats);
    fields(&mut text, found);
    constants(&mut text, found);
    references(&mut text, &found.rows);
    inside(&mut text, found);
    warnings(&mut text, found);
    text.into_text()
}

/// Where all are ObjectIds, there is nothing to say.
fn chat_id(text: &mut Toml, chats: &Chats) {
    if matches!(chats.id_forms[..], [] | [("object_id", _)]) {
        return;
    }
    let forms: Vec<String> = chats.id_forms.iter().map(|(form, count)| format!("{count} {form}")).collect();
    text.comment(&format!(
        "How _id is written in the sampled chats: {}. New ones are written as most are.",
        forms.join(", ")
    ));
    match chats.id_forms[0].0 {
        LEGACY_UUID => text.comment(
            "chat_id = \"uuid_legacy_java\", \"uuid_legacy_csharp\" or \"uuid_legacy_python\", by the driver that wrote them.",
        ),
        form @ ("object_id" | "string" | "uuid_string" | "uuid") => text.value("chat_id", form),
        "number" => {
            text.comment("Another program counts them: onechat creates no chat here.");
            text.value("chat_id", "number");
        }
        _ => text.comment("onechat finds no chat by such ids."),
    }
}

fn key_format(text: &mut Toml, key: Option<&Key>) {
    text.table("store");
    let Some(key) = key.filter(|key| key.is_known()) else {
        text.comment("No field has the key of the participants: \"joined\" if a backend will go on writing sort().join(\"_\").");
        return text.value("key_format", "escaped");
    };
    text.comment(&format!(
        "{} of the sampled chats have a key in {}: {} agree with \"escaped\", {} with \"joined\".",
        key.stored, key.field, key.escaped, key.joined
    ));
    if key.escaped == key.joined {
        text.comment(
            "Where both agree, no id has _ or %; \"joined\" if a backend goes on writing sort().join(\"_\").",
        );
    }
    text.value("key_format", if key.joined > key.escaped { "joined" } else { "escaped" });
}

fn fields(text: &mut Toml, found: &Findings) {
    let (chats, default) = (&found.chats, Mapping::default());
    text.table("mongodb.chat_fields");
    match &chats.people {
        People::Array { field, .. } => text.value("participants", field),
        People::Fields(fields) => {
            let names: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
            text.line(&format!("participants = [{}]", names.join(", ")));
        }
    }
    match &chats.key {
        Some(key) if key.is_known() => text.value("participants_key", &key.field),
        Some(key) => {
            text.comment(&format!(
                "{} has the key of another backend, by a formula of its own: onechat's stands beside it.",
                key.field
            ));
            text.value("participants_key", OWN_KEY);
        }
        None if found.has_field(&default.fields.participants_key) => {
            text.comment(&format!(
                "{} has other values than keys of onechat.",
                default.fields.participants_key
            ));
            text.value("participants_key", OWN_KEY);
        }
        None => text.inferred("participants_key", None, &default.fields.participants_key),
    }
    text.inferred("created_at", chats.created_at.as_ref(), &default.fields.created_at);
    text.inferred("updated_at", chats.updated_at.as_ref(), &default.fields.updated_at);
    text.inferred("last_message_at", chats.last_message_at.as_ref(), &default.fields.last_message_at);
    text.times(found.times);
    if let Some(field) = &found.embedded {
        text.comment("The messages are in their chats.");
        text.value("messages", field);
    } else if let Some(list) = found.list_of_messages() {
        text.comment("The chats have the ids of their messages.");
        text.value("message_ids", &list.field);
    }
    let Some(messages) = &found.messages else {
        return text.comment("No collection looks like messages that name their chat.");
    };
    text.table("mongodb.message_fields");
    match &messages.chat {
        Some(chat) => {
            text.value("chat", chat);
            if let Some((form, _)) = messages.chat_forms.first().filter(|_| messages.names_otherwise) {
                let forms: Vec<String> =
                    messages.chat_forms.iter().map(|(form, count)| format!("{count} {form}")).collect();
                text.comment(&format!(
                    "Not always as _id of the chat is written: {} in the sampled messages.",
                    forms.join(", ")
                ));
                text.value("chat_form", form);
            }
        }
        None if found.embedded.is_some() => {}
        None => text.comment("They do not name their chat: the chats list them."),
    }
    text.comment("In nearly all sampled rows this is somebody of the chat.");
    text.value("sender", &messages.sender);
    text.inferred("text", messages.text.as_ref(), &default.message_fields.text);
    let client = messages.client_message_id.as_ref();
    text.inferred("client_message_id", client, &default.message_fields.client_message_id);
    text.inferred("created_at", messages.created_at.as_ref(), &default.message_fields.created_at);
    text.times(messages.times);
}

fn references(text: &mut Toml, rows: &[Row]) {
    for row in rows {
        text.array("migrate.references");
        text.comment(&format!(
            "{} of {} different values are ids of chats: {}.",
            row.matches, row.values, row.form
        ));
        text.value("collection", &row.collection);
        text.value("field", &row.field);
        if let Some(participant) = &row.participant {
            text.comment(
                "One row per participant and chat. A field without a rule in which two rows differ stops a migration.",
            );
            text.value("participant", participant);
            text.rules(&row.rules);
        }
    }
}

fn inside(text: &mut Toml, found: &Findings) {
    for embedded in &found.inside.embedded {
        text.array("migrate.embedded");
        text.value("field", &embedded.field);
        let parts = [("id", &embedded.id), ("time", &embedded.time), ("sender", &embedded.sender)];
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            text.value(name, value);
        }
    }
    for state in &found.inside.state {
        text.array("migrate.state");
        text.value("field", &state.field);
        match &state.participant {
            None => text.value("form", "map"),
            Some(participant) => {
                text.value("form", "array");
                text.value("participant", participant);
            }
        }
        text.rules(&state.rules);
    }
    for list in &found.lists {
        text.array("migrate.embedded");
        text.comment(&format!("Ids of {}: united in the order of their rows' time.", list.ids_of));
        text.value("field", &list.field);
        text.value("ids_of", &list.ids_of);
        if let Some(path) = list.path {
            text.value("path", path);
        }
        if let Some(time) = &list.time {
            text.value("time", time);
        }
    }
    let varying = found.constants.iter().filter(|constant| constant.is_absent);
    let mut rules: BTreeMap<&str, &str> =
        found.inside.fields.iter().map(|(field, rule)| (field.as_str(), *rule)).collect();
    rules.extend(varying.map(|constant| (constant.field.as_str(), "survivor")));
    if !rules.is_empty() {
        text.table("migrate.fields");
        for (field, rule) in rules {
            text.value(&key(field), rule);
        }
    }
}

/// What new chats have as all others do.
fn constants(text: &mut Toml, found: &Findings) {
    let common: Vec<_> = found.constants.iter().filter(|constant| constant.is_common).collect();
    if common.is_empty() {
        return;
    }
    text.table("mongodb.constants");
    text.comment("The same in all chats that have it: new ones get it too.");
    for constant in common {
        text.line(&format!("{} = {}", key(&constant.field), value(&constant.value)));
    }
}

/// What may surprise whoever creates or deletes chats.
fn warnings(text: &mut Toml, found: &Findings) {
    for field in &found.unique {
        text.comment(&format!(
            "{field} has a unique index, and onechat puts nothing there: without it, a second new chat may be refused."
        ));
    }
    for field in &found.expiring {
        text.comment(&format!(
            "A TTL index on {field} deletes chats: take it away before a migration, whose account would miss them."
        ));
    }
}

/// The file with its questions, which come last.
pub(super) fn with_questions(mut text: String, questions: &[Question]) -> String {
    if questions.is_empty() {
        return text;
    }
    let (what, they) =
        if questions.len() == 1 { ("One question is", "it is") } else { ("Some questions are", "they are") };
    let _ = write!(
        text,
        "\n# {what} left to you, and no migration begins before {they} answered: write one of the answers into the sections\n\
         # above, and take the question out.\n"
    );
    for question in questions {
        question.print(&mut text);
    }
    text
}

/// The field of onechat's key where the usual one is another backend's.
const OWN_KEY: &str = "onechatKey";

/// The text of a configuration.
pub(super) struct Toml(String);

impl Toml {
    pub(super) fn new() -> Self {
        Self(String::new())
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    pub(super) fn line(&mut self, line: &str) {
        writeln!(self.0, "{line}").expect("a string takes all");
    }

    pub(super) fn comment(&mut self, comment: &str) {
        self.line(&format!("# {}", comment.replace(char::is_control, " ")));
    }

    pub(super) fn table(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    fn array(&mut self, name: &str) {
        self.line(&format!("\n[[{name}]]"));
    }

    pub(super) fn value(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {}", quoted(value)));
    }

    /// What was found, or the default as a comment that says that nothing was.
    pub(super) fn inferred(&mut self, name: &str, value: Option<&String>, default: &str) {
        match value {
            Some(value) => self.value(name, value),
            None => {
                self.comment(&format!("{name} = {}, the default: no field looks like it", quoted(default)));
            }
        }
    }

    /// How times are written, if not as dates.
    fn times(&mut self, form: Option<&str>) {
        if let Some(form) = form {
            self.value("times", form);
        }
    }

    /// What pages leave out, since the old backend hides it from all.
    pub(super) fn visible_messages(&mut self, messages: &Messages) {
        let conditions: Vec<String> =
            messages.hiding.iter().map(|field| format!("{}: {{\"$ne\": true}}", quoted(field))).collect();
        if !conditions.is_empty() {
            self.comment("These flags are set in some messages, which the old backend seems to hide.");
            self.value("visible_messages", &format!("{{{}}}", conditions.join(", ")));
        }
    }

    fn rules(&mut self, rules: &BTreeMap<String, &'static str>) {
        let rules: Vec<String> =
            rules.iter().map(|(name, rule)| format!("{} = {}", key(name), quoted(rule))).collect();
        self.line(&format!("rules = {{ {} }}", rules.join(", ")));
    }
}

/// The name of a field, as TOML takes it.
pub(super) fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A single value.
pub(super) fn value(value: &Bson) -> String {
    match value {
        Bson::String(text) => quoted(text),
        Bson::Double(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// A basic string of TOML is written as one of JSON, but for U+007F.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
