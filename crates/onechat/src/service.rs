//! The composition root: a store, the API over it, and a socket.

use std::{fs, future::Future, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use onechat_api::{Api, ApiMetrics, Authenticator, AuthenticatorHandle, Drained, Limits, Policy};
use onechat_core::ports::{ChatStore, Clock, IdSource};
use onechat_mongo::{ChatIdForm, IdMapping, MongoChatStore};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tokio::net::TcpListener;

use crate::{
    ambient::{self, SystemClock, UuidSource},
    config::{Config, JwtConfig, JwtKey, StoreConfig, StoreUrl},
};

/// A service that has its store and its address, and waits to be run.
pub(crate) struct Service {
    listener: TcpListener,
    api: Api,
    limits: Limits,
    drain_timeout: std::time::Duration,
    pub(crate) address: SocketAddr,
    pub(crate) authenticator: AuthenticatorHandle,
    pub(crate) store: Arc<dyn ChatStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl Service {
    /// Opens the store and the socket, in this order: who can connect can be served.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let authenticator = AuthenticatorHandle::new(authenticator(&config.jwt)?);
        let mut registry = Registry::default();
        let metrics = ApiMetrics::register(&mut registry);
        let store = open_store(&config.store, &mut registry).await?;
        let listener = config.listen.bind().await.with_context(|| {
            format!("cannot listen on {}; choose another address with --listen", config.listen)
        })?;
        let address = listener.local_addr()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids = id_source(&config.store)?;
        let api = Api {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            authenticator: authenticator.clone(),
            policy: Policy { allow_note_to_self: config.allow_note_to_self, context: config.context },
            limits: config.limits,
            metrics,
            registry: Arc::new(registry),
        };
        let (limits, drain_timeout) = (config.limits, config.drain_timeout);
        Ok(Self { listener, api, limits, drain_timeout, address, authenticator, store, clock, ids })
    }

    /// Serves until `shutdown`, then finishes what was accepted, and closes the store.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) -> Drained {
        onechat_api::serve(self.listener, self.api.router(), &self.limits, shutdown, self.drain_timeout).await
    }
}

async fn open_store(config: &StoreConfig, registry: &mut Registry) -> anyhow::Result<Arc<dyn ChatStore>> {
    match config.required()? {
        StoreUrl::Sqlite(path) => {
            let options =
                SqliteOptions { key_format: config.key_format, queue_capacity: config.queue_capacity };
            let store = SqliteChatStore::open(path, &options)?;
            store.register_metrics(registry);
            Ok(Arc::new(store))
        }
        StoreUrl::Mongo(url) => {
            let store = MongoChatStore::connect(url.expose(), config.mongo_options()).await?;
            store.register_metrics(registry);
            warn_if_unsafe(config.unsafe_no_index, registry);
            Ok(Arc::new(store))
        }
    }
}

/// Who runs without protection should not be able to forget it: one line at the start, and a gauge to alert on.
fn warn_if_unsafe(unsafe_no_index: bool, registry: &mut Registry) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::from(unsafe_no_index));
    registry.register(
        "onechat_unsafe_no_index",
        "1 if chats are written even without the unique index (--unsafe-no-index)",
        gauge,
    );
    if unsafe_no_index {
        tracing::error!(
            event = "unsafe_no_index",
            "--unsafe-no-index: chats are written even without the unique index, so DUPLICATES ARE POSSIBLE; \
             make the index by `onechat index create`, and start without this setting"
        );
    }
}

fn id_source(store: &StoreConfig) -> anyhow::Result<Arc<dyn IdSource>> {
    let on_mongodb = matches!(store.url, Some(StoreUrl::Mongo(_)));
    let mapping = &store.mongodb.mapping;
    let has_uuids = match mapping.id {
        IdMapping::Field { .. } => true,
        IdMapping::ObjectId => mapping.chat_id.is_some_and(ChatIdForm::is_uuid),
    };
    Ok(if on_mongodb && has_uuids { Arc::new(UuidSource::new()?) } else { Arc::new(ambient::id_source()?) })
}

/// Reads the keys that the configuration names, and trusts them.
pub(crate) fn authenticator(jwt: &JwtConfig) -> anyhow::Result<Authenticator> {
    let authenticator = match &jwt.key {
        JwtKey::Missing => bail!(
            "no key for tokens is configured: set ONECHAT_JWT_SECRET to a secret made by `openssl rand -hex 32`, \
             or configure --jwt-public-key-file or --jwt-jwks-file; to try it out, use --dev"
        ),
        JwtKey::Secret(secret) => Authenticator::hs256(secret.as_bytes())?,
        JwtKey::PublicKey { file, algorithm } => {
            let key = Authenticator::public_key_pem(&read_key(file)?, *algorithm);
            key.with_context(|| format!("the public key in {} cannot be used", file.display()))?
        }
        JwtKey::Jwks { file, algorithm } => {
            let keys = Authenticator::jwks(&read_key(file)?, *algorithm);
            keys.with_context(|| format!("the keys in {} cannot be used", file.display()))?
        }
    };
    Ok(authenticator.with_user_claim(&jwt.user_claim).with_clock_skew(jwt.clock_skew))
}

fn read_key(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("the key file {} cannot be read", file.display()))
}
