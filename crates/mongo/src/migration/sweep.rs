//! Points what was written to the id of a merged chat to the chat that lives on, one merge of a chain at a time.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawBson, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId};
use onechat_migrate::{Control, Reference};
use serde::Serialize;

use super::{
    Lease, MigrateError, MongoMigrator, RunId, apply::scalar, commands::persist, journal::Item,
    stragglers::Straggler, survey::packed, watch::values_at,
};
use crate::{
    codec::{Codec, field},
    collections::ALIASES,
};

/// How many merged chats are looked after at once.
const ALIASES_AT_ONCE: u16 = 500;
/// After how many passes a sweep stops to run after somebody who goes on, however slowly.
const MOST_PASSES: u64 = 5;
/// How many rows one query returns.
const ROWS: i64 = 10_000;

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SweepReport {
    /// Rows that were pointed to the chat that lives on.
    pub moved: u64,
    /// Rows that name an ended chat, and cannot name the one that lives on: said why in notes.
    pub blocked: u64,
    /// How many passes it took.
    pub passes: u64,
    /// Whether somebody goes on writing to ended chats, faster than they can be swept.
    pub goes_on: bool,
}

/// What came of some rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Swept {
    pub(super) moved: u64,
    pub(super) blocked: u64,
}

impl std::ops::AddAssign for Swept {
    fn add_assign(&mut self, more: Self) {
        self.moved += more.moved;
        self.blocked += more.blocked;
    }
}

/// A chat that was merged, and into which.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) from: RawBson,
    pub(super) from_public: RawBson,
    pub(super) to: RawBson,
    pub(super) to_public: RawBson,
    pub(super) entry: ObjectId,
    pub(super) run: RunId,
}

impl Merged {
    /// Aliases that no merge has made have no `from`: nothing refers to them but clients.
    fn of(alias: &RawDocumentBuf) -> Option<Self> {
        let value = |name: &str| field(alias, name).map(RawBson::from);
        let id = |name: &str| field(alias, name).and_then(RawBsonRef::as_object_id);
        Some(Self {
            from: value("from")?,
            from_public: value("_id")?,
            to: value("to")?,
            to_public: value("chat")?,
            entry: id("entry")?,
            run: RunId(id("run")?),
        })
    }

    /// What a row that names the loser like this has to say instead.
    fn target(&self, codec: &Codec, value: RawBsonRef<'_>) -> Option<Bson> {
        let names_document = codec.same_name(value) == codec.same_name(self.from.as_raw_bson_ref());
        let (from, to) =
            if names_document { (&self.from, &self.to) } else { (&self.from_public, &self.to_public) };
        let is_as_it_is = packed(value) == packed(from.as_raw_bson_ref());
        let to = Bson::try_from(to.clone()).ok()?;
        Some(if is_as_it_is { to } else { codec.written_like(value, &to) })
    }
}

impl MongoMigrator {
    /// Passes over all aliases until a pass finds nothing, or no less than the one before: then somebody goes on writing to ended
    /// chats, and only [`MongoMigrator::watch`] keeps up with that.
    pub async fn sweep(&self, lease: &Lease, control: &dyn Control) -> Result<SweepReport, MigrateError> {
        self.finish_interrupted(lease, control).await?;
        let mut report = SweepReport::default();
        let mut last_found = u64::MAX;
        loop {
            let mut swept = Swept::default();
            let (mut done, mut last) = (0, None);
            loop {
                let page = self.page_of_aliases(last.as_ref()).await?;
                let Some(end) = page.last() else { break };
                last = field(end, "_id").map(RawBson::from);
                done += page.len() as u64;
                swept += self.sweep_page(lease, &page, control).await?;
                control.pace(0).await?;
                control.advance("sweep", done, done);
            }
            report.passes += 1;
            let found = swept.moved;
            (report.moved, report.blocked) = (report.moved + found, swept.blocked);
            if found == 0 || found >= last_found || report.passes == MOST_PASSES {
                report.goes_on = found > 0;
                return Ok(report);
            }
            last_found = found;
        }
    }

