//! The configuration of onechat that fits a shape.

use std::fmt::Write as _;

use crate::{People, PublicIds, Shape};

/// A configuration file for the data of this shape in the database that `store` names.
pub fn configuration(shape: &Shape, store: &str) -> String {
    let format = if shape.joined { "joined" } else { "escaped" };
    // A TOML string is escaped as JSON is.
    let mut text =
        format!("[store]\nurl = {}\nkey_format = \"{format}\"\n\n[mongodb]\n", serde_json::json!(store));
    if shape.people == People::ObjectIds {
        text.push_str("participants = \"object_id\"\n");
    }
    if let Some(path) = &shape.participant_path {
        let _ = writeln!(text, "participant_path = \"{path}\"");
    }
    match shape.public_ids {
        None => {}
        Some(PublicIds::Text) => text.push_str("id_field = \"id\"\nid_form = \"string\"\n"),
        Some(PublicIds::Uuid) => text.push_str("id_field = \"id\"\nid_form = \"uuid\"\n"),
    }
    text.push_str(MIGRATE);
    if shape.embedded {
        text.push_str(EMBEDDED);
    }
    text
}

const MIGRATE: &str = r#"
[migrate]
survivor = "oldest"

[[migrate.references]]
collection = "notifications"
field = "about.chat"

[[migrate.references]]
collection = "memberships"
field = "chatId"
participant = "userId"
rules = { unread = "sum", lastReadAt = "max" }

[[migrate.references]]
collection = "users"
field = "chats"

[[migrate.state]]
field = "unread"
form = "map"
rules = { "" = "sum" }

[migrate.fields]
messageCount = "sum"
title = "survivor"
"#;

const EMBEDDED: &str = r#"
[[migrate.embedded]]
field = "messages"
id = "_id"
time = "createdAt"
"#;
