//! `backfill`: every chat gets the key of its participants.

use onechat_mongo::RunKind;

use super::{session::Session, words};
use crate::{cli::Backfill, exit::Exit};

const WHAT: &str = "\
Every chat whose key is missing or wrong gets the key of its participants. What a chat had before is in the
journal; `onechat merge undo --run` takes it back.";

pub(super) async fn run(arguments: Backfill) -> anyhow::Result<Exit> {
    let Backfill { place, change, flags } = arguments;
    let session = Session::open_answered(place, flags, None).await?;
    session.ensure_keys_are_ours().await?;
    let (migrator, operator) = (&session.migrator, &session.operator);
    let report = if change.dry_run {
        session.read(Box::pin(migrator.backfill(None, None, true, operator))).await?
    } else {
        if !session.confirmation(change.yes, WHAT)?.ask()? {
            return Ok(Exit::CouldNotRun);
        }
        let work =
            async |lease: &_, run: &_| migrator.backfill(Some(lease), Some(run), false, operator).await;
        session.in_run("onechat backfill", RunKind::Backfill, work).await?
    };
    session.print(&report, &words::backfill(&report, change.dry_run))?;
    Ok(Exit::found(report.ambiguous > 0))
}
