//! What the suite needs from a store crate: places to keep data in, and stores opened on them.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use onechat_core::{
    ChatId, ChatIdentity, ClientMessageId, Context, KeyFormat, MessageId, MessageText, NewMessage,
    ObjectIdSource, Participant, ParticipantSet, Proposal, Roles, Timestamp,
    ports::{AliasStore, Audit, ChatStore, Clock, IdSource},
};
use tokio::sync::Barrier;

/// Opens stores for the suite.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Where a store keeps its data, for example a temporary folder. Dropping it may delete the data.
    type Place: Send + Sync;
    /// The store under test.
    type Store: ChatStore + AliasStore + Audit + 'static;

    /// A place that no store has used.
    async fn place(&self) -> Self::Place;

    /// Opens a store there, or says why not. Stores opened on the place before have been dropped.
    async fn open(&self, place: &Self::Place, format: KeyFormat) -> Result<Arc<Self::Store>, String>;

    /// Whether pages have messages in the order in which they were stored, whatever their times say.
    fn lists_messages_as_stored(&self) -> bool {
        false
    }
}

/// Times and ids for a case: every call gets its own, and time moves by a second whenever it is asked for.
pub struct World {
    ids: ObjectIdSource,
    clock: Arc<TickingClock>,
}

struct TickingClock(AtomicI64);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        let ms = self.0.fetch_add(1000, Ordering::Relaxed);
        Timestamp::from_unix_ms(ms).expect("a test does not reach the year 9999")
    }
}

impl Default for World {
    fn default() -> Self {
        let clock = Arc::new(TickingClock(AtomicI64::new(1_700_000_000_000)));
        Self { ids: ObjectIdSource::new(clock.clone(), [1, 2, 3, 4, 5], 0), clock }
    }
}

impl World {
    /// The present moment, a second after the last one that was asked for.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id that no chat has.
    pub fn chat_id(&self) -> ChatId {
        self.ids.chat_id()
    }

    /// An id that no message has.
    pub fn message_id(&self) -> MessageId {
        self.ids.message_id()
    }

    /// A proposal for the chat of this identity.
    pub fn proposal(&self, identity: impl Into<ChatIdentity>) -> Proposal {
        Proposal { identity: identity.into(), id: self.chat_id(), now: self.now(), roles: Roles::default() }
    }

    /// A message whose text says what its client's id is.
    pub fn message(&self, chat: &ChatId, sender: &str, client_message_id: &str) -> NewMessage {
        NewMessage {
            chat: chat.clone(),
            id: self.message_id(),
            sender: participant(sender),
            text: MessageText::new(format!("text of {client_message_id}")).expect("a short text"),
            client_message_id: ClientMessageId::new(client_message_id).expect("a valid id"),
            now: self.now(),
        }
    }
}

/// Opens a fresh store for a case.
pub(crate) async fn fresh<H: Harness>(
    harness: &H,
    format: KeyFormat,
) -> Result<(H::Place, Arc<H::Store>), crate::Violation> {
    let place = harness.place().await;
    let store = open(harness, &place, format).await?;
    Ok((place, store))
}

/// Opens a store where one may have been before.
pub(crate) async fn open<H: Harness>(
    harness: &H,
    place: &H::Place,
    format: KeyFormat,
) -> Result<Arc<H::Store>, crate::Violation> {
    let opened = harness.open(place, format).await;
    opened.map_err(|error| crate::Violation(format!("the store does not open: {error}")))
}

/// Runs `calls` in tasks of their own, all released in the same moment.
pub(crate) async fn race<F, T>(calls: Vec<F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let barrier = Arc::new(Barrier::new(calls.len()));
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("a call of the store must not panic"));
    }
    results
}

/// A participant of a test.
pub(crate) fn participant(text: &str) -> Participant {
    Participant::new(text).expect("a valid participant")
}

/// A set of a test.
pub(crate) fn set(texts: &[&str]) -> ParticipantSet {
    ParticipantSet::parse(texts.iter().copied()).expect("a valid set")
}

/// A context of a test.
pub(crate) fn context(text: &str) -> Context {
    Context::new(text).expect("a valid context")
}

/// An identity of a test; no context for an empty text.
pub(crate) fn identity(about: &str, texts: &[&str]) -> ChatIdentity {
    let context = (!about.is_empty()).then(|| context(about));
    ChatIdentity { participants: set(texts), context }
}
