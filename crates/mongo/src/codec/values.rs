//! Values as documents have them, and what they stand for.

use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawBson, RawBsonRef, RawDocument, oid::ObjectId, spec::BinarySubtype,
};
use onechat_core::Timestamp;
use onechat_migrate::UuidOrder;
use serde_json::Value;

use crate::migration::survey::packed;

pub(crate) use onechat_migrate::text_of;

/// A moment as documents have it.
pub(crate) fn date(at: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(at.unix_ms()))
}

/// The `_id` that an id of ours stands for.
pub(crate) fn id_value(id: &str) -> Bson {
    object_id(id).map_or_else(|| Bson::String(id.to_owned()), Bson::ObjectId)
}

/// Every form in which a document may have this text as an id: what [`text_of`] reads.
pub(crate) fn forms_of(text: &str) -> Vec<Bson> {
    let mut forms = vec![Bson::String(text.to_owned())];
    forms.extend(object_id(text).map(Bson::ObjectId));
    forms.extend(uuid(text).map(Bson::Binary));
    forms
}

/// Every form in which a document may name somebody by this text: what [`onechat_migrate::name_of`] reads. A number is
/// equal to itself whatever its type.
pub(super) fn forms_of_name(text: &str, uuids: Option<UuidOrder>) -> Vec<Bson> {
    let mut forms = forms_of(text);
    forms.extend(onechat_migrate::number_in(text).map(Bson::Int64));
    forms.extend(uuids.and_then(|order| legacy_uuid(text, order)).map(Bson::Binary));
    forms
}

/// Everything by which rows may name what has this id.
pub(crate) fn names(id: &Bson, uuids: Option<UuidOrder>) -> Vec<Bson> {
    let text = with_raw(id, |id| onechat_migrate::name_of(id, uuids));
    let mut names = text.map(|text| forms_of_name(&text, uuids)).unwrap_or_default();
    // A number is equal to itself whatever its type.
    let is_number = with_raw(id, onechat_migrate::number_of).is_some();
    if !is_number && !names.contains(id) {
        names.push(id.clone());
    }
    names
}

/// The same bytes for all forms of one id, and for no other.
pub(crate) fn same_name(value: RawBsonRef<'_>, uuids: Option<UuidOrder>) -> Vec<u8> {
    match onechat_migrate::name_of(value, uuids) {
        Some(text) => [b"t", text.as_bytes()].concat(),
        None => [&b"b"[..], &packed(value)].concat(),
    }
}

/// What is read from a value.
pub(crate) fn with_raw<T>(value: &Bson, read: impl FnOnce(RawBsonRef<'_>) -> Option<T>) -> Option<T> {
    let value = RawBson::try_from(value.clone()).ok()?;
    read(value.as_raw_bson_ref())
}

pub(crate) fn field<'a>(document: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    document.get(name).ok().flatten()
}

/// The value at a path through sub-documents.
pub(crate) fn field_at<'a>(document: &'a RawDocument, path: &str) -> Option<RawBsonRef<'a>> {
    match path.split_once('.') {
        Some((first, rest)) => field_at(field(document, first)?.as_document()?, rest),
        None => field(document, path),
    }
}

/// The field at the top of the document that a path leads into.
pub(crate) fn root(path: &str) -> &str {
    path.split_once('.').map_or(path, |(root, _)| root)
}

/// The value in sub-documents along the path. The last of them is a reference (`DBRef`), to a document of this collection,
/// if the path ends in its `$id`.
pub(super) fn nested(path: &str, value: Bson, collection: Option<&str>) -> Bson {
    path.rsplit('.').fold(value, |value, name| {
        let mut document = Document::new();
        if name == "$id" {
            document.extend(collection.map(|collection| ("$ref".to_owned(), collection.into())));
        }
        document.insert(name, value);
        document.into()
    })
}

/// Sets the value at a path in a new document.
pub(super) fn set_at(document: &mut Document, path: &str, value: Bson, collection: Option<&str>) {
    match path.split_once('.') {
        Some((root, rest)) => document.insert(root, nested(rest, value, collection)),
        None => document.insert(path, value),
    };
}

/// Only the one text that an ObjectId is written as outside: `ABC…` and `abc…` are different participants.
pub(crate) fn object_id(text: &str) -> Option<ObjectId> {
    ObjectId::parse_str(text).ok().filter(|id| id.to_hex() == text)
}

pub(crate) fn uuid(text: &str) -> Option<Binary> {
    Some(Binary { subtype: BinarySubtype::Uuid, bytes: uuid_bytes(text)?.to_vec() })
}

/// The same as a legacy driver writes it (subtype 3).
pub(crate) fn legacy_uuid(text: &str, order: UuidOrder) -> Option<Binary> {
    let bytes = order.turned(uuid_bytes(text)?).to_vec();
    Some(Binary { subtype: BinarySubtype::UuidOld, bytes })
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let uuid = uuid::Uuid::try_parse(text).ok().filter(|uuid| uuid.to_string() == text)?;
    Some(uuid.into_bytes())
}

/// When a document without a date was made, as far as its id tells.
pub(crate) fn age(document_id: &Bson) -> Timestamp {
    let ms = document_id.as_object_id().map_or(0, |id| id.timestamp().timestamp_millis());
    Timestamp::from_unix_ms(ms).expect("the time of an ObjectId is between 1970 and 2106")
}

pub(super) fn to_bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(values) => values.iter().map(to_bson).collect::<Vec<_>>().into(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), to_bson(value))).collect::<Document>().into()
        }
    }
}
