//! `rekey`: the end of a replacement of keys. What begins it is `migrate`, with a configuration that names both.

use super::{session::Session, words};
use crate::{
    cli::{RekeyAction, RekeyFinish},
    exit::Exit,
    output::say,
};

const FINISH: &str = "\
The previous keys go for good. Every program that still writes or reads them has to be gone by now:
  - onechat's servers of the previous configuration create nothing any more (503 not_migrated), and do not
    start again; those of this configuration go on, and need no restart
  - the unique index on the previous keys is dropped, and each chat loses its previous key
There is no undo: the way back is another rekeying. Until now it was `onechat rollback`.";

pub(super) async fn run(action: RekeyAction) -> anyhow::Result<Exit> {
    match action {
        RekeyAction::Finish(arguments) => Box::pin(finish(arguments)).await,
    }
}

async fn finish(arguments: RekeyFinish) -> anyhow::Result<Exit> {
    let RekeyFinish { place, change, flags } = arguments;
    let session = Session::open(place, flags, None).await?;
    let (migrator, operator) = (&session.migrator, &session.operator);
    if change.dry_run {
        let foreseen = session.read(migrator.foresee_end_of_rekeying(operator)).await?;
        session.print(&foreseen, &words::rekey(&foreseen, true))?;
        return Ok(Exit::Success);
    }
    if !session.confirmation(change.yes, FINISH)?.ask()? {
        return Ok(Exit::CouldNotRun);
    }
    let work = async |lease: &_| migrator.finish_rekeying(lease, operator).await;
    let report = session.write("onechat rekey finish", work).await?;
    session.print(&report, &words::rekey(&report, false))?;
    if !session.json {
        say("[mongodb.previous] can go from the configuration now.")?;
    }
    Ok(Exit::Success)
}
