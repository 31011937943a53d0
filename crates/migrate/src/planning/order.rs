//! A total order over BSON values: what planning sorts by, so that a plan does not depend on the order of documents.
//!
//! MongoDB's order of types; within numbers by value. What MongoDB calls equal (`1` and `1.0`) is ordered by type.

use std::cmp::Ordering;

use bson::{RawBsonRef, RawDocument};

use crate::fields::bytes_of;

pub(super) fn compare(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> Ordering {
    within_rank(one, other)
        .unwrap_or_else(|| rank(one).cmp(&rank(other)))
        .then_with(|| (one.element_type() as u8).cmp(&(other.element_type() as u8)))
        .then_with(|| bytes_of(one).cmp(&bytes_of(other)))
}

/// Where MongoDB sorts a value's type. Values of one rank can be compared by a rule.
pub(super) fn rank(value: RawBsonRef<'_>) -> u8 {
    match value {
        RawBsonRef::MinKey => 0,
        RawBsonRef::Undefined | RawBsonRef::Null => 1,
        RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_) | RawBsonRef::Decimal128(_) => 2,
        RawBsonRef::String(_) | RawBsonRef::Symbol(_) => 3,
        RawBsonRef::Document(_) => 4,
        RawBsonRef::Array(_) => 5,
        RawBsonRef::Binary(_) => 6,
        RawBsonRef::ObjectId(_) => 7,
        RawBsonRef::Boolean(_) => 8,
        RawBsonRef::DateTime(_) => 9,
        RawBsonRef::Timestamp(_) => 10,
        RawBsonRef::RegularExpression(_) => 11,
        RawBsonRef::DbPointer(_) => 12,
        RawBsonRef::JavaScriptCode(_) | RawBsonRef::JavaScriptCodeWithScope(_) => 13,
        RawBsonRef::MaxKey => 14,
    }
}

/// Nothing if the ranks differ.
fn within_rank(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> Option<Ordering> {
    use RawBsonRef::{
        Array, Binary, Boolean, DateTime, Document, Int32, Int64, ObjectId, String, Symbol, Timestamp,
    };
    let ordering = match (one, other) {
        (Int32(_) | Int64(_), Int32(_) | Int64(_)) => whole(one).cmp(&whole(other)),
        (String(one) | Symbol(one), String(other) | Symbol(other)) => one.cmp(other),
        (Document(one), Document(other)) => documents(one, other),
        (Array(one), Array(other)) => {
            elements(one.into_iter(), other.into_iter(), |one, other| compare(one, other))
        }
        (Binary(one), Binary(other)) => one
            .bytes
            .len()
            .cmp(&other.bytes.len())
            .then_with(|| u8::from(one.subtype).cmp(&u8::from(other.subtype)))
            .then_with(|| one.bytes.cmp(other.bytes)),
        (ObjectId(one), ObjectId(other)) => one.bytes().cmp(&other.bytes()),
        (Boolean(one), Boolean(other)) => one.cmp(&other),
        (DateTime(one), DateTime(other)) => one.cmp(&other),
        (Timestamp(one), Timestamp(other)) => (one.time, one.increment).cmp(&(other.time, other.increment)),
        _ if rank(one) == 2 && rank(other) == 2 => number(one).total_cmp(&number(other)),
        _ if rank(one) == rank(other) => Ordering::Equal,
        _ => return None,
    };
    Some(ordering)
}

fn documents(one: &RawDocument, other: &RawDocument) -> Ordering {
    elements(one.iter(), other.iter(), |(one_name, one), (other_name, other)| {
        rank(one)
            .cmp(&rank(other))
            .then_with(|| one_name.as_str().cmp(other_name.as_str()))
            .then_with(|| compare(one, other))
    })
}

/// Element by element; what cannot be read sorts last, and among itself by the bytes, which the caller compares.
fn elements<T, E>(
    mut one: impl Iterator<Item = Result<T, E>>,
    mut other: impl Iterator<Item = Result<T, E>>,
    compare: impl Fn(T, T) -> Ordering,
) -> Ordering {
    loop {
        let ordering = match (one.next(), other.next()) {
            (Some(Ok(one)), Some(Ok(other))) => compare(one, other),
            (None, Some(Ok(_) | Err(_))) | (Some(Ok(_)), Some(Err(_))) => Ordering::Less,
            (Some(Ok(_)), None) | (Some(Err(_)), Some(Ok(_)) | None) => Ordering::Greater,
            (None, None) | (Some(Err(_)), Some(Err(_))) => return Ordering::Equal,
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

fn whole(value: RawBsonRef<'_>) -> i64 {
    match value {
        RawBsonRef::Int32(value) => value.into(),
        RawBsonRef::Int64(value) => value,
        _ => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the type and the bytes tell apart what rounding makes equal")]
fn number(value: RawBsonRef<'_>) -> f64 {
    match value {
        RawBsonRef::Double(value) => value,
        RawBsonRef::Decimal128(value) => value.to_string().parse().unwrap_or(f64::NAN),
        value => whole(value) as f64,
    }
}
