//! The schema, its versions, and what has to be true of a file before it is served.

use std::path::Path;

use onechat_core::KeyFormat;
use rusqlite::{Connection, OptionalExtension};
use rusqlite_migration::{M, Migrations};

use crate::{OpenError, connection};

const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);
const STEPS: &[M<'static>] = &[
    M::up(include_str!("schema/v1.sql")),
    M::up(include_str!("schema/v2.sql")),
    M::up(include_str!("schema/v3.sql")),
];
/// The first version whose chats may have a context.
const WITH_CONTEXTS: i64 = 3;
const APPLICATION_ID: i64 = 0x6f6e_6563;
const KEY_FORMAT: &str = "key_format";

/// Checks the file, brings it to the newest schema, and settles its key format.
pub(crate) fn prepare(path: &Path, connection: &mut Connection, format: KeyFormat) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    check_owner(path, connection)?;
    connection::make_durable(connection).map_err(failed)?;
    MIGRATIONS.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => OpenError::from_sqlite(path, &err),
        other => OpenError::Other { path: path.to_owned(), reason: other.to_string() },
    })?;
    connection
        .execute("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO NOTHING", (KEY_FORMAT, format.name()))
        .map_err(failed)?;
    let stored = key_format(path, connection)?;
    if stored != format {
        return Err(OpenError::KeyFormat { path: path.to_owned(), stored, configured: format });
    }
    if !has_unique_key(connection).map_err(failed)? {
        return Err(OpenError::MissingUniqueIndex { path: path.to_owned() });
    }
    Ok(())
}

/// Whose file it is and whether its schema is known. Reads only.
pub(crate) fn check_owner(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let owner = pragma("application_id").map_err(failed)?;
    let version = pragma("user_version").map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    match owner {
        APPLICATION_ID if version > known => {
            Err(OpenError::NewerSchema { path: path.to_owned(), found: version, known })
        }
        APPLICATION_ID => Ok(()),
        0 if version == 0 && tables == 0 => Ok(()),
        _ => Err(OpenError::Foreign { path: path.to_owned() }),
    }
}

/// Lets a file of an older schema be read as if its chats had a column for the context. Changes nothing in the file.
pub(crate) fn read_older(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version >= WITH_CONTEXTS {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE TEMP VIEW chats AS SELECT *, NULL AS context FROM main.chats;
         CREATE TEMP VIEW inbox AS SELECT *, NULL AS context FROM main.inbox;",
    )
}

/// The format of the keys in the file.
pub(crate) fn key_format(path: &Path, connection: &Connection) -> Result<KeyFormat, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    let stored: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [KEY_FORMAT], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
    let stored = stored.ok_or_else(|| damaged("it does not say its key format".to_owned()))?;
    stored.parse().map_err(|error: onechat_core::UnknownKeyFormat| damaged(error.to_string()))
}

/// Whether a unique index on the key alone stands between the data and a duplicate.
pub(crate) fn has_unique_key(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT count(*) > 0 FROM pragma_index_list('chats') AS i
         WHERE i.\"unique\" AND NOT i.partial
           AND (SELECT group_concat(name) FROM pragma_index_info(i.name)) = 'participants_key'",
        [],
        |row| row.get(0),
    )
}
