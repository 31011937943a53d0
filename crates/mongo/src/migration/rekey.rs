//! The end of a rekeying: the previous keys stop to count, and go.
//!
//! First the servers that know no other keys create nothing any more, and only once all of them know that, those of the new
//! keys stop to look for what they have created. Each step can be repeated, so going on after a crash is doing all of
//! them again. Why: `docs/decisions/0011-rekey.md`.

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use onechat_core::ParticipantsKey;
use onechat_migrate::{CollectionState, Control};
use serde::Serialize;
use tokio::time::sleep;

use super::{
    EnforceReport, Lease, MigrateError, MongoMigrator, commands::persist, journal::shown, survey::Pass,
};
use crate::{
    codec::{Codec, Previous, field},
    error::number,
    index::{simple, simple_document},
    meta,
    state::UNTIL_ALL_KNOW,
};

/// What progress is told under.
const STEP: &str = "rekey";
/// How many chats lose their previous key together.
const BATCH: usize = 1000;
/// How many examples a report has.
const EXAMPLES: usize = 5;

/// What the end of a rekeying did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RekeyReport {
    /// The field of the previous keys.
    pub field: String,
    /// Whether servers could still rely on the previous keys when it began.
    pub counted: bool,
    /// The indexes on the previous keys that were dropped.
    pub dropped: Vec<String>,
    /// Chats that lost their previous key.
    pub cleared: u64,
    /// Chats that keep what they have there, since it is not their previous key: another program's, or one that was wrong.
    pub left: u64,
    /// The first few of these.
    pub examples: Vec<String>,
}

impl MongoMigrator {
    /// What [`MongoMigrator::finish_rekeying`] would do. Reads only.
    pub async fn foresee_end_of_rekeying(&self, control: &dyn Control) -> Result<RekeyReport, MigrateError> {
        let previous = self.previous()?;
        let old = self.of_previous(previous).await?;
        let counted = self.do_previous_count(&old).await?;
        if counted {
            self.ensure_all_are_keyed(control, "").await?;
        }
        let key = old.indexes().on_the_key().await?;
        let index = key.keeps_out().map(|index| index.name.clone());
        let mut report = RekeyReport {
            field: previous.field().to_owned(),
            counted,
            dropped: index.into_iter().map(|name| format!("{}.{name}", self.chats_name())).collect(),
            ..RekeyReport::default()
        };
        self.each_previous_key(previous, &mut report, control, None).await?;
        Ok(report)
    }

    /// Ends a rekeying: servers of the previous keys create nothing any more and do not start again, their index goes, and
    /// so does the previous key of every chat. There is no way back but another rekeying.
    ///
    /// Refused as long as a chat has no new key: `migrate` gives it.
    pub async fn finish_rekeying(
        &self,
        lease: &Lease,
        control: &dyn Control,
    ) -> Result<RekeyReport, MigrateError> {
        let previous = self.previous()?;
        let old = self.of_previous(previous).await?;
        let counted = self.do_previous_count(&old).await?;
        let mut report =
            RekeyReport { field: previous.field().to_owned(), counted, ..RekeyReport::default() };
        if counted {
            self.ensure_all_are_keyed(control, "").await?;
            lease.check().await?;
            control.pace(0).await?;
            meta::retire(&self.database, old.codec.mapping()).await?;
            control.note("servers of the previous configuration create nothing any more");
            sleep(UNTIL_ALL_KNOW).await;
            // What they have created until then is known to nobody else.
            let stopped =
                " Servers of the previous configuration create nothing any more, those of this one go on.";
            self.ensure_all_are_keyed(control, stopped).await?;
            old.give_validator_back().await?;
            lease.check().await?;
            meta::end_replacing(&self.database, self.codec.mapping()).await?;
        }
        // Cut off before, nobody knows whether all knew.
        sleep(UNTIL_ALL_KNOW).await;
        lease.check().await?;
        let dropped = old.indexes().drop_on_the_key().await;
        report.dropped = dropped.map_err(super::protect::of_index)?;
        self.each_previous_key(previous, &mut report, control, Some(lease)).await?;
        Ok(report)
    }

    fn previous(&self) -> Result<&Previous, MigrateError> {
        self.codec.previous().ok_or_else(|| {
            MigrateError::Refused(
                "the configuration names no previous keys that could go: [mongodb.previous] does".to_owned(),
            )
        })
    }

    /// A migrator as those have it who know the previous keys alone.
    async fn of_previous(&self, previous: &Previous) -> Result<Self, MigrateError> {
        let mut mapping = previous.codec().mapping().clone();
        mapping.only = meta::only(&self.database, &mapping).await?;
        let codec = Codec::new(mapping).map_err(|error| MigrateError::Refused(error.to_string()))?;
        Ok(Self { codec, key_format: previous.key_format(), ..self.clone() })
    }

