//! Commands that write, until they are done: a failover takes seconds, and a migration outlasts it.

use std::time::Duration;

use mongodb::{
    Database,
    bson::{Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc},
    error::Error,
};
use onechat_core::StoreError;

use super::{MigrateError, MongoMigrator};
use crate::{
    attempt::Deadline,
    error::{Written, is_permanent, reason, sort_out},
};

/// How long a command is tried again: longer than an election takes, even on a bad day.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// The most bytes of documents or statements in one command; the server's limit is 16 MiB.
pub(super) const COMMAND_BYTES: usize = 8 << 20;
/// How many documents the server sends at once, if they are not too large. Its own first answer would have 101.
pub(super) const ANSWER: u32 = 10_000;
/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a command that may be repeated, acknowledged by a majority. The reply may hold errors of single statements.
pub(super) async fn write(database: &Database, mut command: Document) -> Result<Document, MigrateError> {
    command.insert("writeConcern", doc! { "w": "majority", "j": true });
    let command =
        RawDocumentBuf::try_from(&command).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    persist(|| async {
        let reply = database.run_raw_command(command.clone()).await?;
        Ok(reply)
    })
    .await
}

/// Repeats until it is done, cannot be done, or has been tried for too long.
pub(super) async fn persist<T, F>(mut work: impl FnMut() -> F) -> Result<T, MigrateError>
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = Deadline::after(PATIENCE);
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) if is_permanent(&error) || !may_pass(&error) || deadline.has_passed() => {
                return Err(MigrateError::driver(&error));
            }
            Err(error) => {
                tracing::debug!(
                    event = "tried",
                    reason = reason(&error),
                    "the database did not do it; trying again"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Does it in a task of its own: what keeps a processor busy does not hold up what waits for answers.
pub(super) async fn aside<T: Send + 'static>(
    work: impl Future<Output = Result<T, MigrateError>> + Send + 'static,
) -> Result<T, MigrateError> {
    tokio::spawn(work).await.unwrap_or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(StoreError::Unavailable(cancelled.to_string()).into()),
    })
}

/// Whether it is of the kind that passes: the network, an election, another's transaction.
pub(super) fn may_pass(error: &Error) -> bool {
    use mongodb::error::ErrorKind;
    error.contains_label("TransientTransactionError")
        || error.contains_label("RetryableWriteError")
        || matches!(
            &*error.kind,
            ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::ServerSelection { .. }
                | ErrorKind::DnsResolve { .. }
        )
        || crate::error::code_of(error).is_some_and(|code| PASSING.contains(&code))
}

/// Codes, by the names of the server's `error_codes.yml`: `HostUnreachable`, `HostNotFound`, `LockTimeout`,
/// `MaxTimeMSExpired`, `WriteConcernFailed`, `NetworkTimeout`, `ShutdownInProgress`, `WriteConflict`, `ReadConcernMajorityNotAvailableYet`,
/// `PrimarySteppedDown`, `SnapshotUnavailable`, `NoSuchTransaction`, `ExceededTimeLimit`, `SocketException`, `NotWritablePrimary`,
/// `InterruptedAtShutdown`, Interrupted, `InterruptedDueToReplStateChange`, `NotPrimaryNoSecondaryOk`, `NotPrimaryOrSecondary`.
const PASSING: [i32; 20] =
    [6, 7, 24, 50, 64, 89, 91, 112, 134, 189, 246, 251, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436];

impl MongoMigrator {
    /// See [`write`].
    pub(super) async fn write(&self, command: Document) -> Result<Document, MigrateError> {
        write(&self.database, command).await
    }

    /// Inserts documents that have names of their own, so that one that is there already is this one.
    pub(super) async fn insert_all(
        &self,
        collection: &str,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<(), MigrateError> {
        for chunk in chunks(documents, |document| document.as_bytes()) {
            let count = chunk.len();
            let array: RawArrayBuf = chunk.into_iter().collect();
            let command = rawdoc! {
                "insert": collection, "documents": array, "ordered": false,
                "writeConcern": { "w": "majority", "j": true },
            };
            let reply = persist(|| async { self.database.run_raw_command(command.clone()).await }).await?;
            for written in sort_out(&reply, count) {
                match written {
                    Written::Stored => {}
                    Written::Duplicate(fields) if fields == ["_id"] => {}
                    Written::Duplicate(fields) => {
                        return Err(MigrateError::Refused(format!(
                            "a unique index of {collection} on {} is in the way: drop it",
                            fields.join(", ")
                        )));
                    }
                    Written::Refused(why) | Written::Unknown(why) => {
                        return Err(StoreError::Unavailable(format!("{collection}: {why}")).into());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Cuts what is to be sent so that each piece fits into a command; one alone always does.
pub(super) fn chunks<T>(all: Vec<T>, bytes: impl Fn(&T) -> &[u8]) -> Vec<Vec<T>> {
    let (mut chunks, mut size): (Vec<Vec<T>>, usize) = (Vec::new(), 0);
    for one in all {
        let more = bytes(&one).len();
        match chunks.last_mut() {
            Some(chunk) if size + more <= COMMAND_BYTES && chunk.len() < MOST_STATEMENTS => {
                size += more;
                chunk.push(one);
            }
            _ => {
                size = more;
                chunks.push(vec![one]);
            }
        }
    }
    chunks
}

/// The most statements in one command.
const MOST_STATEMENTS: usize = 10_000;
