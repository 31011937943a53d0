//! Rows that are counted within each chat: those of the losers are counted on from the survivor's last one.
//!
//! The survivor's rows keep their numbers: readers hold them, and with a unique index no two rows could change numbers.

use bson::{RawBson, RawBsonRef, RawDocumentBuf};

use super::{
    order::compare,
    references::Context,
    rows::{RowIndex, Rows, id_of},
};
use crate::{
    Blocked,
    fields::{Fields, as_indexed, value_at},
    time_of_row,
};

/// Gives new numbers in the field `sequence` to rows that are moved, in the order of their time.
pub(super) fn renumber(
    context: &Context<'_>,
    sequence: &str,
    taken: &[RowIndex],
    rows: &mut Rows,
) -> Result<(), Blocked> {
    let (mut last, mut moved) = (0_i64, Vec::new());
    for &row in taken {
        let Some(now) = rows.now(row) else { continue };
        let Some(number) = value_at(now, sequence).and_then(whole) else { continue };
        match context.chat(now) {
            Some(0) => last = last.max(number),
            Some(_) => moved.push((age(context, now), row)),
            None => {}
        }
    }
    moved.sort_by(|((one_ms, one_id), _), ((other_ms, other_id), _)| {
        let by_id = || compare(one_id.as_raw_bson_ref(), other_id.as_raw_bson_ref());
        one_ms.cmp(other_ms).then_with(by_id)
    });
    for (_, row) in moved {
        let Some(now) = rows.now(row) else { continue };
        last += 1;
        let unreadable = |error: bson::error::Error| Blocked::unreadable(&rows.id(row), &error);
        let mut fields = Fields::read(now).map_err(unreadable)?;
        let number = fields.get(sequence).and_then(|old| like(old, last)).ok_or_else(|| Blocked::Rule {
            field: context.report(sequence),
            reason: format!("the number {last} of the row {} is too large for its type", rows.id(row)),
        })?;
        fields.set(sequence, number);
        rows.replace(row, fields.build(), "counted on from the last one of the chat that lives on");
    }
    Ok(())
}

fn whole(value: RawBsonRef<'_>) -> Option<i64> {
    match as_indexed(value) {
        RawBsonRef::Int64(number) => Some(number),
        _ => None,
    }
}

fn age(context: &Context<'_>, row: &RawDocumentBuf) -> (Option<bson::DateTime>, RawBson) {
    let id = id_of(row);
    let time = context.reference.time.as_ref().and_then(|time| value_at(row, time));
    (time_of_row(time, Some(id)), id.into())
}

#[expect(clippy::cast_precision_loss, reason = "no chat has 2^53 messages")]
fn like(old: &RawBson, number: i64) -> Option<RawBson> {
    match old {
        RawBson::Int32(_) => i32::try_from(number).ok().map(RawBson::Int32),
        RawBson::Int64(_) => Some(RawBson::Int64(number)),
        RawBson::Double(_) => Some(RawBson::Double(number as f64)),
        _ => None,
    }
}