    /// Whether servers may rely on the previous keys, or did so once: those that nothing has replaced yet are not for us to
    /// take away.
    async fn do_previous_count(&self, old: &Self) -> Result<bool, MigrateError> {
        if meta::is_replacing(&self.database, self.codec.mapping()).await? {
            return Ok(true);
        }
        if meta::is_retired(&self.database, old.codec.mapping()).await? {
            return Ok(false);
        }
        Err(MigrateError::Refused(format!(
            "nothing has begun to replace the keys in {}: `onechat migrate` does, with this configuration",
            old.codec.key_field()
        )))
    }

    /// Refuses as long as there is a chat that only its previous key finds.
    async fn ensure_all_are_keyed(&self, control: &dyn Control, already: &str) -> Result<(), MigrateError> {
        let state = self.protection().await?.state;
        let EnforceReport { is_unique, duplicate_keys, without_key, examples, .. } =
            self.enforce(None, true, control).await?;
        let is_enforced = matches!(state, CollectionState::New | CollectionState::Enforced);
        if is_enforced && is_unique && duplicate_keys == 0 && without_key == 0 {
            return Ok(());
        }
        let examples: Vec<_> = examples.into_iter().take(EXAMPLES).collect();
        Err(MigrateError::Refused(format!(
            "the new keys are not complete: the collection is {state}, {without_key} chats are without their new key, and \
             {duplicate_keys} keys are those of several chats. What to do: `onechat migrate`, then this again.{already}\n{}",
            examples.join("\n")
        )))
    }

    /// Looks at every document with something in the previous field, and takes away what is its previous key; without the
    /// lease reads only.
    async fn each_previous_key(
        &self,
        previous: &Previous,
        report: &mut RekeyReport,
        control: &dyn Control,
        lease: Option<&Lease>,
    ) -> Result<(), MigrateError> {
        let there = doc! { previous.field(): { "$exists": true } };
        let chats = self.database.collection::<RawDocumentBuf>(self.chats_name());
        let total =
            persist(|| async { chats.count_documents(there.clone()).collation(simple()).await }).await?;
        let projection: Document = previous.fields().map(|name| (name.to_owned(), Bson::Int32(1))).collect();
        let mut pass = Pass::over_some(&self.database, self.chats_name(), there, projection).await?;
        let mut batch = Vec::new();
        while pass.advance().await? {
            let document = pass.document();
            if let Some(own) = its_own(previous, document) {
                batch.push(own);
            } else {
                report.left += 1;
                if report.examples.len() < EXAMPLES {
                    report.examples.extend(example(previous, document));
                }
            }
            if batch.len() >= BATCH {
                report.cleared += self.clear(previous, std::mem::take(&mut batch), control, lease).await?;
                control.advance(STEP, pass.done(), total.max(pass.done()));
            }
        }
        report.cleared += self.clear(previous, batch, control, lease).await?;
        control.advance(STEP, pass.done(), total.max(pass.done()));
        Ok(())
    }

    /// How many of these keys were taken away, or would be.
    async fn clear(
        &self,
        previous: &Previous,
        batch: Vec<(Bson, Bson)>,
        control: &dyn Control,
        lease: Option<&Lease>,
    ) -> Result<u64, MigrateError> {
        let count = batch.len() as u64;
        let Some(lease) = lease else {
            control.pace(0).await?;
            return Ok(count);
        };
        if batch.is_empty() {
            return Ok(0);
        }
        control.pace(count).await?;
        lease.check().await?;
        let statements = batch.into_iter().map(|(id, key)| {
            doc! {
                "q": { "_id": id, previous.field(): { "$eq": key } },
                "u": { "$unset": { previous.field(): "" } },
                "collation": simple_document(),
            }
        });
        let statements: Vec<Document> = statements.collect();
        let command = doc! { "update": self.chats_name(), "updates": statements, "ordered": false };
        let reply = self.write(command).await?;
        Ok(number(reply.get("nModified")).unwrap_or_default().unsigned_abs())
    }
}

/// The `_id` of a document and what goes from it: its own key, or the place of one that it never had.
fn its_own(previous: &Previous, document: &RawDocument) -> Option<(Bson, Bson)> {
    let owned = |name: &str| field(document, name).and_then(|value| Bson::try_from(value).ok());
    let is_key = match field(document, previous.field())? {
        RawBsonRef::String(key) => {
            previous.key_of(document).as_ref().map(ParticipantsKey::as_str) == Some(key) || key.is_empty()
        }
        RawBsonRef::Null => true,
        _ => false,
    };
    is_key.then_some(())?;
    Some((owned("_id")?, owned(previous.field())?))
}

fn example(previous: &Previous, document: &RawDocument) -> Option<String> {
    let owned = |name: &str| field(document, name).and_then(|value| Bson::try_from(value).ok());
    let (id, key) = (owned("_id")?, owned(previous.field())?);
    Some(format!("{} has {} in {}", shown(&id), shown(&key), previous.field()))
}
