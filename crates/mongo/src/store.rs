//! The store of the ports, put together.

use std::sync::Arc;

use async_trait::async_trait;
use onechat_core::{
    AliasError, Chat, ChatCursor, ChatId, ChatIdentity, Context, Message, MessageCursor, NewMessage, Outcome,
    Page, PageSize, Participant, ParticipantsKey, Proposal, ResolveError, Sent, StoreError,
    ports::{AliasStore, Audit, AuditReport, ChatStore, Progress},
};
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;

use crate::{
    MongoAudit, MongoIndexes, MongoOptions, OpenError, codec::Codec, collections::Collections,
    connection::Connection, filter, guard::Guard, historic::Wanted, meta, metrics::Metrics,
    resolver::Resolver,
};

/// Chats and messages in MongoDB, which any number of servers and other programs may use at once.
///
/// What has been answered is on a majority of the members, and survives the loss of the others.
pub struct MongoChatStore {
    collections: Arc<Collections>,
    guard: Arc<Guard>,
    resolver: Arc<Resolver>,
    metrics: Metrics,
    options: MongoOptions,
    audit: MongoAudit,
    watch: JoinHandle<()>,
}

impl MongoChatStore {
    /// Connects, and makes the indexes where a collection is empty. The path of `url` names the database.
    ///
    /// A collection with documents but without a unique index opens too: it is read, and no chat is created
    /// ([`StoreError::NotMigrated`]) until it has been brought to the guarantee, which is noticed within seconds.
    pub async fn connect(url: &str, options: MongoOptions) -> Result<Self, OpenError> {
        let codec = Codec::new(options.mapping.clone())?;
        let metrics = Metrics::default();
        let connection = Connection::open(url, options.deadline, metrics.pool.clone()).await?;
        let database = &connection.database;
        let unavailable = |error: &dyn ToString| OpenError::Unavailable(error.to_string());
        filter::try_out(database, &options.mapping).await?;
        meta::agree(database, &meta::Configured::new(options.key_format, &options.mapping)).await?;
        let indexes = MongoIndexes::new(database.clone(), codec.clone());
        indexes.create_where_empty().await.map_err(|error| unavailable(&error))?;
        // Chats that have no key though the collection is enforced.
        let has_unkeyed = codec.only().is_some()
            || codec.previous().is_some_and(|previous| previous.dropped_context().is_some());
        let guard = Arc::new(Guard::new(indexes, options.unsafe_no_index, has_unkeyed));
        guard.check().await.map_err(|error| unavailable(&error))?;
        for refused in [guard.refuses_chats(), guard.refuses_messages()] {
            if let Err(error) = refused {
                tracing::error!(event = "unprotected", %error, "this will not be written");
            }
        }
        let watch = tokio::spawn(Arc::clone(&guard).watch());
        let collections = Collections::new(&connection, codec.clone(), metrics.clone(), options.deadline);
        let collections = Arc::new(collections);
        let resolver = Resolver::new(
            Arc::clone(&collections),
            Arc::clone(&guard),
            metrics.clone(),
            options.queue_capacity,
            options.deadline,
        );
        let audit = MongoAudit::new(database.clone(), codec, options.key_format);
        Ok(Self { collections, guard, resolver, metrics, options, audit, watch })
    }

    /// Adds this store's metrics to those of the service.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    fn wanted(&self, identity: &ChatIdentity) -> Wanted {
        let key = ParticipantsKey::new(identity, self.options.key_format);
        Wanted { key, identity: Arc::new(identity.clone()) }
    }
}

impl Drop for MongoChatStore {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[async_trait]
impl ChatStore for MongoChatStore {
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError> {
        self.collections.codec().ensure_roles_are_known(&proposal)?;
        let wanted = self.wanted(&proposal.identity);
        let answer = self.resolver.resolve(wanted, Some(proposal.clone())).await?;
        let (chat, wrote) = answer.ok_or_else(|| {
            StoreError::Unavailable("the request was answered as if it were a lookup".to_owned())
        })?;
        Ok(proposal.settle(Arc::unwrap_or_clone(chat), wrote)?)
    }

    async fn lookup(&self, identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError> {
        let wanted = self.wanted(identity);
        let found = match self.resolver.resolve(wanted.clone(), None).await? {
            Some((chat, _)) => Some(chat),
            None => self.resolver.surely(&wanted).await?,
        };
        Ok(found.map(|chat| Arc::unwrap_or_clone(chat).checked_for(identity)).transpose()?)
    }

    async fn chat(&self, id: &ChatId) -> Result<Option<Chat>, StoreError> {
        Ok(self.collections.by_id(id).await?.map(|found| found.chat))
    }

    async fn chat_for(&self, id: &ChatId, participant: &Participant) -> Result<Option<Chat>, StoreError> {
        self.collections.chat_for(id, participant, &self.guard).await
    }

    async fn chats_of(
        &self,
        participant: &Participant,
        context: Option<&Context>,
        size: PageSize,
        after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        self.collections.chats_of(participant, context, size, after, &self.guard).await
    }

    async fn send(&self, message: NewMessage) -> Result<Option<Sent>, StoreError> {
        self.collections.send(&message, &self.guard).await
    }

    async fn messages(
        &self,
        chat: &ChatId,
        size: PageSize,
        before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.collections.messages(chat, size, before).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.guard.refuses_chats()?;
        self.guard.refuses_messages()?;
        self.collections.ping().await
    }
}

#[async_trait]
impl AliasStore for MongoChatStore {
    async fn add_alias(&self, alias: &ChatId, chat: &ChatId) -> Result<(), AliasError> {
        self.collections.add_alias(alias, chat).await
    }
}

#[async_trait]
impl Audit for MongoChatStore {
    async fn audit(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        self.audit.audit(progress).await
    }
}
