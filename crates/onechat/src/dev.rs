//! `--dev`: everything that would have to be configured, made up and kept, so that it is the same tomorrow.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    ambient,
    config::{Config, JwtKey, StoreUrl},
};

const SECRET_FILE: &str = "dev-secret";
/// Where the secret lies if the store is not a file with a folder of its own.
const FOLDER: &str = "onechat-dev";

/// For the server: fills in the secret that nobody configured, from the folder of the store (on MongoDB
/// from `onechat-dev`); the first run makes both.
pub(crate) fn set_up(config: &mut Config) -> anyhow::Result<()> {
    if config.dev {
        let folder = folder(config.store.required()?);
        fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        if matches!(config.jwt.key, JwtKey::Missing) {
            config.jwt.key = JwtKey::Secret(kept_secret(&folder.join(SECRET_FILE))?);
        }
    }
    Ok(())
}

/// For everything beside the server: the secret that it has left.
pub(crate) fn join(config: &mut Config) -> anyhow::Result<()> {
    if config.dev && matches!(config.jwt.key, JwtKey::Missing) {
        let path = folder(config.store.required()?).join(SECRET_FILE);
        let secret = fs::read_to_string(&path).with_context(|| {
            format!(
                "there is no secret in {}: start `onechat serve --dev` in this folder first",
                path.display()
            )
        })?;
        config.jwt.key = JwtKey::Secret(secret.trim().to_owned());
    }
    Ok(())
}

fn folder(store: &StoreUrl) -> PathBuf {
    match store {
        StoreUrl::Mongo(_) => PathBuf::from(FOLDER),
        StoreUrl::Sqlite(path) => match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        },
    }
}

fn kept_secret(path: &Path) -> anyhow::Result<String> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            let secret = ambient::random_hex::<32>()?;
            file.write_all(secret.as_bytes())
                .with_context(|| format!("the secret cannot be kept in {}", path.display()))?;
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path)
            .map(|secret| secret.trim().to_owned())
            .with_context(|| format!("the secret in {} cannot be read", path.display())),
        Err(error) => Err(error).with_context(|| format!("the secret cannot be kept in {}", path.display())),
    }
}
