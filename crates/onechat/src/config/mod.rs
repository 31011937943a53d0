//! The configuration: flags over environment over file over defaults, checked once, before anything starts.

mod resolved;
mod settings;

pub(crate) use resolved::{Config, JwtConfig, JwtKey, LogConfig, LogFormat, StoreConfig, StoreUrl};
pub(crate) use settings::{JwtSettings, LogSettings, ServerSettings, Settings, StoreSettings};

use std::path::Path;

use anyhow::Context as _;

use crate::cli::Sources;

/// The environment variable with the secret. It has no flag: command lines are visible to every user of a machine.
const JWT_SECRET: &str = "ONECHAT_JWT_SECRET";

/// Puts the sources together. `given` holds what flags and environment say, the secret excepted.
pub(crate) fn load(sources: &Sources, mut given: Settings) -> anyhow::Result<Config> {
    given.jwt.secret = secret_of_environment()?;
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

fn read(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the configuration file {} is not right", path.display()))
}
