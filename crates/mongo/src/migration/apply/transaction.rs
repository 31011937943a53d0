//! On a replica set: reads, journal and changes of a batch in one transaction, which is whole or not at all.

use mongodb::{
    ClientSession,
    bson::{Document, RawDocumentBuf, doc},
    error::Error,
    options::{Acknowledgment, ReadConcern, WriteConcern},
};

use super::{
    super::{
        MigrateError,
        commands::{PATIENCE, may_pass},
        journal::{EntryState, JOURNAL},
    },
    MergeReport, Wanted,
    batch::{Done, EditedRows, Planned, Tally, Work, decide},
    read::Reader,
    statements::{self, ALIAS_COLLECTION, Merge},
};
use crate::{
    attempt::{Deadline, Pauses},
    error::{code, number},
};

/// The most rows of one reference that a transaction reads.
const ROWS: usize = 20_000;

/// Why a transaction was not committed.
enum Failed {
    /// It can be tried again as it is.
    Passing(Error),
    /// It cannot be done.
    Final(MigrateError),
    /// There is too much for one transaction.
    TooMuch,
    /// A unique index refuses a change, by its fields.
    Clash(Vec<String>),
}

impl From<MigrateError> for Failed {
    fn from(error: MigrateError) -> Self {
        Self::Final(error)
    }
}

impl From<onechat_core::StoreError> for Failed {
    fn from(error: onechat_core::StoreError) -> Self {
        Self::Final(error.into())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        if may_pass(&error) { Self::Passing(error) } else { Self::Final(MigrateError::driver(&error)) }
    }
}

