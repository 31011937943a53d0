//! One server per file, whatever path it comes by: two locks, held for as long as the store is open.
//!
//! The first is a lock file beside the database. The second is on the database's inode: a file that is mounted alone
//! into two containers, or renamed under its server, has two paths, each with a lock file of its own.
//!
//! The order matters. Closing any descriptor of the database drops the locks that SQLite holds on it in this process.
//! So the descriptor of the second lock is opened before SQLite opens the file, and closed after SQLite has closed
//! it; the lock file, taken first, is what keeps this process from opening and closing the file a second time. For
//! the same reason hard links are counted without opening the file.
//!
//! A file with more than one hard link is refused, also when nobody serves it: SQLite keeps a write-ahead log beside
//! each name, and a server that uses another name than the last one would miss what that log holds. A link that is
//! made while a server runs does that server no harm: the next start is refused, and the audit reports it.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{OpenError, path::hard_links};

/// Released by the operating system when the process ends, however it ends.
pub(crate) struct ServerLock {
    // Fields are dropped in this order: nobody of this process comes in between.
    _inode: Option<File>,
    _beside: File,
}

impl ServerLock {
    /// `database` is a resolved path. Creates the file if there is none.
    pub(crate) fn take(database: &Path) -> Result<Self, OpenError> {
        let beside = lock_beside(database)?;
        let links = hard_links(database).map_err(|error| OpenError::from_io(database, &error))?;
        if links > 1 {
            return Err(OpenError::Linked { path: database.to_owned(), links });
        }
        Ok(Self { _inode: lock_inode(database)?, _beside: beside })
    }
}

fn lock_beside(database: &Path) -> Result<File, OpenError> {
    let not_writable = |error| OpenError::from_io(database, &error);
    let mut file = open(&lock_path(database)).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { path: database.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(not_writable(error)),
    }
    // The number only helps people who read the error; a disk too full to take it must not stop a start.
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

/// On Linux alone, where containers are: there this lock (`flock`) and SQLite's own (`fcntl`) do not see each other.
/// On other systems they may, and SQLite would wait for us.
fn lock_inode(database: &Path) -> Result<Option<File>, OpenError> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let not_writable = |error| OpenError::from_io(database, &error);
    let file = open(database).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: database.to_owned(),
            holder: "a process that has it open under another path (another mount, or its old name)"
                .to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(not_writable(error)),
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(process)) => format!("process {process}"),
        _ => "another process".to_owned(),
    }
}
