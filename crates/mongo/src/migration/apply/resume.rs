//! Finishes what was cut off: entries that say that they are being applied. Only without transactions are there any.

use futures_util::TryStreamExt as _;
use mongodb::bson::{RawDocumentBuf, doc};
use onechat_migrate::Control;

use super::{
    super::{
        Lease, MigrateError, MongoMigrator,
        commands::persist,
        journal::{Entry, EntryState},
    },
    statements::Merge,
};

impl MongoMigrator {
    /// Carries every interrupted merge to its end.
    pub(in crate::migration) async fn finish_interrupted(
        &self,
        lease: &Lease,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let filter =
            doc! { "state": EntryState::Applying.name(), "chats": self.chats_name(), "type": "merge" };
        let journal = self.journal();
        let headers: Vec<RawDocumentBuf> = persist(|| async {
            let find = journal.find(filter.clone()).projection(doc! { "items": 0 }).sort(doc! { "order": 1 });
            find.await?.try_collect().await
        })
        .await?;
        if headers.is_empty() {
            return Ok(());
        }
        control.note(&format!("{} merges were cut off and are gone on with", headers.len()));
        let rules = self.rules_with_facts().await?;
        for header in &headers {
            let entry = Entry::from_document(header)?;
            lease.check().await?;
            control.pace(1).await?;
            let mut items = Vec::new();
            let mut stored = self.items(entry.id).await?;
            while let Some(item) = stored.next().await? {
                items.push(item);
            }
            items.sort_by_key(|item| !matches!(item, super::super::journal::Item::Survivor { .. }));
            self.carry_out(&rules, vec![Merge { entry, items, seen: None }], true).await?;
        }
        Ok(())
    }
}
