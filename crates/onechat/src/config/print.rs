//! The configuration as a file that gives the same, except that its secrets are hidden.

use std::time::Duration;

use anyhow::Context as _;

use super::{Config, JwtKey, MigrateConfig, StoreUrl, mapping, migrate_print, resolved::MongoConfig};

impl Config {
    /// What `--print-config` prints.
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
        server.insert("send_timeout_ms".into(), ms(self.limits.send_timeout));
        server.insert("drain_timeout_ms".into(), ms(self.drain_timeout));
        let mut chats = Table::new();
        chats.insert("context".into(), text(&self.context));
        let mut store = Table::new();
        if let Some(url) = &self.store.url {
            store.insert("url".into(), text(url));
        }
        store.insert("key_format".into(), text(&self.store.key_format));
        store.insert("queue_capacity".into(), number(self.store.queue_capacity));
        let on_mongodb = matches!(self.store.url, Some(StoreUrl::Mongo(_)));
        if on_mongodb || self.store.unsafe_no_index {
            store.insert("unsafe_no_index".into(), Value::Boolean(self.store.unsafe_no_index));
        }
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
        let sections = [("server", server), ("chats", chats), ("store", store), ("jwt", jwt), ("log", log)];
        let mut file: Table =
            sections.map(|(name, table)| (name.to_owned(), Value::Table(table))).into_iter().collect();
        if on_mongodb || self.store.mongodb != MongoConfig::default() {
            let mut mongodb = mapping::to_toml(&self.store.mongodb.mapping)?;
            mongodb.insert("deadline_ms".into(), ms(self.store.mongodb.deadline));
            file.insert("mongodb".into(), Value::Table(mongodb));
        }
        let unconfigured =
            MigrateConfig::resolve(super::MigrateSettings::default(), &self.store.mongodb.mapping)?;
        if on_mongodb || self.migrate != unconfigured {
            file.insert("migrate".into(), Value::Table(migrate_print::to_toml(&self.migrate)));
        }
        toml::to_string(&file).context("the configuration cannot be printed")
    }
}

pub(super) fn number(value: impl TryInto<i64>) -> toml::Value {
    toml::Value::Integer(value.try_into().unwrap_or(i64::MAX))
}
