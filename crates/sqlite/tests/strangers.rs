//! A chat by its id: who is not in it is answered without a look at the chat (I6).

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use onechat_core::{
    ChatId, Participant, ParticipantSet, Proposal, Roles, StoreError, Timestamp,
    ports::{AliasStore, ChatStore},
};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use rusqlite::Connection;
use tempfile::tempdir;

fn id(text: &str) -> ChatId {
    ChatId::new(text).unwrap()
}

/// A store with the chat `c1` of alice and bob, and `old`, an alias of it, after `tamper` was run on its file.
async fn store_after(tamper: &str) -> (tempfile::TempDir, SqliteChatStore) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let store = SqliteChatStore::open(&path, &SqliteOptions::default()).unwrap();
    let participants = ParticipantSet::parse(["alice", "bob"]).unwrap();
    let now = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
    store
        .create_or_get(Proposal { identity: participants.into(), id: id("c1"), now, roles: Roles::default() })
        .await
        .unwrap();
    store.add_alias(&id("old"), &id("c1")).await.unwrap();
    drop(store);
    Connection::open(&path).unwrap().execute_batch(tamper).unwrap();
    let store = SqliteChatStore::open(&path, &SqliteOptions::default()).unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_strangers_question_never_reads_the_chat() {
    // Whoever reads this chat fails, so whoever does not fail has not read it.
    let (_folder, store) = store_after("UPDATE chats SET participants = 'damaged'").await;
    let [alice, carol] = ["alice", "carol"].map(|name| Participant::new(name).unwrap());
    for chat in [id("c1"), id("old")] {
        let read = store.chat_for(&chat, &alice).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "the test did not damage the chat: {read:?}");
        assert_eq!(store.chat_for(&chat, &carol).await, Ok(None), "{chat}");
    }
    assert_eq!(store.chat_for(&id("absent"), &carol).await, Ok(None));
}

#[tokio::test]
async fn a_list_row_that_does_not_belong_there_opens_no_chat() {
    let (_folder, store) = store_after("INSERT INTO inbox VALUES ('carol', 1, 'c1', NULL)").await;
    let carol = Participant::new("carol").unwrap();
    assert_eq!(store.chat_for(&id("c1"), &carol).await, Ok(None));
}