    /// How many rows there are for a sweep. Reads only.
    pub async fn unswept(&self, control: &dyn Control) -> Result<u64, MigrateError> {
        let (mut unswept, mut done, mut last) = (0, 0, None);
        loop {
            let page = self.page_of_aliases(last.as_ref()).await?;
            let Some(end) = page.last() else { return Ok(unswept) };
            last = field(end, "_id").map(RawBson::from);
            done += page.len() as u64;
            let merged: Vec<Merged> = page.iter().filter_map(Merged::of).collect();
            let (forms, _) = forms_of(&self.codec, &merged);
            for reference in &self.rules.references {
                let rows = self.database.collection::<RawDocumentBuf>(&reference.collection);
                let filter = doc! { &reference.field: { "$in": &forms } };
                unswept += persist(|| async {
                    rows.count_documents(filter.clone()).collation(crate::index::simple()).await
                })
                .await?;
            }
            control.pace(0).await?;
            control.advance("sweep", done, done);
        }
    }

    /// Sweeps rows that name some merged chats, by the public ids that these had; a few times, if something is found.
    pub(super) async fn sweep_aliases(
        &self,
        lease: &Lease,
        aliases: &[String],
        control: &dyn Control,
    ) -> Result<u64, MigrateError> {
        let mut moved = 0;
        let collection = self.database.collection::<RawDocumentBuf>(ALIASES);
        for names in aliases.chunks(ALIASES_AT_ONCE.into()) {
            let page: Vec<RawDocumentBuf> = persist(|| async {
                collection.find(doc! { "_id": { "$in": names } }).await?.try_collect().await
            })
            .await?;
            // What somebody writes all the while is another change, and swept after that.
            for _ in 0..MOST_PASSES {
                let now = self.sweep_page(lease, &page, control).await?.moved;
                moved += now;
                if now == 0 {
                    break;
                }
            }
        }
        Ok(moved)
    }

    async fn page_of_aliases(&self, last: Option<&RawBson>) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        let aliases = self.database.collection::<RawDocumentBuf>(ALIASES);
        let mut filter = doc! { "from": { "$exists": true } };
        if let Some(last) = last.and_then(|last| Bson::try_from(last.clone()).ok()) {
            filter.insert("_id", doc! { "$gt": last });
        }
        persist(|| async {
            let find = aliases.find(filter.clone()).sort(doc! { "_id": 1 });
            find.limit(ALIASES_AT_ONCE.into()).await?.try_collect().await
        })
        .await
    }

    /// One look for rows that name these merged chats.
    async fn sweep_page(
        &self,
        lease: &Lease,
        page: &[RawDocumentBuf],
        control: &dyn Control,
    ) -> Result<Swept, MigrateError> {
        let merged: Vec<Merged> = page.iter().filter_map(Merged::of).collect();
        let (forms, by_name) = forms_of(&self.codec, &merged);
        let mut swept = Swept::default();
        for reference in &self.rules.references {
            let rows = self.database.collection::<RawDocumentBuf>(&reference.collection);
            let filter = doc! { &reference.field: { "$in": forms.clone() } };
            let found: Vec<RawDocumentBuf> = persist(|| async {
                let find = rows.find(filter.clone()).projection(doc! { &reference.field: 1 }).limit(ROWS);
                find.collation(crate::index::simple()).await?.try_collect().await
            })
            .await?;
            if !found.is_empty() {
                control.pace(found.len() as u64).await?;
                lease.check().await?;
                let look = Look { migrator: self, reference, merged: &merged, by_name: &by_name, control };
                swept += look.point(&found).await?;
            }
        }
        Ok(swept)
    }
}

/// Which of the merged chats each name means, in whatever form.
type ByName = HashMap<Vec<u8>, usize>;

/// Everything by which rows may name these chats.
fn forms_of(codec: &Codec, merged: &[Merged]) -> (Vec<Bson>, ByName) {
    let (mut forms, mut by_name) = (Vec::new(), HashMap::new());
    for (index, merged) in merged.iter().enumerate() {
        for id in [&merged.from, &merged.from_public] {
            if by_name.insert(codec.same_name(id.as_raw_bson_ref()), index) != Some(index) {
                forms.extend(Bson::try_from(id.clone()).iter().flat_map(|id| codec.names(id)));
            }
        }
    }
    (forms, by_name)
}

