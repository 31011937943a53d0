//! What others write while a merge is carried out in steps: losers that have changed are spared, and survivors that have
//! are given what comes of what they are now.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use onechat_migrate::{Activity, ChatRow, Group, MergeRules, ReferenceRows, undo_document};

use super::{
    super::{
        MigrateError, MongoMigrator,
        commands::persist,
        journal::{Item, JOURNAL},
        survey::{bytes_of, id_of},
    },
    lanes::Refused,
    ordered::Carried,
    statements::{self, ALIAS_COLLECTION, Merge},
};

/// How often a survivor is read anew because somebody else writes to it.
const TRIES: usize = 50;

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

impl MongoMigrator {
    /// Losers that are still there have changed since they were read. They are chats of their own again, to be merged
    /// by the next pass, and what they had is taken out of what their survivors are to be.
    pub(super) async fn spare_the_changed(
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
        let needs_rows = rules.needs_messages() || rules.needs_activity() || rules.needs_listed();
        if merge.seen.is_none() && needs_rows {
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
        let identity = self.codec.identity(now).ok()?;
        let key = onechat_core::ParticipantsKey::new(&identity, self.key_format);
        let references = match &merge.seen {
            Some(seen) => seen.references.clone(),
            None => vec![ReferenceRows::default(); rules.references.len()],
        };
        let listed = merge.seen.as_ref().map(|seen| seen.listed.clone()).unwrap_or_default();
        let group = Group { identity, key, chats, references, listed };
        let (_, earlier, _) = self::survivor(merge)?;
        let plan = onechat_migrate::plan_around(rules, &group, survivor, earlier).ok()?;
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
    pub(super) async fn give(
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
