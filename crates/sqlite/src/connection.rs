//! How connections are set up. Durability is decided here.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// How long to wait for another program, for example a backup, that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const WRITER_CACHE_KIB: i64 = 24 * 1024;
/// Holds the inner pages of the index of a million chats; there is a reader for each thread that serves.
const READER_CACHE_KIB: i64 = 12 * 1024;
/// Pages of the write-ahead log before the writer copies them into the database (16 MiB).
const CHECKPOINT_PAGES: i64 = 4096;
const STATEMENTS: usize = 32;

/// The one connection that writes. Nothing is written before [`make_durable`]: the file may be another program's.
pub(crate) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, WRITER_CACHE_KIB)?;
    Ok(connection)
}

/// Settles how the file is written, for good.
pub(crate) fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A commit is on the disk before it is acknowledged, through power cuts too.
    connection.pragma_update(None, "synchronous", "full")?;
    // On macOS a plain fsync leaves the data in the drive's own cache. Elsewhere this changes nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
}

/// A connection that cannot write.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

fn prepare(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -cache_kib)
}
