//! Connections for reading, lent to whoever asks.
//!
//! A read runs where it is asked for, on the caller's thread: it takes some microseconds from the page cache, and
//! handing it to another thread and back costs more. So there are never more connections than threads that ask.
//!
//! To begin and to end a read transaction takes locks on the file, which cost more than the read. Only this process
//! writes, so what a transaction sees stays the truth until the writer's next commit, and that long it is kept open.
//! While a commit is on its way none is kept, or the log could never be folded back into the file.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use onechat_core::StoreError;
use rusqlite::Connection;

use crate::{connection, error::store_error};

pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    /// Counts the beginnings and the ends of commits: odd while one is on its way.
    phase: AtomicU64,
    damaged: AtomicBool,
}

struct Reader {
    connection: Connection,
    /// The phase that its open transaction belongs to.
    open_since: Option<u64>,
}

impl Readers {
    /// Nothing is opened before the first read.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), phase: AtomicU64::default(), damaged: AtomicBool::new(false) }
    }

    /// Runs `query` on a connection of its own, which sees all that is committed. It has to be bounded: it blocks
    /// the thread.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let result = self.on_reader(query).map_err(|error| store_error(&error));
        if let Err(StoreError::Corrupt(_)) = result {
            self.damaged.store(true, Ordering::Relaxed);
        }
        result
    }

    fn on_reader<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        // Before the transaction begins, so that it sees at least what this phase sees.
        let phase = self.phase.load(Ordering::SeqCst);
        let lent = self.idle().pop();
        let mut reader = match lent {
            Some(reader) => reader,
            None => Reader { connection: connection::reader(&self.path)?, open_since: None },
        };
        if reader.open_since != Some(phase) {
            reader.end()?;
            reader.begin(phase)?;
        }
        let result = query(&reader.connection);
        // Looked at under the lock, so that no commit comes between the look and the return.
        let mut idle = self.idle();
        let stays_true = !is_committing(phase) && self.phase.load(Ordering::SeqCst) == phase;
        if (stays_true && result.is_ok()) || reader.end().is_ok() {
            idle.push(reader);
        }
        result
    }

    /// Runs `commit`, by the one writer, with no read transaction kept open meanwhile.
    pub(crate) fn around_commit<T>(&self, commit: impl FnOnce() -> T) -> T {
        let _next_phase = NextPhase::enter(&self.phase);
        // A reader that is still out finds the phase changed when it comes back.
        self.idle().retain_mut(|reader| reader.end().is_ok());
        commit()
    }

    /// Whether a read has come upon damage since the store was opened.
    pub(crate) fn has_met_damage(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_committing(phase: u64) -> bool {
    !phase.is_multiple_of(2)
}

impl Reader {
    fn begin(&mut self, phase: u64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        self.open_since = Some(phase);
        Ok(())
    }

    fn end(&mut self) -> rusqlite::Result<()> {
        if self.open_since.take().is_some() {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }
}

/// The time of a commit, which ends however the commit does.
struct NextPhase<'a>(&'a AtomicU64);

impl<'a> NextPhase<'a> {
    fn enter(phase: &'a AtomicU64) -> Self {
        phase.fetch_add(1, Ordering::SeqCst);
        Self(phase)
    }
}

impl Drop for NextPhase<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log with one table, its writer, and readers.
    fn set_up(folder: &tempfile::TempDir) -> (Connection, Readers) {
        let path = folder.path().join("rows.db");
        let writer = connection::writer(&path).unwrap();
        connection::make_durable(&writer).unwrap();
        writer.execute_batch("CREATE TABLE rows (number INTEGER)").unwrap();
        (writer, Readers::new(path))
    }

    fn add_row(writer: &Connection, readers: &Readers) {
        readers.around_commit(|| writer.execute("INSERT INTO rows VALUES (1)", [])).unwrap();
    }

    fn rows(reader: &Connection) -> rusqlite::Result<i64> {
        reader.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))
    }

    /// Whether the log can be folded back whole, which any open read transaction prevents.
    fn folds(writer: &Connection) -> bool {
        writer.busy_timeout(std::time::Duration::ZERO).unwrap();
        writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map(|busy: i64| busy == 0)
            .unwrap()
    }

    #[test]
    fn each_commit_is_seen_by_the_next_read() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = set_up(&folder);
        for count in 0..5 {
            assert_eq!(readers.read(rows).unwrap(), count);
            assert_eq!(readers.read(rows).unwrap(), count);
            add_row(&writer, &readers);
        }
    }

    #[test]
    fn a_read_that_a_commit_overtakes_leaves_nothing_old_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = set_up(&folder);
        let overtaken = readers.read(|reader| {
            rows(reader)?;
            add_row(&writer, &readers);
            rows(reader)
        });
        assert_eq!(overtaken.unwrap(), 0, "one read sees one state");
        assert!(folds(&writer), "the overtaken read has left its transaction open");
        assert_eq!(readers.read(rows).unwrap(), 1);
    }

    #[test]
    fn during_a_commit_no_read_transaction_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, readers) = set_up(&folder);
        readers.read(rows).unwrap();
        readers.around_commit(|| {
            assert!(folds(&writer), "an idle reader keeps its transaction");
            // Something in the log, or there is nothing to be kept from folding.
            writer.execute("INSERT INTO rows VALUES (1)", []).unwrap();
            readers.read(rows).unwrap();
            assert!(folds(&writer), "a read during the commit keeps its transaction");
        });
    }
}
