//! New chats that the filter `only` would leave out, and keys that documents outside it hold.

use std::sync::Arc;

use mongodb::bson::Document;
use onechat_core::StoreError;

use super::{Missing, Resolver};
use crate::{attempt::Deadline, error::Written};

impl Resolver {
    /// Refuses what would be outside `only`. Returns the rest.
    pub(super) async fn without_outsiders(
        self: &Arc<Self>,
        batch: Vec<Missing>,
        deadline: Deadline,
    ) -> Vec<Missing> {
        if self.collections.codec().only().is_none() {
            return batch;
        }
        let documents: Vec<&Document> = batch.iter().map(|missing| &missing.document).collect();
        let outsiders = self.collections.outsiders(&documents, deadline).await;
        let mut rest = Vec::with_capacity(batch.len());
        for (place, missing) in batch.into_iter().enumerate() {
            let refusal = match &outsiders {
                Ok(outsiders) => outsiders
                    .iter()
                    .find(|(of, _)| *of == place)
                    .map(|(_, fields)| StoreError::OutsideFilter(fields.clone())),
                Err(error) => Some(error.clone()),
            };
            match refusal {
                Some(error) => self.answer(&missing.wanted, missing.waiters, &Err(error)),
                None => rest.push(missing),
            }
        }
        rest
    }

    /// Takes keys away from documents outside, which are in the way of chats that nobody has: these are inserted again.
    pub(super) async fn make_way(&self, open: &mut [(Missing, Written)]) {
        if self.collections.codec().only().is_none() {
            return;
        }
        let is_refused = |written: &Written| matches!(written, Written::Duplicate(fields) if *fields == [self.collections.codec().key_field()]);
        let refused = open.iter().filter(|(_, written)| is_refused(written));
        let refused: Vec<_> = refused.map(|(missing, _)| (&missing.wanted.key, missing.deadline)).collect();
        let Some((_, deadline)) = refused.first() else { return };
        let keys: Vec<_> = refused.iter().map(|(key, _)| *key).collect();
        // What cannot be taken now is looked for again, as long as there is time.
        let Ok(taken) = self.collections.take_from_outside(&keys, *deadline).await else { return };
        for (missing, written) in open {
            if is_refused(written) && taken.contains(missing.wanted.key.as_str()) {
                *written = Written::Unknown("a document outside `only` had its key".to_owned());
            }
        }
    }
}
