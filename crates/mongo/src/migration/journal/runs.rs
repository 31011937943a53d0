//! Runs, and lists of what is in the journal.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use serde::Serialize;

use super::{
    super::{Lease, MigrateError, MongoMigrator, commands::persist},
    Entry, EntryState, JOURNAL, RUNS,
};
use crate::error::number;

/// The field of a run with the field of its keys. The first keys of a collection are not named.
const KEY_FIELD: &str = "keyField";

/// A run's name: 24 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(pub(crate) ObjectId);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl std::str::FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ObjectId::parse_str(text)
            .map(Self)
            .map_err(|_| format!("{text:?} is no id of a run: see `onechat merge list`"))
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// `onechat migrate`.
    Migrate,
    /// `onechat backfill`.
    Backfill,
    /// `onechat merge apply`.
    Merge,
    /// `onechat watch`.
    Watch,
}

impl RunKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Backfill => "backfill",
            Self::Merge => "merge",
            Self::Watch => "watch",
        }
    }
}

/// A run, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Its name.
    pub run: String,
    /// What it was for: migrate, backfill, merge or watch.
    pub kind: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; none if it was cut off or is at work.
    pub ended_at: Option<String>,
    /// Groups that it merged and that are not undone.
    pub merged: u64,
    /// Groups that it merged and that were undone.
    pub undone: u64,
    /// Chats that it gave a key.
    pub keyed: u64,
    /// The field of these keys, if they are not the first ones of the collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_field: Option<String>,
    /// Chats that it made for messages that named none.
    pub made: u64,
    /// Messages that it pointed to the chat of their sender and receiver.
    pub pointed: u64,
}

/// A merged group, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntrySummary {
    /// The entry's name, for `merge show` and `merge undo --group`.
    pub entry: String,
    /// `applying`, `done`, `undoing` or `undone`.
    pub state: String,
    /// The group's key.
    pub key: String,
    /// The survivor's `_id`.
    pub survivor: String,
    /// The losers' `_id`s.
    pub losers: Vec<String>,
    /// Rows elsewhere that were pointed to the survivor.
    pub moved: u64,
    /// How many conflicts there were.
    pub conflicts: u64,
}

/// Everything about a merged group, before-images included, as relaxed extended JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryDetails {
    /// In short.
    pub summary: EntrySummary,
    /// The journal's documents, decoded.
    pub documents: Vec<serde_json::Value>,
}

impl MongoMigrator {
    /// All runs, the newest first. Reads only.
    pub async fn runs(&self) -> Result<Vec<RunSummary>, MigrateError> {
        let runs = self.database.collection::<Document>(RUNS);
        let found: Vec<Document> = persist(|| async {
            let find =
                runs.find(doc! { "chats": self.chats_name() }).sort(doc! { "startedAt": -1, "_id": -1 });
            find.projection(doc! { "kind": 1, "startedAt": 1, "endedAt": 1, KEY_FIELD: 1 })
                .await?
                .try_collect()
                .await
        })
        .await?;
        let mut summaries = Vec::with_capacity(found.len());
        for run in found {
            let Ok(id) = run.get_object_id("_id") else { continue };
            let count = |kind: &'static str, state: &'static str| self.count(id, kind, state);
            summaries.push(RunSummary {
                run: id.to_hex(),
                kind: run.get_str("kind").unwrap_or_default().to_owned(),
                started_at: time(&run, "startedAt").unwrap_or_default(),
                ended_at: time(&run, "endedAt"),
                merged: count("merge", EntryState::Done.name()).await?,
                undone: count("merge", EntryState::Undone.name()).await?,
                keyed: count("keys", "done").await?,
                key_field: run.get_str(KEY_FIELD).ok().map(str::to_owned),
                made: count("made", "done").await?,
                pointed: count("pointed", "done").await?,
            });
        }
        Ok(summaries)
    }

    /// Chats that were given a key or made, messages that were pointed, or groups with losers.
    async fn count(&self, run: ObjectId, kind: &str, state: &str) -> Result<u64, MigrateError> {
        let of: Bson = match kind {
            "keys" => doc! { "$size": "$keys" }.into(),
            "made" => doc! { "$size": "$made" }.into(),
            "pointed" => "$messages".into(),
            _ => doc! { "$literal": 1 }.into(),
        };
        let mut matching = doc! { "run": run, "type": kind, "state": state };
        if kind == "merge" {
            matching.insert("losers.0", doc! { "$exists": true });
        }
        let stages =
            vec![doc! { "$match": matching }, doc! { "$group": { "_id": null, "count": { "$sum": of } } }];
        let counted: Vec<Document> = persist(|| async {
            self.journal().aggregate(stages.clone()).with_type().await?.try_collect().await
        })
        .await?;
        let count = counted.first().and_then(|counted| number(counted.get("count"))).unwrap_or_default();
        Ok(count.unsigned_abs())
    }

