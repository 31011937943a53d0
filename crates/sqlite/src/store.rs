//! The store of the ports, put together from a reader pool and the writer.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use onechat_core::{
    AliasError, Chat, ChatCursor, ChatId, ChatIdentity, Context, KeyFormat, Message, MessageCursor,
    NewMessage, Outcome, Page, PageSize, Participant, ParticipantsKey, Proposal, ResolveError, Sent,
    StoreError,
    ports::{AliasStore, Audit, AuditReport, ChatStore, Progress},
};
use prometheus_client::registry::Registry;

use crate::{
    OpenError, SqliteAudit, connection, lock::ServerLock, metrics::Metrics, path::resolve, readers::Readers,
    reads, schema, writer::Writer, writes,
};

/// How a [`SqliteChatStore`] behaves.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The format of the keys; that of an existing file cannot be changed.
    pub key_format: KeyFormat,
    /// How many writes may wait; beyond them callers get [`StoreError::Overloaded`].
    pub queue_capacity: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { key_format: KeyFormat::default(), queue_capacity: 4096 }
    }
}

/// Chats and messages in one SQLite file, which this process alone serves.
///
/// What has been answered survives `kill -9` and a power cut. Dropping the store finishes what was accepted.
pub struct SqliteChatStore {
    // Fields are dropped in this order: readers first, so that the writer's connection is the last to close and
    // folds the log into the file; the lock when nothing is open any more.
    readers: Arc<Readers>,
    writer: Writer,
    path: PathBuf,
    key_format: KeyFormat,
    metrics: Metrics,
    _lock: ServerLock,
}

impl SqliteChatStore {
    /// Opens the file at `path`, and creates it if there is none. The folder has to exist.
    pub fn open(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let path = resolve(path).map_err(|error| OpenError::from_io(path, &error))?;
        let lock = ServerLock::take(&path)?;
        let mut writer = connection::writer(&path).map_err(|error| OpenError::from_sqlite(&path, &error))?;
        schema::prepare(&path, &mut writer, options.key_format)?;
        let metrics = Metrics::default();
        let readers = Arc::new(Readers::new(path.clone()));
        let writer = Writer::start(writer, Arc::clone(&readers), options.queue_capacity, metrics.clone())
            .map_err(|error| OpenError::from_io(&path, &error))?;
        Ok(Self { readers, writer, path, key_format: options.key_format, metrics, _lock: lock })
    }

    /// Adds this store's metrics to those of the service.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}

#[async_trait]
impl ChatStore for SqliteChatStore {
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError> {
        proposal.roles.ensure_none()?;
        let key = ParticipantsKey::new(&proposal.identity, self.key_format);
        // Most calls are for a chat that exists, and must not wait for the writer. The answer of a miss is
        // not trusted: the writer's insert decides.
        if let Some(chat) = self.readers.read(|connection| reads::by_key(connection, &key))? {
            return Ok(proposal.settle(chat, false)?);
        }
        let wanted = proposal.clone();
        let stored = self.writer.write(move |connection| writes::create(connection, &wanted, &key)).await?;
        Ok(proposal.settle(stored, true)?)
    }

    async fn lookup(&self, identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError> {
        let key = ParticipantsKey::new(identity, self.key_format);
        let found = self.readers.read(|connection| reads::by_key(connection, &key))?;
        Ok(found.map(|chat| chat.checked_for(identity)).transpose()?)
    }

    async fn chat(&self, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        self.readers.read(|connection| reads::by_id(connection, id))
    }

    async fn chat_for(&self, id: &ChatId, participant: &Participant) -> Result<Option<Chat>, StoreError> {
        let found = self.readers.read(|connection| reads::by_id_for(connection, id, participant))?;
        // The row that was found is made from the chat; should it be wrong, the chat itself decides.
        Ok(found.filter(|chat| chat.identity.participants.contains(participant)))
    }

    async fn chats_of(
        &self,
        participant: &Participant,
        context: Option<&Context>,
        size: PageSize,
        after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        self.readers.read(|connection| reads::chats_of(connection, participant, context, size, after))
    }

    async fn send(&self, message: NewMessage) -> Result<Option<Sent>, StoreError> {
        self.writer.write(move |connection| writes::send(connection, &message)).await
    }

    async fn messages(
        &self,
        chat: &ChatId,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.readers.read(|connection| reads::messages(connection, chat, size, before))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        if self.readers.has_met_damage() {
            return Err(StoreError::Corrupt("a read has found damage: audit the file".to_owned()));
        }
        if self.writer.is_failing() {
            return self.writer.write(writes::probe).await;
        }
        // Through the queue, so that a writer that has stopped is noticed.
        self.writer.write(|_| Ok(())).await
    }
}

#[async_trait]
impl AliasStore for SqliteChatStore {
    async fn add_alias(&self, alias: &ChatId, chat: &ChatId) -> Result<(), AliasError> {
        let (alias, chat) = (alias.clone(), chat.clone());
        self.writer.write(move |connection| writes::add_alias(connection, &alias, &chat)).await?
    }
}

#[async_trait]
impl Audit for SqliteChatStore {
    async fn audit(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        let audit =
            SqliteAudit::open(&self.path).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        audit.audit(progress).await
    }
}
