//! On a standalone server: the same changes in an order that can be cut off anywhere and gone on with.
//!
//! The journal comes first, and says all. Then the old ids stand for the survivor, rows name it, the losers end, each
//! only while it is what the journal says, and last the survivor gets what it is to be, its key included. Every step
//! can be repeated, so going on after a crash is doing all of them again.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, raw::cstr, rawdoc};
use onechat_migrate::{ChatRow, Group, MergeRules, ReferenceRows, undo_document};

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
/// How often a survivor is read anew because somebody else writes to it.
const TRIES: usize = 50;

impl Work<'_> {
    /// Merges a batch, or says that it should be smaller.
    pub(super) async fn in_steps(&mut self, wanted: &[Wanted]) -> Result<Done, MigrateError> {
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
        let (merges, tally) = self.planned(read, EntryState::Applying)?;
        if !merges.is_empty() {
            let clash = self.migrator.carry_out(self.lease, &self.rules, merges, false).await?;
            for (key, why) in clash {
                self.control.note(&format!("{key:?}: {why}"));
            }
        }
        Ok(Done::All(tally.add_to(&mut self.report)))
    }
}

impl MongoMigrator {
    /// Carries merges out, or goes on with them if they are in the journal already. What an operator should know.
    pub(super) async fn carry_out(
        &self,
        lease: &Lease,
        rules: &MergeRules,
        mut merges: Vec<Merge>,
        is_journaled: bool,
    ) -> Result<Vec<(String, String)>, MigrateError> {
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
        self.spare_the_changed(rules, &mut merges).await?;
        self.send("update", chats, statements::survivors(&merges, true)?).await?;
        let notes = self.make_sure(&merges).await?;
        let entries: Vec<_> = merges.iter().map(|merge| merge.entry.id).collect();
        self.set_state(&entries, EntryState::Done).await?;
        Ok(notes)
    }

    /// Losers that are still there have changed since they were read. They are chats of their own again, to be merged
    /// by the next pass, and what they had is taken out of what their survivors are to be.
    async fn spare_the_changed(&self, rules: &MergeRules, merges: &mut [Merge]) -> Result<(), MigrateError> {
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
        let chats: Vec<ChatRow> = merge
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Survivor { before, .. } | Item::Loser { before, .. } => Some(before.clone()),
                _ => None,
            })
            .map(|document| ChatRow { document, activity: Default::default() })
            .collect();
        let set = self.codec.participants(&chats.first()?.document).ok()?;
        let key = onechat_core::ParticipantsKey::new(&set, self.key_format);
        let references = vec![ReferenceRows::default(); rules.references.len()];
        let group = Group { set, key, chats, references };
        onechat_migrate::plan(rules, &group).ok()?.survivor_after
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
        let image = after.map(|after| mongodb::bson::Binary {
            subtype: mongodb::bson::spec::BinarySubtype::Generic,
            bytes: after.as_bytes().to_vec(),
        });
        let change = match image {
            Some(image) => doc! { "$set": { "items.$[one].after": image } },
            None => doc! { "$unset": { "items.$[one].after": "" } },
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

    /// Survivors that are not what they are to be: somebody writes to them, and both is kept.
    async fn make_sure(&self, merges: &[Merge]) -> Result<Vec<(String, String)>, MigrateError> {
        let mut notes = Vec::new();
        let ids: Vec<Bson> = merges.iter().map(|merge| merge.entry.survivor.clone()).collect();
        let stored = self.stored(&ids).await?;
        for merge in merges {
            let Some(Item::Survivor { id, before, after: Some(after) }) = merge.items.first() else {
                continue;
            };
            let now = stored.iter().find(|chat| id_of(chat) == bytes_of(id));
            if now.is_some_and(|now| now.as_bytes() != after.as_bytes()) {
                notes.extend(self.reconcile(&merge.entry.key, id, before, after).await?);
            }
        }
        Ok(notes)
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
        Err(MigrateError::Refused(format!(
            "{key:?} is written to all the time: repeat the command when there is less to do"
        )))
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

fn note(key: &str, conflicts: &[(String, Option<Bson>, Option<Bson>)]) -> Option<(String, String)> {
    let fields: Vec<&str> = conflicts.iter().map(|(field, ..)| field.as_str()).collect();
    let why = || format!("somebody has written {} meanwhile: that stays", fields.join(", "));
    (!fields.is_empty()).then(|| (key.to_owned(), why()))
}
