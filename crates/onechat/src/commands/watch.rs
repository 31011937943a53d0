//! `watch`: heals what old writers go on writing, for as long as they live.

use onechat_mongo::{Lease, MigrateError, RunId, RunKind};
use serde_json::json;

use super::{session::Session, words};
use crate::{cli::Watch, exit::Exit};

const WHAT: &str = "\
Chats that old writers create get their key or are merged into the chat that their people have, and messages
to ended chats are pointed to the surviving ones, until the command is stopped. With chats_from_messages,
messages that name no chat are pointed to the one of their sender and receiver. All of it is in the journal.";

pub(super) async fn run(arguments: Watch) -> anyhow::Result<Exit> {
    let Watch { place, change, survivor, flags } = arguments;
    let session = Session::open_answered(place, flags, survivor.survivor).await?;
    session.ensure_keys_are_ours().await?;
    if change.dry_run {
        return would(&session).await;
    }
    if !session.confirmation(change.yes, WHAT)?.ask()? {
        return Ok(Exit::CouldNotRun);
    }
    let work = async |lease: &Lease, run: &RunId| -> Result<_, MigrateError> {
        session.migrator.watch(lease, run, &session.operator).await
    };
    let report = session.in_run("onechat watch", RunKind::Watch, work).await?;
    session.print(&report, &words::watch(&report))?;
    Ok(Exit::Success)
}

/// What there is to heal at this moment.
async fn would(session: &Session) -> anyhow::Result<Exit> {
    let (migrator, operator) = (&session.migrator, &session.operator);
    let backfill = session.read(Box::pin(migrator.backfill(None, None, true, operator))).await?;
    let plan = session.read(migrator.plan(operator, &mut |_| Ok(()))).await?;
    let unswept = session.read(migrator.unswept(operator)).await?;
    let chats = session.read(migrator.would_make_chats(operator)).await?;
    let mut words = format!(
        "{}\n{}\n{} name a chat that has ended",
        words::backfill(&backfill, true),
        words::plan(&plan),
        words::count(unswept, "row", "rows")
    );
    if let Some(chats) = &chats {
        words = format!("{words}\n{}", words::chats_of_messages(chats, true));
    }
    let result = json!({"backfill": backfill, "plan": plan, "unswept": unswept, "chats": chats});
    session.print(&result, &words)?;
    Ok(Exit::Success)
}
