//! Connections for reading, lent to whoever asks.
//!
//! A read runs where it is asked for, on the caller's thread: it takes some microseconds from the page cache, and
//! handing it to another thread and back costs more. So there are never more connections than threads that ask.

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use onechat_core::StoreError;
use rusqlite::Connection;

use crate::{connection, error::store_error};

pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    damaged: AtomicBool,
}

impl Readers {
    /// Nothing is opened before the first read.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), damaged: AtomicBool::new(false) }
    }

    /// Runs `query` on a connection of its own. It has to be bounded: it blocks the thread.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connection::reader(&self.path).map_err(|error| store_error(&error))?,
        };
        let result = query(&connection).map_err(|error| store_error(&error));
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        if let Err(StoreError::Corrupt(_)) = result {
            self.damaged.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Whether a read has come upon damage since the store was opened.
    pub(crate) fn has_met_damage(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}
