//! The one place where the driver's errors become ours.

use std::{io, path::PathBuf};

use onechat_core::{KeyFormat, StoreError};
use rusqlite::ErrorCode;

/// Why a database file cannot be opened. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be created, read or written.
    #[error("cannot open {path} for writing: {reason}; check that its folder exists and is writable")]
    NotWritable {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file cannot be read.
    #[error(
        "cannot read {path}: {reason}; a database in use needs a folder that can be written, \
         so audit one on a read-only disk in a copy elsewhere"
    )]
    NotReadable {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is no file to look at.
    #[error("there is no database at {path}")]
    Missing {
        /// Where one was expected.
        path: PathBuf,
    },
    /// Another server has the file open.
    #[error(
        "{path} is in use by {holder}; one server at a time can serve a file: stop the other one, or use another file"
    )]
    InUse {
        /// The database file.
        path: PathBuf,
        /// The process that holds it, as far as is known.
        holder: String,
    },
    /// The file has more than one hard link.
    #[error(
        "{path} has {links} hard links, and SQLite keeps a separate write-ahead log beside each: a server that uses \
         another one loses acknowledged chats. Find them with `find FOLDER -samefile {path}`, keep the one that was \
         served last (a -wal may lie beside it), and remove the others"
    )]
    Linked {
        /// The database file.
        path: PathBuf,
        /// How many hard links it has.
        links: u64,
    },
    /// The file is damaged.
    #[error("{path} is damaged ({reason}); keep a copy of it, and restore the last good backup")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file belongs to another program.
    #[error("{path} is not a database of onechat; name another file")]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "{path} has schema version {found}, this program knows versions up to {known}; use a newer onechat"
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The unique index, without which duplicates can be created, is not there.
    #[error(
        "{path} has lost the unique index on participants_key; run `onechat audit`, and restore a backup"
    )]
    MissingUniqueIndex {
        /// The database file.
        path: PathBuf,
    },
    /// The keys in the file are of another format than the one configured.
    #[error(
        "the keys in {path} are in the format {stored}, and the configuration says {configured}; set the key format to {stored}"
    )]
    KeyFormat {
        /// The database file.
        path: PathBuf,
        /// The format of the keys in the file.
        stored: KeyFormat,
        /// The format that was asked for.
        configured: KeyFormat,
    },
    /// Anything else that SQLite refused.
    #[error("cannot open {path}: {reason}")]
    Other {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn from_sqlite(path: impl Into<PathBuf>, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.into(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure,
            ) => Self::NotWritable { path, reason },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::InUse { path, holder: "another program".to_owned() }
            }
            _ => Self::Other { path, reason },
        }
    }

    pub(crate) fn from_io(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::NotWritable { path: path.into(), reason: error.to_string() }
    }
}

/// Whether after this error no statement of the same transaction can succeed.
pub(crate) fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
        )
    )
}

/// What a failed statement means to the caller of the port.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType};
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return StoreError::Corrupt(error.to_string());
        }
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error",
        Some(ErrorCode::ReadOnly) => "the database file is read-only",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has locked the database file"
        }
        _ if matches!(error, FromSqlConversionFailure(..) | InvalidColumnType(..)) => {
            return StoreError::Corrupt(error.to_string());
        }
        _ => return StoreError::Unavailable(error.to_string()),
    };
    StoreError::Unavailable(format!("{reason} ({error})"))
}
