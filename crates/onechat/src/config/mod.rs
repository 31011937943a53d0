//! The configuration: flags over environment over file over defaults, checked once, before anything starts.

mod environment;
mod limits_file;
mod listen;
mod mapping;
mod migrate;
mod migrate_print;
mod migrate_settings;
mod mongo_settings;
mod mongo_url;
mod print;
mod resolved;
mod settings;
mod store_url;

pub(crate) use limits_file::LimitsFile;
pub(crate) use listen::ListenAddress;
pub(crate) use migrate::{Limits, MigrateConfig};
pub(crate) use migrate_print::rules_to_toml;
pub(crate) use migrate_settings::{MigrateFlags, MigrateSettings, Survivor};
pub(crate) use mongo_url::MongoUrl;
pub(crate) use resolved::{Config, JwtConfig, JwtKey, LogConfig, LogFormat, StoreConfig};
pub(crate) use settings::{ChatsSettings, JwtSettings, LogSettings, ServerSettings, Settings, StoreSettings};
pub(crate) use store_url::StoreUrl;

use std::path::Path;

use anyhow::Context as _;

use crate::cli::Sources;

/// The environment variable with the secret. It has no flag: command lines are visible to every user of a machine.
const JWT_SECRET: &str = "ONECHAT_JWT_SECRET";

/// Puts the sources together. `given` holds what flags and environment say, the secret excepted.
pub(crate) fn load(sources: &Sources, mut given: Settings) -> anyhow::Result<Config> {
    environment::check()?;
    given.jwt.secret = secret_of_environment()?;
    given.log = sources.log.clone();
    let file = sources.config.as_deref().map(read).transpose()?.unwrap_or_default();
    Config::resolve(given.or(file), sources.dev)
}

fn secret_of_environment() -> anyhow::Result<Option<String>> {
    #[expect(clippy::disallowed_methods, reason = "this is where configuration is read")]
    match std::env::var(JWT_SECRET) {
        Ok(secret) => Ok(Some(secret)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => anyhow::bail!("{JWT_SECRET} is not UTF-8"),
    }
}

/// Parts of a file, put together as one, as they would be read for this store.
pub(crate) fn read_parts(parts: &[&str], store: &StoreSettings) -> anyhow::Result<Config> {
    let mut whole = toml::Table::new();
    for part in parts {
        add(&mut whole, part.parse()?);
    }
    let file: Settings = toml::Value::Table(whole).try_into()?;
    Config::resolve(Settings { store: store.clone(), ..Settings::default() }.or(file), false)
}

/// Tables are put together, and lists of tables are joined; else the part that comes
/// later has the last word.
fn add(whole: &mut toml::Table, part: toml::Table) {
    use toml::Value;
    for (name, value) in part {
        match (whole.get_mut(&name), value) {
            (Some(Value::Table(whole)), Value::Table(part)) => add(whole, part),
            (Some(Value::Array(whole)), Value::Array(part)) => whole.extend(part),
            (_, value) => drop(whole.insert(name, value)),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        // Not the error's own text: it shows the line, which may hold a secret.
        let begin = error.span().map_or(0, |span| span.start);
        let line = 1 + text.get(..begin).map_or(0, |before| before.matches('\n').count());
        anyhow::anyhow!(
            "the configuration file {} is not right in line {line}: {}",
            path.display(),
            error.message()
        )
    })
}
