//! The audit finds what somebody broke behind the store's back, names it, and finds nothing else.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use std::sync::Mutex;

use onechat_core::{
    ChatId, ChatIdentity, ClientMessageId, Context, KeyFormat, MessageId, MessageText, NewMessage,
    Participant, ParticipantSet, Proposal, Roles, Timestamp,
    ports::{AliasStore, Audit, AuditReport, ChatStore, FindingKind, Progress},
};
use onechat_sqlite::{SqliteAudit, SqliteChatStore, SqliteOptions};
use rusqlite::Connection;
use tempfile::tempdir;

#[derive(Default)]
struct Steps(Mutex<Vec<(u64, u64)>>);

impl Progress for Steps {
    fn advance(&self, done: u64, total: u64) {
        self.0.lock().unwrap().push((done, total));
    }
}

/// What an audit says of a store of four chats, one of them with a context, a message and an alias after `tamper` was
/// run on its file.
async fn audit_after(tamper: &str) -> AuditReport {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let options = SqliteOptions { key_format: KeyFormat::Escaped, ..SqliteOptions::default() };
    let store = SqliteChatStore::open(&path, &options).unwrap();
    let now = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
    for (id, names) in [("c1", ["alice", "bob"]), ("c2", ["alice", "carol"]), ("c3", ["bob", "carol"])] {
        let participants = ParticipantSet::parse(names).unwrap();
        store
            .create_or_get(Proposal {
                identity: participants.into(),
                id: id_of(id),
                now,
                roles: Roles::default(),
            })
            .await
            .unwrap();
    }
    let about = ChatIdentity {
        participants: ParticipantSet::parse(["alice", "bob"]).unwrap(),
        context: Some(Context::new("listing:42").unwrap()),
    };
    store
        .create_or_get(Proposal { identity: about, id: id_of("c4"), now, roles: Roles::default() })
        .await
        .unwrap();
    let message = NewMessage {
        chat: id_of("c1"),
        id: MessageId::new("m1").unwrap(),
        sender: Participant::new("alice").unwrap(),
        text: MessageText::new("hello").unwrap(),
        client_message_id: ClientMessageId::new("x").unwrap(),
        now: now.plus(std::time::Duration::from_secs(1)),
    };
    store.send(message).await.unwrap();
    store.add_alias(&id_of("old"), &id_of("c2")).await.unwrap();
    drop(store);
    let file = Connection::open(&path).unwrap();
    file.execute_batch(&format!("PRAGMA foreign_keys = off; {tamper}")).unwrap();
    drop(file);
    let steps = Steps::default();
    let report = SqliteAudit::open(&path).unwrap().audit(&steps).await.unwrap();
    let last = steps.0.lock().unwrap().last().copied();
    assert_eq!(last, Some((report.chats, report.chats)), "the progress did not reach the end");
    report
}

fn id_of(text: &str) -> ChatId {
    ChatId::new(text).unwrap()
}

const WITHOUT_UNIQUE: &str = "CREATE TABLE copy AS SELECT * FROM chats; DROP TABLE chats;
    PRAGMA legacy_alter_table = on; ALTER TABLE copy RENAME TO chats;";

