//! `kill -9` in the middle of a race, again and again: what was acknowledged is there, under the same id.
//!
//! `cargo xtask test --full` kills a hundred times.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::server::{Server, User};

/// How often the server is killed unless told otherwise.
const KILLS: usize = 15;
const CLIENTS: usize = 16;
/// Pairs that the clients of one round race for.
const PAIRS: usize = 8;

/// What the server has said, and so must never take back.
#[derive(Default)]
struct Acknowledged {
    /// The id of each pair's chat, by the friend in it.
    chats: HashMap<String, String>,
    /// How often each pair's chat was called new.
    created: HashMap<String, usize>,
    /// The id of each message, by its chat and the client's id.
    messages: HashMap<(String, String), String>,
}

impl Acknowledged {
    fn chat(&mut self, friend: &str, answer: &Value) {
        let id = answer["id"].as_str().unwrap().to_owned();
        let first = self.chats.entry(friend.to_owned()).or_insert_with(|| id.clone());
        assert_eq!(*first, id, "the chat of hub and {friend} changed its id");
        *self.created.entry(friend.to_owned()).or_default() += usize::from(answer["created"] == true);
        assert!(self.created[friend] <= 1, "the chat of hub and {friend} was created twice");
    }

    fn message(&mut self, answer: &Value) {
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let name = (text("chatId"), text("clientMessageId"));
        let first = self.messages.entry(name).or_insert_with(|| text("id"));
        assert_eq!(*first, text("id"), "a message changed its id");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what `cargo xtask test --full` asks for is no configuration of onechat"
)]
fn kills_of_the_environment() -> usize {
    std::env::var("ONECHAT_KILLED_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_kill() {
    let kills = kills_of_the_environment();
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let mut random = ChaCha8Rng::seed_from_u64(9);
    for round in 0..kills {
        let mut server = Server::start(folder.path(), &[]);
        check_chats(&server, &*acknowledged.lock().await).await;
        if round % 10 == 0 {
            check_messages(&server, &*acknowledged.lock().await).await;
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (hub, acknowledged) = (server.user("hub"), Arc::clone(&acknowledged));
                tokio::spawn(race_until_it_dies(hub, acknowledged, round, client))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(5..80))).await;
        server.process.kill().unwrap();
        server.process.wait().unwrap();
        for client in clients {
            client.await.unwrap();
        }
    }
    let server = Server::start(folder.path(), &[]);
    let acknowledged = acknowledged.lock().await;
    check_chats(&server, &acknowledged).await;
    check_messages(&server, &acknowledged).await;
    println!(
        "{kills} kills: {} chats and {} messages acknowledged, all there",
        acknowledged.chats.len(),
        acknowledged.messages.len()
    );
    assert!(
        acknowledged.chats.len() > kills,
        "too few chats to prove anything: {}",
        acknowledged.chats.len()
    );
    assert!(acknowledged.messages.len() > kills, "too few messages: {}", acknowledged.messages.len());
    drop(server);
    let audit = crate::server::run(folder.path(), &["audit", "--store", "sqlite:chats.db"]);
    assert_eq!(audit.status.code(), Some(0), "{}", crate::server::text(&audit));
}

async fn race_until_it_dies(hub: User, acknowledged: Arc<Mutex<Acknowledged>>, round: usize, client: usize) {
    for n in 0.. {
        let friend = format!("friend-{round}-{}", (n + client) % PAIRS);
        let Ok((status, answer)) = hub.open(&[&friend, "hub"]).await else { return };
        assert!(status == 200 || status == 201, "{answer}");
        acknowledged.lock().await.chat(&friend, &answer);
        let chat = answer["id"].as_str().unwrap();
        let Ok((status, answer)) = hub.send(chat, &format!("{round}-{client}-{n}")).await else { return };
        assert!(status == 201, "{answer}");
        acknowledged.lock().await.message(&answer);
    }
}

async fn check_chats(server: &Server, acknowledged: &Acknowledged) {
    let mut stored = HashMap::new();
    for chat in server.user("hub").all("/api/chats", "cursor").await {
        let friend = chat["participants"][0].as_str().unwrap().to_owned();
        let id = chat["id"].as_str().unwrap().to_owned();
        let other = stored.insert(friend.clone(), id);
        assert_eq!(other, None, "hub and {friend} have two chats");
    }
    for (friend, id) in &acknowledged.chats {
        assert_eq!(stored.get(friend), Some(id), "the acknowledged chat of hub and {friend} is not there");
    }
}

async fn check_messages(server: &Server, acknowledged: &Acknowledged) {
    let mut stored: HashMap<(String, String), String> = HashMap::new();
    for chat in acknowledged.chats.values() {
        for message in server.user("hub").all(&format!("/api/chats/{chat}/messages"), "before").await {
            let text = |name: &str| message[name].as_str().unwrap().to_owned();
            let other = stored.insert((text("chatId"), text("clientMessageId")), text("id"));
            assert_eq!(other, None, "a message is there twice: {message}");
        }
    }
    for (name, id) in &acknowledged.messages {
        assert_eq!(stored.get(name), Some(id), "the acknowledged message {name:?} is not there");
    }
}
