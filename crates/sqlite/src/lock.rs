//! One server per file: a lock beside the database, held for as long as the store is open.
//!
//! Beside, not on it: closing any descriptor of the database file would drop the locks SQLite holds on it.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::OpenError;

/// Released by the operating system when the process ends, however it ends.
pub(crate) struct ServerLock {
    _file: File,
}

impl ServerLock {
    pub(crate) fn take(database: &Path) -> Result<Self, OpenError> {
        let path = lock_path(database);
        let not_writable = |error| OpenError::from_io(database, &error);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: database.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(not_writable(error)),
        }
        // The number only helps people who read the error; a disk too full to take it must not stop a start.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
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