    /// The groups of a run, `skip` left out, at most `limit`. Reads only.
    pub async fn entries(
        &self,
        run: &RunId,
        skip: u64,
        limit: i64,
    ) -> Result<Vec<EntrySummary>, MigrateError> {
        let found: Vec<_> = persist(|| async {
            let filter = doc! { "run": run.0, "type": "merge", "chats": self.chats_name() };
            let journal = self.journal();
            let find = journal.find(filter).projection(doc! { "items": 0 }).sort(doc! { "order": 1 });
            find.skip(skip).limit(limit).await?.try_collect().await
        })
        .await?;
        found.iter().map(|document| Ok(Entry::from_document(document)?.summary())).collect()
    }

    /// One group, whole. Reads only.
    pub async fn entry(&self, entry: &str) -> Result<EntryDetails, MigrateError> {
        let unknown = || {
            MigrateError::Refused(format!(
                "{entry:?} is no group of the journal: see `onechat merge show <run>`"
            ))
        };
        let id = ObjectId::parse_str(entry).map_err(|_| unknown())?;
        let header = self.header(id).await?.ok_or_else(unknown)?;
        let mut documents = Vec::new();
        let mut items = self.items(id).await?;
        while let Some(item) = items.next().await? {
            documents.push(Bson::Document(item.decoded()).into_relaxed_extjson());
        }
        Ok(EntryDetails { summary: header.summary(), documents })
    }

    /// Begins a run, or goes on with the newest one of the kind that was cut off.
    pub async fn begin_run(&self, lease: &Lease, kind: RunKind) -> Result<RunId, MigrateError> {
        let runs = self.database.collection::<Document>(RUNS);
        let keys = self.keys_of_runs.as_ref().map_or(Bson::Null, Bson::from);
        let open = doc! {
            "chats": self.chats_name(), "kind": kind.name(), "endedAt": { "$exists": false }, KEY_FIELD: keys,
        };
        let newest =
            persist(|| async { runs.find_one(open.clone()).sort(doc! { "startedAt": -1, "_id": -1 }).await });
        if let Some(id) = newest.await?.and_then(|run| run.get_object_id("_id").ok()) {
            return Ok(RunId(id));
        }
        let id = ObjectId::new();
        self.index_journal().await?;
        let mut run = doc! { "chats": self.chats_name(), "kind": kind.name(), "startedAt": lease.now() };
        run.extend(self.keys_of_runs.iter().map(|field| (KEY_FIELD.to_owned(), field.into())));
        let update = doc! { "q": { "_id": id }, "u": { "$setOnInsert": run }, "upsert": true };
        self.write(doc! { "update": RUNS, "updates": [update] }).await?;
        Ok(RunId(id))
    }

    /// Refuses a run that gave keys of other terms: what it changed is in another field.
    pub(in crate::migration) async fn ensure_of_our_keys(&self, run: &RunId) -> Result<(), MigrateError> {
        let runs = self.database.collection::<Document>(RUNS);
        let found = persist(|| async { runs.find_one(doc! { "_id": run.0 }).await }).await?;
        let Some(found) = found else { return Ok(()) };
        let field = found.get_str(KEY_FIELD).ok();
        if field == self.keys_of_runs.as_deref() {
            return Ok(());
        }
        let field = field.map_or_else(
            || "another field than the configured one".to_owned(),
            |field| format!("the field {field}"),
        );
        Err(MigrateError::Refused(format!(
            "the run {run} gave keys in {field}: undo it with the configuration that it was made with"
        )))
    }

    /// Notes that a run came to its end.
    pub async fn end_run(&self, run: &RunId) -> Result<(), MigrateError> {
        let update = doc! {
            "q": { "_id": run.0, "endedAt": { "$exists": false } }, "u": [{ "$set": { "endedAt": "$$NOW" } }],
        };
        self.write(doc! { "update": RUNS, "updates": [update] }).await?;
        Ok(())
    }

    /// The indexes of what is ours. Made before the first entry, since a transaction cannot make a collection that
    /// others make at the same time.
    async fn index_journal(&self) -> Result<(), MigrateError> {
        let index = |name: &str, key: Document, partial: Option<Document>| {
            let mut index = doc! { "name": name, "key": key };
            if let Some(partial) = partial {
                index.insert("partialFilterExpression", partial);
            }
            index
        };
        let of_journal = vec![
            index("run", doc! { "run": 1, "type": 1, "order": 1 }, None),
            index(
                "entry",
                doc! { "entry": 1, "item": 1, "part": 1 },
                Some(doc! { "entry": { "$exists": true } }),
            ),
            index("survivor", doc! { "survivor": 1 }, Some(doc! { "type": "merge" })),
            index("losers", doc! { "losers.id": 1 }, Some(doc! { "type": "merge" })),
            index("applying", doc! { "state": 1 }, Some(doc! { "state": EntryState::Applying.name() })),
        ];
        let of_aliases = vec![index("from", doc! { "from": 1 }, Some(doc! { "from": { "$exists": true } }))];
        self.write(doc! { "createIndexes": JOURNAL, "indexes": of_journal }).await?;
        self.write(doc! { "createIndexes": crate::collections::ALIASES, "indexes": of_aliases }).await?;
        Ok(())
    }
}

fn time(document: &Document, name: &str) -> Option<String> {
    document.get_datetime(name).ok().copied().and_then(|at: DateTime| at.try_to_rfc3339_string().ok())
}
