//! Watches the unique indexes and the state of the collection: without the one nothing is written, and the other
//! says how a chat is looked for.

mod previous;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use onechat_core::StoreError;
use onechat_migrate::CollectionState;

use crate::index::{IndexPurpose, IndexStatus, MongoIndexes};

/// How often a server looks whether its indexes are still there, and how far the collection has come. Lookups notice
/// a loss before that, as they name the index that they use.
pub(crate) const PERIOD: Duration = Duration::from_secs(2);

/// What is known of the indexes and the state.
pub(crate) struct Guard {
    indexes: MongoIndexes,
    /// Those of the previous keys, if the configuration names any.
    previous: Option<MongoIndexes>,
    unsafe_no_index: bool,
    /// Whether some documents are outside: one that comes back inside has no key, however far the collection has come.
    has_outside: bool,
    seen: RwLock<Arc<Seen>>,
}

/// The names of the indexes by which a participant's chats are listed.
#[derive(Debug, Clone)]
pub(crate) struct ListIndexes {
    /// Of chats with messages.
    pub(crate) active: String,
    /// Of chats without.
    pub(crate) silent: String,
}

struct Seen {
    state: CollectionState,
    /// The name of the index on the key that keeps duplicates out.
    chats: Option<String>,
    /// Why there is none.
    chats_missing: String,
    /// Whether any index makes a lookup by key fast.
    key_is_indexed: bool,
    participants_are_indexed: bool,
    /// The name of the index on participant and id, for each path of participants.
    members: Option<Vec<String>>,
    /// The names of the indexes that hold lists of chats in order, for each path of participants.
    lists: Option<Vec<ListIndexes>>,
    messages: bool,
    messages_missing: String,
    /// As long as the previous keys count: the name of their index that keeps duplicates out, or why there is none.
    previous: Option<Result<String, String>>,
    /// The fields and names of all unique indexes of the chats, for errors that have to name one.
    unique: Vec<(Vec<String>, String)>,
}

/// Nothing is known yet, so nothing may be created.
impl Default for Seen {
    fn default() -> Self {
        Self {
            state: CollectionState::Unmigrated,
            chats: None,
            chats_missing: String::new(),
            key_is_indexed: false,
            participants_are_indexed: false,
            members: None,
            lists: None,
            messages: false,
            messages_missing: String::new(),
            previous: None,
            unique: Vec::new(),
        }
    }
}

impl Guard {
    pub(crate) fn new(indexes: MongoIndexes, unsafe_no_index: bool, has_outside: bool) -> Self {
        let previous = indexes.of_previous();
        Self { indexes, previous, unsafe_no_index, has_outside, seen: RwLock::default() }
    }

