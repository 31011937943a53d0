//! On a standalone server: the same changes in an order that can be cut off anywhere and gone on with.
//!
//! The journal comes first, and says all. Then the old ids stand for the survivor, rows name it, the losers end, each
//! only while it is what the journal says, and last the survivor gets what it is to be, its key included. Every step
//! can be repeated, so going on after a crash is doing all of them again.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use onechat_migrate::MergeRules;

use super::{
    super::{
        Lease, MigrateError, MongoMigrator,
        commands::{aside, persist},
        journal::{EntryState, JOURNAL},
        survey::{bytes_of, id_of},
    },
    MergeReport, Wanted,
    batch::{Done, EditedRows, Planned, Tally, Work, decide},
    read::Reader,
    statements::{self, ALIAS_COLLECTION, Merge},
};

/// The most rows of one reference that are handled at once.
const ROWS: usize = 20_000;

/// Merges that are read, planned and in the journal.
pub(super) struct Prepared {
    wanted: Vec<Wanted>,
    merges: Vec<Merge>,
    tally: Tally,
}

impl Work<'_> {
    /// Merges a batch, or says that it should be smaller. A group by itself that others write to is tried again.
    pub(super) async fn in_steps(
        &self,
        wanted: &[Wanted],
        tries: usize,
        report: &mut MergeReport,
    ) -> Result<Done, MigrateError> {
        for _ in 1..tries {
            match self.steps(wanted, report).await? {
                Done::Spared(_) if wanted.len() == 1 => {}
                done => return Ok(done),
            }
        }
        match self.steps(wanted, report).await? {
            // The next pass may have more luck.
            Done::Spared(_) if wanted.len() == 1 => Ok(Done::All(Vec::new())),
            done => Ok(done),
        }
    }

    async fn steps(&self, wanted: &[Wanted], report: &mut MergeReport) -> Result<Done, MigrateError> {
        match self.prepare(wanted, &EditedRows::new()).await? {
            Ok((prepared, _)) => self.carry(prepared, report).await,
            Err(not) => Ok(not),
        }
    }

    /// Reads, plans and journals a batch, and says which rows it changes one by one; or says why it should be smaller. Groups
    /// that change rows of `busy` are postponed.
    pub(super) async fn prepare(
        &self,
        wanted: &[Wanted],
        busy: &EditedRows,
    ) -> Result<Result<(Prepared, EditedRows), Done>, MigrateError> {
        self.make_way(wanted).await?;
        let (migrator, rules, wanted) = (self.migrator.clone(), Arc::clone(&self.rules), wanted.to_vec());
        let decided = aside(async move {
            let most_rows = if wanted.len() > 1 { ROWS } else { usize::MAX };
            let read = persist(|| async {
                let mut reader = Reader { migrator: &migrator, rules: &rules, session: None, most_rows };
                reader.groups(&wanted).await
            })
            .await?;
            Ok((!read.is_too_much).then(|| (decide(&rules, read), wanted)))
        });
        let Some((mut decided, wanted)) = decided.await? else { return Ok(Err(Done::TooMuch)) };
        self.migrator.keep_inside(&mut decided).await?;
        let Planned { merges, tally, edited } = self.planned(decided, EntryState::Applying, busy)?;
        // Before anything is written: a loser that has ended cannot wait until the key is free.
        if self.migrator.have_strangers_a_key(&merges).await? {
            return Ok(Err(Done::Clash(vec![self.migrator.codec.key_field().to_owned()])));
        }
        self.lease.check().await?;
        self.migrator.note_merges(self.lease, &merges).await?;
        Ok(Ok((Prepared { wanted, merges, tally }, edited)))
    }

    /// Carries out what is in the journal.
    pub(super) async fn carry(
        &self,
        prepared: Prepared,
        report: &mut MergeReport,
    ) -> Result<Done, MigrateError> {
        let Prepared { wanted, merges, mut tally } = prepared;
        let mut spared = Vec::new();
        if !merges.is_empty() {
            self.lease.check().await?;
            let carried = self.migrator.carry_out(&self.rules, merges, false).await?;
            tally.spare(carried.groups, carried.losers);
            let is_spared =
                |wanted: &Wanted| carried.spared.iter().any(|survivor| wanted.ids.contains(survivor));
            spared.extend(wanted.into_iter().filter(is_spared));
            for (key, why) in carried.notes {
                self.control.note(&format!("{key:?}: {why}"));
            }
        }
        let postponed = tally.add_to(report);
        if spared.is_empty() {
            return Ok(Done::All(postponed));
        }
        spared.extend(postponed);
        Ok(Done::Spared(spared))
    }
}

