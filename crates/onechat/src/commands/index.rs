//! `index`: what keeps duplicates out of a MongoDB, shown, made and dropped.

use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use onechat_mongo::{IndexStatus, MongoIndexes};
use serde_json::{Value, json};

use super::asked_to_end;
use crate::{
    cli::{self, IndexAction, Sources},
    config::{self, Settings, StoreConfig, StoreSettings, StoreUrl},
    confirm::Confirmation,
    exit::Exit,
    logging,
    output::say,
};

const WHAT_IS_LOST: &str = "\
Without the unique index nothing keeps two chats of the same people apart any more:
  - onechat's servers are told first, and refuse to create chats (503 not_migrated) until it is back;
    chats that exist are still found, read, listed and written to
  - every other program that writes to the collection can create duplicates, at once
To have it back: onechat index create, which fails if there are duplicates by then";

pub(super) async fn run(action: IndexAction) -> anyhow::Result<Exit> {
    match action {
        IndexAction::Status(cli::IndexStatus { sources, json, store }) => {
            status(&store_config(&sources, store)?, json).await
        }
        IndexAction::Create(cli::IndexCreate { sources, store }) => {
            create(&store_config(&sources, store)?).await
        }
        IndexAction::Drop(cli::IndexDrop { sources, yes, store }) => {
            drop_unique(&store_config(&sources, store)?, yes).await
        }
    }
}

fn store_config(sources: &Sources, store: StoreSettings) -> anyhow::Result<StoreConfig> {
    let config = config::load(sources, Settings { store, ..Settings::default() })?;
    logging::start(&config.log)?;
    Ok(config.store)
}

async fn connect(store: &StoreConfig) -> anyhow::Result<MongoIndexes> {
    match store.required()? {
        StoreUrl::Sqlite(path) => bail!(
            "{} is an SQLite file: its unique index is part of its schema, made with the file and checked at \
             every start; there is nothing to create or drop (`onechat audit` looks whether it is there)",
            path.display()
        ),
        StoreUrl::Mongo(url) => Ok(MongoIndexes::connect(url.expose(), &store.mongo_options()).await?),
    }
}

async fn status(store: &StoreConfig, json: bool) -> anyhow::Result<Exit> {
    let indexes = connect(store).await?.status().await?;
    if json {
        let complete = is_protected(&indexes);
        let indexes: Vec<_> = indexes.iter().map(to_json).collect();
        say(format_args!("{:#}", json!({"complete": complete, "indexes": indexes})))?;
    } else {
        print(&indexes)?;
    }
    Ok(exit(&indexes))
}

async fn create(store: &StoreConfig) -> anyhow::Result<Exit> {
    let indexes = connect(store).await?;
    let spinner = ProgressBar::new_spinner().with_message(
        "building what is missing; on a large collection this takes long (Ctrl-C ends the wait)",
    );
    spinner.enable_steady_tick(Duration::from_millis(200));
    let created = tokio::select! {
        created = indexes.create() => Some(created),
        () = asked_to_end() => None,
    };
    spinner.finish_and_clear();
    let Some(created) = created else {
        eprintln!(
            "onechat: interrupted; `onechat index status` shows what is there, and `create` may be repeated"
        );
        return Ok(Exit::CouldNotRun);
    };
    let indexes = created?;
    print(&indexes)?;
    Ok(exit(&indexes))
}

async fn drop_unique(store: &StoreConfig, yes: bool) -> anyhow::Result<Exit> {
    let indexes = connect(store).await?;
    if !Confirmation::possible(yes, WHAT_IS_LOST)?.ask(WHAT_IS_LOST, "Drop it?")? {
        say("Nothing was dropped.")?;
        return Ok(Exit::CouldNotRun);
    }
    let dropped = indexes.drop().await?;
    if dropped.is_empty() {
        say("There was no unique index on the key.")?;
    }
    for name in dropped {
        say(format_args!("dropped {name}"))?;
    }
    Ok(Exit::Success)
}

/// Whether every index is there that the guarantee rests on; the others only make reads fast.
fn is_protected(indexes: &[IndexStatus]) -> bool {
    indexes.iter().all(|index| index.found.is_some() || !index.purpose.is_unique())
}

fn exit(indexes: &[IndexStatus]) -> Exit {
    if is_protected(indexes) { Exit::Success } else { Exit::Found }
}

fn to_json(index: &IndexStatus) -> Value {
    // The definition stays text: the order of an index's fields matters, and that of a JSON object's does not.
    let found = index
        .found
        .as_ref()
        .map(|found| json!({"name": found.name, "ours": found.ours, "definition": found.definition}));
    let unfit = index.unfit.iter().map(|unfit| json!({"name": unfit.name, "reason": unfit.reason}));
    json!({
        "collection": index.collection,
        "purpose": index.purpose.name(),
        "unique": index.purpose.is_unique(),
        "found": found,
        "unfit": unfit.collect::<Vec<_>>(),
    })
}

fn print(indexes: &[IndexStatus]) -> anyhow::Result<()> {
    for index in indexes {
        let kind = if index.purpose.is_unique() { "unique" } else { "for speed" };
        say(format_args!("{}: {} ({kind})", index.collection, index.purpose))?;
        match &index.found {
            Some(found) => {
                let whose = if found.ours { "" } else { ", not made by onechat, but it does" };
                say(format_args!("  there: {}{whose}\n    {}", found.name, found.definition))?;
            }
            None if index.purpose.is_unique() => say("  MISSING: nothing is written without it")?,
            None => say("  missing: reads are slower without it")?,
        }
        for unfit in &index.unfit {
            say(format_args!("  {} does not do: {}", unfit.name, unfit.reason))?;
        }
    }
    if !indexes.iter().all(|index| index.found.is_some()) {
        say("\nWhat to do: onechat index create")?;
    }
    Ok(())
}
