//! Times on SQLite grow in the order of commits, whatever the clock says, so who polls by them misses nothing.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use onechat_contract::World;
use onechat_core::{
    Chat, ChatId, Message, NewMessage, PageSize, Participant, ParticipantSet, Sent, Timestamp,
    ports::{Audit, ChatStore, Progress},
};
use onechat_sqlite::{SqliteChatStore, SqliteOptions};
use tempfile::{TempDir, tempdir};
use tokio::sync::Barrier;

const HOUR_MS: i64 = 3_600_000;

struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

/// A store with one chat of alice, bob and more.
async fn chat_of(names: &[&str]) -> (TempDir, Arc<SqliteChatStore>, World, Chat) {
    let folder = tempdir().unwrap();
    let store = SqliteChatStore::open(folder.path().join("chats.db"), &SqliteOptions::default()).unwrap();
    let world = World::default();
    let set = ParticipantSet::parse(names.iter().copied()).unwrap();
    let chat = store.create_or_get(world.proposal(&set)).await.unwrap().chat;
    (folder, Arc::new(store), world, chat)
}

fn message_at(world: &World, chat: &ChatId, name: &str, ms: i64) -> NewMessage {
    NewMessage { now: Timestamp::from_unix_ms(ms).unwrap(), ..world.message(chat, "alice", name) }
}

async fn send(store: &SqliteChatStore, message: NewMessage) -> Sent {
    store.send(message).await.unwrap().unwrap()
}

/// All messages, newest first.
async fn listed(store: &SqliteChatStore, chat: &ChatId) -> Vec<Message> {
    store.messages(chat, PageSize::new(100).unwrap(), None).await.unwrap().items
}

#[tokio::test]
async fn each_message_is_later_than_the_one_before_whatever_the_clock_says() {
    let (_folder, store, world, chat) = chat_of(&["alice", "bob"]).await;
    let created_ms = chat.created_at.unix_ms();
    // The clock stands still, goes back an hour, comes from another server that is an hour ahead, and is right.
    let clocks = [0, 0, -HOUR_MS, -HOUR_MS, HOUR_MS, 0, HOUR_MS, HOUR_MS + 5000];
    let mut answers = Vec::new();
    let mut before = created_ms;
    for (n, clock_ms) in clocks.into_iter().enumerate() {
        let answer =
            send(&store, message_at(&world, &chat.id, &format!("m{n}"), created_ms + clock_ms)).await;
        let at = answer.message.created_at;
        assert_eq!(at.unix_ms(), (created_ms + clock_ms).max(before + 1), "message {n}");
        let now = store.chat(&chat.id).await.unwrap().unwrap();
        assert_eq!((now.updated_at, now.last_message_at), (at, Some(at)), "message {n}");
        let inbox = store.chats_of(&Participant::new("bob").unwrap(), None, PageSize::default(), None).await;
        assert_eq!(inbox.unwrap().items, [now]);
        before = at.unix_ms();
        answers.push(answer.message);
    }
    answers.reverse();
    assert_eq!(listed(&store, &chat.id).await, answers, "the answers carry the stored times, in their order");
    assert_eq!(store.audit(&Quiet).await.unwrap().findings, []);
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    let (_folder, store, world, chat) = chat_of(&["alice", "bob"]).await;
    let ms = chat.created_at.unix_ms() + 1000;
    let first = send(&store, message_at(&world, &chat.id, "m", ms)).await;
    let before = store.chat(&chat.id).await.unwrap();
    let again = send(&store, message_at(&world, &chat.id, "m", ms + HOUR_MS)).await;
    assert_eq!((again.created, again.message), (false, first.message));
    assert_eq!(store.chat(&chat.id).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_messages_of_one_moment_have_times_of_their_own() {
    let (_folder, store, world, chat) = chat_of(&["alice", "bob"]).await;
    let ms = chat.created_at.unix_ms();
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let (store, message) = (Arc::clone(&store), message_at(&world, &chat.id, &format!("m{n}"), ms));
            tokio::spawn(async move { send(&store, message).await.message })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers.sort_by_key(|message| std::cmp::Reverse(message.created_at));
    let times: HashSet<_> = answers.iter().map(|message| message.created_at).collect();
    assert_eq!(times.len(), answers.len(), "two messages share a time");
    assert_eq!(listed(&store, &chat.id).await, answers);
    assert_eq!(store.audit(&Quiet).await.unwrap().findings, []);
}

/// The client of `docs/http-api.md`: it asks for the first page again when `updatedAt` has changed, and only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_reads_again_when_the_chat_has_changed_misses_nothing() {
    const SENDERS: usize = 8;
    const ROUNDS: usize = 100;
    let (_folder, store, world, chat) = chat_of(&["alice", "bob"]).await;
    let world = Arc::new(world);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let round_done = Arc::new(Barrier::new(SENDERS + 1));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (store, world, chat) = (Arc::clone(&store), Arc::clone(&world), chat.clone());
            let (acknowledged, round_done) = (Arc::clone(&acknowledged), Arc::clone(&round_done));
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    // A clock that goes back a millisecond with each round: the worst there is.
                    let ms = chat.created_at.unix_ms() - i64::try_from(round).unwrap();
                    send(&store, message_at(&world, &chat.id, &format!("{sender}-{round}"), ms)).await;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    round_done.wait().await;
                }
            })
        })
        .collect();

    let (mut seen, mut seen_at) = (HashSet::new(), None);
    for round in 1..=ROUNDS {
        loop {
            // Asked before the chat is read: what was acknowledged by then has to be seen by this poll.
            let quiet = acknowledged.load(Ordering::SeqCst) == round * SENDERS;
            let updated_at = store.chat(&chat.id).await.unwrap().unwrap().updated_at;
            if seen_at.replace(updated_at) != Some(updated_at) {
                seen.extend(listed(&store, &chat.id).await.into_iter().map(|message| message.id));
            }
            if quiet {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(seen.len(), round * SENDERS, "in round {round} all is quiet, and messages are not seen");
        round_done.wait().await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
}
