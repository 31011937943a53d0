//! `account`: the account of a run, checked again.

use anyhow::anyhow;
use onechat_mongo::RunId;

use super::{session::Session, words};
use crate::{cli::Account, config::MigrateFlags, exit::Exit};

pub(super) async fn run(arguments: Account) -> anyhow::Result<Exit> {
    let Account { place, run } = arguments;
    let run: RunId = run.parse().map_err(|reason: String| anyhow!(reason))?;
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    let report = session.read(session.migrator.account(&run, &session.operator)).await?;
    session.print(&report, &words::account(&report))?;
    Ok(Exit::found(!report.holds))
}
