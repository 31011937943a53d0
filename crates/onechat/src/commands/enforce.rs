//! `enforce` and `rollback`: the unique index, made and taken away.

use serde_json::json;

use super::{session::Session, words};
use crate::{
    cli::{Enforce, Rollback},
    config::MigrateFlags,
    exit::Exit,
};

const WHAT: &str = "\
The index on the key becomes unique, if nothing is in the way. From then on no program can write a second
chat of the same key, and onechat's servers look chats up by their keys alone.";
const WHAT_IS_LOST: &str = "\
A rollback drops every unique or guarding index on the key, and no longer requires one. Then
  - NOTHING keeps two chats of the same people apart any more: every program that writes to the collection
    can create duplicates, at once
  - onechat's servers create nothing (503 not_migrated); chats that exist can still be read and written to
  - what was merged stays merged, and old ids go on working; `onechat merge undo` gives merges back
To have it back: onechat migrate";

pub(super) async fn run(arguments: Enforce) -> anyhow::Result<Exit> {
    let Enforce { place, change } = arguments;
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    let (migrator, operator) = (&session.migrator, &session.operator);
    let report = if change.dry_run {
        session.read(migrator.enforce(None, true, operator)).await?
    } else {
        if !session.confirmation(change.yes, WHAT)?.ask()? {
            return Ok(Exit::CouldNotRun);
        }
        let work = async |lease: &_| migrator.enforce(Some(lease), false, operator).await;
        session.write("onechat enforce", work).await?
    };
    session.print(&report, &words::enforce(&report, change.dry_run))?;
    Ok(Exit::found(!report.is_unique || report.without_key > 0))
}

pub(super) async fn rollback(arguments: Rollback) -> anyhow::Result<Exit> {
    let Rollback { place, change } = arguments;
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    if change.dry_run {
        let status = session.read(session.migrator.protection()).await?;
        let would = match &status.index {
            Some(name) if status.keeps_duplicates_out => format!("would drop the index {name}"),
            _ => "would drop no index: none keeps duplicates out".to_owned(),
        };
        session.print(&status, &format!("{}\n{would}\n\n{WHAT_IS_LOST}", words::protection(&status)))?;
        return Ok(Exit::Success);
    }
    if !session.confirmation(change.yes, WHAT_IS_LOST)?.ask()? {
        return Ok(Exit::CouldNotRun);
    }
    let work = async |lease: &_| session.migrator.rollback(lease).await;
    let dropped = session.write("onechat rollback", work).await?;
    let words = match dropped.as_slice() {
        [] => "there was nothing to drop; the state is unmigrated".to_owned(),
        names => format!("dropped {}; the state is unmigrated", names.join(", ")),
    };
    session.print(&json!({"dropped": dropped}), &words)?;
    Ok(Exit::Success)
}
