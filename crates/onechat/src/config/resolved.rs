//! The configuration as the program uses it: complete, checked, and printable without its secrets.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use onechat_api::{Limits, PublicKeyAlgorithm};
use onechat_core::KeyFormat;
use serde::Deserialize;

use super::settings::{JwtSettings, LogSettings, ServerSettings, Settings, StoreSettings};

/// Everything that a command may need to know.
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) allow_note_to_self: bool,
    pub(crate) limits: Limits,
    pub(crate) drain_timeout: Duration,
    pub(crate) store: StoreConfig,
    pub(crate) jwt: JwtConfig,
    pub(crate) log: LogConfig,
    pub(crate) dev: bool,
}

/// Where chats are kept.
pub(crate) struct StoreConfig {
    /// Absent if nobody said; commands that need it ask for it.
    pub(crate) url: Option<StoreUrl>,
    pub(crate) key_format: KeyFormat,
    pub(crate) queue_capacity: usize,
}

/// A store by its URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StoreUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
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
        let Settings { server, store, jwt, log } = settings;
        let listen = server.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into());
        if dev && !listen.ip().is_loopback() {
            bail!(
                "--dev listens on loopback only, and {listen} is not: configure a secret and leave out --dev"
            );
        }
        Ok(Self {
            listen,
            allow_note_to_self: server.allow_note_to_self.unwrap_or(false),
            drain_timeout: Duration::from_millis(server.drain_timeout_ms.unwrap_or(30_000)),
            limits: limits(&server)?,
            store: StoreConfig::resolve(&store, dev)?,
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
    };
    if limits.request_timeout.is_zero() || limits.max_concurrent_requests == 0 || limits.max_body_bytes == 0 {
        bail!("request_timeout_ms, max_concurrent_requests and max_body_bytes must be at least 1");
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
    fn resolve(store: &StoreSettings, dev: bool) -> anyhow::Result<Self> {
        let dev_store = || dev.then(|| StoreUrl::Sqlite(PathBuf::from(DEV_STORE)));
        let url = store.url.as_deref().map(parse_store).transpose()?.or_else(dev_store);
        let key_format = store.key_format.as_deref().map(str::parse).transpose()?.unwrap_or_default();
        let queue_capacity = store.queue_capacity.unwrap_or(4096);
        if queue_capacity == 0 {
            bail!("queue_capacity must be at least 1");
        }
        Ok(Self { url, key_format, queue_capacity })
    }

    /// The store, for a command that cannot do without.
    pub(crate) fn required(&self) -> anyhow::Result<&StoreUrl> {
        self.url.as_ref().context(
            "no store is configured: name one by --store sqlite:PATH, ONECHAT_STORE or [store] url; to try it out, use --dev",
        )
    }
}

fn parse_store(url: &str) -> anyhow::Result<StoreUrl> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(StoreUrl::Sqlite(PathBuf::from(path))),
        _ => bail!("{url:?} names no store: use sqlite:PATH, for example sqlite:/var/lib/onechat/chats.db"),
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
            _ => bail!(
                "tokens are checked in one way: configure a secret, a public key file or a JWKS file, not several"
            ),
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

impl Config {
    /// The configuration as a file that would give the same, with secrets hidden.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        use toml::{Table, Value};
        let ms = |duration: Duration| number(duration.as_millis());
        let text = |text: &dyn ToString| Value::String(text.to_string());
        let mut server = Table::new();
        server.insert("listen".into(), text(&self.listen));
        server.insert("allow_note_to_self".into(), Value::Boolean(self.allow_note_to_self));
        server.insert("request_timeout_ms".into(), ms(self.limits.request_timeout));
        server.insert("max_concurrent_requests".into(), number(self.limits.max_concurrent_requests));
        server.insert("max_body_bytes".into(), number(self.limits.max_body_bytes));
        server.insert("max_header_bytes".into(), number(self.limits.max_header_bytes));
        server.insert("drain_timeout_ms".into(), ms(self.drain_timeout));
        let mut store = Table::new();
        if let Some(StoreUrl::Sqlite(path)) = &self.store.url {
            store.insert("url".into(), Value::String(format!("sqlite:{}", path.display())));
        }
        store.insert("key_format".into(), text(&self.store.key_format));
        store.insert("queue_capacity".into(), number(self.store.queue_capacity));
        let mut jwt = Table::new();
        match &self.jwt.key {
            JwtKey::Missing => {}
            JwtKey::Secret(_) => drop(jwt.insert("secret".into(), text(&"(hidden)"))),
            JwtKey::PublicKey { file, algorithm } => {
                jwt.insert("public_key_file".into(), text(&file.display()));
                jwt.insert("algorithm".into(), text(&algorithm.name()));
            }
            JwtKey::Jwks { file, algorithm } => {
                jwt.insert("jwks_file".into(), text(&file.display()));
                jwt.insert("algorithm".into(), text(&algorithm.name()));
            }
        }
        jwt.insert("user_claim".into(), text(&self.jwt.user_claim));
        jwt.insert("clock_skew_s".into(), number(self.jwt.clock_skew.as_secs()));
        let mut log = Table::new();
        log.insert("format".into(), text(&format!("{:?}", self.log.format).to_lowercase()));
        log.insert("filter".into(), text(&self.log.filter));
        let sections = [("server", server), ("store", store), ("jwt", jwt), ("log", log)];
        let file: Table =
            sections.map(|(name, table)| (name.to_owned(), Value::Table(table))).into_iter().collect();
        toml::to_string(&file).context("the configuration cannot be printed")
    }
}

fn number(value: impl TryInto<i64>) -> toml::Value {
    toml::Value::Integer(value.try_into().unwrap_or(i64::MAX))
}
