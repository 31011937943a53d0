//! The same router and authentication over a store that remembers nothing: what a benchmark of the whole service is
//! paired with, to tell the cost of HTTP from the cost of the store.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use clap::Parser;
use onechat_api::{Api, ApiMetrics, Authenticator, Limits, Policy, serve};
use onechat_core::{
    Chat, ChatCursor, ChatId, ChatIdentity, Context, KeyFormat, Message, MessageCursor, NewMessage,
    ObjectIdSource, Outcome, OutcomeKind, Page, PageSize, Participant, ParticipantsKey, Proposal,
    ResolveError, Sent, StoreError, Timestamp,
    ports::{ChatStore, Clock},
};
use prometheus_client::registry::Registry;

#[derive(Parser)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, env = "ONECHAT_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The HS256 secret that tokens are signed with.
    #[arg(long, env = "ONECHAT_JWT_SECRET", hide_env_values = true)]
    jwt_secret: String,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let clock = Arc::new(SystemClock);
    let mut registry = Registry::default();
    let limits = Limits::default();
    let api = Api {
        store: Arc::new(NullStore),
        // One process on one machine: nobody to tell apart.
        ids: Arc::new(ObjectIdSource::new(clock.clone(), [0; 5], 0)),
        clock,
        authenticator: Authenticator::hs256(arguments.jwt_secret.as_bytes())?.into(),
        policy: Policy::default(),
        limits,
        metrics: ApiMetrics::register(&mut registry),
        registry: Arc::new(registry),
    };
    let listener = tokio::net::TcpListener::bind(&arguments.listen).await?;
    let drained =
        serve(listener, api.router(), &limits, std::future::pending(), limits.request_timeout).await;
    println!("{drained:?}");
    Ok(())
}

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_ms(0).expect("1970 is in range").plus(since_1970)
    }
}

struct NullStore;

#[async_trait]
impl ChatStore for NullStore {
    async fn create_or_get(&self, proposal: Proposal) -> Result<Outcome, ResolveError> {
        let key = ParticipantsKey::new(&proposal.identity, KeyFormat::Escaped);
        Ok(Outcome { chat: proposal.to_chat(key), kind: OutcomeKind::Existing })
    }

    async fn lookup(&self, _identity: &ChatIdentity) -> Result<Option<Chat>, ResolveError> {
        Ok(None)
    }

    async fn chat(&self, _id: &ChatId) -> Result<Option<Chat>, StoreError> {
        Ok(None)
    }

    async fn chat_for(&self, _id: &ChatId, _participant: &Participant) -> Result<Option<Chat>, StoreError> {
        Ok(None)
    }

    async fn chats_of(
        &self,
        _participant: &Participant,
        _context: Option<&Context>,
        _size: PageSize,
        _after: Option<&ChatCursor>,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn send(&self, _message: NewMessage) -> Result<Option<Sent>, StoreError> {
        Ok(None)
    }

    async fn messages(
        &self,
        _chat: &ChatId,
        _size: PageSize,
        _before: Option<&MessageCursor>,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
