//! Where chats are kept, by a URL.

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::bail;

use super::{MongoUrl, mongo_url::redact};

/// A store by its URL. Shown without passwords.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StoreUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a MongoDB deployment.
    Mongo(MongoUrl),
}

impl FromStr for StoreUrl {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("mongodb" | "mongodb+srv", rest)) if rest.starts_with("//") => {
                Ok(Self::Mongo(MongoUrl::new(url)))
            }
            _ => bail!(
                "{:?} names no store: use sqlite:PATH, for example sqlite:/var/lib/onechat/chats.db, \
                 or mongodb://HOST/DATABASE",
                redact(url)
            ),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Mongo(url) => url.fmt(f),
        }
    }
}
