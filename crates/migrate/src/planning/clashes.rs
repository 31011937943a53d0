//! Rows that a unique index would not let name the same chat.

use std::collections::HashMap;

use super::{
    paths::strip,
    references::Context,
    rows::{RowIndex, Rows},
};
use crate::{
    Blocked,
    fields::{Fields, as_indexed, bytes_of, is_null, value_at},
};

/// Of rows that differ in their `_id` and their chat alone, one stays; any others block the group. `unique` are the
/// index's fields besides the chat's.
pub(super) fn resolve(
    context: &Context<'_>,
    unique: &[String],
    taken: &[RowIndex],
    rows: &mut Rows,
) -> Result<(), Blocked> {
    for group in clashing(context, unique, taken, rows) {
        let (_, kept) = group[0];
        let kept_content = content(context, rows, kept)?;
        let others: Vec<RowIndex> = group.iter().skip(1).map(|(_, row)| *row).collect();
        let mut different = Vec::new();
        for &other in &others {
            if content(context, rows, other)? != kept_content {
                different.push(other);
            }
        }
        if !different.is_empty() {
            let mut fields = vec![context.reference.field.clone()];
            fields.extend(unique.iter().cloned());
            let clashing = [kept].into_iter().chain(different);
            return Err(Blocked::Clash {
                collection: context.reference.collection.clone(),
                fields,
                rows: clashing.map(|row| rows.id(row).to_string()).collect(),
            });
        }
        for other in others {
            let reason = format!("the row {} says the same", rows.id(kept));
            rows.remove(other, reason);
        }
    }
    Ok(())
}

/// Rows of several chats with the same values in the index, the survivor's first, then in the order of the losers.
fn clashing(
    context: &Context<'_>,
    unique: &[String],
    taken: &[RowIndex],
    rows: &Rows,
) -> Vec<Vec<(usize, RowIndex)>> {
    let mut groups: Vec<Vec<(usize, RowIndex)>> = Vec::new();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    for &row in taken {
        let Some(now) = rows.now(row) else { continue };
        let Some(chat) = context.chats(now).into_iter().min() else { continue };
        let Some(values) = index_values(now, unique) else { continue };
        let place = *places.entry(values).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push((chat, row));
    }
    // What one chat has twice, its index allows.
    groups.retain(|group| group.iter().any(|(chat, _)| *chat != group[0].0));
    for group in &mut groups {
        group.sort_by_key(|(chat, _)| *chat);
    }
    groups
}

/// The row's values; nothing if it has none in one of the fields: such rows are rarely in the index (partial, sparse), and
/// where they are, the database says so.
fn index_values(row: &bson::RawDocument, unique: &[String]) -> Option<Vec<u8>> {
    let mut values = Vec::new();
    for field in unique {
        let value = value_at(row, field).filter(|value| !is_null(*value))?;
        values.extend(bytes_of(as_indexed(value)));
    }
    Some(values)
}

/// What a row says besides its `_id` and its chat.
fn content(context: &Context<'_>, rows: &Rows, row: RowIndex) -> Result<Vec<u8>, Blocked> {
    let unreadable = |error: bson::error::Error| Blocked::unreadable(&rows.id(row), &error);
    let Some(now) = rows.now(row) else { return Ok(Vec::new()) };
    let mut fields = Fields::read(now).map_err(unreadable)?;
    fields.remove("_id");
    let path: Vec<&str> = context.reference.field.split('.').collect();
    strip(&mut fields, &path).map_err(unreadable)?;
    Ok(fields.build().into_bytes())
}
