//! The texts that stand for ids, people and contexts, in whatever form documents have them.

use bson::{Binary, RawBson, RawBsonRef, oid::ObjectId, spec::BinarySubtype};

/// The order of bytes in which a legacy driver writes a UUID (binary, subtype 3). The value itself does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidOrder {
    /// Both halves from the last byte to the first.
    Java,
    /// The first three parts from the last byte to the first, as in a GUID.
    CSharp,
    /// As it is written.
    Python,
}

impl UuidOrder {
    /// The bytes of a UUID in this order; and back, since each order is its own opposite.
    #[must_use]
    pub fn turned(self, mut bytes: [u8; 16]) -> [u8; 16] {
        match self {
            Self::Java => {
                bytes[..8].reverse();
                bytes[8..].reverse();
            }
            Self::CSharp => {
                bytes[..4].reverse();
                bytes[4..6].reverse();
                bytes[6..8].reverse();
            }
            Self::Python => {}
        }
        bytes
    }
}

/// The greatest number up to which doubles are whole numbers without gaps.
const MOST_OF_DOUBLES: f64 = 9_007_199_254_740_992.0;

/// An id, in whatever form a document has it, as the text that stands for it outside.
#[must_use]
pub fn text_of(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::String(text) => Some(text.to_owned()),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            binary.bytes.try_into().ok().map(|bytes| bson::Uuid::from_bytes(bytes).to_string())
        }
        _ => None,
    }
}

/// Who somebody is, or what a chat is about, as the text that stands for it outside: what [`text_of`] reads, whole numbers,
/// and legacy UUIDs if their order is known.
#[must_use]
pub fn name_of(value: RawBsonRef<'_>, uuids: Option<UuidOrder>) -> Option<String> {
    match value {
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::UuidOld => {
            let bytes = uuids?.turned(binary.bytes.try_into().ok()?);
            Some(bson::Uuid::from_bytes(bytes).to_string())
        }
        _ => text_of(value).or_else(|| number_of(value).map(|number| number.to_string())),
    }
}

/// The whole number that a value is, of whichever type of numbers.
#[must_use]
pub fn number_of(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number in this range is one")]
        RawBsonRef::Double(number) if number.fract() == 0.0 && number.abs() <= MOST_OF_DOUBLES => {
            Some(number as i64)
        }
        _ => None,
    }
}

/// The value that stands for this text in the form of `model`; nothing if that form has none for it.
#[must_use]
pub fn written_like(model: RawBsonRef<'_>, text: &str, uuids: Option<UuidOrder>) -> Option<RawBson> {
    let uuid = || bson::Uuid::parse_str(text).ok().filter(|uuid| uuid.to_string() == text);
    let binary = |subtype, bytes: [u8; 16]| RawBson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    match model {
        RawBsonRef::String(_) => Some(RawBson::String(text.to_owned())),
        RawBsonRef::ObjectId(_) => {
            ObjectId::parse_str(text).ok().filter(|id| id.to_hex() == text).map(RawBson::ObjectId)
        }
        RawBsonRef::Binary(model) if model.subtype == BinarySubtype::UuidOld => {
            Some(binary(model.subtype, uuids?.turned(uuid()?.bytes())))
        }
        RawBsonRef::Binary(_) => Some(binary(BinarySubtype::Uuid, uuid()?.bytes())),
        RawBsonRef::Int32(_) => {
            let number = number_in(text)?;
            Some(i32::try_from(number).map_or(RawBson::Int64(number), RawBson::Int32))
        }
        RawBsonRef::Int64(_) => number_in(text).map(RawBson::Int64),
        #[expect(clippy::cast_precision_loss, reason = "no number is taken that loses any")]
        RawBsonRef::Double(_) => number_in(text)
            .filter(|number| number.unsigned_abs() <= 1 << 53)
            .map(|number| RawBson::Double(number as f64)),
        _ => None,
    }
}

/// The number that a text is written as, if it is written like that and in no other way.
#[must_use]
pub fn number_in(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use bson::{RawBinaryRef, RawBson};

    use super::*;

    #[test]
    fn a_legacy_uuid_is_read_in_the_order_of_its_driver_and_not_at_all_without() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let orders = [
            (UuidOrder::Java, "7766554433221100ffeeddccbbaa9988"),
            (UuidOrder::CSharp, "33221100554477668899aabbccddeeff"),
            (UuidOrder::Python, "00112233445566778899aabbccddeeff"),
        ];
        for (order, stored) in orders {
            let byte = |at: usize| u8::from_str_radix(&stored[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..32).step_by(2).map(byte).collect();
            let value = RawBsonRef::Binary(RawBinaryRef { subtype: BinarySubtype::UuidOld, bytes: &bytes });
            assert_eq!(name_of(value, Some(order)).as_deref(), Some(text), "{order:?}");
            assert_eq!((name_of(value, None), text_of(value)), (None, None));
        }
    }

    #[test]
    fn whole_numbers_have_one_text_whatever_their_type() {
        for value in [RawBson::Int32(42), RawBson::Int64(42), RawBson::Double(42.0)] {
            assert_eq!(name_of(value.as_raw_bson_ref(), None).as_deref(), Some("42"), "{value:?}");
            assert_eq!(text_of(value.as_raw_bson_ref()), None, "{value:?} is no text");
        }
        assert_eq!(name_of(RawBsonRef::Double(-0.0), None).as_deref(), Some("0"));
        for value in [0.5, f64::NAN, f64::INFINITY, 1e300, 9.3e18] {
            assert_eq!(name_of(RawBsonRef::Double(value), None), None, "{value}");
        }
        assert_eq!((number_in("42"), number_in("-7")), (Some(42), Some(-7)));
        for text in ["042", "+42", "4.0", "", "9223372036854775808"] {
            assert_eq!(number_in(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_id_is_written_in_the_form_of_another_one_or_not_at_all() {
        let (uuid, order) = ("00112233-4455-6677-8899-aabbccddeeff", Some(UuidOrder::CSharp));
        let binary = |subtype| RawBson::Binary(Binary { subtype, bytes: vec![0; 16] });
        let id = ObjectId::from_bytes([7; 12]);
        let models = [
            (RawBson::String(String::new()), uuid),
            (RawBson::ObjectId(ObjectId::from_bytes([0; 12])), &id.to_hex()),
            (binary(BinarySubtype::Uuid), uuid),
            (binary(BinarySubtype::UuidOld), uuid),
            (RawBson::Int32(0), "42"),
            (RawBson::Int64(0), "-42"),
            (RawBson::Double(0.0), "42"),
        ];
        for (model, text) in &models {
            let written = written_like(model.as_raw_bson_ref(), text, order).unwrap();
            assert_eq!(written.element_type(), model.element_type());
            assert_eq!(name_of(written.as_raw_bson_ref(), order).as_deref(), Some(*text), "{model:?}");
        }
        for (model, _) in models.iter().skip(1) {
            assert_eq!(written_like(model.as_raw_bson_ref(), "dm_a_b", order), None, "{model:?}");
        }
        assert_eq!(written_like(binary(BinarySubtype::UuidOld).as_raw_bson_ref(), uuid, None), None);
        let large = written_like(RawBsonRef::Int32(0), "3000000000", None);
        assert_eq!(large, Some(RawBson::Int64(3_000_000_000)), "larger than the form can hold, and equal");
        assert_eq!(written_like(RawBsonRef::Double(0.0), "9007199254740993", None), None);
    }
}
