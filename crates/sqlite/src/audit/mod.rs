//! The audit of a file at rest, or under a running server: one snapshot, read-only, memory independent of size.

mod queries;
mod scan;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use onechat_core::{
    KeyFormat, StoreError,
    ports::{Audit, AuditReport, FindingKind, Findings, Progress},
};
use rusqlite::Connection;

use crate::{
    OpenError, connection,
    error::store_error,
    path::{hard_links, resolve},
    schema,
};

/// Checks a file without taking it from the server that has it open.
pub struct SqliteAudit {
    path: PathBuf,
    /// Nothing if the file had more than one hard link when it was to be opened.
    file: Option<AuditedFile>,
}

struct AuditedFile {
    connection: Mutex<Connection>,
    key_format: KeyFormat,
}

impl SqliteAudit {
    /// Opens the file for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        let resolved = resolve(path).map_err(|error| OpenError::from_io(path, &error));
        resolved.and_then(Self::open_existing).map_err(|error| match error {
            OpenError::NotWritable { path, reason } => OpenError::NotReadable { path, reason },
            other => other,
        })
    }

    fn open_existing(path: PathBuf) -> Result<Self, OpenError> {
        if links(&path) > 1 {
            return Ok(Self { path, file: None });
        }
        let connection = connection::reader(&path).map_err(|error| OpenError::from_sqlite(&path, &error))?;
        schema::check_owner(&path, &connection)?;
        let key_format = schema::key_format(&path, &connection)?;
        Ok(Self { path, file: Some(AuditedFile { connection: Mutex::new(connection), key_format }) })
    }

    fn run(&self, progress: &dyn Progress) -> rusqlite::Result<AuditReport> {
        match &self.file {
            // Counted again: a link may have been made since.
            Some(file) if links(&self.path) <= 1 => file.run(progress),
            _ => {
                // What is read under this name is what the log beside it holds, and others may have written to another.
                let mut findings = Findings::default();
                findings.add(FindingKind::LinkedFile, || {
                    format!("{} has {} hard links", self.path.display(), links(&self.path))
                });
                Ok(AuditReport { findings: findings.into_sorted(), ..AuditReport::default() })
            }
        }
    }
}

/// A file that is not there any more has no links.
fn links(path: &Path) -> u64 {
    hard_links(path).unwrap_or(0)
}

impl AuditedFile {
    fn run(&self, progress: &dyn Progress) -> rusqlite::Result<AuditReport> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = connection.transaction()?;
        let count = |table| {
            snapshot.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get::<_, i64>(0).map(i64::unsigned_abs)
            })
        };
        let mut report = AuditReport {
            chats: count("chats")?,
            outside: 0,
            messages: count("messages")?,
            aliases: count("aliases")?,
            findings: Vec::new(),
        };
        let mut findings = Findings::default();
        queries::integrity(&snapshot, &mut findings)?;
        if !findings.is_empty() {
            // What is read from a damaged file says nothing about the rest.
            report.findings = findings.into_sorted();
            return Ok(report);
        }
        if !schema::has_unique_key(&snapshot)? {
            findings.add(FindingKind::MissingUniqueIndex, || "table chats".to_owned());
        }
        schema::read_older(&snapshot)?;
        scan::chats(&snapshot, self.key_format, report.chats, progress, &mut findings)?;
        queries::relations(&snapshot, &mut findings)?;
        report.findings = findings.into_sorted();
        Ok(report)
    }
}

#[async_trait]
impl Audit for SqliteAudit {
    /// Runs on the calling thread until it is done.
    async fn audit(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        match self.run(progress).map_err(|error| store_error(&error)) {
            // Damage so bad that not even the check of it comes to an end is a finding all the same.
            Err(StoreError::Corrupt(reason)) => {
                let mut findings = Findings::default();
                findings.add(FindingKind::DamagedStorage, || reason);
                Ok(AuditReport { findings: findings.into_sorted(), ..AuditReport::default() })
            }
            other => other,
        }
    }
}
