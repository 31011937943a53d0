//! One value out of several, by a rule.

use bson::{RawBson, RawBsonRef};

use super::order::{compare, rank};
use crate::{
    FieldRule,
    fields::{array, elements, same},
};

/// The value that the rule makes of `values`, which are not null and of which the first is the survivor's if it has
/// one; or why it makes none.
pub(super) fn combine(rule: FieldRule, values: &[&RawBson]) -> Result<RawBson, String> {
    if let [only] = values {
        return Ok((*only).clone());
    }
    match rule {
        FieldRule::Max => extreme(values, |new, best| compare(new, best).is_gt()),
        FieldRule::Min => extreme(values, |new, best| compare(new, best).is_lt()),
        FieldRule::Sum => sum(values),
        FieldRule::Union => union(values),
        FieldRule::Survivor => Ok(values[0].clone()),
        FieldRule::Recompute => Err("cannot be recomputed here".to_owned()),
    }
}

fn extreme(
    values: &[&RawBson],
    is_better: impl Fn(RawBsonRef<'_>, RawBsonRef<'_>) -> bool,
) -> Result<RawBson, String> {
    let mut best = values[0];
    for &value in values {
        let (new, old) = (value.as_raw_bson_ref(), best.as_raw_bson_ref());
        if rank(new) != rank(old) || matches!(new, RawBsonRef::Array(_) | RawBsonRef::Document(_)) {
            return Err(format!("{value:?} and {best:?} cannot be compared"));
        }
        if is_better(new, old) {
            best = value;
        }
    }
    Ok(best.clone())
}

/// In the widest type of the numbers; a sum that this type cannot hold would be a wrong number.
#[expect(clippy::cast_precision_loss, reason = "a double among the numbers makes a double of all of them")]
fn sum(values: &[&RawBson]) -> Result<RawBson, String> {
    let too_large = || format!("the sum of {values:?} is too large for its type");
    let (mut whole, mut broken) = (0_i128, 0_f64);
    let (mut is_long, mut is_double) = (false, false);
    for value in values {
        match value {
            RawBson::Int32(value) => whole += i128::from(*value),
            RawBson::Int64(value) => {
                whole += i128::from(*value);
                is_long = true;
            }
            RawBson::Double(value) => {
                broken += value;
                is_double = true;
            }
            other => return Err(format!("{other:?} is no number that can be added")),
        }
    }
    if is_double {
        let sum = broken + whole as f64;
        return if sum.is_finite() { Ok(RawBson::Double(sum)) } else { Err(too_large()) };
    }
    if is_long {
        return i64::try_from(whole).map(RawBson::Int64).map_err(|_| too_large());
    }
    i32::try_from(whole).map(RawBson::Int32).map_err(|_| too_large())
}

fn union(values: &[&RawBson]) -> Result<RawBson, String> {
    let mut united: Vec<RawBson> = Vec::new();
    for value in values {
        let elements = elements(value.as_raw_bson_ref()).map_err(|error| error.to_string())?;
        for element in elements.ok_or_else(|| format!("{value:?} is no array"))? {
            if !united.iter().any(|known| same(known.as_raw_bson_ref(), element.as_raw_bson_ref())) {
                united.push(element);
            }
        }
    }
    Ok(array(&united))
}

/// A counter with the value `count`, of the type of `like`.
#[expect(clippy::cast_precision_loss, reason = "no chat has 2^53 messages")]
pub(super) fn counter(count: u64, like: &RawBson) -> Result<RawBson, String> {
    let too_large = |_| format!("{count} messages are too many for a counter of its type");
    match like {
        RawBson::Int32(_) => i32::try_from(count).map(RawBson::Int32).map_err(too_large),
        RawBson::Int64(_) => i64::try_from(count).map(RawBson::Int64).map_err(too_large),
        RawBson::Double(_) => Ok(RawBson::Double(count as f64)),
        other => Err(format!("{other:?} is no counter")),
    }
}
