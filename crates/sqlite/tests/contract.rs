//! The embedded store under the suite that every store has to pass.

use std::sync::Arc;

use async_trait::async_trait;
use onechat_contract::{Harness, conformance_tests};
use onechat_core::KeyFormat;
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use tempfile::TempDir;

struct Sqlite;

#[async_trait]
impl Harness for Sqlite {
    type Place = TempDir;
    type Store = SqliteChatStore;

    async fn place(&self) -> TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    async fn open(&self, place: &TempDir, key_format: KeyFormat) -> Result<Arc<SqliteChatStore>, String> {
        let options = SqliteOptions { key_format, ..SqliteOptions::default() };
        let opened = SqliteChatStore::open(place.path().join("chats.db"), &options);
        opened.map(Arc::new).map_err(|error| error.to_string())
    }
}

conformance_tests!(Sqlite);
