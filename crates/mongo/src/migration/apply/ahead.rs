//! Rows of a large group are pointed to its survivor before the group is merged, some thousands at a time, so that no
//! transaction is without bounds. Each portion is an entry of the journal, without losers.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId};
use onechat_migrate::{Group, GroupPlan, Move, Reference, ReferenceRows};

use super::{
    super::{
        MigrateError,
        commands::persist,
        journal::{Entry, EntryState, Item, MovedField},
        survey::packed,
    },
    Wanted,
    batch::{MANY_ROWS, Work},
    read::scalar,
    statements::Merge,
};
use crate::codec::field;

/// The same, as a limit of a query.
const PORTION: i64 = 10_000;

impl Work<'_> {
    /// Points what can be pointed, if the group has very many rows. How many were.
    pub(super) async fn ahead(&self, wanted: &Wanted) -> Result<u64, MigrateError> {
        let mut all = 0;
        let names: Vec<Bson> = wanted.ids.iter().flat_map(|id| self.migrator.codec.names(id)).collect();
        let simple: Vec<usize> = (0..self.rules.references.len())
            .filter(|index| {
                let reference = &self.rules.references[*index];
                reference.state.is_none() && reference.sequence.is_none() && reference.unique.is_empty()
            })
            .collect();
        for index in simple {
            let reference = self.rules.references[index].clone();
            let rows = self.migrator.database.collection::<Document>(&reference.collection);
            let filter = doc! { &reference.field: { "$in": names.clone() } };
            let counted =
                persist(|| async { rows.count_documents(filter.clone()).limit(MANY_ROWS as u64 + 1).await });
            if counted.await? <= MANY_ROWS as u64 {
                continue;
            }
            let Some(group) = self.outline(wanted).await? else { break };
            all += self.portions(index, &reference, group, &names).await?;
        }
        Ok(all)
    }

    async fn portions(
        &self,
        index: usize,
        reference: &Reference,
        mut group: Group,
        names: &[Bson],
    ) -> Result<u64, MigrateError> {
        let mut all = 0;
        group.references.resize(self.rules.references.len(), ReferenceRows::default());
        let Ok(outline) = onechat_migrate::plan(&self.rules, &group) else { return Ok(all) };
        let losers: Vec<Bson> =
            outline.losers.iter().flat_map(|loser| self.migrator.codec.names(&loser.id)).collect();
        let mut left: Vec<Bson> = Vec::new();
        loop {
            let portion = self.portion(reference, &losers, &left).await?;
            let (free, held) = self.without_clashes(reference, portion, names).await?;
            left.extend(held);
            if free.is_empty() {
                return Ok(all);
            }
            let mut counted = group.clone();
            counted.references[index].counts =
                by_value(&free, &reference.field).into_iter().map(|(from, _)| (from, 1)).collect();
            let Ok(plan) = onechat_migrate::plan(&self.rules, &counted) else { return Ok(all) };
            let moves: Vec<Move> =
                plan.moves.iter().filter(|one| one.field == reference.field).cloned().collect();
            let merge = self.entry(&plan, &moves, &by_value(&free, &reference.field));
            let moved = merge.entry.moved.unsigned_abs();
            if moved == 0 {
                return Ok(all);
            }
            self.control.pace(moved).await?;
            self.move_ahead(merge).await?;
            all += moved;
        }
    }

    /// Rows of losers: their `_id`, their value, and what a client called them.
    async fn portion(
        &self,
        reference: &Reference,
        losers: &[Bson],
        left: &[Bson],
    ) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let rows = self.migrator.database.collection::<RawDocumentBuf>(&reference.collection);
        let filter = doc! { &reference.field: { "$in": losers }, "_id": { "$nin": left } };
        let mut projection = doc! { &reference.field: 1 };
        if let Some(fields) = &reference.messages {
            projection.insert(&fields.sender, 1);
            projection.insert(&fields.client_message_id, 1);
        }
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = rows.find(filter.clone()).projection(projection.clone());
            find.limit(PORTION).collation(crate::index::simple()).await?.try_collect().await
        })
        .await?;
        Ok(found.into_iter().filter(|row| scalar(row, &reference.field).is_some()).collect())
    }

    /// Those that nothing in another chat of the group is called like, and the `_id`s of the others.
    async fn without_clashes(
        &self,
        reference: &Reference,
        portion: Vec<RawDocumentBuf>,
        names: &[Bson],
    ) -> Result<(Vec<RawDocumentBuf>, Vec<Bson>), MigrateError> {
        let Some(fields) = &reference.messages else { return Ok((portion, Vec::new())) };
        let called = |row: &RawDocumentBuf| {
            let client = field(row, &fields.client_message_id).and_then(RawBsonRef::as_str);
            client.filter(|client| !client.is_empty()).map(str::to_owned)
        };
        let clients: Vec<String> = portion.iter().filter_map(called).collect();
        if clients.is_empty() {
            return Ok((portion, Vec::new()));
        }
        let rows = self.migrator.database.collection::<RawDocumentBuf>(&reference.collection);
        let filter =
            doc! { &reference.field: { "$in": names }, &fields.client_message_id: { "$in": clients } };
        let same: Vec<RawDocumentBuf> = persist(|| async {
            let find = rows.find(filter.clone()).projection(doc! { &fields.client_message_id: 1 });
            find.collation(crate::index::simple()).await?.try_collect().await
        })
        .await?;
        let mut often = HashMap::<String, u64>::new();
        same.iter().filter_map(called).for_each(|client| *often.entry(client).or_default() += 1);
        let (free, held): (Vec<_>, Vec<_>) = portion.into_iter().partition(|row| {
            called(row).is_none_or(|client| often.get(&client).is_none_or(|times| *times < 2))
        });
        let held = held.iter().filter_map(|row| field(row, "_id").and_then(|id| Bson::try_from(id).ok()));
        Ok((free, held.collect()))
    }

    fn entry(&self, plan: &GroupPlan, moves: &[Move], by_value: &[(Bson, Vec<Bson>)]) -> Merge {
        let mut items = Vec::new();
        let mut moved = 0;
        for one in moves {
            let ids = by_value.iter().filter(|(from, _)| *from == one.from).flat_map(|(_, ids)| ids);
            let ids: Vec<Bson> = ids.cloned().collect();
            moved += ids.len();
            items.extend(ids.chunks(1000).map(|ids| Item::Moved {
                collection: one.collection.clone(),
                field: one.field.clone(),
                from: one.from.clone(),
                to: one.to.clone(),
                ids: ids.to_vec(),
            }));
        }
        let entry = Entry {
            id: ObjectId::new(),
            run: self.run.clone(),
            order: self.lease.next_order(),
            state: if self.migrator.is_replicated { EntryState::Done } else { EntryState::Applying },
            key: plan.key.clone(),
            participants: plan.participants.clone(),
            survivor: plan.survivor.clone(),
            survivor_public_id: plan.survivor_public_id.clone(),
            losers: Vec::new(),
            moves: moves
                .iter()
                .map(|one| MovedField {
                    collection: one.collection.clone(),
                    field: one.field.clone(),
                    from: one.from.clone(),
                    to: one.to.clone(),
                })
                .collect(),
            moved: i64::try_from(moved).unwrap_or(i64::MAX),
            edited: 0,
            conflicts: 0,
        };
        Merge { entry, items, seen: None }
    }

    async fn move_ahead(&self, merge: Merge) -> Result<(), MigrateError> {
        if self.migrator.is_replicated {
            self.carry_in_transaction(merge).await
        } else {
            self.lease.check().await?;
            self.migrator.note_merges(self.lease, std::slice::from_ref(&merge)).await?;
            self.migrator.carry_out(&self.rules, vec![merge], false).await.map(drop)
        }
    }
}

/// The rows' `_id`s, by the value that they have.
fn by_value(rows: &[RawDocumentBuf], path: &str) -> Vec<(Bson, Vec<Bson>)> {
    let mut values: BTreeMap<Vec<u8>, (Bson, Vec<Bson>)> = BTreeMap::new();
    for row in rows {
        let (Some(id), Some(value)) = (field(row, "_id"), scalar(row, path)) else { continue };
        let (Ok(id), Ok(from)) = (Bson::try_from(id), Bson::try_from(value)) else { continue };
        values.entry(packed(value)).or_insert_with(|| (from, Vec::new())).1.push(id);
    }
    values.into_values().collect()
}
