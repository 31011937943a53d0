//! On a standalone server: the same changes in an order that can be cut off anywhere and gone on with.
//!
//! The journal comes first, and says all. Then the old ids stand for the survivor, rows name it, the losers end, each
//! only while it is what the journal says, and last the survivor gets what it is to be, its key included. Every step
//! can be repeated, so going on after a crash is doing all of them again.

use std::collections::HashSet;

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, raw::cstr, rawdoc};
use onechat_migrate::{Activity, ChatRow, Group, MergeRules, ReferenceRows, undo_document};

use super::{
    super::{
        Lease, MigrateError, MongoMigrator,
        commands::persist,
        journal::{EntryState, Item, JOURNAL},
        survey::id_of,
    },
    Wanted,
    batch::{Done, Work},
    read::{Reader, bytes_of},
    statements::{self, ALIAS_COLLECTION, Merge},
};
use crate::error::{code, number};

/// The most rows of one reference that are handled at once.
const ROWS: usize = 20_000;
/// How many survivors are written side by side.
const LANES: usize = 16;
/// How often a survivor is read anew because somebody else writes to it.
const TRIES: usize = 50;

impl Work<'_> {
    /// Merges a batch, or says that it should be smaller. A group by itself that others write to is tried again.
    pub(super) async fn in_steps(&mut self, wanted: &[Wanted], tries: usize) -> Result<Done, MigrateError> {
        for _ in 1..tries {
            match self.steps(wanted).await? {
                Done::Spared(_) if wanted.len() == 1 => {}
                done => return Ok(done),
            }
        }
        match self.steps(wanted).await? {
            // The next pass may have more luck.
            Done::Spared(_) if wanted.len() == 1 => Ok(Done::All(Vec::new())),
            done => Ok(done),
        }
    }

    async fn steps(&mut self, wanted: &[Wanted]) -> Result<Done, MigrateError> {
        self.lease.check().await?;
        let most_rows = if wanted.len() > 1 { ROWS } else { usize::MAX };
        let read = persist(|| async {
            let mut reader = Reader { migrator: self.migrator, rules: &self.rules, session: None, most_rows };
            reader.groups(wanted).await
        })
        .await?;
        if read.is_too_much {
            return Ok(Done::TooMuch);
        }
        let (merges, mut tally) = self.planned(read, EntryState::Applying)?;
        // Before anything is written: a loser that has ended cannot wait until the key is free.
        if self.migrator.have_strangers_a_key(&merges).await? {
            return Ok(Done::Clash(vec![self.migrator.codec.key_field().to_owned()]));
        }
        let mut spared = Vec::new();
        if !merges.is_empty() {
            let carried = self.migrator.carry_out(self.lease, &self.rules, merges, false).await?;
            tally.spare(carried.groups, carried.losers);
            let is_spared =
                |wanted: &&Wanted| carried.spared.iter().any(|survivor| wanted.ids.contains(survivor));
            spared.extend(wanted.iter().filter(is_spared).cloned());
            for (key, why) in carried.notes {
                self.control.note(&format!("{key:?}: {why}"));
            }
        }
        let postponed = tally.add_to(&mut self.report);
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
    /// Carries merges out, or goes on with them if they are in the journal already.
    pub(super) async fn carry_out(
        &self,
        lease: &Lease,
        rules: &MergeRules,
        mut merges: Vec<Merge>,
        is_journaled: bool,
    ) -> Result<Carried, MigrateError> {
        let chats = self.chats_name();
        if !is_journaled {
            self.insert_all(JOURNAL, statements::journal(chats, lease, &merges)?).await?;
        }
        self.send("update", ALIAS_COLLECTION, statements::aliases(&merges)).await?;
        for (collection, deletes) in statements::removals(&merges, true)? {
            self.send("delete", &collection, deletes).await?;
        }
        for (collection, updates) in statements::rows(&merges, true)? {
            // A row that somebody has changed meanwhile, or that clashes, is left to the sweep.
            self.send("update", &collection, updates).await?;
        }
        self.send("delete", chats, statements::endings(&merges, true)?).await?;
        let mut carried = Carried::default();
        self.spare_the_changed(rules, &mut merges, &mut carried).await?;
        carried.notes = self.give(rules, &merges).await?;
        let entries: Vec<_> = merges.iter().map(|merge| merge.entry.id).collect();
        self.set_state(&entries, EntryState::Done).await?;
        Ok(carried)
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

    /// Gives the survivors what they are to be, each by itself: so it is known whether somebody has written to one before, which
    /// has to be taken in, or does so afterwards.
    async fn give(
        &self,
        rules: &MergeRules,
        merges: &[Merge],
    ) -> Result<Vec<(String, String)>, MigrateError> {
        let given: Vec<_> = merges.iter().map(|merge| self.give_one(rules, merge).boxed()).collect();
        let given: Vec<Option<(String, String)>> =
            futures_util::stream::iter(given).buffered(LANES).try_collect().await?;
        Ok(given.into_iter().flatten().collect())
    }

    /// What an operator should know.
    async fn give_one(
        &self,
        rules: &MergeRules,
        merge: &Merge,
    ) -> Result<Option<(String, String)>, MigrateError> {
        let Some((id, before, Some(after))) = survivor(merge) else { return Ok(None) };
        let key = &merge.entry.key;
        let (mut now, mut after) = (before.clone(), after.clone());
        for _ in 0..TRIES {
            let statement = statements::replace(id, &now, &after, true)?;
            let (matched, is_taken) = self.send("update", self.chats_name(), vec![statement]).await?;
            if matched == 1 {
                return Ok(None);
            }
            if is_taken {
                let why = "a chat of other people holds this key: the merged chat stays without";
                return Ok(Some((key.clone(), why.to_owned())));
            }
            let Some(stored) = self.stored(std::slice::from_ref(id)).await?.pop() else { return Ok(None) };
            // An answer was lost, or the merge was cut off after it.
            if stored.as_bytes() == after.as_bytes() {
                return Ok(None);
            }
            // Of a merge that was cut off nobody knows whether what was written came before or after.
            let planned = merge.seen.as_ref().and_then(|_| self.planned_anew(rules, merge, id, &stored));
            let Some(planned) = planned else {
                return self.reconcile(key, id, before, &after).await;
            };
            (now, after) = (stored, planned);
            self.note_the_survivor(merge, &now, &after).await?;
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
            let statement = statements::replace(id, &now, &made.document, true)?;
            let (matched, is_taken) = self.send("update", self.chats_name(), vec![statement]).await?;
            if matched == 1 {
                return Ok(note(key, &made.conflicts));
            }
            if is_taken {
                return Ok(Some((
                    key.to_owned(),
                    "a chat of other people holds this key: the merged chat stays without".to_owned(),
                )));
            }
        }
        Err(busy(key))
    }

    /// Carries statements out, each for itself; how many were, and whether a unique index refused one.
    async fn send(
        &self,
        verb: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<(i64, bool), MigrateError> {
        let (mut matched, mut is_taken) = (0, false);
        for (mut command, _) in statements::commands(verb, collection, statements) {
            command.append(cstr!("ordered"), false);
            command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
            let reply: Document =
                persist(|| async { self.database.run_raw_command(command.clone()).await }).await?;
            matched += number(reply.get("n")).unwrap_or_default();
            let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
            for error in errors.iter().filter_map(Bson::as_document) {
                if number(error.get("code")) == Some(i64::from(code::DUPLICATE_KEY)) {
                    is_taken = true;
                } else {
                    let why = error.get_str("errmsg").unwrap_or_default();
                    return Err(MigrateError::Refused(format!("{collection} refuses a change: {why}")));
                }
            }
        }
        Ok((matched, is_taken))
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
