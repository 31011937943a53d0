//! What every command of the migration does: reads the configuration, connects, asks, takes the lease, and prints
//! what came of it.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use onechat_migrate::MergeRules;
use onechat_mongo::{Lease, MigrateError, MongoMigrator, RunId, RunKind};
use serde::Serialize;

use crate::{
    cli::Place,
    config::{
        self, LimitsFile, MigrateConfig, MigrateFlags, MigrateSettings, Settings, StoreConfig, StoreUrl,
        Survivor,
    },
    confirm::Confirmation,
    control::Operator,
    logging,
    output::say,
};

/// A migration on one collection, in the hands of one operator.
pub(super) struct Session {
    pub(super) migrator: Arc<MongoMigrator>,
    pub(super) operator: Operator,
    pub(super) rules: MergeRules,
    pub(super) store: StoreConfig,
    pub(super) json: bool,
    /// Whether messages that name no chat get the one of their sender and receiver.
    pub(super) makes_chats: bool,
    url: String,
}

impl Session {
    /// Connects; changes nothing. For a command that needs every question of the configuration answered.
    pub(super) async fn open_answered(
        place: Place,
        flags: MigrateFlags,
        survivor: Option<Survivor>,
    ) -> anyhow::Result<Self> {
        Self::open_if(place, flags, survivor, MigrateConfig::ensure_answered).await
    }

    /// Connects; changes nothing.
    pub(super) async fn open(
        place: Place,
        flags: MigrateFlags,
        survivor: Option<Survivor>,
    ) -> anyhow::Result<Self> {
        Self::open_if(place, flags, survivor, |_| Ok(())).await
    }

    async fn open_if(
        place: Place,
        flags: MigrateFlags,
        survivor: Option<Survivor>,
        ensure: impl Fn(&MigrateConfig) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let Place { sources, json, store } = place;
        let migrate = MigrateSettings::of_flags(flags, survivor);
        let config = config::load(&sources, Settings { store, migrate, ..Settings::default() })?;
        logging::start(&config.log)?;
        ensure(&config.migrate)?;
        let (rules, takes) = (config.migrate.rules, config.migrate.takes_outside_keys);
        let makes_chats = config.migrate.makes_chats;
        let store = config.store;
        let url = match store.required()? {
            StoreUrl::Mongo(url) => url.clone(),
            StoreUrl::Sqlite(path) => bail!(
                "{} is an SQLite file, in which there is nothing to migrate: it has had its unique index since it was \
                 made. This command is for a store on MongoDB (--store mongodb://HOST/DATABASE)",
                path.display()
            ),
        };
        let migrator = MongoMigrator::connect(url.expose(), &store.mongo_options(), rules.clone()).await?;
        let migrator = Arc::new(migrator.taking_outside_keys(takes).making_chats(makes_chats));
        let file = sources.config.map(LimitsFile::new);
        let (limits, stop_file) = (config.migrate.limits, config.migrate.stop_file);
        let operator = Operator::new(Arc::clone(&migrator), limits, file, stop_file).await?;
        Ok(Self { migrator, operator, rules, store, json, makes_chats, url: url.to_string() })
    }

    /// The collection of chats.
    pub(super) fn chats(&self) -> &str {
        &self.store.mongodb.mapping.chats
    }

    /// A question that can be answered, or an error where nobody can be asked.
    pub(super) fn confirmation(&self, yes: bool, what: &str) -> anyhow::Result<Question> {
        let text = format!("{what}\n\nThe collection is {} of {}.", self.chats(), self.url);
        Ok(Question { confirmation: Confirmation::possible(yes, &text)?, text })
    }

    /// Work that only reads; ends at once when it is asked to.
    pub(super) async fn read<T>(
        &self,
        work: impl Future<Output = Result<T, MigrateError>>,
    ) -> anyhow::Result<T> {
        let result = self.operator.reading(work).await;
        self.operator.clear();
        result
    }

    /// Every command that changes keys, or lets servers change them, begins with this: they are not another program's.
    pub(super) async fn ensure_keys_are_ours(&self) -> anyhow::Result<()> {
        match self.read(self.migrator.question_of_other_formula()).await? {
            Some(question) => bail!(question),
            None => Ok(()),
        }
    }

    /// Takes the lease, for a command that others will read of.
    pub(super) async fn lease(&self, command: &str) -> anyhow::Result<Lease> {
        self.operator.reading(self.migrator.lease(command)).await
    }

    /// Work that writes, under the lease.
    pub(super) async fn write<T>(
        &self,
        command: &str,
        work: impl AsyncFnOnce(&Lease) -> Result<T, MigrateError>,
    ) -> anyhow::Result<T> {
        let lease = self.lease(command).await?;
        // Cut off, it may have a write on its way: the lease then has to run out by itself.
        let result = self.operator.hold(work(&lease)).await?;
        self.operator.clear();
        let released = lease.release().await;
        let result = result?;
        released?;
        Ok(result)
    }

    /// Work that writes to the journal of a run.
    pub(super) async fn in_run<T>(
        &self,
        command: &str,
        kind: RunKind,
        work: impl AsyncFnOnce(&Lease, &RunId) -> Result<T, MigrateError>,
    ) -> anyhow::Result<T> {
        let whole = async |lease: &Lease| {
            let run = self.migrator.begin_run(lease, kind).await?;
            let result = work(lease, &run).await?;
            self.migrator.end_run(&run).await?;
            Ok(result)
        };
        self.write(command, whole).await
    }

    /// The result: as JSON, or in words.
    pub(super) fn print(&self, result: &impl Serialize, words: &str) -> anyhow::Result<()> {
        if self.json {
            let result = serde_json::to_string_pretty(result).context("the result cannot be printed")?;
            say(result)
        } else {
            say(words)
        }
    }
}

/// Asked once what was prepared is known.
pub(super) struct Question {
    confirmation: Confirmation,
    text: String,
}

impl Question {
    /// Whether it may go on; says so if not.
    pub(super) fn ask(&self) -> anyhow::Result<bool> {
        let may = self.confirmation.ask(&self.text, "Go on?")?;
        if !may {
            eprintln!("onechat: nothing was changed");
        }
        Ok(may)
    }
}
