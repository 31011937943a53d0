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
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, raw::cstr, rawdoc};
use onechat_core::StoreError;
use onechat_migrate::{Activity, ChatRow, Group, MergeRules, ReferenceRows, undo_document};

use super::{
    super::{
        Lease, MigrateError, MongoMigrator,
        commands::{aside, persist},
        journal::{EntryState, Item, JOURNAL},
        survey::{bytes_of, id_of},
    },
    MergeReport, Wanted,
    batch::{Done, EditedRows, Planned, Tally, Work, decide},
    read::Reader,
    statements::{self, ALIAS_COLLECTION, Merge},
};
use crate::error::{code, number};

/// The most rows of one reference that are handled at once.
const ROWS: usize = 20_000;
/// How many commands are sent side by side, and of how many statements each is worth it.
const LANES: usize = 3;
const FEW: usize = 100;
/// How often a survivor is read anew because somebody else writes to it.
const TRIES: usize = 50;

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
        let Some((decided, wanted)) = decided.await? else { return Ok(Err(Done::TooMuch)) };
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
    groups: u64,
    losers: u64,
    /// The survivors of the groups with such losers.
    spared: Vec<Bson>,
    /// What an operator should know, by key.
    notes: Vec<(String, String)>,
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

    /// Losers that are still there have changed since they were read. They are chats of their own again, to be merged
    /// by the next pass, and what they had is taken out of what their survivors are to be.
    async fn spare_the_changed(
        &self,
        rules: &MergeRules,
        merges: &mut [Merge],
        carried: &mut Carried,
    ) -> Result<(), MigrateError> {
        let losers: Vec<Bson> =
            merges.iter().flat_map(|merge| merge.entry.losers.iter().map(|(id, _)| id.clone())).collect();
        let living = self.stored(&losers).await?;
        if living.is_empty() {
            return Ok(());
        }
        let living: Vec<Vec<u8>> = living.iter().map(|chat| id_of(chat)).collect();
        let is_living = |id: &Bson| living.contains(&bytes_of(id));
        for merge in merges.iter_mut() {
            if !merge.entry.losers.iter().any(|(id, _)| is_living(id)) {
                continue;
            }
            let spared: Vec<(Bson, String)> =
                merge.entry.losers.iter().filter(|(id, _)| is_living(id)).cloned().collect();
            merge.entry.losers.retain(|(id, _)| !is_living(id));
            carried.losers += spared.len() as u64;
            carried.spared.push(merge.entry.survivor.clone());
            carried.groups += u64::from(merge.entry.losers.is_empty());
            merge.items.retain(|item| !matches!(item, Item::Loser { id, .. } if is_living(id)));
            let after = self.without_the_spared(rules, merge);
            self.note_the_spared(merge, &spared, after.as_ref()).await?;
            if let Some(Item::Survivor { after: planned, .. }) = merge.items.first_mut() {
                *planned = after;
            }
        }
        Ok(())
    }

    /// What the survivor becomes of those that did end.
    fn without_the_spared(&self, rules: &MergeRules, merge: &Merge) -> Option<RawDocumentBuf> {
        let (id, before, after) = survivor(merge)?;
        match self.planned_anew(rules, merge, id, before) {
            Some(planned) => (planned != *before).then_some(planned),
            // What was planned takes too much in, which loses nothing.
            None => after.cloned(),
        }
    }

    /// What the survivor becomes, if it is `now`; nothing if that cannot be told any more.
    fn planned_anew(
        &self,
        rules: &MergeRules,
        merge: &Merge,
        survivor: &Bson,
        now: &RawDocumentBuf,
    ) -> Option<RawDocumentBuf> {
        if merge.seen.is_none() && (rules.needs_messages() || rules.needs_activity()) {
            return None;
        }
        let activity = |id: &Bson| {
            let mut chats = merge.seen.iter().flat_map(|seen| &seen.chats);
            let seen = chats.find(|chat| id_of(&chat.document) == bytes_of(id));
            seen.map_or_else(Activity::default, |chat| chat.activity)
        };
        let chats = merge.items.iter().filter_map(|item| match item {
            Item::Survivor { id, .. } => Some(ChatRow { document: now.clone(), activity: activity(id) }),
            Item::Loser { id, before } => Some(ChatRow { document: before.clone(), activity: activity(id) }),
            _ => None,
        });
        let chats: Vec<ChatRow> = chats.collect();
        let set = self.codec.participants(now).ok()?;
        let key = onechat_core::ParticipantsKey::new(&set, self.key_format);
        let references = match &merge.seen {
            Some(seen) => seen.references.clone(),
            None => vec![ReferenceRows::default(); rules.references.len()],
        };
        let group = Group { set, key, chats, references };
        let plan = onechat_migrate::plan_around(rules, &group, survivor).ok()?;
        Some(plan.survivor_after.unwrap_or_else(|| now.clone()))
    }

    async fn note_the_spared(
        &self,
        merge: &Merge,
        spared: &[(Bson, String)],
        after: Option<&RawDocumentBuf>,
    ) -> Result<(), MigrateError> {
        let entry = merge.entry.id;
        let ids: Vec<Bson> = spared.iter().map(|(id, _)| id.clone()).collect();
        let pull = doc! { "q": { "_id": entry }, "u": { "$pull": {
            "losers": { "id": { "$in": ids.clone() } },
            "items": { "what": "loser", "id": { "$in": ids } },
        } } };
        let change = if let Some(after) = after {
            doc! { "$set": { "items.$[one].after": image(after) } }
        } else {
            doc! { "$unset": { "items.$[one].after": "" } }
        };
        let change = doc! {
            "q": { "_id": entry }, "u": change, "arrayFilters": [{ "one.what": "survivor" }],
        };
        self.write(doc! { "update": JOURNAL, "updates": [pull, change] }).await?;
        let public: Vec<&String> = spared.iter().map(|(_, public)| public).collect();
        let delete = doc! { "q": { "_id": { "$in": public }, "entry": entry }, "limit": 0 };
        self.write(doc! { "delete": ALIAS_COLLECTION, "deletes": [delete] }).await?;
        Ok(())
    }

    /// Gives the survivors what they are to be. Of each it is known whether somebody has written to it before, which has to be
    /// taken in, or does so afterwards. What an operator should know.
    async fn give(
        &self,
        rules: &MergeRules,
        merges: &[Merge],
    ) -> Result<Vec<(String, String)>, MigrateError> {
        let changed: Vec<&Merge> = merges
            .iter()
            .filter(|merge| matches!(merge.items.first(), Some(Item::Survivor { after: Some(_), .. })))
            .collect();
        let statements =
            changed.iter().filter_map(|merge| survivor(merge)).filter_map(|(id, before, after)| {
                after.map(|after| statements::replace_or_fail(id, before, after))
            });
        let mut notes = Vec::new();
        let outcomes = self.offer(statements.collect::<Result<_, _>>()?).await?;
        for (merge, outcome) in changed.into_iter().zip(outcomes) {
            notes.extend(match outcome {
                Given::Yes => None,
                Given::Taken => Some(taken(&merge.entry.key)),
                Given::Changed => self.give_anew(rules, merge).await?,
            });
        }
        Ok(notes)
    }

    /// Gives a survivor that somebody has written to what it is to be.
    async fn give_anew(
        &self,
        rules: &MergeRules,
        merge: &Merge,
    ) -> Result<Option<(String, String)>, MigrateError> {
        let Some((id, before, Some(after))) = survivor(merge) else { return Ok(None) };
        let key = &merge.entry.key;
        let mut after = after.clone();
        for _ in 0..TRIES {
            let Some(now) = self.stored(std::slice::from_ref(id)).await?.pop() else { return Ok(None) };
            // An answer was lost, or the merge was cut off after it.
            if now.as_bytes() == after.as_bytes() {
                return Ok(None);
            }
            // Of a merge that was cut off nobody knows whether what was written came before or after.
            let planned = if merge.seen.is_some() { self.planned_anew(rules, merge, id, &now) } else { None };
            let Some(planned) = planned else {
                return self.reconcile(key, id, before, &after).await;
            };
            after = planned;
            self.note_the_survivor(merge, &now, &after).await?;
            match self.offer_one(id, &now, &after).await? {
                Given::Yes => return Ok(None),
                Given::Taken => return Ok(Some(taken(key))),
                Given::Changed => {}
            }
        }
        Err(busy(key))
    }

    /// The journal says what the survivor was when it took the others in.
    async fn note_the_survivor(
        &self,
        merge: &Merge,
        before: &RawDocumentBuf,
        after: &RawDocumentBuf,
    ) -> Result<(), MigrateError> {
        let change = doc! {
            "q": { "_id": merge.entry.id },
            "u": { "$set": { "items.$[one].before": image(before), "items.$[one].after": image(after) } },
            "arrayFilters": [{ "one.what": "survivor" }],
        };
        self.write(doc! { "update": JOURNAL, "updates": [change] }).await?;
        Ok(())
    }

    async fn reconcile(
        &self,
        key: &str,
        id: &Bson,
        before: &RawDocumentBuf,
        after: &RawDocumentBuf,
    ) -> Result<Option<(String, String)>, MigrateError> {
        for _ in 0..TRIES {
            let Some(now) = self.stored(std::slice::from_ref(id)).await?.pop() else { return Ok(None) };
            // The change from `before` to `after`, made on what stands there now.
            let made = undo_document(after, before, &now);
            if made.document.as_bytes() == now.as_bytes() {
                return Ok(note(key, &made.conflicts));
            }
            match self.offer_one(id, &now, &made.document).await? {
                Given::Yes => return Ok(note(key, &made.conflicts)),
                Given::Taken => return Ok(Some(taken(key))),
                Given::Changed => {}
            }
        }
        Err(busy(key))
    }

    async fn offer_one(
        &self,
        id: &Bson,
        now: &RawDocumentBuf,
        after: &RawDocumentBuf,
    ) -> Result<Given, MigrateError> {
        let statement = statements::replace_or_fail(id, now, after)?;
        Ok(self.offer(vec![statement]).await?.pop().unwrap_or(Given::Yes))
    }

    /// Replaces chats that are what they were when they were read; what came of each.
    async fn offer(&self, statements: Vec<RawDocumentBuf>) -> Result<Vec<Given>, MigrateError> {
        let mut given = vec![Given::Yes; statements.len()];
        let sent = self.send("update", self.chats_name(), statements).await?;
        for (index, error) in sent.refused {
            given[index] = match error {
                Refused::Taken => Given::Taken,
                Refused::Changed => Given::Changed,
            };
        }
        Ok(given)
    }

    /// Carries out statements of which none depends on another, on several connections.
    async fn send(
        &self,
        verb: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<Sent, MigrateError> {
        let part = statements.len().div_ceil(LANES).max(FEW);
        let mut rest = statements;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let after = rest.split_off(part.min(rest.len()));
            parts.push(std::mem::replace(&mut rest, after));
        }
        let parts = parts.into_iter().map(|part| self.send_in_order(verb, collection, part));
        let mut sent = Sent::default();
        // All of them come to an end before an error of one does anything.
        for (lane, of_part) in futures_util::future::join_all(parts).await.into_iter().enumerate() {
            let of_part = of_part?;
            sent.matched += of_part.matched;
            sent.refused.extend(of_part.refused.into_iter().map(|(at, why)| (lane * part + at, why)));
        }
        Ok(sent)
    }

    /// Carries statements out, one after the other, each for itself.
    async fn send_in_order(
        &self,
        verb: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<Sent, MigrateError> {
        let (mut sent, mut first) = (Sent::default(), 0);
        for (mut command, count) in statements::commands(verb, collection, statements) {
            command.append(cstr!("ordered"), false);
            command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
            let reply: Document =
                persist(|| async { self.database.run_raw_command(command.clone()).await }).await?;
            sent.matched += number(reply.get("n")).unwrap_or_default().unsigned_abs();
            let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
            for error in errors.iter().filter_map(Bson::as_document) {
                let index = number(error.get("index")).and_then(|index| usize::try_from(index).ok());
                let index = index.filter(|index| *index < count).ok_or_else(|| {
                    StoreError::Corrupt(format!("{collection} refuses a statement that was not sent"))
                })?;
                let refused = match number(error.get("code")).and_then(|code| i32::try_from(code).ok()) {
                    Some(code::DUPLICATE_KEY) => Refused::Taken,
                    Some(code::CONVERSION_FAILURE) => Refused::Changed,
                    _ => {
                        let why = error.get_str("errmsg").unwrap_or_default();
                        return Err(MigrateError::Refused(format!("{collection} refuses a change: {why}")));
                    }
                };
                sent.refused.push((first + index, refused));
            }
            first += count;
        }
        Ok(sent)
    }

    /// The chats with these `_id`s.
    async fn stored(&self, ids: &[Bson]) -> Result<Vec<RawDocumentBuf>, MigrateError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        persist(|| async { chats.find(doc! { "_id": { "$in": ids.to_vec() } }).await?.try_collect().await })
            .await
    }
}

