//! Undoes a batch of entries: as one transaction, or in an order in which it can be repeated.

use std::collections::HashSet;

use mongodb::{
    ClientSession,
    bson::{Document, raw::cstr, rawdoc},
    error::Error,
};

use super::super::{
    Lease, MigrateError,
    commands::{may_pass, persist},
    journal::Entry,
};
use super::{
    Undo,
    reversal::{Loaded, Reversal},
    statements::{self, Command},
};
use crate::{
    attempt::{Deadline, Pauses},
    error::{number, reason},
};

/// The most bytes of images that are undone at once.
const BATCH_BYTES: usize = 4 << 20;
/// How often a batch is read anew when somebody else has written to it meanwhile.
const TRIES: usize = 20;

/// What came of writing a batch.
enum Outcome {
    Done,
    /// Something had changed since it was read; without transactions, the rest is done.
    Changed,
    /// The database refuses it, and always will.
    Refused(String),
}

impl Undo<'_> {
    /// Undoes entries that have nothing to do with each other.
    pub(super) async fn batch(&mut self, entries: Vec<Entry>) -> Result<(), MigrateError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut rows: HashSet<(String, Vec<u8>)> = HashSet::new();
        for entry in entries {
            let loaded = self.migrator.load(entry).await?;
            // A row that names chats of two groups is given back twice, one change after the other.
            if loaded.edited_rows().any(|row| rows.contains(&row)) {
                self.write(std::mem::take(&mut batch)).await?;
                rows.clear();
                bytes = 0;
            }
            rows.extend(loaded.edited_rows());
            bytes += loaded.bytes();
            batch.push(loaded);
            // Without transactions an entry is finished before the next is begun.
            if bytes > BATCH_BYTES || !self.migrator.is_replicated {
                self.write(std::mem::take(&mut batch)).await?;
                rows.clear();
                bytes = 0;
            }
        }
        self.write(batch).await
    }

    async fn write(&mut self, batch: Vec<Loaded>) -> Result<(), MigrateError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.lease.is_none() {
            return self.foresee(batch).await;
        }
        let names: Vec<Entry> = batch.iter().map(|loaded| loaded.entry.clone()).collect();
        let mut batch = batch;
        let mut noted: Vec<String> = Vec::new();
        for attempt in 1.. {
            let now = self.migrator.now_of(&batch).await?;
            let chats = self.migrator.chats_name();
            let reversals: Vec<Reversal> =
                batch.into_iter().map(|loaded| Reversal::of(loaded, chats, &now)).collect();
            drop(now);
            let Some(lease) = self.lease else { return Ok(()) };
            self.control.pace(reversals.iter().map(Reversal::documents).sum()).await?;
            let outcome = if self.migrator.is_replicated {
                self.in_transaction(lease, &reversals).await?
            } else {
                self.in_steps(lease, &reversals).await?
            };
            match outcome {
                Outcome::Done => {
                    self.count(&reversals, &noted);
                    return Ok(());
                }
                Outcome::Refused(why) => return self.one_by_one(names, &why).await,
                Outcome::Changed if attempt == TRIES => {
                    let why = "is written to all the time: undo it again when there is less to do";
                    return self.one_by_one(names, why).await;
                }
                Outcome::Changed if !self.migrator.is_replicated => {
                    // What was written stands, and is not seen as a conflict by the next look.
                    noted.extend(reversals.into_iter().flat_map(|reversal| reversal.conflicts));
                }
                Outcome::Changed => {}
            }
            batch = Vec::with_capacity(names.len());
            for entry in &names {
                batch.push(self.migrator.load(entry.clone()).await?);
            }
        }
        Ok(())
    }

    /// What a batch could not do, its entries may, but for the one that is to blame.
    async fn one_by_one(&mut self, entries: Vec<Entry>, why: &str) -> Result<(), MigrateError> {
        if let [entry] = &entries[..] {
            self.report
                .conflicts
                .push(format!("the group {} ({:?}) is not undone: {why}", entry.id, entry.key));
            return Ok(());
        }
        for entry in entries {
            let loaded = self.migrator.load(entry).await?;
            Box::pin(self.write(vec![loaded])).await?;
        }
        Ok(())
    }

    pub(super) fn count(&mut self, reversals: &[Reversal], noted: &[String]) {
        for reversal in reversals {
            // Those without losers are a part of the group that comes with them.
            self.report.groups += u64::from(!reversal.entry.losers.is_empty());
            self.report.revived += reversal.revived;
            self.report.moved_back += reversal.moved_back();
            self.report.kept += reversal.kept;
            self.report.conflicts.extend(reversal.conflicts.iter().cloned());
        }
        for line in noted {
            if !self.report.conflicts.contains(line) {
                self.report.conflicts.push(line.clone());
            }
        }
    }

    async fn in_transaction(&self, lease: &Lease, reversals: &[Reversal]) -> Result<Outcome, MigrateError> {
        let mut commands = statements::points(reversals)?;
        commands.extend(statements::replacements(reversals)?);
        // After their survivors, which may have taken over what a unique index has: the previous key.
        commands.extend(statements::chats(reversals));
        commands.extend(statements::rows(reversals));
        commands.push(statements::aliases(reversals)?);
        commands.extend(statements::conclusions(reversals)?);
        let deadline = Deadline::after(super::super::commands::PATIENCE);
        let mut pauses = Pauses::default();
        loop {
            let tried = self.transaction(lease, &commands).await?;
            match tried {
                Ok(outcome) => return Ok(outcome),
                Err(error) if may_pass(&error) && !deadline.has_passed() => pauses.pause(deadline).await,
                Err(error) => return Err(MigrateError::driver(&error)),
            }
        }
    }

    async fn transaction(
        &self,
        lease: &Lease,
        commands: &[Command],
    ) -> Result<Result<Outcome, Error>, MigrateError> {
        let client = self.migrator.database.client();
        let mut session = match client.start_session().await {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = session.start_transaction().await {
            return Ok(Err(error));
        }
        let check = self.migrator.database.run_command(lease.fence_check()).session(&mut session).await;
        match check {
            Ok(reply) => lease.read_check(&reply)?,
            Err(error) => return Ok(Err(error)),
        }
        for command in commands {
            let reply = self.migrator.database.run_raw_command(command.command.clone());
            let reply = match reply.session(&mut session).await {
                Ok(reply) => reply,
                Err(error) => return Ok(Err(error)),
            };
            if let Some(outcome) = judge(command, &reply) {
                // It ends by itself if this does not arrive.
                let _ = session.abort_transaction().await;
                return Ok(Ok(outcome));
            }
        }
        Ok(commit(&mut session).await.map(|()| Outcome::Done))
    }

    /// An entry that is being undone says so, so that it is gone on with after a crash; what documents are about to
    /// become is noted before, so that then nobody takes it for the work of others.
    async fn in_steps(&self, lease: &Lease, reversals: &[Reversal]) -> Result<Outcome, MigrateError> {
        lease.check().await?;
        let mut commands = statements::intentions(reversals)?;
        // A chat that comes back before what was taken from it is gone leaves nothing out at any time; but one with a
        // previous key, which its survivor may have taken over, can come back only afterwards.
        let has_previous = self.migrator.codec.previous().is_some();
        if !has_previous {
            commands.extend(statements::chats(reversals));
        }
        commands.extend(statements::points(reversals)?);
        commands.extend(statements::replacements(reversals)?);
        if has_previous {
            commands.extend(statements::chats(reversals));
        }
        commands.extend(statements::rows(reversals));
        commands.push(statements::aliases(reversals)?);
        let mut changed = false;
        for command in &commands {
            match self.acknowledged(command).await? {
                None | Some(Outcome::Done) => {}
                Some(Outcome::Changed) => changed = true,
                Some(refused) => return Ok(refused),
            }
        }
        if changed {
            return Ok(Outcome::Changed);
        }
        for command in statements::conclusions(reversals)? {
            self.acknowledged(&command).await?;
        }
        Ok(Outcome::Done)
    }

    async fn acknowledged(&self, command: &Command) -> Result<Option<Outcome>, MigrateError> {
        let mut whole = command.command.clone();
        whole.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
        whole.append(cstr!("ordered"), false);
        let database = &self.migrator.database;
        let reply = persist(|| async { database.run_raw_command(whole.clone()).await }).await?;
        Ok(judge(command, &reply))
    }
}

/// Nothing if the command did all that it was to do.
fn judge(command: &Command, reply: &Document) -> Option<Outcome> {
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    if let Some(error) = errors.iter().find_map(|error| error.as_document()) {
        let text = error.get_str("errmsg").unwrap_or_default();
        return Some(Outcome::Refused(text.to_owned()));
    }
    let matched = number(reply.get("n")).and_then(|count| usize::try_from(count).ok());
    (command.expected.is_some() && command.expected != matched).then_some(Outcome::Changed)
}

/// A commit whose answer is lost is asked for again: it is done once.
async fn commit(session: &mut ClientSession) -> Result<(), Error> {
    let deadline = Deadline::after(super::super::commands::PATIENCE);
    let mut pauses = Pauses::default();
    loop {
        match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error)
                if error.contains_label("UnknownTransactionCommitResult") && !deadline.has_passed() =>
            {
                tracing::debug!(
                    event = "commit",
                    reason = reason(&error),
                    "the answer was lost; asking again"
                );
                pauses.pause(deadline).await;
            }
            Err(error) => return Err(error),
        }
    }
}
