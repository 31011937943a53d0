//! The composition root: a store, the API over it, and a socket.

use std::{fs, future::Future, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use onechat_api::{Api, ApiMetrics, Authenticator, Drained, Limits, Policy};
use onechat_core::ports::{ChatStore, Clock, IdSource};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::{
    ambient::{self, SystemClock},
    config::{Config, JwtConfig, JwtKey, StoreConfig, StoreUrl},
};

/// A service that has its store and its address, and waits to be run.
pub(crate) struct Service {
    listener: TcpListener,
    api: Api,
    limits: Limits,
    drain_timeout: std::time::Duration,
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<dyn ChatStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl Service {
    /// Opens the store and the socket, in this order: who can connect can be served.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let authenticator = authenticator(&config.jwt)?;
        let mut registry = Registry::default();
        let metrics = ApiMetrics::register(&mut registry);
        let store = open_store(&config.store, &mut registry)?;
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!("cannot listen on {}; choose another address with --listen", config.listen)
        })?;
        let address = listener.local_addr()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(ambient::id_source()?);
        let api = Api {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            authenticator,
            policy: Policy { allow_note_to_self: config.allow_note_to_self },
            limits: config.limits,
            metrics,
            registry: Arc::new(registry),
        };
        let (limits, drain_timeout) = (config.limits, config.drain_timeout);
        Ok(Self { listener, api, limits, drain_timeout, address, store, clock, ids })
    }

    /// Serves until `shutdown`, then finishes what was accepted, and closes the store.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) -> Drained {
        onechat_api::serve(self.listener, self.api.router(), &self.limits, shutdown, self.drain_timeout).await
    }
}

fn open_store(store: &StoreConfig, registry: &mut Registry) -> anyhow::Result<Arc<dyn ChatStore>> {
    let StoreUrl::Sqlite(path) = store.required()?;
    let options = SqliteOptions { key_format: store.key_format, queue_capacity: store.queue_capacity };
    let store = SqliteChatStore::open(path, &options)?;
    store.register_metrics(registry);
    Ok(Arc::new(store))
}

fn authenticator(jwt: &JwtConfig) -> anyhow::Result<Authenticator> {
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