/// What came of carrying merges out that was not planned.
#[derive(Default)]
pub(super) struct Carried {
    /// Groups of which no loser has ended, and losers that have not: somebody wrote to them.
    pub(super) groups: u64,
    pub(super) losers: u64,
    /// The survivors of the groups with such losers.
    pub(super) spared: Vec<Bson>,
    /// What an operator should know, by key.
    pub(super) notes: Vec<(String, String)>,
}

impl MongoMigrator {
    /// Writes merges to the journal, before anything else is written of them.
    pub(super) async fn note_merges(&self, lease: &Lease, merges: &[Merge]) -> Result<(), MigrateError> {
        self.insert_all(JOURNAL, statements::journal(self.chats_name(), lease, merges)?).await
    }

    /// Carries out merges that are in the journal, or goes on with those that an earlier run may have begun with.
    pub(super) async fn carry_out(
        &self,
        rules: &MergeRules,
        mut merges: Vec<Merge>,
        may_be_begun: bool,
    ) -> Result<Carried, MigrateError> {
        let chats = self.chats_name();
        // A row that somebody has changed meanwhile, or that clashes, is left to the sweep.
        let mut removals = statements::removals(&merges, true)?;
        let (mut moves, mut edits) = (statements::moves(&merges)?, statements::edits(&merges, true)?);
        let collections: BTreeSet<String> =
            removals.keys().chain(moves.keys()).chain(edits.keys()).cloned().collect();
        let of_rows = collections.into_iter().map(|collection| {
            let removals = removals.remove(&collection).unwrap_or_default();
            let moves = moves.remove(&collection).unwrap_or_default();
            let edits = edits.remove(&collection).unwrap_or_default();
            async move {
                self.send("delete", &collection, removals).await?;
                self.send("update", &collection, moves).await?;
                // Of two rows of one group, a unique index may allow the second only after the first.
                self.send_in_order("update", &collection, edits).await.map(drop)
            }
        });
        let of_rows = futures_util::future::join_all(of_rows);
        let of_aliases = self.write_aliases(&merges, may_be_begun);
        // All of them come to an end before an error of one does anything.
        let (aliases, of_rows) = futures_util::join!(of_aliases, of_rows);
        aliases?;
        of_rows.into_iter().collect::<Result<(), MigrateError>>()?;
        let mut carried = Carried::default();
        let endings = statements::endings(&merges, true)?;
        let losers: usize = merges.iter().map(|merge| merge.entry.losers.len()).sum();
        if self.send("delete", chats, endings).await?.matched < losers as u64 {
            self.spare_the_changed(rules, &mut merges, &mut carried).await?;
        }
        carried.notes = self.give(rules, &merges).await?;
        let entries: Vec<_> = merges.iter().map(|merge| merge.entry.id).collect();
        self.set_state(&entries, EntryState::Done).await?;
        Ok(carried)
    }

    async fn write_aliases(&self, merges: &[Merge], may_be_there: bool) -> Result<(), MigrateError> {
        if !may_be_there {
            let sent = self.send("insert", ALIAS_COLLECTION, statements::new_aliases(merges)?).await?;
            if sent.refused.is_empty() {
                return Ok(());
            }
        }
        self.send("update", ALIAS_COLLECTION, statements::aliases(merges)?).await.map(drop)
    }

    /// Whether a chat of other people has a key that a survivor is to have, and the index keeps it from both.
    async fn have_strangers_a_key(&self, merges: &[Merge]) -> Result<bool, MigrateError> {
        if self.indexes().on_the_key().await?.keeps_out().is_none() {
            return Ok(false);
        }
        let keys: Vec<&str> = merges.iter().map(|merge| merge.entry.key.as_str()).collect();
        let key_field = self.codec.key_field();
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let holders: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(doc! { key_field: { "$in": keys.clone() } }).projection(doc! { "_id": 1 });
            find.collation(crate::index::simple()).await?.try_collect().await
        })
        .await?;
        let mut known: HashSet<Vec<u8>> = HashSet::new();
        for entry in merges.iter().map(|merge| &merge.entry) {
            known.insert(bytes_of(&entry.survivor));
            known.extend(entry.losers.iter().map(|(id, _)| bytes_of(id)));
        }
        Ok(holders.iter().any(|holder| !known.contains(&id_of(holder))))
    }
}
