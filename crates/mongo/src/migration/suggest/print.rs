//! The configuration as text, with what each part was inferred from.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Findings, chats::Key, rows::Row};
use crate::Mapping;

/// A configuration that the program reads as it is.
pub(super) fn toml(found: &Findings) -> String {
    let mut text = Toml(String::new());
    let (chats, count) = (&found.chats, found.count);
    text.comment(&format!(
        "Inferred from {} of about {count} documents in {}, and samples of {} other collections. Read it before you use it.",
        found.sampled, chats.collection, found.others
    ));
    key_format(&mut text, chats.key.as_ref());
    text.table("mongodb");
    text.value("chats", &chats.collection);
    if let Some(messages) = &found.messages {
        text.value("messages", &messages.collection);
    }
    let (object_ids, strings) = chats.forms;
    text.comment(&format!("{object_ids} participants are ObjectIds, {strings} are strings."));
    text.value("participants", if object_ids > strings { "object_id" } else { "string" });
    if let Some(path) = &chats.path {
        text.value("participant_path", path);
    }
    if let Some(id) = &chats.public_id {
        text.comment("An id beside _id, different in each chat: leave it out if clients do not know it.");
        text.value("id_field", &id.field);
        text.value("id_form", if id.is_uuid { "uuid" } else { "string" });
    }
    fields(&mut text, found);
    references(&mut text, &found.rows);
    inside(&mut text, found);
    text.0
}

fn key_format(text: &mut Toml, key: Option<&Key>) {
    text.table("store");
    let Some(key) = key else {
        text.comment("No field has the key of the participants: \"joined\" if a backend will go on writing sort().join(\"_\").");
        return text.value("key_format", "escaped");
    };
    text.comment(&format!(
        "{} of the sampled chats have a key in {}: {} agree with \"escaped\", {} with \"joined\".",
        key.stored, key.field, key.escaped, key.joined
    ));
    if key.escaped == 0 && key.joined == 0 {
        text.comment("UNKNOWN FORMAT: they are corrected by a backfill, in this one.");
    } else if key.escaped == key.joined {
        text.comment(
            "Where both agree, no id has _ or %; \"joined\" if a backend goes on writing sort().join(\"_\").",
        );
    }
    text.value("key_format", if key.joined > key.escaped { "joined" } else { "escaped" });
}

fn fields(text: &mut Toml, found: &Findings) {
    let (chats, default) = (&found.chats, Mapping::default());
    text.table("mongodb.chat_fields");
    text.value("participants", &chats.participants);
    match &chats.key {
        Some(key) => text.value("participants_key", &key.field),
        None => text.inferred("participants_key", None, &default.fields.participants_key),
    }
    text.inferred("created_at", chats.created_at.as_ref(), &default.fields.created_at);
    text.inferred("updated_at", chats.updated_at.as_ref(), &default.fields.updated_at);
    text.inferred("last_message_at", chats.last_message_at.as_ref(), &default.fields.last_message_at);
    let Some(messages) = &found.messages else {
        return text.comment("No collection looks like messages that name their chat.");
    };
    text.table("mongodb.message_fields");
    text.value("chat", &messages.chat);
    text.comment("In nearly all sampled rows this is somebody of the chat.");
    text.value("sender", &messages.sender);
    text.inferred("text", messages.text.as_ref(), &default.message_fields.text);
    let client = messages.client_message_id.as_ref();
    text.inferred("client_message_id", client, &default.message_fields.client_message_id);
    text.inferred("created_at", messages.created_at.as_ref(), &default.message_fields.created_at);
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
    if !found.inside.fields.is_empty() {
        text.table("migrate.fields");
        for (field, rule) in &found.inside.fields {
            text.value(&key(field), rule);
        }
    }
}

struct Toml(String);

impl Toml {
    fn line(&mut self, line: &str) {
        writeln!(self.0, "{line}").expect("a string takes all");
    }

    fn comment(&mut self, comment: &str) {
        self.line(&format!("# {}", comment.replace(char::is_control, " ")));
    }

    fn table(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    fn array(&mut self, name: &str) {
        self.line(&format!("\n[[{name}]]"));
    }

    fn value(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {}", quoted(value)));
    }

    /// What was found, or the default as a comment that says that nothing was.
    fn inferred(&mut self, name: &str, value: Option<&String>, default: &str) {
        match value {
            Some(value) => self.value(name, value),
            None => {
                self.comment(&format!("{name} = {}, the default: no field looks like it", quoted(default)));
            }
        }
    }

    fn rules(&mut self, rules: &BTreeMap<String, &'static str>) {
        let rules: Vec<String> =
            rules.iter().map(|(name, rule)| format!("{} = {}", key(name), quoted(rule))).collect();
        self.line(&format!("rules = {{ {} }}", rules.join(", ")));
    }
}

fn key(name: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A basic string of TOML is written as one of JSON, but for U+007F.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