/// What came of statements.
#[derive(Default)]
struct Sent {
    /// How many documents they were for.
    matched: u64,
    /// Those that were refused, by their place.
    refused: Vec<(usize, Refused)>,
}

#[derive(Clone, Copy)]
enum Refused {
    /// A unique index has what it would become.
    Taken,
    /// The document is not what it was: see [`statements::replace_or_fail`].
    Changed,
}

/// Whether a survivor has become what it is to be.
#[derive(Clone, Copy)]
enum Given {
    /// It has, or it is gone.
    Yes,
    /// Its key is another chat's.
    Taken,
    /// Somebody has written to it.
    Changed,
}

/// The chat that lives on: its `_id`, what it was, and what it is to be.
fn survivor(merge: &Merge) -> Option<(&Bson, &RawDocumentBuf, Option<&RawDocumentBuf>)> {
    match merge.items.first() {
        Some(Item::Survivor { id, before, after }) => Some((id, before, after.as_ref())),
        _ => None,
    }
}

fn image(document: &RawDocumentBuf) -> mongodb::bson::Binary {
    mongodb::bson::Binary {
        subtype: mongodb::bson::spec::BinarySubtype::Generic,
        bytes: document.as_bytes().to_vec(),
    }
}

fn taken(key: &str) -> (String, String) {
    (key.to_owned(), "a chat of other people holds this key: the merged chat stays without".to_owned())
}

fn busy(key: &str) -> MigrateError {
    MigrateError::Refused(format!(
        "{key:?} is written to all the time: repeat the command when there is less to do"
    ))
}

fn note(key: &str, conflicts: &[(String, Option<Bson>, Option<Bson>)]) -> Option<(String, String)> {
    let fields: Vec<&str> = conflicts.iter().map(|(field, ..)| field.as_str()).collect();
    let why = || format!("somebody has written {} meanwhile: that stays", fields.join(", "));
    (!fields.is_empty()).then(|| (key.to_owned(), why()))
}
