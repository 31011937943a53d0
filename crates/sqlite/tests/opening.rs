//! What a file has to be before it is served: each refusal says what to do, and leaves the file as it was.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use std::{fs, path::Path};

use onechat_core::{
    ChatId, ChatIdentity, Context, OutcomeKind, PageSize, Participant, ParticipantSet, Proposal, Roles,
    Timestamp,
    ports::{Audit, ChatStore, Progress},
};
use onechat_sqlite::{OpenError, SqliteAudit, SqliteChatStore, SqliteOptions};
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

fn proposal(names: [&str; 2], id: &str) -> Proposal {
    Proposal {
        identity: ParticipantSet::parse(names).unwrap().into(),
        id: ChatId::new(id).unwrap(),
        now: Timestamp::from_unix_ms(1_700_000_000_000).unwrap(),
        roles: Roles::default(),
    }
}

/// A folder with a database in it that holds one chat.
async fn used() -> (TempDir, std::path::PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let store = open(&path).unwrap();
    store.create_or_get(proposal(["alice", "bob"], "first")).await.unwrap();
    (folder, path)
}

fn open(path: &Path) -> Result<SqliteChatStore, OpenError> {
    SqliteChatStore::open(path, &SqliteOptions::default())
}

fn refusal(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = open(path).err().expect("the file must be refused");
    assert_eq!(fs::read(path).unwrap(), before, "a refused file was changed");
    error
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_can_be_opened_again_by_its_own_version() {
    let (_folder, path) = used().await;
    let set_version = |version: i64| {
        let file = Connection::open(&path).unwrap();
        file.pragma_update(None, "user_version", version).unwrap();
    };
    let file = Connection::open(&path).unwrap();
    let own_version = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    drop(file);
    set_version(99);
    let error = refusal(&path);
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("use a newer onechat"), "{error}");
    set_version(own_version);
    let again = open(&path).unwrap().create_or_get(proposal(["bob", "alice"], "second")).await.unwrap();
    assert_eq!((again.kind, again.chat.id.as_str()), (OutcomeKind::Existing, "first"));
}

#[tokio::test]
async fn a_file_of_an_older_schema_is_brought_forward() {
    let (v1, v2) = (include_str!("../src/schema/v1.sql"), include_str!("../src/schema/v2.sql"));
    brought_forward(&format!("{v1}; PRAGMA user_version = 1;")).await;
    brought_forward(&format!("{v1}; {v2}; PRAGMA user_version = 2;")).await;
}

async fn brought_forward(schema: &str) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch(schema).unwrap();
    file.execute_batch(
        "INSERT INTO meta VALUES ('key_format', 'escaped');
         INSERT INTO chats VALUES ('alice_bob', 'c1', '[\"alice\",\"bob\"]', 1000, 2000, 2000);
         INSERT INTO inbox VALUES ('alice', 2000, 'c1'), ('bob', 2000, 'c1');
         INSERT INTO messages VALUES ('m1', 'c1', 'alice', 'hello', 'x', 2000);
         INSERT INTO aliases VALUES ('old', 'c1');",
    )
    .unwrap();
    drop(file);
    let audit = SqliteAudit::open(&path).unwrap();
    for _ in 0..2 {
        let report = audit.audit(&Quiet).await.unwrap();
        assert_eq!((report.chats, report.findings), (1, vec![]), "before the first start of this version");
    }
    drop(audit);

    let store = open(&path).unwrap();
    let alice = Participant::new("alice").unwrap();
    for id in ["c1", "old"] {
        let found = store.chat_for(&ChatId::new(id).unwrap(), &alice).await.unwrap().unwrap();
        assert_eq!(found.id.as_str(), "c1");
    }
    let carol = Participant::new("carol").unwrap();
    assert_eq!(store.chat_for(&ChatId::new("old").unwrap(), &carol).await.unwrap(), None);
    let again = store.create_or_get(proposal(["bob", "alice"], "second")).await.unwrap();
    assert_eq!((again.kind, again.chat.id.as_str()), (OutcomeKind::Existing, "c1"));
    let about = ChatIdentity { context: Some(Context::new("listing:42").unwrap()), ..again.chat.identity };
    let other = Proposal { identity: about.clone(), ..proposal(["alice", "bob"], "third") };
    let other = store.create_or_get(other).await.unwrap();
    assert_eq!((other.kind, &other.chat.identity), (OutcomeKind::Created, &about));
    let listed = store.chats_of(&alice, about.context.as_ref(), PageSize::default(), None).await.unwrap();
    assert_eq!(listed.items, [other.chat]);
    assert_eq!(store.audit(&Quiet).await.unwrap().findings, []);
    drop(store);
    let file = Connection::open(&path).unwrap();
    let version: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 3);
    let kept: (String, Option<String>) = file
        .query_row("SELECT participants_key || participants, context FROM chats WHERE id = 'c1'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(kept, ("alice_bob[\"alice\",\"bob\"]".to_owned(), None));
    drop(file);
    assert!(open(&path).is_ok(), "a file that was brought forward opens again");
}

struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "these are my notes, and they are not a database at all\n".repeat(200)).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore the last good backup"), "{error}");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(refusal(&path), OpenError::Foreign { .. }));
    assert!(matches!(SqliteAudit::open(&path), Err(OpenError::Foreign { .. })));
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let (_folder, path) = used().await;
    let mut bytes = fs::read(&path).unwrap();
    for byte in &mut bytes[4096..] {
        *byte = 0xa5;
    }
    fs::write(&path, &bytes).unwrap();
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let error = SqliteAudit::open(&path).err().expect("an audit needs a readable file");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused_while_the_first_one_goes_on() {
    let (_folder, path) = used().await;
    let first = open(&path).unwrap();
    let error = open(&path).err().expect("the second server must be refused");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    first.create_or_get(proposal(["alice", "carol"], "other")).await.unwrap();
    drop(first);
    let next = open(&path).unwrap();
    assert_eq!(
        next.create_or_get(proposal(["alice", "carol"], "x")).await.unwrap().chat.id.as_str(),
        "other"
    );
}

#[tokio::test]
async fn a_file_without_its_unique_index_is_not_served() {
    let (_folder, path) = used().await;
    lose_unique_index(&path);
    let error = refusal(&path);
    assert!(matches!(error, OpenError::MissingUniqueIndex { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("nowhere").join("chats.db");
    let error = open(&path).err().expect("there is no folder");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(error.to_string().contains("folder exists"), "{error}");
    assert!(matches!(SqliteAudit::open(&path), Err(OpenError::Missing { .. })));
}

fn lose_unique_index(path: &Path) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(
        "PRAGMA foreign_keys = off;
         CREATE TABLE copy (participants_key TEXT NOT NULL, id TEXT PRIMARY KEY NOT NULL,
             participants TEXT NOT NULL, created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL,
             last_message_at_ms INTEGER, context TEXT) STRICT, WITHOUT ROWID;
         INSERT INTO copy SELECT * FROM chats;
         DROP TABLE chats;
         PRAGMA legacy_alter_table = on;
         ALTER TABLE copy RENAME TO chats;",
    )
    .unwrap();
}

#[tokio::test]
async fn a_store_that_comes_upon_damage_says_that_it_is_not_ready() {
    let (_folder, path) = used().await;
    let store = open(&path).unwrap();
    for n in 0..500 {
        store.create_or_get(proposal(["alice", &format!("friend-{n}")], &format!("c{n:04}"))).await.unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 4096 / 3 * 4096;
    bytes[middle..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let store = open(&path).unwrap();
    assert!(store.ready().await.is_ok(), "nobody has met the damage yet");
    let mut errors = 0;
    for n in 0..500 {
        errors += usize::from(store.chat(&ChatId::new(format!("c{n:04}")).unwrap()).await.is_err());
    }
    assert!(errors > 0, "the test did not damage what it reads");
    assert!(store.ready().await.is_err());
}
