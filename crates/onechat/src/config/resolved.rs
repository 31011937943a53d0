//! The configuration as the program uses it: complete, checked, and printable without its secrets.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use onechat_api::{ContextPolicy, Limits, PublicKeyAlgorithm};
use onechat_core::KeyFormat;
use onechat_mongo::{Mapping, MongoOptions};
use serde::Deserialize;

use super::{
    ListenAddress, MigrateConfig, StoreUrl, mapping,
    mongo_settings::MongoSettings,
    settings::{JwtSettings, LogSettings, ServerSettings, Settings, StoreSettings},
};

/// Everything that a command may need to know.
pub(crate) struct Config {
    pub(crate) listen: ListenAddress,
    pub(crate) allow_note_to_self: bool,
    pub(crate) context: ContextPolicy,
    pub(crate) limits: Limits,
    pub(crate) drain_timeout: Duration,
    pub(crate) store: StoreConfig,
    pub(crate) jwt: JwtConfig,
    pub(crate) log: LogConfig,
    pub(crate) migrate: MigrateConfig,
    pub(crate) dev: bool,
}

/// Where chats are kept.
pub(crate) struct StoreConfig {
    /// Absent if nobody said; commands that need it ask for it.
    pub(crate) url: Option<StoreUrl>,
    pub(crate) key_format: KeyFormat,
    pub(crate) queue_capacity: usize,
    /// Writes to a MongoDB that has no unique index.
    pub(crate) unsafe_no_index: bool,
    pub(crate) mongodb: MongoConfig,
}

/// What only a store on MongoDB needs to know.
#[derive(Clone, PartialEq)]
pub(crate) struct MongoConfig {
    pub(crate) mapping: Mapping,
    pub(crate) deadline: Duration,
}

/// Who is let in.
pub(crate) struct JwtConfig {
    pub(crate) key: JwtKey,
    pub(crate) user_claim: String,
    pub(crate) clock_skew: Duration,
}

/// What tokens are checked with.
pub(crate) enum JwtKey {
    Missing,
    Secret(String),
    PublicKey { file: PathBuf, algorithm: PublicKeyAlgorithm },
    Jwks { file: PathBuf, algorithm: PublicKeyAlgorithm },
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs, one object a line.
    Json,
}

pub(crate) struct LogConfig {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

const DEFAULT_PORT: u16 = 8080;
/// The migration library says on each start that there was nothing to do.
const DEFAULT_FILTER: &str = "info,rusqlite_migration=warn";
const DEV_STORE: &str = "onechat-dev/chats.db";

impl Config {
    pub(super) fn resolve(settings: Settings, dev: bool) -> anyhow::Result<Self> {
        let Settings { server, chats, store, jwt, log, mongodb, migrate } = settings;
        let listen = server.listen.clone().unwrap_or_else(|| ListenAddress::loopback(DEFAULT_PORT));
        if dev && !listen.is_loopback() {
            bail!(
                "--dev listens on loopback only, and {listen} is not: configure a secret and leave out --dev"
            );
        }
        let store = StoreConfig::resolve(&store, mongodb, dev)?;
        let context = chats.context.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        let is_kept =
            !matches!(store.url, Some(StoreUrl::Mongo(_))) || store.mongodb.mapping.fields.context.is_some();
        if context != ContextPolicy::Off && !is_kept {
            bail!(
                "[chats] context is {context}, and nothing says where MongoDB keeps it: set context in \
                 [mongodb.chat_fields] to the name of a field"
            );
        }
        let migrate = MigrateConfig::resolve(migrate, &store.mongodb.mapping);
        Ok(Self {
            listen,
            allow_note_to_self: server.allow_note_to_self.unwrap_or(false),
            context,
            drain_timeout: Duration::from_millis(server.drain_timeout_ms.unwrap_or(30_000)),
            limits: limits(&server)?,
            store,
            migrate: migrate.context("[migrate]")?,
            jwt: JwtConfig::resolve(jwt)?,
            log: LogConfig::resolve(log),
            dev,
        })
    }
}

fn limits(server: &ServerSettings) -> anyhow::Result<Limits> {
    let default = Limits::default();
    let limits = Limits {
        request_timeout: server.request_timeout_ms.map_or(default.request_timeout, Duration::from_millis),
        max_concurrent_requests: server.max_concurrent_requests.unwrap_or(default.max_concurrent_requests),
        max_body_bytes: server.max_body_bytes.unwrap_or(default.max_body_bytes),
        max_header_bytes: server.max_header_bytes.unwrap_or(default.max_header_bytes),
        send_timeout: server.send_timeout_ms.map_or(default.send_timeout, Duration::from_millis),
    };
    let has_zero = limits.request_timeout.is_zero() || limits.send_timeout.is_zero();
    if has_zero || limits.max_concurrent_requests == 0 || limits.max_body_bytes == 0 {
        bail!(
            "request_timeout_ms, send_timeout_ms, max_concurrent_requests and max_body_bytes must be at least 1"
        );
    }
    if limits.max_header_bytes < MIN_HEADER_BYTES {
        bail!(
            "max_header_bytes must be at least {MIN_HEADER_BYTES}: smaller requests than that are refused whole"
        );
    }
    Ok(limits)
}

/// What hyper needs at least for its buffer.
const MIN_HEADER_BYTES: usize = 8192;

impl StoreConfig {
    fn resolve(store: &StoreSettings, mongodb: Option<MongoSettings>, dev: bool) -> anyhow::Result<Self> {
        let dev_store = || dev.then(|| StoreUrl::Sqlite(PathBuf::from(DEV_STORE)));
        let url = store.url.as_deref().map(str::parse).transpose()?.or_else(dev_store);
        let key_format = store.key_format.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        let queue_capacity = store.queue_capacity.unwrap_or(4096);
        if queue_capacity == 0 {
            bail!("queue_capacity must be at least 1");
        }
        let unsafe_no_index = store.unsafe_no_index.unwrap_or(false);
        if unsafe_no_index && matches!(url, Some(StoreUrl::Sqlite(_))) {
            bail!("unsafe_no_index is for MongoDB: in an SQLite file the index is part of the table");
        }
        let mongodb = MongoConfig::resolve(mongodb.unwrap_or_default()).context("[mongodb]")?;
        Ok(Self { url, key_format, queue_capacity, unsafe_no_index, mongodb })
    }

