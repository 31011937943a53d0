//! What all steps need: the database, how it is laid out, and the rules.

use std::sync::{Arc, OnceLock};

use mongodb::{Database, bson::Bson};
use onechat_core::KeyFormat;
use onechat_migrate::MergeRules;

use super::RunSummary;
use crate::{
    Mapping, MongoOptions, OpenError, codec::Codec, connection::Connection, filter, meta, metrics::Pool,
};

/// The steps of a migration, on one collection of chats. Each can be repeated, and resumes where it was cut off.
#[derive(Clone)]
pub struct MongoMigrator {
    pub(super) database: Database,
    pub(super) codec: Codec,
    pub(super) key_format: KeyFormat,
    pub(super) rules: MergeRules,
    /// Whether there are transactions, change streams and a lag.
    pub(super) is_replicated: bool,
    /// Whether a document outside `only` gives up its key when a chat inside needs it.
    pub(super) takes_outside_keys: bool,
    /// Whether messages that name no chat get the one of their sender and receiver.
    pub(super) makes_chats: bool,
    /// Set once it was seen that the keys follow no other formula than ours.
    pub(super) keys_are_ours: Arc<OnceLock<()>>,
    /// The field of the key, as runs note it; nothing for the first keys of a collection.
    pub(super) keys_of_runs: Option<String>,
}

impl MongoMigrator {
    /// Connects; looks at the noted key format and changes nothing yet. A user who may only read is enough for this, and for
    /// every step's dry run.
    pub async fn connect(url: &str, options: &MongoOptions, rules: MergeRules) -> Result<Self, OpenError> {
        let codec = Codec::new(options.mapping.clone())?;
        let connection = Connection::open(url, options.deadline, Pool::default()).await?;
        filter::try_out(&connection.database, &options.mapping).await?;
        let configured = meta::Configured::new(options.key_format, &options.mapping);
        meta::check(&connection.database, &configured).await?;
        let keys_of_runs = keys_of_runs(&connection.database, &options.mapping).await?;
        Ok(Self {
            database: connection.database,
            codec,
            key_format: options.key_format,
            rules,
            is_replicated: connection.is_replicated,
            takes_outside_keys: false,
            makes_chats: false,
            keys_are_ours: Arc::default(),
            keys_of_runs,
        })
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        self.database.name()
    }

    /// Whether a run gave, or gives, keys of the configured terms. What one began that gave others is not for us to go on with.
    pub fn is_of_our_keys(&self, run: &RunSummary) -> bool {
        run.key_field == self.keys_of_runs
    }

    /// The collection of chats.
    pub(super) fn chats_name(&self) -> &str {
        &self.codec.mapping().chats
    }
}

/// Keys that replace others, or have replaced them, are not those of runs that were made before.
async fn keys_of_runs(database: &Database, mapping: &Mapping) -> Result<Option<String>, OpenError> {
    let note = meta::id(database, mapping).await;
    let note = note.map_err(|error| OpenError::Unavailable(error.to_string()))?;
    let are_later = mapping.previous.is_some() || matches!(note, Some(Bson::Document(_)));
    Ok(are_later.then(|| mapping.fields.participants_key.clone()))
}
