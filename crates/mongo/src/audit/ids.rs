//! Ids of chats as people read them.

use mongodb::bson::Bson;

/// An id of any form, for people.
pub(crate) fn shown(value: &Bson) -> String {
    match value {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) => text.clone(),
        Bson::Binary(binary) => match uuid::Uuid::from_slice(&binary.bytes) {
            Ok(uuid) => uuid.to_string(),
            Err(_) => format!("{:?}", binary.bytes),
        },
        Bson::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}
