//! What keeps duplicates out, and how far the collection has come.

use onechat_core::{
    StoreError,
    ports::{FindingKind, Findings},
};
use onechat_migrate::CollectionState;

use super::MongoAudit;
use crate::MongoIndexes;

impl MongoAudit {
    pub(super) async fn check_protection(&self, findings: &mut Findings) -> Result<(), StoreError> {
        let collection = &self.codec.mapping().chats;
        let indexes = MongoIndexes::new(self.database.clone(), self.codec.clone());
        let key = indexes.on_the_key().await?;
        let state = indexes.state(&key).await?;
        let Some(index) = key.keeps_out() else {
            if state == CollectionState::New {
                // There is nothing yet that could be a duplicate, and the first server makes the index.
                return Ok(());
            }
            findings.add(FindingKind::MissingUniqueIndex, || format!("collection {collection}, {state}"));
            return Ok(());
        };
        match state {
            CollectionState::Unmigrated => {
                findings.add(FindingKind::NotMigrated, || format!("collection {collection}"));
            }
            CollectionState::Guarded => findings.add(FindingKind::Guarded, || {
                format!("collection {collection}, whose index {} keeps new duplicates out", index.name)
            }),
            CollectionState::New | CollectionState::Enforced => {}
        }
        Ok(())
    }
}
