//! Ids of chats as rows elsewhere have them: an ObjectId here may be its hexadecimal digits there.

use mongodb::bson::{Binary, Bson, RawBsonRef, oid::ObjectId, spec::BinarySubtype};

use crate::{codec::text_of, migration::survey::packed};

/// The same for all forms of one id, and for no other.
pub(crate) fn name_of(value: RawBsonRef<'_>) -> Vec<u8> {
    if let Some(text) = text_of(value) {
        return [b"t", text.as_bytes()].concat();
    }
    let number = match value {
        RawBsonRef::Int32(number) => Some(f64::from(number)),
        #[expect(clippy::cast_precision_loss, reason = "compared with what is cast alike")]
        RawBsonRef::Int64(number) => Some(number as f64),
        RawBsonRef::Double(number) => Some(number),
        _ => None,
    };
    match number {
        Some(number) => [b"n", &number.to_le_bytes()[..]].concat(),
        None => [&b"b"[..], &packed(value)].concat(),
    }
}

/// The id in every form in which it may be stored.
pub(crate) fn forms(value: &Bson) -> Vec<Bson> {
    let mut forms = vec![value.clone()];
    match value {
        Bson::ObjectId(id) => forms.push(Bson::String(id.to_hex())),
        Bson::String(text) => {
            let id = ObjectId::parse_str(text).ok().filter(|id| id.to_hex() == *text);
            forms.extend(id.map(Bson::ObjectId));
            let uuid = uuid::Uuid::try_parse(text).ok().filter(|uuid| uuid.to_string() == *text);
            forms.extend(uuid.map(|uuid| {
                Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: uuid.as_bytes().to_vec() })
            }));
        }
        Bson::Binary(binary) => {
            forms.extend(uuid::Uuid::from_slice(&binary.bytes).ok().map(|uuid| uuid.to_string().into()));
        }
        _ => {}
    }
    forms
}

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
