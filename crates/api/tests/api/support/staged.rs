//! A store that works, until the test says otherwise.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use onechat_core::{
    Chat, ChatCursor, ChatId, ChatIdentity, Context, KeyFormat, Message, MessageCursor, NewMessage, Outcome,
    OutcomeKind, Page, PageSize, Participant, Proposal, ResolveError, Sent, StoreError, ports::ChatStore,
};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// What happens to the calls of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Fails(StoreError),
    /// What create-or-get finds, it has found in this way.
    Races(OutcomeKind),
    Panics,
    /// Chats are listed by something that they do not show, as documents of other programs are.
    ListsByHidden,
    /// Calls wait until [`StagedStore::release`].
    Holds,
}

pub(crate) struct StagedStore {
    pub(crate) inner: SqliteChatStore,
    fault: Mutex<Option<Fault>>,
    /// One permit for each call that is being held.
    held: Semaphore,
    released: Semaphore,
    // Dropped last: the file has to be closed by then.
    _folder: TempDir,
}

impl StagedStore {
    pub(crate) fn new(key_format: KeyFormat) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions { key_format, ..SqliteOptions::default() };
        Self {
            inner: SqliteChatStore::open(folder.path().join("chats.sqlite"), &options).unwrap(),
            fault: Mutex::new(None),
            held: Semaphore::new(0),
            released: Semaphore::new(0),
            _folder: folder,
        }
    }

    pub(crate) fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.fault.lock().unwrap() = fault.into();
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap().clone()
    }

    /// Waits until `calls` more calls are being held.
    pub(crate) async fn held(&self, calls: u32) {
        self.held.acquire_many(calls).await.unwrap().forget();
    }

    /// Lets `calls` calls go on.
    pub(crate) fn release(&self, calls: usize) {
        self.released.add_permits(calls);
    }

    async fn stage(&self) -> Result<(), StoreError> {
        match self.fault() {
            Some(Fault::Fails(error)) => Err(error),
            Some(Fault::Panics) => panic!("the store has a bug"),
            Some(Fault::Holds) => {
                self.held.add_permits(1);
                self.released.acquire().await.unwrap().forget();
                Ok(())
            }
            Some(Fault::Races(_) | Fault::ListsByHidden) | None => Ok(()),
        }
    }
}

#[async_trait]
impl ChatStore for StagedStore {
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError> {
        self.stage().await?;
        let mut outcome = self.inner.create_or_get(proposal).await?;
        if let Some(Fault::Races(kind)) = *self.fault.lock().unwrap() {
            outcome.kind = kind;
        }
        Ok(outcome)
    }

    async fn lookup(&self, identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError> {
        self.stage().await?;
        self.inner.lookup(identity).await
    }

    async fn chat(&self, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        self.stage().await?;
        self.inner.chat(id).await
    }

    async fn chat_for(&self, id: &ChatId, participant: &Participant) -> Result<Option<Chat>, StoreError> {
        self.stage().await?;
        self.inner.chat_for(id, participant).await
    }

    async fn chats_of(
        &self,
        participant: &Participant,
        context: Option<&Context>,
        size: PageSize,
        after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        self.stage().await?;
        let mut page = self.inner.chats_of(participant, context, size, after).await?;
        if self.fault() == Some(Fault::ListsByHidden) {
            for chat in &mut page.items {
                chat.created_at = chat.created_at.plus(Duration::from_hours(24));
            }
        }
        Ok(page)
    }

    async fn send(&self, message: NewMessage) -> Result<Option<Sent>, StoreError> {
        self.stage().await?;
        self.inner.send(message).await
    }

    async fn messages(
        &self,
        chat: &ChatId,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.stage().await?;
        self.inner.messages(chat, size, before).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.stage().await?;
        self.inner.ready().await
    }
}
