//! Makes a guarding index unique before any key goes from one chat to another.
//!
//! A secondary applies the changes of several documents side by side, and a transaction's too. With a unique index it
//! bears that a key is taken before it was given up; with one that only guards (`prepareUnique`) MongoDB 6.0.5 does
//! not: the member ends with a fatal assertion, and again at every start. So while the index only guards, keys are
//! taken away alone, from all but one of those who share one, which sets none free; then the index is unique, and
//! everything else comes after that.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocumentBuf, doc};
use onechat_core::{ChatIdentity, ParticipantsKey};
use onechat_migrate::{Control, time_of};

use super::{
    Lease, MigrateError, MongoMigrator, RunId,
    commands::persist,
    journal::{KeyChange, shown},
};
use crate::{
    codec::field,
    index::{simple, simple_document},
};

/// How many shared keys are looked at together.
const KEYS: usize = 200;
/// How often duplicates that another program has let in are looked for again.
const PASSES: usize = 5;

/// A chat that shares its key.
struct Holder {
    id: Bson,
    identity: Option<ChatIdentity>,
    age: (i64, String),
    is_outside: bool,
}

impl MongoMigrator {
    /// Sees to it that the index is unique, if it is one that guards. Every step that gives keys begins with this.
    pub(super) async fn seal(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        // Without secondaries nothing is applied side by side.
        if !self.is_replicated {
            // Keys that documents outside share are nobody's to give, and in the way of the index.
            if self.codec.only().is_some() && self.indexes().on_the_key().await?.found.is_none() {
                self.take_shared_keys_away(lease, run, control).await?;
            }
            return Ok(());
        }
        self.ensure_previous_is_sealed().await?;
        for _ in 0..PASSES {
            let key = self.indexes().on_the_key().await?;
            let Some(guarding) = key.guarding.filter(|_| key.found.is_none()) else { return Ok(()) };
            self.take_shared_keys_away(lease, run, control).await?;
            if self.convert(&guarding.name).await? {
                control.note(&format!("the index {} is unique now", guarding.name));
                return Ok(());
            }
        }
        Err(MigrateError::Refused(format!(
            "the index on {} cannot be made unique, since malformed chats, which are never touched, share a key: \
             `onechat enforce --dry-run` lists them; put their participants right, or $unset their key",
            self.codec.key_field()
        )))
    }

    /// A merge takes the previous key along, so the same holds for that.
    async fn ensure_previous_is_sealed(&self) -> Result<(), MigrateError> {
        let Some(previous) = self.indexes().of_previous() else { return Ok(()) };
        let key = previous.on_the_key().await?;
        match key.guarding.filter(|_| key.found.is_none()) {
            None => Ok(()),
            Some(guarding) => Err(MigrateError::Refused(format!(
                "the index {} on the previous keys is not unique yet: end that migration first (`onechat migrate` with \
                 the previous configuration)",
                guarding.name
            ))),
        }
    }