#[tokio::test]
async fn a_sound_store_has_no_findings() {
    let report = audit_after("").await;
    assert_eq!((report.chats, report.messages, report.aliases), (4, 1, 1));
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn each_defect_is_found_by_its_name() {
    let duplicate = format!(
        "{WITHOUT_UNIQUE} INSERT INTO chats VALUES ('alice_bob', 'c9', '[\"alice\",\"bob\"]', 1, 1, NULL, NULL);
         INSERT INTO inbox VALUES ('alice', 1, 'c9', NULL), ('bob', 1, 'c9', NULL);"
    );
    let cases = [
        (FindingKind::MissingUniqueIndex, WITHOUT_UNIQUE, "chats"),
        (FindingKind::DuplicateSet, &duplicate, "c9"),
        (FindingKind::MissingKey, "UPDATE chats SET participants_key = '' WHERE id = 'c2'", "c2"),
        (FindingKind::WrongKey, "UPDATE chats SET participants_key = 'a_x' WHERE id = 'c3'", "c3"),
        (FindingKind::MalformedParticipants, "UPDATE chats SET participants = '[1]' WHERE id = 'c2'", "c2"),
        (
            FindingKind::MalformedParticipants,
            "UPDATE chats SET participants = '[\"bob\",\"alice\"]' WHERE id = 'c1'",
            "c1",
        ),
        (FindingKind::InboxMismatch, "DELETE FROM inbox WHERE chat_id = 'c3' AND participant = 'bob'", "c3"),
        (FindingKind::InboxMismatch, "INSERT INTO inbox VALUES ('dave', 1, 'c1', NULL)", "dave"),
        (FindingKind::InboxMismatch, "INSERT INTO inbox VALUES ('alice', 1, 'gone', NULL)", "gone"),
        (FindingKind::MalformedContext, "UPDATE chats SET context = '' WHERE id = 'c4'", "c4"),
        // Another context is another identity, whose key and list rows these are not.
        (FindingKind::WrongKey, "UPDATE chats SET context = NULL WHERE id = 'c4'", "c4"),
        (FindingKind::DuplicateSet, "UPDATE chats SET context = NULL WHERE id = 'c4'", "c4"),
        (FindingKind::InboxMismatch, "UPDATE chats SET context = 'listing:4' WHERE id = 'c4'", "c4"),
        (FindingKind::InboxMismatch, "UPDATE inbox SET context = NULL WHERE chat_id = 'c4'", "c4"),
        (FindingKind::InboxMismatch, "UPDATE inbox SET context = 'x' WHERE chat_id = 'c3'", "c3"),
        (FindingKind::OrphanedMessage, "UPDATE messages SET chat_id = 'gone'", "m1"),
        (FindingKind::ForeignSender, "UPDATE messages SET sender = 'dave'", "m1 of dave"),
        (FindingKind::WrongActivity, "UPDATE messages SET created_at_ms = 5", "c1"),
        (FindingKind::DanglingAlias, "UPDATE aliases SET chat_id = 'gone'", "old"),
        (FindingKind::AliasOfLiveChat, "UPDATE aliases SET alias = 'c1'", "c1"),
    ];
    for (kind, tamper, named) in cases {
        let report = audit_after(tamper).await;
        let finding = report.findings.iter().find(|finding| finding.kind == kind);
        let finding = finding.unwrap_or_else(|| panic!("{} was not found: {report:?}", kind.code()));
        assert!(finding.count >= 1 && finding.examples()[0].contains(named), "{tamper}: {finding:?}");
    }
}

#[tokio::test]
async fn duplicates_with_other_keys_are_found_by_their_participants() {
    let report = audit_after(
        "INSERT INTO chats VALUES ('bob_alice', 'c9', '[\"alice\",\"bob\"]', 1, 1, NULL, NULL);
         INSERT INTO inbox VALUES ('alice', 1, 'c9', NULL), ('bob', 1, 'c9', NULL);",
    )
    .await;
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::WrongKey, FindingKind::DuplicateSet]);
}

#[tokio::test]
async fn a_finding_counts_all_and_shows_a_few() {
    let report = audit_after(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO aliases SELECT 'old-' || i, 'gone' FROM n",
    )
    .await;
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((finding.count, finding.examples().len()), (1000, 5));
}

#[tokio::test]
async fn a_damaged_page_is_a_finding() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let store = SqliteChatStore::open(&path, &SqliteOptions::default()).unwrap();
    for n in 0..500 {
        let participants = ParticipantSet::parse(["alice".to_owned(), format!("friend-{n}")]).unwrap();
        let now = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
        store
            .create_or_get(Proposal {
                identity: participants.into(),
                id: id_of(&format!("c{n:04}")),
                now,
                roles: Roles::default(),
            })
            .await
            .unwrap();
    }
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let last_page = bytes.len() - 4096;
    bytes[last_page..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let report = SqliteAudit::open(&path).unwrap().audit(&Steps::default()).await.unwrap();
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::DamagedStorage], "{report:?}");
}

#[tokio::test]
async fn joined_keys_that_others_may_have_too_are_listed() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let options = SqliteOptions { key_format: KeyFormat::Joined, ..SqliteOptions::default() };
    let store = SqliteChatStore::open(&path, &options).unwrap();
    let now = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
    for (id, names) in [("plain", ["alice", "bob"]), ("ambiguous", ["a_b", "c"])] {
        let participants = ParticipantSet::parse(names).unwrap();
        store
            .create_or_get(Proposal {
                identity: participants.into(),
                id: id_of(id),
                now,
                roles: Roles::default(),
            })
            .await
            .unwrap();
    }
    let report = store.audit(&Steps::default()).await.unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((finding.kind, finding.count), (FindingKind::AmbiguousKey, 1));
    assert!(finding.examples()[0].contains("ambiguous"), "{finding:?}");
}
