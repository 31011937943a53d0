//! Too many writes, and writes that cannot be done: nothing hangs, nothing half done stays, and it recovers.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use std::{sync::Arc, time::Duration};

use onechat_core::{
    ChatId, OutcomeKind, ParticipantSet, Proposal, ResolveError, Roles, StoreError, Timestamp,
    ports::ChatStore,
};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use prometheus_client::{encoding::text::encode, registry::Registry};
use rusqlite::Connection;
use tempfile::tempdir;

fn proposal(n: usize) -> Proposal {
    Proposal {
        identity: ParticipantSet::parse(["alice".to_owned(), format!("friend-{n}")]).unwrap().into(),
        id: ChatId::new(format!("chat-{n}")).unwrap(),
        now: Timestamp::from_unix_ms(1_700_000_000_000).unwrap(),
        roles: Roles::default(),
    }
}

fn metric(store: &SqliteChatStore, name: &str) -> f64 {
    let mut registry = Registry::default();
    store.register_metrics(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beyond_the_queue_callers_are_turned_away_and_nothing_accepted_is_lost() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let options = SqliteOptions { queue_capacity: 10, ..SqliteOptions::default() };
    let store = Arc::new(SqliteChatStore::open(&path, &options).unwrap());
    let blocker = Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();

    let calls: Vec<_> = (0..100)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create_or_get(proposal(n)).await })
        })
        .collect();
    // The writer holds at most one batch of those that came first, and ten more wait: the rest has its answer.
    let finished = || calls.iter().filter(|call| call.is_finished()).count();
    tokio::time::timeout(Duration::from_secs(4), async {
        while finished() < 50 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("callers beyond the queue must be answered at once");
    blocker.execute_batch("ROLLBACK").unwrap();

    let (mut created, mut turned_away) = (0, 0);
    for (n, call) in calls.into_iter().enumerate() {
        match call.await.unwrap() {
            Ok(outcome) => {
                assert_eq!(outcome.kind, OutcomeKind::Created);
                assert!(store.chat(&outcome.chat.id).await.unwrap().is_some());
                created += 1;
            }
            Err(ResolveError::Store(StoreError::Overloaded)) => {
                assert_eq!(store.lookup(&proposal(n).identity).await.unwrap(), None);
                turned_away += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(created >= 10 && turned_away >= 50, "{created} created, {turned_away} turned away");
    assert_eq!(metric(&store, "onechat_store_queue_depth").to_string(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_impossible_write_does_not_take_the_others_of_its_batch_with_it() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("chats.db");
    let store = Arc::new(SqliteChatStore::open(&path, &SqliteOptions::default()).unwrap());
    store.create_or_get(proposal(0)).await.unwrap();
    let blocker = Connection::open(&path).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let store = Arc::clone(&store);
            // Number 7 proposes an id that another chat has, which no honest id source does.
            let id = if n == 7 { ChatId::new("chat-0").unwrap() } else { proposal(n + 1).id };
            tokio::spawn(async move { store.create_or_get(Proposal { id, ..proposal(n + 1) }).await })
        })
        .collect();
    tokio::time::timeout(Duration::from_secs(4), async {
        while metric(&store, "onechat_store_queue_depth") < 20.0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the calls must be waiting for the writer");
    blocker.execute_batch("ROLLBACK").unwrap();
    for (n, call) in calls.into_iter().enumerate() {
        let answer = call.await.unwrap();
        assert_eq!(answer.is_err(), n == 7, "call {n}: {answer:?}");
    }
    assert_eq!(store.lookup(&proposal(8).identity).await.unwrap(), None, "a refused write left a trace");
    assert!(store.ready().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_stays_small_although_somebody_always_reads() {
    let folder = tempdir().unwrap();
    let store =
        Arc::new(SqliteChatStore::open(folder.path().join("chats.db"), &SqliteOptions::default()).unwrap());
    let calls: Vec<_> = (0..64_usize)
        .map(|caller| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in 0..120 {
                    // Numbers far from each other, so that each chat is on a page of its own.
                    let new = proposal((caller * 120 + n).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    let outcome = store.create_or_get(new.clone()).await.unwrap();
                    assert_eq!(store.lookup(&new.identity).await.unwrap(), Some(outcome.chat));
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let log = folder.path().join("chats.db-wal").metadata().unwrap().len();
    assert!(log < 24 << 20, "the log has grown to {log} bytes, and is to be folded back at 16 MiB");
}
