//! The empty store that `prove` runs its own server on, and which is gone afterwards.

use anyhow::{Context as _, bail};
use onechat_mongo::ValueForm;
use tempfile::TempDir;

use crate::{
    ambient,
    config::{MongoUrl, StoreConfig, StoreUrl},
};

/// A store that nobody else uses.
pub(super) enum OwnStore {
    /// A file in a folder that goes with it.
    File(TempDir),
    /// A database beside the configured one, on the same deployment.
    Database(MongoUrl),
}

impl OwnStore {
    /// Names a new store; nothing is written yet. What is configured is not touched.
    pub(super) fn new(config: &StoreConfig) -> anyhow::Result<Self> {
        let Some(StoreUrl::Mongo(url)) = &config.url else {
            let folder = tempfile::tempdir().context("there is no place for a temporary store")?;
            return Ok(Self::File(folder));
        };
        let mapping = &config.mongodb.mapping;
        if [mapping.participant_form, mapping.context_form] != [ValueForm::Text; 2] {
            bail!(
                "the prover makes participants and contexts that are strings only: configure \"string\" for both"
            );
        }
        Ok(Self::Database(url.with_database_suffix(&format!("-prove-{}", ambient::random_hex::<4>()?))?))
    }

    pub(super) fn url(&self) -> StoreUrl {
        match self {
            Self::File(folder) => StoreUrl::Sqlite(folder.path().join("chats.db")),
            Self::Database(url) => StoreUrl::Mongo(url.clone()),
        }
    }

    /// Removes all of it.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        match self {
            Self::File(folder) => folder.close().context("the temporary store cannot be removed"),
            Self::Database(url) => onechat_mongo::drop_database(url.expose()).await.with_context(|| {
                format!("the temporary database of {url} cannot be dropped; drop it by hand")
            }),
        }
    }
}