/// What rows say, what they are to say, and their `_id`s.
type Moving = (Bson, Bson, Vec<Bson>);

/// Rows of one reference that name merged chats.
struct Look<'a> {
    migrator: &'a MongoMigrator,
    reference: &'a Reference,
    merged: &'a [Merged],
    by_name: &'a ByName,
    control: &'a dyn Control,
}

impl Look<'_> {
    async fn point(&self, found: &[RawDocumentBuf]) -> Result<Swept, MigrateError> {
        let mut moves: HashMap<(usize, Vec<u8>), Moving> = HashMap::new();
        let mut others: Vec<(usize, Bson)> = Vec::new();
        for row in found {
            let Some(id) = field(row, "_id").and_then(|id| Bson::try_from(id).ok()) else { continue };
            // Of a participant's state the living chat may have a row already; what is counted gets the next number there.
            let is_alone = self.reference.state.is_none() && self.reference.sequence.is_none();
            let value = scalar(row, &self.reference.field).filter(|_| is_alone);
            let codec = &self.migrator.codec;
            let named = value.and_then(|value| Some((value, *self.by_name.get(&codec.same_name(value))?)));
            let Some((value, index)) = named else {
                let mut first = None;
                values_at(row, &self.reference.field, &mut |value| {
                    first = first.or(self.by_name.get(&codec.same_name(value)).copied());
                });
                others.extend(first.map(|index| (index, id)));
                continue;
            };
            let (Some(to), Ok(from)) = (self.merged[index].target(codec, value), Bson::try_from(value))
            else {
                continue;
            };
            moves.entry((index, packed(value))).or_insert_with(|| (from, to, Vec::new())).2.push(id);
        }
        let (mut swept, mut updates) = (Swept::default(), Vec::new());
        for ((index, _), (from, to, ids)) in &moves {
            let merged = &self.merged[*index];
            let item = Item::Moved {
                collection: self.reference.collection.clone(),
                field: self.reference.field.clone(),
                from: from.clone(),
                to: to.clone(),
                ids: ids.clone(),
            };
            self.migrator.add_items(merged.entry, &merged.run, &[item]).await?;
            updates.push(doc! {
                "q": { "_id": { "$in": ids.clone() }, &self.reference.field: from.clone() },
                "u": { "$set": { &self.reference.field: to.clone() } },
                "multi": true,
                "collation": crate::index::simple_document(),
            });
        }
        if !updates.is_empty() {
            let command = doc! { "update": &self.reference.collection, "updates": updates, "ordered": false };
            self.migrator.write(command).await?;
        }
        for ((index, _), (from, _, ids)) in moves {
            // A statement that a unique index has stopped does not count the rows that it had moved before.
            let still = self.still(&from, &ids).await?;
            swept.moved += ids.len().saturating_sub(still.len()) as u64;
            others.extend(still.into_iter().map(|id| (index, id)));
        }
        for (index, id) in others {
            let straggler = Straggler {
                migrator: self.migrator,
                reference: self.reference,
                merged: &self.merged[index],
                control: self.control,
            };
            swept += straggler.point(&id).await?;
        }
        Ok(swept)
    }

    /// Those of the rows that a unique index has kept where they are.
    async fn still(&self, from: &Bson, ids: &[Bson]) -> Result<Vec<Bson>, MigrateError> {
        let rows = self.migrator.database.collection::<RawDocumentBuf>(&self.reference.collection);
        let filter = doc! { "_id": { "$in": ids }, &self.reference.field: from.clone() };
        let found: Vec<RawDocumentBuf> = persist(|| async {
            let find = rows.find(filter.clone()).projection(doc! { "_id": 1 });
            find.collation(crate::index::simple()).await?.try_collect().await
        })
        .await?;
        Ok(found.iter().filter_map(|row| field(row, "_id").and_then(|id| Bson::try_from(id).ok())).collect())
    }
}