    /// The store, for a command that cannot do without.
    pub(crate) fn required(&self) -> anyhow::Result<&StoreUrl> {
        self.url.as_ref().context(
            "no store is configured: name one by --store sqlite:PATH or --store mongodb://HOST/DATABASE, ONECHAT_STORE or [store] url; to try it out, use --dev",
        )
    }

    /// How a store on MongoDB is to behave.
    pub(crate) fn mongo_options(&self) -> MongoOptions {
        MongoOptions {
            key_format: self.key_format,
            mapping: self.mongodb.mapping.clone(),
            queue_capacity: self.queue_capacity,
            deadline: self.mongodb.deadline,
            unsafe_no_index: self.unsafe_no_index,
        }
    }
}

impl Default for MongoConfig {
    fn default() -> Self {
        let MongoOptions { mapping, deadline, .. } = MongoOptions::default();
        Self { mapping, deadline }
    }
}

impl MongoConfig {
    fn resolve(settings: MongoSettings) -> anyhow::Result<Self> {
        let deadline = settings.deadline_ms.map_or(Self::default().deadline, Duration::from_millis);
        if deadline.is_zero() {
            bail!("deadline_ms must be at least 1");
        }
        Ok(Self { mapping: mapping::resolve(settings)?, deadline })
    }
}

impl JwtConfig {
    fn resolve(jwt: JwtSettings) -> anyhow::Result<Self> {
        let algorithm = jwt.algorithm.as_deref().map(str::parse::<PublicKeyAlgorithm>).transpose()?;
        let needs = "a public key needs its algorithm: set --jwt-algorithm to RS256, ES256 or EdDSA";
        let key = match (jwt.secret, jwt.public_key_file, jwt.jwks_file) {
            (None, None, None) => JwtKey::Missing,
            (Some(secret), None, None) => JwtKey::Secret(secret),
            (None, Some(file), None) => JwtKey::PublicKey { file, algorithm: algorithm.context(needs)? },
            (None, None, Some(file)) => JwtKey::Jwks { file, algorithm: algorithm.context(needs)? },
            (secret, public_key_file, jwks_file) => {
                let given = [
                    (secret.is_some(), "a secret (ONECHAT_JWT_SECRET or [jwt] secret)"),
                    (public_key_file.is_some(), "a public key file (--jwt-public-key-file)"),
                    (jwks_file.is_some(), "a JWKS file (--jwt-jwks-file)"),
                ];
                let given: Vec<_> = given.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
                bail!(
                    "tokens are checked in one way, not several, and configured are {}: take all but one away",
                    given.join(" and ")
                )
            }
        };
        Ok(Self {
            key,
            user_claim: jwt.user_claim.unwrap_or_else(|| "sub".to_owned()),
            clock_skew: Duration::from_secs(jwt.clock_skew_s.unwrap_or(60)),
        })
    }
}

impl LogConfig {
    fn resolve(log: LogSettings) -> Self {
        Self {
            format: log.format.unwrap_or_default(),
            filter: log.filter.unwrap_or_else(|| DEFAULT_FILTER.to_owned()),
        }
    }
}
