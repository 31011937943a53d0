//! BSON in files that people read: canonical extended JSON, and besides it the bytes where JSON would lose some.
//!
//! A value that comes back from its JSON byte for byte is written as that alone. Any other (a field that is there
//! twice, an unusual NaN, a field called `$oid`) is written as `{"$bson": its bytes, "$readable": its JSON}`.

use bson::{Bson, RawBson, RawBsonRef, RawDocumentBuf, raw::cstr, spec::BinarySubtype};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::Error as _,
    ser::{Error as _, SerializeMap as _},
};

use crate::fields::{bson_of, same};

const BYTES: &str = "$bson";
const READABLE: &str = "$readable";

/// For [`RawDocumentBuf`].
pub(crate) mod document {
    use super::{Deserialize, Deserializer, Exact, Read, Serialize, Serializer};
    use bson::{RawBsonRef, RawDocumentBuf};

    pub(crate) fn serialize<S: Serializer>(
        document: &RawDocumentBuf,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Exact(RawBsonRef::Document(document)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<RawDocumentBuf, D::Error> {
        Read::deserialize(deserializer)?.document()
    }
}

/// For an [`Option`] of [`RawDocumentBuf`].
pub(crate) mod optional_document {
    use super::{Deserialize, Deserializer, Exact, Read, Serialize, Serializer};
    use bson::{RawBsonRef, RawDocumentBuf};

    #[expect(clippy::ref_option, reason = "serde hands the field over like this")]
    pub(crate) fn serialize<S: Serializer>(
        document: &Option<RawDocumentBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        document.as_ref().map(|document| Exact(RawBsonRef::Document(document))).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<RawDocumentBuf>, D::Error> {
        Option::<Read>::deserialize(deserializer)?.map(Read::document).transpose()
    }
}

/// For [`Bson`].
pub(crate) mod value {
    use super::{Bson, Deserialize, Deserializer, Read, Serialize, Serializer, Value};

    pub(crate) fn serialize<S: Serializer>(value: &Bson, serializer: S) -> Result<S::Ok, S::Error> {
        Value(value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bson, D::Error> {
        Read::deserialize(deserializer).map(Read::value)
    }
}

/// For pairs of [`Bson`].
pub(crate) mod pairs {
    use super::{Bson, Deserialize, Deserializer, Read, Serializer, Value};

    pub(crate) fn serialize<S: Serializer>(pairs: &[(Bson, Bson)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(pairs.iter().map(|(one, other)| (Value(one), Value(other))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(Bson, Bson)>, D::Error> {
        let pairs = Vec::<(Read, Read)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().map(|(one, other)| (one.value(), other.value())).collect())
    }
}

struct Value<'a>(&'a Bson);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawBson::try_from(self.0.clone()).map_err(S::Error::custom)?;
        Exact(raw.as_raw_bson_ref()).serialize(serializer)
    }
}

/// Written so that it comes back byte for byte.
struct Exact<'a>(RawBsonRef<'a>);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let readable = Readable(self.0);
        let text = serde_json::to_string(&readable).map_err(S::Error::custom)?;
        let read = serde_json::from_str::<Read>(&text);
        if read.is_ok_and(|read| same(read.0.as_raw_bson_ref(), self.0)) {
            return readable.serialize(serializer);
        }
        let mut envelope = RawDocumentBuf::new();
        envelope.append(cstr!(""), self.0);
        let bytes = bson::Binary { subtype: BinarySubtype::Generic, bytes: envelope.into_bytes() };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(BYTES, &Bson::Binary(bytes).into_canonical_extjson())?;
        map.serialize_entry(READABLE, &text)?;
        map.end()
    }
}

/// As canonical extended JSON, the fields in their order.
struct Readable<'a>(RawBsonRef<'a>);

impl Serialize for Readable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RawBsonRef::Document(document) => {
                let mut map = serializer.serialize_map(None)?;
                for field in document {
                    let (name, value) = field.map_err(S::Error::custom)?;
                    map.serialize_entry(name.as_str(), &Readable(value))?;
                }
                map.end()
            }
            RawBsonRef::Array(array) => {
                let elements = array.into_iter().collect::<Result<Vec<_>, _>>().map_err(S::Error::custom)?;
                serializer.collect_seq(elements.into_iter().map(Readable))
            }
            leaf => {
                Bson::try_from(leaf).map_err(S::Error::custom)?.into_canonical_extjson().serialize(serializer)
            }
        }
    }
}

/// What was written by [`Exact`].
struct Read(RawBson);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Bson::deserialize(deserializer)?;
        if let Bson::Document(document) = &value
            && let (2, Ok(bytes)) = (document.len(), document.get_binary_generic(BYTES))
            && document.contains_key(READABLE)
        {
            let envelope = RawDocumentBuf::from_bytes(bytes.clone()).map_err(D::Error::custom)?;
            let value = envelope.get("").map_err(D::Error::custom)?;
            return value.map(|value| Self(value.into())).ok_or_else(|| D::Error::missing_field(BYTES));
        }
        RawBson::try_from(value).map(Self).map_err(D::Error::custom)
    }
}

impl Read {
    fn value(self) -> Bson {
        bson_of(self.0.as_raw_bson_ref())
    }

    fn document<E: serde::de::Error>(self) -> Result<RawDocumentBuf, E> {
        match self.0 {
            RawBson::Document(document) => Ok(document),
            _ => Err(E::custom("a document is expected here")),
        }
    }
}