    async fn take_shared_keys_away(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let key = self.codec.key_field();
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let stages = [
            doc! { "$match": { key: { "$gt": "" } } },
            doc! { "$group": { "_id": format!("${key}"), "chats": { "$sum": 1 } } },
            doc! { "$match": { "chats": { "$gt": 1 } } },
        ];
        let groups = chats.aggregate(stages).allow_disk_use(true).collation(simple());
        let mut groups = groups.await.map_err(|error| MigrateError::driver(&error))?;
        let (mut keys, mut done) = (Vec::with_capacity(KEYS), 0);
        loop {
            let group = groups.try_next().await.map_err(|error| MigrateError::driver(&error))?;
            let is_last = group.is_none();
            keys.extend(group.and_then(|group| group.get_str("_id").ok().map(str::to_owned)));
            if keys.len() == KEYS || is_last {
                done += keys.len() as u64;
                self.leave_each_to_one(lease, run, control, &std::mem::take(&mut keys)).await?;
                control.advance("keys", done, done);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn leave_each_to_one(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
        keys: &[String],
    ) -> Result<(), MigrateError> {
        if keys.is_empty() {
            return Ok(());
        }
        let key_field = self.codec.key_field();
        let mut changes = Vec::new();
        for (key, holders) in self.holders(keys).await? {
            let mut losing = losing(&key, holders, |identity| {
                ParticipantsKey::new(identity, self.key_format).as_str() == key
            });
            losing.retain(|(_, is_outside)| *is_outside || self.is_replicated);
            changes.extend(losing);
        }
        if changes.is_empty() {
            return Ok(());
        }
        control.pace(changes.len() as u64).await?;
        lease.check().await?;
        let journaled: Vec<KeyChange> = changes.iter().map(|(change, _)| change.clone()).collect();
        self.journal_keys(lease, run, &journaled).await?;
        // Null, and not absent: an undo puts the key back where it stood.
        let updates = changes.iter().filter_map(|(change, is_outside)| {
            let this = doc! { "_id": change.id.clone(), key_field: change.before.clone() };
            Some(doc! {
                "q": if *is_outside { self.codec.outside(this)? } else { self.codec.inside(this) },
                "u": { "$set": { key_field: Bson::Null } },
                "collation": simple_document(),
            })
        });
        let updates: Vec<Document> = updates.collect();
        self.write(doc! { "update": self.chats_name(), "updates": updates, "ordered": false }).await?;
        Ok(())
    }

    async fn holders(&self, keys: &[String]) -> Result<HashMap<String, Vec<Holder>>, MigrateError> {
        let (key_field, fields) = (self.codec.key_field(), &self.codec.mapping().fields);
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let mut projection = self.codec.identity_and_key();
        projection.insert(&fields.created_at, 1);
        let holding = doc! { key_field: { "$in": keys } };
        let (inside, outside) = (self.codec.inside(holding.clone()), self.codec.outside(holding));
        let mut found: Vec<(RawDocumentBuf, bool)> = Vec::new();
        for (query, is_outside) in [(Some(inside), false), (outside, true)] {
            let Some(query) = query else { continue };
            let part: Vec<RawDocumentBuf> = persist(|| async {
                let find = chats.find(query.clone()).projection(projection.clone());
                find.collation(simple()).await?.try_collect().await
            })
            .await?;
            found.extend(part.into_iter().map(|chat| (chat, is_outside)));
        }
        let mut holders: HashMap<String, Vec<Holder>> = HashMap::new();
        for (chat, is_outside) in &found {
            let key = field(chat, key_field).and_then(RawBsonRef::as_str);
            let id = field(chat, "_id").and_then(|id| Bson::try_from(id).ok());
            let (Some(key), Some(id)) = (key, id) else { continue };
            let date = field(chat, &fields.created_at).and_then(time_of);
            let date = date.or_else(|| id.as_object_id().map(|id| id.timestamp()));
            let age = (date.map_or(0, mongodb::bson::DateTime::timestamp_millis), shown(&id));
            let identity = self.codec.identity(chat).ok();
            holders.entry(key.to_owned()).or_default().push(Holder {
                id,
                identity,
                age,
                is_outside: *is_outside,
            });
        }
        Ok(holders)
    }
}

/// Those that lose the key. It stays with a malformed chat, which nobody touches, else with the oldest of those whose
/// key it rightly is, else with a document outside, else with the oldest, which is to lose it anyway. Whether each is outside.
fn losing(
    key: &str,
    mut holders: Vec<Holder>,
    is_right: impl Fn(&ChatIdentity) -> bool,
) -> Vec<(KeyChange, bool)> {
    holders.sort_by(|one, other| {
        let rank = |holder: &Holder| match &holder.identity {
            _ if holder.is_outside => 2,
            None => 0,
            Some(identity) if is_right(identity) => 1,
            Some(_) => 3,
        };
        rank(one).cmp(&rank(other)).then_with(|| one.age.cmp(&other.age))
    });
    let losing = holders.into_iter().skip(1).filter(|holder| holder.is_outside || holder.identity.is_some());
    let change = |holder: Holder| {
        (KeyChange { id: holder.id, before: Some(Bson::from(key)), after: None }, holder.is_outside)
    };
    losing.map(change).collect()
}
