//! `guard`: new duplicates kept out while old ones still stand.

use onechat_mongo::ProtectionStatus;

use super::{session::Session, words};
use crate::{
    cli::{GuardAction, GuardOff, GuardOn, Place},
    config::MigrateFlags,
    exit::Exit,
    output::say,
};

const ON: &str = "\
The guard makes an index on the key, if there is none, and lets it keep new duplicates out. From then on
  - a write that would give a chat a key that another chat has is refused, whoever makes it
  - onechat's servers find old chats without a key by their participants, and give them theirs";
const REQUIRED: &str = "
  - a new chat without a key is refused (--require-key): an old writer that omits it gets an error";
const OFF: &str = "\
Without the guard anybody can create duplicates again, at once, and onechat's servers create nothing
(503 not_migrated) until it is on again. Chats that exist can still be read and written to.";

pub(super) async fn run(action: GuardAction) -> anyhow::Result<Exit> {
    match action {
        GuardAction::On(arguments) => on(arguments).await,
        GuardAction::Off(arguments) => off(arguments).await,
        GuardAction::Status(place) => status(place).await,
    }
}

async fn on(arguments: GuardOn) -> anyhow::Result<Exit> {
    let GuardOn { place, change, require_key, flags } = arguments;
    let session = Session::open_answered(place, flags, None).await?;
    session.ensure_keys_are_ours().await?;
    if change.dry_run {
        let status = session.read(session.migrator.protection()).await?;
        session
            .print(&status, &format!("{}\n{}", words::protection(&status), would(&status, require_key)))?;
        return Ok(Exit::Success);
    }
    let what = if require_key { format!("{ON}{REQUIRED}") } else { ON.to_owned() };
    if !session.confirmation(change.yes, &what)?.ask()? {
        return Ok(Exit::CouldNotRun);
    }
    let guard = async |lease: &_| session.migrator.guard_on(lease, require_key, &session.operator).await;
    let status = session.write("onechat guard on", guard).await?;
    session.print(&status, &words::protection(&status))?;
    Ok(Exit::found(!status.keeps_duplicates_out))
}

/// What the guard would change.
pub(super) fn would(status: &ProtectionStatus, require_key: bool) -> &'static str {
    match (status.keeps_duplicates_out, require_key && !status.requires_key) {
        (true, false) => "the guard would change nothing: it is on",
        (true, true) => "would require a key",
        (false, false) => "would let the index keep new duplicates out, and make it first if there is none",
        (false, true) => "would let the index keep new duplicates out, and require a key",
    }
}

async fn off(arguments: GuardOff) -> anyhow::Result<Exit> {
    let GuardOff { place, change } = arguments;
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    if change.dry_run {
        let status = session.read(session.migrator.protection()).await?;
        session.print(&status, &words::protection(&status))?;
        if !session.json {
            say("would take the guard off; the state would be unmigrated")?;
        }
        return Ok(Exit::Success);
    }
    if !session.confirmation(change.yes, OFF)?.ask()? {
        return Ok(Exit::CouldNotRun);
    }
    let off = async |lease: &_| session.migrator.guard_off(lease).await;
    let status = session.write("onechat guard off", off).await?;
    session.print(&status, &words::protection(&status))?;
    Ok(Exit::Success)
}

async fn status(place: Place) -> anyhow::Result<Exit> {
    let session = Session::open(place, MigrateFlags::default(), None).await?;
    let status = session.read(session.migrator.protection()).await?;
    session.print(&status, &words::protection(&status))?;
    Ok(Exit::found(!status.keeps_duplicates_out))
}