impl Work<'_> {
    /// Merges a batch, or says that it should be smaller.
    pub(super) async fn in_transaction(
        &self,
        wanted: &[Wanted],
        tries: usize,
        report: &mut MergeReport,
    ) -> Result<Done, MigrateError> {
        let deadline = Deadline::after(PATIENCE);
        let (mut pauses, mut tried) = (Pauses::default(), 0);
        loop {
            tried += 1;
            // Others write to it: from here on they wait.
            let holds = wanted.len() == 1 && tried > 1;
            match self.transaction(wanted, holds).await {
                Ok(tally) => {
                    return Ok(Done::All(tally.add_to(report)));
                }
                Err(Failed::TooMuch) => return Ok(Done::TooMuch),
                Err(Failed::Clash(fields)) if tried >= tries => return Ok(Done::Clash(fields)),
                Err(Failed::Passing(error))
                    if tried >= tries && wanted.len() > 1 || deadline.has_passed() =>
                {
                    tracing::debug!(
                        event = "conflict",
                        reason = crate::error::reason(&error),
                        "a smaller batch"
                    );
                    return if wanted.len() > 1 {
                        Ok(Done::Conflict)
                    } else {
                        Err(MigrateError::driver(&error))
                    };
                }
                Err(Failed::Passing(_) | Failed::Clash(_)) => pauses.pause(deadline).await,
                Err(Failed::Final(error)) => return Err(error),
            }
        }
    }

    async fn transaction(&self, wanted: &[Wanted], holds: bool) -> Result<Tally, Failed> {
        let mut session = self.migrator.database.client().start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build())
            .await?;
        let written = self.write(&mut session, wanted, holds).await;
        let (tally, entries) = match written {
            Ok(written) => written,
            Err(failed) => {
                // It ends by itself if this does not arrive.
                let _ = session.abort_transaction().await;
                return Err(failed);
            }
        };
        self.commit(&mut session, entries).await?;
        Ok(tally)
    }

    async fn write(
        &self,
        session: &mut ClientSession,
        wanted: &[Wanted],
        holds: bool,
    ) -> Result<(Tally, Vec<mongodb::bson::oid::ObjectId>), Failed> {
        let database = &self.migrator.database;
        if holds {
            self.hold(session, wanted).await?;
        }
        let reply = database.run_command(self.lease.fence_check()).session(&mut *session).await?;
        self.lease.read_check(&reply)?;
        let most_rows = if wanted.len() > 1 { ROWS } else { usize::MAX };
        let mut reader =
            Reader { migrator: self.migrator, rules: &self.rules, session: Some(&mut *session), most_rows };
        let read = reader.groups(wanted).await?;
        if read.is_too_much {
            return Err(Failed::TooMuch);
        }
        let mut decided = decide(&self.rules, read);
        self.migrator.keep_inside(&mut decided).await?;
        let Planned { merges, tally, .. } = self.planned(decided, EntryState::Done, &EditedRows::new())?;
        if merges.is_empty() {
            return Ok((tally, Vec::new()));
        }
        let chats = self.migrator.chats_name();
        let journal = statements::journal(chats, self.lease, &merges)?;
        self.send(session, "insert", JOURNAL, journal, None).await?;
        self.send(session, "update", ALIAS_COLLECTION, statements::aliases(&merges)?, None).await?;
        for (collection, deletes) in statements::removals(&merges, false)? {
            self.send(session, "delete", &collection, deletes, None).await?;
        }
        let (moves, edits) = (statements::moves(&merges)?, statements::edits(&merges, false)?);
        for (collection, updates) in moves.into_iter().chain(edits) {
            self.send(session, "update", &collection, updates, None).await?;
        }
        let endings = statements::endings(&merges, false)?;
        let losers = endings.len();
        self.send(session, "delete", chats, endings, Some(losers)).await?;
        let survivors = statements::survivors(&merges)?;
        let living = survivors.len();
        self.send(session, "update", chats, survivors, Some(living)).await?;
        Ok((tally, merges.iter().map(|merge: &Merge| merge.entry.id).collect()))
    }

    /// Makes everybody else who writes to these chats wait until the transaction ends. Without it, writers who are quick enough
    /// would keep them from being merged for ever: each write that falls between the reading and the end makes it fail.
    async fn hold(&self, session: &mut ClientSession, wanted: &[Wanted]) -> Result<(), Failed> {
        let ids: Vec<_> = wanted.iter().flat_map(|wanted| wanted.ids.iter().cloned()).collect();
        let mut command = crate::hold::command(self.migrator.chats_name(), &doc! { "_id": { "$in": ids } });
        // A rule of the collection has no say in what nobody will see.
        command.insert("bypassDocumentValidation", true);
        let reply = self.migrator.database.run_command(command).session(session).await?;
        refused(self.migrator.chats_name(), &reply).map_or(Ok(()), Err)
    }

    /// Points rows ahead of a merge: the entry and its rows, in a transaction of their own.
    pub(super) async fn carry_in_transaction(&self, merge: Merge) -> Result<(), MigrateError> {
        let deadline = Deadline::after(PATIENCE);
        let mut pauses = Pauses::default();
        let merges = [merge];
        loop {
            match self.try_to_carry(&merges).await {
                // What is in the way is left to the merge itself.
                Ok(()) | Err(Failed::TooMuch | Failed::Clash(_)) => return Ok(()),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Passing(error)) if deadline.has_passed() => {
                    return Err(MigrateError::driver(&error));
                }
                Err(Failed::Passing(_)) => pauses.pause(deadline).await,
            }
        }
    }

    async fn try_to_carry(&self, merges: &[Merge]) -> Result<(), Failed> {
        let database = &self.migrator.database;
        let mut session = database.client().start_session().await?;
        session.start_transaction().await?;
        let reply = database.run_command(self.lease.fence_check()).session(&mut session).await?;
        self.lease.read_check(&reply)?;
        let journal = statements::journal(self.migrator.chats_name(), self.lease, merges)?;
        self.send(&mut session, "insert", JOURNAL, journal, None).await?;
        for (collection, updates) in statements::moves(merges)? {
            self.send(&mut session, "update", &collection, updates, None).await?;
        }
        self.commit(&mut session, merges.iter().map(|merge| merge.entry.id).collect()).await
    }

    /// Carries statements out in the transaction. Any error of one of them is one of all.
    async fn send(
        &self,
        session: &mut ClientSession,
        verb: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
        expected: Option<usize>,
    ) -> Result<(), Failed> {
        let mut matched = 0;
        for (command, _) in statements::commands(verb, collection, statements) {
            let reply = self.migrator.database.run_raw_command(command).session(&mut *session).await?;
            if let Some(failed) = refused(collection, &reply) {
                return Err(failed);
            }
            matched += number(reply.get("n")).unwrap_or_default();
        }
        match expected {
            Some(expected) if i64::try_from(expected) != Ok(matched) => {
                Err(Failed::Final(MigrateError::Refused(format!(
                    "{collection}: {matched} documents of {expected} could be changed in a transaction that had just read them"
                ))))
            }
            _ => Ok(()),
        }
    }

    /// A commit whose answer is lost is asked for again; in the end the journal tells.
    async fn commit(
        &self,
        session: &mut ClientSession,
        entries: Vec<mongodb::bson::oid::ObjectId>,
    ) -> Result<(), Failed> {
        let deadline = Deadline::after(PATIENCE / 4);
        let mut pauses = Pauses::default();
        loop {
            let Err(error) = session.commit_transaction().await else { return Ok(()) };
            if !error.contains_label("UnknownTransactionCommitResult") {
                return Err(error.into());
            }
            if deadline.has_passed() {
                let Some(first) = entries.first() else { return Ok(()) };
                return match self.migrator.header(*first).await? {
                    Some(_) => Ok(()),
                    None => Err(Failed::Passing(error)),
                };
            }
            pauses.pause(deadline).await;
        }
    }
}

fn refused(collection: &str, reply: &Document) -> Option<Failed> {
    let errors = reply.get_array("writeErrors").ok()?;
    let error = errors.first()?.as_document()?;
    if number(error.get("code")) == Some(i64::from(code::DUPLICATE_KEY)) {
        let pattern = error.get_document("keyPattern").cloned().unwrap_or_else(|_| doc! {});
        return Some(Failed::Clash(pattern.keys().cloned().collect()));
    }
    let why = error.get_str("errmsg").unwrap_or_default();
    Some(Failed::Final(MigrateError::Refused(format!("{collection} refuses a change: {why}"))))
}