    /// Looks for the indexes and the state. An error leaves what was known: an unreachable database has lost nothing.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let status = self.indexes.status().await?;
        let unique = self.indexes.unique_of_chats().await?;
        let of = |purpose| status.iter().find(|status| status.purpose == purpose);
        let chats = of(IndexPurpose::OneChatPerKey).expect("every mapping needs it");
        // Not needed where messages are stored in their chats.
        let messages = of(IndexPurpose::OneMessagePerClientId);
        let names = |purpose| -> Option<Vec<String>> {
            let all = status.iter().filter(|status| status.purpose == purpose);
            all.map(|status| status.found.as_ref().map(|index| index.name.clone())).collect()
        };
        let lists = names(IndexPurpose::ActiveChatsOfParticipant)
            .zip(names(IndexPurpose::SilentChatsOfParticipant))
            .map(|(active, silent)| active.into_iter().zip(silent))
            .map(|pairs| pairs.map(|(active, silent)| ListIndexes { active, silent }).collect::<Vec<_>>());
        let participants_are_indexed = lists.is_some() || self.indexes.finds_by_participants().await?;
        let now = Seen {
            state: self.indexes.noted_state(chats).await?,
            chats: chats.keeps_out().map(|index| index.name.clone()),
            chats_missing: missing(chats),
            key_is_indexed: chats.keeps_out().is_some() || !chats.unfit.is_empty(),
            participants_are_indexed,
            members: names(IndexPurpose::ChatOfParticipant),
            lists,
            messages: messages.is_none_or(|messages| messages.found.is_some()),
            messages_missing: messages.map(missing).unwrap_or_default(),
            previous: self.previous_now().await?,
            unique,
        };
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let now = Arc::new(now);
        let before = std::mem::replace(&mut *seen, Arc::clone(&now));
        drop(seen);
        tell(&before, &now);
        self.tell_of_previous(&before, &now);
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
        let seen = self.seen();
        let is_sure = !self.unsafe_no_index && seen.state != CollectionState::Unmigrated;
        seen.chats.clone().filter(|_| is_sure)
    }

    /// The indexes by which lists of chats are read; nothing if their order has to be computed.
    pub(crate) fn list_indexes(&self) -> Option<Vec<ListIndexes>> {
        self.seen().lists.clone()
    }

    /// The indexes by which a participant's chat is looked for; nothing if any plan has to do.
    pub(crate) fn member_hints(&self) -> Option<Vec<String>> {
        self.seen().members.clone()
    }

    /// Whether there may be chats that only their participants find.
    pub(crate) fn has_history(&self) -> bool {
        self.has_outside
            || matches!(self.seen().state, CollectionState::Unmigrated | CollectionState::Guarded)
    }

    /// Whether a chat that only its participants find is given its key: that is safe only while an index decides who
    /// has the key.
    pub(crate) fn adopts(&self) -> bool {
        let seen = self.seen();
        let may_be_unkeyed = match seen.state {
            CollectionState::Unmigrated => false,
            CollectionState::Guarded => true,
            CollectionState::New | CollectionState::Enforced => self.has_outside,
        };
        may_be_unkeyed && seen.chats.is_some()
    }

    /// Whether looking by key would read the whole collection, which looking by participants then does anyway.
    pub(crate) fn looks_by_participants_only(&self) -> bool {
        let seen = self.seen();
        seen.state == CollectionState::Unmigrated && !seen.key_is_indexed
    }

    /// Why no chat may even be looked for by its key.
    pub(crate) fn refuses_lookups(&self) -> Result<(), StoreError> {
        match self.refuses_keys() {
            Err(StoreError::NotMigrated(_)) => Ok(()),
            other => other,
        }
    }

    /// Why no chat may be created.
    pub(crate) fn refuses_chats(&self) -> Result<(), StoreError> {
        self.refuses_keys()?;
        if self.previous.is_none() {
            return Ok(());
        }
        match &self.seen().previous {
            Some(Err(missing)) if !self.unsafe_no_index => Err(StoreError::Unprotected(missing.clone())),
            _ => Ok(()),
        }
    }

    fn refuses_keys(&self) -> Result<(), StoreError> {
        if self.unsafe_no_index {
            return Ok(());
        }
        let seen = self.seen();
        if seen.state == CollectionState::Unmigrated {
            let why = match seen.chats {
                Some(_) => "servers were told to create nothing".to_owned(),
                None => format!("{}, if it has no duplicates", seen.chats_missing),
            };
            return Err(StoreError::NotMigrated(format!(
                "the collection is not migrated: run `onechat migrate`; {why}"
            )));
        }
        if seen.chats.is_some() { Ok(()) } else { Err(StoreError::Unprotected(seen.chats_missing.clone())) }
    }

    /// Why no message may be stored.
    pub(crate) fn refuses_messages(&self) -> Result<(), StoreError> {
        let seen = self.seen();
        if seen.messages || self.unsafe_no_index {
            return Ok(());
        }
        Err(StoreError::Unprotected(seen.messages_missing.clone()))
    }

    /// The name of the unique index on these fields.
    pub(crate) fn name_of(&self, fields: &[String]) -> Option<String> {
        let seen = self.seen();
        seen.unique.iter().find(|(of, _)| of == fields).map(|(_, name)| name.clone())
    }

    fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says what has changed.
fn tell(before: &Seen, now: &Seen) {
    let is_first_look = before.unique.is_empty();
    if before.state != now.state && !is_first_look {
        let (from, to) = (before.state.name(), now.state.name());
        tracing::info!(event = "state_followed", from, to, "the collection is in another state");
    }
    if is_whole(before) && !is_whole(now) {
        tracing::error!(
            event = "index_lost",
            "a unique index is gone: nothing that needs it is written any more"
        );
    } else if is_whole(now) && !is_whole(before) {
        tracing::info!(event = "index_found", "the unique indexes are in place");
    }
    if now.lists.is_none() && (is_first_look || before.lists.is_some()) {
        tracing::warn!(
            event = "slow_lists",
            "an index for lists of chats is missing, so each page reads all chats of its participant: run \
             `onechat index create`; servers notice it within seconds"
        );
    } else if now.lists.is_some() && before.lists.is_none() && !is_first_look {
        tracing::info!(event = "lists_indexed", "the indexes for lists of chats are in place");
    }
    if now.members.is_none() && (is_first_look || before.members.is_some()) {
        tracing::warn!(
            event = "telling_times",
            "the index on participants and ids is missing, so the time of a refusal can tell whether a chat of others \
             exists: run `onechat index create`; servers notice it within seconds"
        );
    }
    let is_slow = |seen: &Seen| seen.state == CollectionState::Guarded && !seen.participants_are_indexed;
    if is_slow(now) && !is_slow(before) {
        tracing::warn!(
            event = "slow_adoption",
            "there is no index on the participants, so each new chat costs a scan: run `onechat guard on`"
        );
    }
}

fn is_whole(seen: &Seen) -> bool {
    seen.chats.is_some() && seen.messages && !matches!(seen.previous, Some(Err(_)))
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
