//! Documents as their fields in order, byte for byte what they were until a field is set.

use bson::{
    Bson, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf,
    raw::{CString, RawElement},
};
use sha2::{Digest as _, Sha256};

/// The fields of a document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(CString, RawBson)>);

impl Fields {
    pub(crate) fn read(document: &RawDocument) -> Result<Self, bson::error::Error> {
        let field = |element: Result<RawElement<'_>, bson::error::Error>| {
            let element = element?;
            Ok((CString::from(element.key()), RawBson::from(element.value()?)))
        };
        document.iter_elements().map(field).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RawBson)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawBson> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Like [`Fields::get`], but null is nothing.
    pub(crate) fn some(&self, name: &str) -> Option<&RawBson> {
        self.get(name).filter(|value| !is_null(value.as_raw_bson_ref()))
    }

    /// In the place of the field of that name, else at the end.
    pub(crate) fn set(&mut self, name: &str, value: RawBson) {
        if let Some((_, old)) = self.0.iter_mut().find(|(known, _)| known.as_str() == name) {
            *old = value;
            return;
        }
        let name = CString::try_from(name);
        let name = name.expect("names of fields come from documents or from a checked configuration");
        self.0.push((name, value));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known.as_str() != name);
    }

    pub(crate) fn build(&self) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        for (name, value) in &self.0 {
            document.append(name, value.as_raw_bson_ref());
        }
        document
    }
}

pub(crate) fn is_null(value: RawBsonRef<'_>) -> bool {
    matches!(value, RawBsonRef::Null | RawBsonRef::Undefined)
}

/// What a value is stored as: its type, then its bytes. Equal values of different types differ.
pub(crate) fn bytes_of(value: RawBsonRef<'_>) -> Vec<u8> {
    let mut document = RawDocumentBuf::new();
    document.append(bson::raw::cstr!(""), value);
    let bytes = document.into_bytes();
    bytes[4..bytes.len() - 1].to_vec()
}

pub(crate) fn same(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> bool {
    one.element_type() == other.element_type() && bytes_of(one) == bytes_of(other)
}

/// Whether the database calls the values equal: it does not tell 1 from 1.0.
pub(crate) fn are_equal(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> bool {
    same(as_indexed(one), as_indexed(other))
}

/// An index does not tell 1 from 1.0.
#[expect(clippy::cast_possible_truncation, reason = "only numbers are taken that come back as they were")]
#[expect(clippy::cast_precision_loss, reason = "only numbers are taken that come back as they were")]
pub(crate) fn as_indexed(value: RawBsonRef<'_>) -> RawBsonRef<'_> {
    match value {
        RawBsonRef::Int32(whole) => RawBsonRef::Int64(whole.into()),
        #[expect(clippy::float_cmp, reason = "exactly this is asked")]
        RawBsonRef::Double(number) if (number as i64) as f64 == number => RawBsonRef::Int64(number as i64),
        other => other,
    }
}

/// For people, and for comparisons that are not about bytes.
pub(crate) fn bson_of(value: RawBsonRef<'_>) -> Bson {
    Bson::try_from(value).unwrap_or(Bson::Undefined)
}

/// The elements of an array.
pub(crate) fn elements(value: RawBsonRef<'_>) -> Result<Option<Vec<RawBson>>, bson::error::Error> {
    let RawBsonRef::Array(array) = value else { return Ok(None) };
    array.into_iter().map(|element| element.map(RawBson::from)).collect::<Result<_, _>>().map(Some)
}

pub(crate) fn array<'a>(elements: impl IntoIterator<Item = &'a RawBson>) -> RawBson {
    RawBson::Array(elements.into_iter().map(RawBson::as_raw_bson_ref).collect::<RawArrayBuf>())
}

/// The value at a path through sub-documents.
pub(crate) fn value_at<'a>(document: &'a RawDocument, path: &str) -> Option<RawBsonRef<'a>> {
    match path.split_once('.') {
        Some((first, rest)) => value_at(document.get(first).ok()??.as_document()?, rest),
        None => document.get(path).ok()?,
    }
}

/// SHA-256 of the parts one after the other, in hexadecimal.
pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first eight bytes of SHA-256, as a number.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    let hash = Sha256::digest(bytes);
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
