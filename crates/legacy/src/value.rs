//! Values as the database has them, and the same as text.

use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, oid::ObjectId, spec::BinarySubtype,
};
use sha2::{Digest as _, Sha256};

use crate::{LegacyError, chance::uuid_text};

/// An id as the API would write it; nothing if it is none.
pub(crate) fn text_of(value: &Bson) -> Option<String> {
    match value {
        Bson::ObjectId(id) => Some(id.to_hex()),
        Bson::String(text) => Some(text.clone()),
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }) => Some(uuid_text(bytes)),
        _ => None,
    }
}

/// Who takes part in a chat, sorted and each once; nothing if its participants are no set.
pub(crate) fn people(chat: &RawDocument, path: Option<&str>) -> Option<Vec<String>> {
    let mut people = Vec::new();
    for member in chat.get_array("participants").ok()? {
        let mut member = Bson::try_from(member.ok()?).ok()?;
        for name in path.iter().flat_map(|path| path.split('.')) {
            member = member.as_document()?.get(name)?.clone();
        }
        people.push(text_of(&member).filter(|person| !person.is_empty())?);
    }
    sort(&mut people);
    (!people.is_empty()).then_some(people)
}

/// As JavaScript sorts, each once.
pub(crate) fn sort(people: &mut Vec<String>) {
    people.sort_by_key(|person| person.encode_utf16().collect::<Vec<_>>());
    people.dedup();
}

/// The value of a field as text.
pub(crate) fn text_at(document: &RawDocument, field: &str) -> Option<String> {
    let value = document.get(field).ok().flatten()?;
    text_of(&Bson::try_from(value).ok()?)
}

/// A whole number, however wide.
pub(crate) fn whole(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "a counter that became a double still counts")]
        RawBsonRef::Double(number) => Some(number as i64),
        _ => None,
    }
}

pub(crate) fn date(at_ms: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(at_ms))
}

/// An ObjectId from its text; a string if it is another text.
pub(crate) fn id_from(text: &str) -> Bson {
    ObjectId::parse_str(text).map_or_else(|_| Bson::String(text.to_owned()), Bson::ObjectId)
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A hash of a document without its key: what a migration may not change on a chat that stands alone.
pub(crate) fn digest(document: &RawDocument) -> Result<String, LegacyError> {
    let mut rest = Document::try_from(document)?;
    rest.remove("participantsKey");
    let hash = Sha256::digest(mongodb::bson::RawDocumentBuf::try_from(&rest)?.as_bytes());
    Ok(hex(&hash[..12]))
}
