//! Watches the unique indexes: without them nothing is written.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use onechat_core::StoreError;

use crate::index::{IndexPurpose, IndexStatus, MongoIndexes};

/// How often a server looks whether its indexes are still there. Lookups notice a loss before that, as they name
/// the index that they use.
const PERIOD: Duration = Duration::from_secs(2);

/// What is known of the indexes.
pub(crate) struct Guard {
    indexes: MongoIndexes,
    unsafe_no_index: bool,
    seen: RwLock<Seen>,
}

#[derive(Clone, Default)]
struct Seen {
    /// The name of the unique index on the key.
    chats: Option<String>,
    /// Why there is none.
    chats_missing: String,
    messages: bool,
    messages_missing: String,
    /// The fields and names of all unique indexes of the chats, for errors that have to name one.
    unique: Vec<(Vec<String>, String)>,
}

impl Guard {
    pub(crate) fn new(indexes: MongoIndexes, unsafe_no_index: bool) -> Self {
        Self { indexes, unsafe_no_index, seen: RwLock::default() }
    }

    /// Looks for the indexes. An error leaves what was known: an unreachable database has lost nothing.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let status = self.indexes.status().await?;
        let unique = self.indexes.unique_of_chats().await?;
        let of = |purpose| status.iter().find(|status| status.purpose == purpose);
        let (chats, messages) = (of(IndexPurpose::OneChatPerKey), of(IndexPurpose::OneMessagePerClientId));
        let name = |status: Option<&IndexStatus>| Some(status?.found.as_ref()?.name.clone());
        let now = Seen {
            chats: name(chats),
            chats_missing: chats.map(missing).unwrap_or_default(),
            messages: name(messages).is_some(),
            messages_missing: messages.map(missing).unwrap_or_default(),
            unique,
        };
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let (before, after) = (is_whole(&seen), is_whole(&now));
        *seen = now;
        drop(seen);
        if before && !after {
            tracing::error!(
                event = "index_lost",
                "a unique index is gone: nothing that needs it is written any more"
            );
        } else if after && !before {
            tracing::info!(event = "index_found", "the unique indexes are in place");
        }
        Ok(())
    }

    /// Checks for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PERIOD).await;
            if let Err(error) = self.check().await {
                tracing::debug!(event = "index_check_failed", %error, "the indexes cannot be checked now");
            }
            if self.unsafe_no_index && !is_whole(&self.seen()) {
                tracing::warn!(
                    event = "unprotected",
                    "writing without a unique index, as told: nothing keeps duplicates out"
                );
            }
        }
    }

    /// The index that lookups by key have to use; nothing if any plan will do.
    pub(crate) fn hint(&self) -> Option<String> {
        self.seen().chats.filter(|_| !self.unsafe_no_index)
    }

    /// Why no chat may be created.
    pub(crate) fn refuses_chats(&self) -> Result<(), StoreError> {
        let seen = self.seen();
        if seen.chats.is_some() || self.unsafe_no_index {
            return Ok(());
        }
        Err(StoreError::Unprotected(seen.chats_missing))
    }

    /// Why no message may be stored.
    pub(crate) fn refuses_messages(&self) -> Result<(), StoreError> {
        let seen = self.seen();
        if seen.messages || self.unsafe_no_index {
            return Ok(());
        }
        Err(StoreError::Unprotected(seen.messages_missing))
    }

    /// The name of the unique index on these fields.
    pub(crate) fn name_of(&self, fields: &[String]) -> Option<String> {
        let seen = self.seen();
        seen.unique.into_iter().find(|(of, _)| of == fields).map(|(_, name)| name)
    }

    fn seen(&self) -> Seen {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn is_whole(seen: &Seen) -> bool {
    seen.chats.is_some() && seen.messages
}

fn missing(status: &IndexStatus) -> String {
    let unfit: Vec<String> =
        status.unfit.iter().map(|index| format!("; {} will not do: {}", index.name, index.reason)).collect();
    format!(
        "{} has no unique index for {}: run `onechat index create`{}",
        status.collection,
        status.purpose,
        unfit.concat()
    )
}
