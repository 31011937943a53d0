//! Chats that servers of the previous keys have created: found by these, and given their key.

use std::{collections::HashMap, sync::Arc};

use onechat_core::{Chat, StoreError};

use super::{Missing, Resolver, Unfound, history::Way};
use crate::{attempt::Deadline, error::Written, historic::Wanted};

impl Resolver {
    /// Answers what the previous keys find. Returns the rest.
    pub(super) async fn look_by_previous(
        self: &Arc<Self>,
        unfound: Vec<Unfound>,
        deadline: Deadline,
    ) -> Vec<Unfound> {
        if unfound.is_empty() {
            return unfound;
        }
        self.look_back(unfound, Way::Previous, self.guard.adopts_by_previous(), deadline).await
    }

    /// After an insert that the previous index has refused: the chats that a server of the previous keys was first to
    /// create, adopted; and those of others, which keep the key.
    pub(super) async fn winners_by_previous(
        self: &Arc<Self>,
        refused: &[&Missing],
        deadline: Deadline,
    ) -> Result<HashMap<Wanted, Result<Arc<Chat>, StoreError>>, StoreError> {
        if refused.is_empty() {
            return Ok(HashMap::new());
        }
        let adopts = self.guard.adopts_by_previous();
        let asked = refused.iter().map(|missing| (&missing.wanted, adopts)).collect();
        let mut winners = self.chats_of_old(asked, Way::Previous, deadline).await?;
        for missing in refused {
            let wanted = &missing.wanted;
            if !winners.contains_key(wanted)
                && let Some(stranger) = self.stranger_under_previous(wanted, deadline).await?
            {
                winners.insert(wanted.clone(), Ok(stranger));
            }
        }
        Ok(winners)
    }

    /// The chat of others that has the previous key of these people.
    pub(super) async fn stranger_under_previous(
        &self,
        wanted: &Wanted,
        deadline: Deadline,
    ) -> Result<Option<Arc<Chat>>, StoreError> {
        let hint = self.guard.previous_hint();
        self.collections.stranger_under_previous(wanted, hint.as_deref(), deadline).await
    }

    /// Whether the index of the previous keys has refused a write.
    pub(super) fn is_of_previous(&self, written: &Written) -> bool {
        let previous = self.collections.codec().previous();
        let is_its = |fields: &[String]| {
            previous.is_some_and(|previous| matches!(fields, [field] if field == previous.field()))
        };
        matches!(written, Written::Duplicate(fields) if is_its(fields))
    }
}
