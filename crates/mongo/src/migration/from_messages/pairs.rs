//! Messages of one identity together, in batches.

use mongodb::bson::{Bson, RawBsonRef, RawDocument};
use onechat_core::{ChatIdentity, StoreError};

use super::super::survey::{Groups, Spill, id_of, identity, spill_failed, text, unpacked};

/// How many messages are pointed at once.
const MESSAGES: usize = 1000;

/// A message that names no chat.
#[derive(Debug, Clone)]
pub(in crate::migration) struct Row {
    pub(super) id: Bson,
    /// Whether its field of the chat is null; if not, it has no such field.
    pub(super) is_null: bool,
    /// When it was sent, in milliseconds.
    pub(super) at: Option<i64>,
}

/// Messages of one identity, in the order of their times.
#[derive(Debug, Clone)]
pub(in crate::migration) struct Pair {
    pub(super) identity: ChatIdentity,
    pub(super) rows: Vec<Row>,
    /// The time of the first message of all.
    pub(super) oldest: Option<i64>,
    /// Whether the first message of all is among the rows: those of one identity may not fit into one batch.
    pub(super) is_first: bool,
}

impl Pair {
    pub(super) fn new(identity: ChatIdentity, mut rows: Vec<Row>) -> Self {
        rows.sort_by_key(|row| row.at);
        let oldest = rows.iter().find_map(|row| row.at);
        Self { identity, rows, oldest, is_first: true }
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.rows.last().and_then(|row| row.at)
    }
}

impl Row {
    /// Nothing if it names a chat.
    pub(super) fn of(message: &RawDocument, chat: Option<RawBsonRef<'_>>, at: Option<i64>) -> Option<Self> {
        let is_null = match chat {
            None => false,
            Some(RawBsonRef::Null) => true,
            Some(_) => return None,
        };
        Some(Self { id: unpacked(&id_of(message)), is_null, at })
    }

    pub(super) fn add_to(
        &self,
        spill: &mut Spill,
        of: &ChatIdentity,
        message: &RawDocument,
    ) -> Result<(), StoreError> {
        let at = self.at.unwrap_or(i64::MIN);
        let item = [&[u8::from(self.is_null)], &at.to_le_bytes()[..], &id_of(message)].concat();
        spill.add(text(of).as_bytes(), &item).map_err(|error| spill_failed(&error))
    }

    fn read(item: &[u8]) -> Option<Self> {
        let (is_null, rest) = item.split_first()?;
        let (at, id) = rest.split_first_chunk()?;
        let at = Some(i64::from_le_bytes(*at)).filter(|at| *at != i64::MIN);
        Some(Self { id: unpacked(id), is_null: *is_null == 1, at })
    }
}

/// Iterates over batches of pairs, of so many messages at most.
pub(in crate::migration) struct Batches {
    groups: Groups,
    rest: Option<Pair>,
}

impl Batches {
    pub(super) fn new(groups: Groups) -> Self {
        Self { groups, rest: None }
    }

    fn next_pair(&mut self) -> Result<Option<Pair>, StoreError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let Some(group) = self.groups.next() else { return Ok(None) };
        let group = group.map_err(|error| spill_failed(&error))?;
        let damaged = || StoreError::Corrupt("a temporary file was written by others".to_owned());
        let identity = identity(&group.name).ok_or_else(damaged)?;
        let rows: Option<Vec<Row>> = group.items.iter().map(|item| Row::read(item)).collect();
        Ok(Some(Pair::new(identity, rows.ok_or_else(damaged)?)))
    }

    fn batch(&mut self) -> Result<Vec<Pair>, StoreError> {
        let (mut batch, mut room) = (Vec::new(), MESSAGES);
        while room > 0 {
            let Some(mut pair) = self.next_pair()? else { break };
            if pair.rows.len() > room {
                let rest = pair.rows.split_off(room);
                self.rest = Some(Pair { rows: rest, is_first: false, ..pair.clone() });
            }
            room -= pair.rows.len();
            batch.push(pair);
        }
        Ok(batch)
    }
}

impl Iterator for Batches {
    type Item = Result<Vec<Pair>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().map(|batch| (!batch.is_empty()).then_some(batch)).transpose()
    }
}
