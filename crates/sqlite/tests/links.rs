//! One server per file, under whatever name: symlinks are followed, hard links refused and reported.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use std::{fs, os::unix::fs::symlink, path::Path};

use onechat_core::{
    ChatId, ParticipantSet, Proposal, Roles, Timestamp,
    ports::{Audit, AuditReport, ChatStore, Progress},
};
use onechat_sqlite::{OpenError, SqliteAudit, SqliteChatStore, SqliteOptions};
use tempfile::tempdir;

struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

fn open(path: &Path) -> Result<SqliteChatStore, OpenError> {
    SqliteChatStore::open(path, &SqliteOptions::default())
}

fn refusal(path: &Path) -> OpenError {
    open(path).err().expect("a second server must be refused")
}

async fn create(store: &SqliteChatStore, id: &str) -> String {
    let proposal = Proposal {
        identity: ParticipantSet::parse(["alice", "bob"]).unwrap().into(),
        id: ChatId::new(id).unwrap(),
        now: Timestamp::from_unix_ms(1_700_000_000_000).unwrap(),
        roles: Roles::default(),
    };
    store.create_or_get(proposal).await.unwrap().chat.id.as_str().to_owned()
}

async fn audit(path: &Path) -> AuditReport {
    SqliteAudit::open(path).unwrap().audit(&Quiet).await.unwrap()
}

#[tokio::test]
async fn a_symlink_leads_to_the_file_that_is_in_use() {
    let (folder, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let path = folder.path().join("chats.db");
    let link = elsewhere.path().join("link.db");
    symlink(&path, &link).unwrap();
    let same_folder = elsewhere.path().join("folder");
    symlink(folder.path(), &same_folder).unwrap();

    // The link comes first, while there is no file yet.
    let first = open(&link).unwrap();
    assert_eq!(create(&first, "first").await, "first");
    for other in [&path, &link, &same_folder.join("chats.db")] {
        let error = refusal(other);
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert_eq!(audit(other).await.chats, 1);
    }
    assert!(!elsewhere.path().join("link.db.lock").exists(), "the lock belongs beside the file");
    drop(first);
    assert_eq!(create(&open(&path).unwrap(), "second").await, "first");
}

#[tokio::test]
async fn a_hard_link_is_refused_with_what_to_do_while_the_first_server_goes_on() {
    let folder = tempdir().unwrap();
    let (path, link) = (folder.path().join("chats.db"), folder.path().join("link.db"));
    let first = open(&path).unwrap();
    fs::hard_link(&path, &link).unwrap();
    let error = refusal(&link);
    assert!(matches!(error, OpenError::Linked { links: 2, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("link.db has 2 hard links") && text.contains("remove the others"), "{text}");
    assert!(!folder.path().join("link.db-wal").exists(), "a refused file was opened");

    // The refusal must not have dropped the first server's own locks on the file.
    assert_eq!(create(&first, "first").await, "first");
    drop(first);
    for name in [&path, &link] {
        assert!(matches!(refusal(name), OpenError::Linked { .. }), "also when no server runs");
    }
    fs::remove_file(&link).unwrap();
    assert_eq!(create(&open(&path).unwrap(), "second").await, "first");
}

#[tokio::test]
async fn the_audit_reports_a_hard_link_at_rest_and_beside_a_server() {
    let folder = tempdir().unwrap();
    let (path, link) = (folder.path().join("chats.db"), folder.path().join("link.db"));
    let store = open(&path).unwrap();
    create(&store, "first").await;
    assert!(store.audit(&Quiet).await.unwrap().is_clean());
    fs::hard_link(&path, &link).unwrap();
    let linked = |report: &AuditReport| {
        let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
        assert_eq!((finding.kind.code(), finding.count), ("linked_file", 1), "{report:?}");
        assert!(finding.examples()[0].contains("2 hard links"), "{finding:?}");
        assert!(!report.is_clean());
    };
    linked(&store.audit(&Quiet).await.unwrap());
    linked(&audit(&path).await);
    drop(store);
    linked(&audit(&path).await);
    linked(&audit(&link).await);
    fs::remove_file(&link).unwrap();
    assert_eq!(audit(&path).await.findings, []);
}
