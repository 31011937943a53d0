//! How long the previous keys count, and whether their index still decides between the servers of both configurations.

use onechat_core::StoreError;
use onechat_migrate::CollectionState;

use super::{Guard, Seen};
use crate::meta;

impl Guard {
    /// The index of the previous keys; nothing once they do not count any more.
    pub(super) async fn previous_now(&self) -> Result<Option<Result<String, String>>, StoreError> {
        let Some(previous) = &self.previous else { return Ok(None) };
        if !meta::is_replacing(&self.indexes.database, self.indexes.codec.mapping()).await? {
            return Ok(None);
        }
        let key = previous.on_the_key().await?;
        Ok(Some(key.keeps_out().map(|index| index.name.clone()).ok_or_else(|| {
            format!(
                "{} has no unique index any more on {}, by which servers of the previous keys keep duplicates out",
                key.collection,
                previous.codec.key_field()
            )
        })))
    }

    /// Whether other servers may still rely on the previous keys: then they are written too, and chats are found by them.
    pub(crate) fn follows_previous(&self) -> bool {
        self.previous.is_some() && self.seen().previous.is_some()
    }

    /// The index that lookups by the previous key should use; nothing if any plan has to do.
    pub(crate) fn previous_hint(&self) -> Option<String> {
        self.seen().previous.clone()?.ok()
    }

    /// Whether a chat that its previous key finds is given its key, however far the collection has come.
    pub(crate) fn adopts_by_previous(&self) -> bool {
        let seen = self.seen();
        seen.state != CollectionState::Unmigrated && seen.chats.is_some()
    }

    /// Says once that the configuration names more than there is.
    pub(super) fn tell_of_previous(&self, before: &Seen, now: &Seen) {
        let is_first_look = before.unique.is_empty();
        if self.previous.is_some() && now.previous.is_none() && (before.previous.is_some() || is_first_look) {
            tracing::info!(
                event = "previous_keys_over",
                "the previous keys are neither written nor looked by any more: [mongodb.previous] can go from the \
                 configuration"
            );
        }
    }
}
