//! A plan as one line of text: canonical extended JSON, in which every value keeps its type and every field its
//! place, so that what is read back is what was planned.

use bson::{Bson, Document};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};

use crate::GroupPlan;

/// Why a line is no plan, or a plan no line.
#[derive(Debug, thiserror::Error)]
pub enum PlanLineError {
    /// It cannot be understood.
    #[error("this is no plan of a group: {0}")]
    Unreadable(String),
    /// What would be read back is another plan.
    #[error(
        "the plan of {key:?} has a document that text cannot hold exactly (a field twice, or one named like a type of \
         extended JSON): merge this group without a file"
    )]
    Inexact {
        /// The group's key.
        key: String,
    },
}

impl GroupPlan {
    /// The plan in one line, without the line's end.
    pub fn to_line(&self) -> Result<String, PlanLineError> {
        let inexact = || PlanLineError::Inexact { key: self.key.clone() };
        let document = bson::serialize_to_bson(self).map_err(|_| inexact())?;
        let line = serde_json::to_string(&Canonical(&document)).map_err(|_| inexact())?;
        // Compared, not argued: a plan that is applied must be the one that was reviewed.
        if Self::from_line(&line).ok().as_ref() == Some(self) { Ok(line) } else { Err(inexact()) }
    }

    /// Reads a line back.
    pub fn from_line(line: &str) -> Result<Self, PlanLineError> {
        let unreadable = |error: &dyn ToString| PlanLineError::Unreadable(error.to_string());
        let document: Document = serde_json::from_str(line).map_err(|error| unreadable(&error))?;
        bson::deserialize_from_document(document).map_err(|error| unreadable(&error))
    }
}

/// Numbers with their types; everything else has its type in the driver's own form.
struct Canonical<'a>(&'a Bson);

impl Serialize for Canonical<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let typed = |serializer: S, name: &str, value: String| {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(name, &value)?;
            map.end()
        };
        match self.0 {
            Bson::Int32(number) => typed(serializer, "$numberInt", number.to_string()),
            Bson::Int64(number) => typed(serializer, "$numberLong", number.to_string()),
            Bson::Double(number) if number.is_nan() => typed(serializer, "$numberDouble", "NaN".to_owned()),
            Bson::Double(number) if number.is_infinite() => {
                let sign = if *number < 0.0 { "-" } else { "" };
                typed(serializer, "$numberDouble", format!("{sign}Infinity"))
            }
            Bson::Double(number) => typed(serializer, "$numberDouble", number.to_string()),
            Bson::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(&Canonical(item))?;
                }
                sequence.end()
            }
            Bson::Document(document) => {
                let mut map = serializer.serialize_map(Some(document.len()))?;
                for (name, value) in document {
                    map.serialize_entry(name, &Canonical(value))?;
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Binary, DateTime, Decimal128, RawDocumentBuf, doc, oid::ObjectId, spec::BinarySubtype};

    use super::*;
    use crate::{Conflict, LoserPlan, Move, RowEdit};

    fn plan(survivor_after: RawDocumentBuf) -> GroupPlan {
        let edit = RowEdit {
            collection: "messages".to_owned(),
            id: Bson::Int64(7),
            before: survivor_after.clone(),
            after: None,
            reason: "said twice\nby \"alice\"".to_owned(),
        };
        let lost = Conflict {
            field: "chats.title".to_owned(),
            kept: Bson::String("a".to_owned()),
            dropped: vec![(Bson::Int32(1), Bson::Double(2.0))],
        };
        GroupPlan {
            key: "alice_bob".to_owned(),
            participants: vec!["alice".to_owned(), "bob".to_owned()],
            survivor: ObjectId::from_bytes([7; 12]).into(),
            survivor_public_id: "07".repeat(12),
            survivor_fingerprint: "ab".repeat(32),
            survivor_after: Some(survivor_after),
            losers: vec![LoserPlan {
                id: Bson::String("8".to_owned()),
                public_id: "8".to_owned(),
                fingerprint: "cd".repeat(32),
            }],
            moves: vec![Move {
                collection: "messages".to_owned(),
                field: "chatId".to_owned(),
                from: Bson::String("8".to_owned()),
                to: Bson::String("7".to_owned()),
                rows: 3_000_000_000,
            }],
            edits: vec![edit],
            conflicts: vec![lost],
            repeats: vec![("messages".to_owned(), 2)],
        }
    }

    #[test]
    fn every_type_and_the_order_of_fields_survive_the_text() {
        let document = doc! {
            "z": 1_i32, "a": 1_i64, "m": 1.0, "nan": f64::INFINITY, "minus zero": -0.0, "small": 5e-324,
            "at": DateTime::from_millis(-1), "when": DateTime::from_millis(1_700_000_000_123),
            "id": ObjectId::from_bytes([9; 12]), "nothing": Bson::Null, "yes": true,
            "decimal": "1.20".parse::<Decimal128>().unwrap(),
            "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] },
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] },
            "stamp": bson::Timestamp { time: 7, increment: 9 },
            "pattern": bson::Regex::from_strings("^a/b", "i").unwrap(),
            "least": Bson::MinKey, "most": Bson::MaxKey, "undefined": Bson::Undefined,
            "symbol": Bson::Symbol("s".to_owned()), "code": Bson::JavaScriptCode("f()".to_owned()),
            "list": [1_i32, { "b": 2_i64, "a": ["x\u{2028}\u{0}y"] }], "😀": "é",
        };
        let plan = plan(RawDocumentBuf::try_from(&document).unwrap());
        let line = plan.to_line().unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(GroupPlan::from_line(&line).unwrap(), plan);
    }

    #[test]
    fn what_text_cannot_hold_is_refused_rather_than_changed() {
        let twice = b"\x13\x00\x00\x00\x10a\x00\x01\x00\x00\x00\x10a\x00\x02\x00\x00\x00\x00";
        let twice = RawDocumentBuf::from_bytes(twice.to_vec()).unwrap();
        assert!(matches!(plan(twice).to_line(), Err(PlanLineError::Inexact { .. })));
        let imitation = doc! { "id": { "$oid": "07".repeat(12) } };
        let imitation = RawDocumentBuf::try_from(&imitation).unwrap();
        assert!(matches!(plan(imitation).to_line(), Err(PlanLineError::Inexact { .. })));
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for line in ["", "{}", "[]", "{\"key\": 1}", "nonsense"] {
            assert!(matches!(GroupPlan::from_line(line), Err(PlanLineError::Unreadable(_))), "{line}");
        }
    }
}
