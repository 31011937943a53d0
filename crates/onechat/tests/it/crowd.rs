//! Clients at full speed on onechat servers and on the old backend, who write down everything that they were told.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use onechat_legacy::Acknowledged;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::server::User;

/// Somebody's chat: people who have had one for years, or who have none yet.
#[derive(Debug, Clone)]
pub(crate) struct Friends {
    pub(crate) people: Vec<String>,
    pub(crate) is_old: bool,
    /// Ids that their chats have had.
    pub(crate) ids: Vec<String>,
}

/// Where a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Onechat,
    /// It knows one call, and no messages.
    Peer,
}

/// What the clients of one service were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) calls: u64,
    pub(crate) messages: Vec<Acknowledged>,
    /// Ids that somebody was told, with the index of the friends.
    pub(crate) ids: BTreeSet<(String, usize)>,
    /// Whose chat was called new, once for each time.
    pub(crate) created: Vec<usize>,
    /// When a new chat or a message was refused because nothing kept it from being there twice.
    pub(crate) unguarded: Vec<Instant>,
    /// When the peer, which trusts stored keys, handed out a chat of other people.
    pub(crate) strangers: Vec<Instant>,
    /// Everything that should not have been said.
    pub(crate) wrong: Vec<String>,
}

pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Told>,
}

impl Crowd {
    pub(crate) fn new() -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), clients: JoinSet::new() }
    }

    /// So many clients of a service.
    pub(crate) fn join(
        &mut self,
        service: Service,
        url: &str,
        friends: &Arc<Vec<Friends>>,
        clients: u64,
        seed: u64,
    ) {
        let http = Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
        for number in 0..clients {
            let client = OneClient {
                service,
                url: url.to_owned(),
                http: http.clone(),
                friends: Arc::clone(friends),
                random: ChaCha8Rng::seed_from_u64(seed * 1000 + number),
                name: seed * 1000 + number,
                told: Told::default(),
            };
            self.clients.spawn(client.run(Arc::clone(&self.stop)));
        }
    }

    /// Everybody finishes what they are at.
    pub(crate) async fn leave(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for told in self.clients.join_all().await {
            all.calls += told.calls;
            all.messages.extend(told.messages);
            all.ids.extend(told.ids);
            all.created.extend(told.created);
            all.unguarded.extend(told.unguarded);
            all.strangers.extend(told.strangers);
            all.wrong.extend(told.wrong);
        }
        all
    }
}

struct OneClient {
    service: Service,
    url: String,
    http: Client,
    friends: Arc<Vec<Friends>>,
    random: ChaCha8Rng,
    name: u64,
    told: Told,
}

impl OneClient {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Told {
        while !stop.load(Ordering::Relaxed) {
            let index = self.random.random_range(0..self.friends.len());
            self.told.calls += 1;
            if self.service == Service::Peer {
                self.open(index).await;
                continue;
            }
            // A client that has kept an old id, or one that asks.
            let ids = &self.friends[index].ids;
            let asks = ids.is_empty() || self.random.random_range(0..2) == 0;
            let kept = (!asks).then(|| ids[self.random.random_range(0..ids.len())].clone());
            let id = match kept {
                Some(id) => Some(id),
                None => self.open(index).await,
            };
            if let Some(id) = id {
                self.send(index, &id).await;
            }
        }
        self.told
    }

    fn somebody_of(&mut self, index: usize) -> User {
        let people = &self.friends[index].people;
        let person = &people[self.random.random_range(0..people.len())];
        User::at(&self.url, &self.http, person)
    }

    /// The id of the friends' chat, if there was an answer.
    async fn open(&mut self, index: usize) -> Option<String> {
        let user = self.somebody_of(index);
        let friends = self.friends[index].clone();
        let people: Vec<&str> = friends.people.iter().map(String::as_str).collect();
        let (status, chat) = self.heard(user.open(&people).await)?;
        if status == StatusCode::SERVICE_UNAVAILABLE && chat["code"] == json!("not_migrated") {
            let why = format!("the chat of {people:?} is there, and was refused: {chat}");
            self.told.unguarded.push(Instant::now());
            self.told.wrong.extend(friends.is_old.then_some(why));
            return None;
        }
        let wanted: BTreeSet<&str> = people.iter().copied().collect();
        let answered = set_of(&chat);
        if self.service == Service::Peer && status.is_success() && answered != wanted {
            self.told.strangers.push(Instant::now());
            return None;
        }
        let (Some(id), true, true) = (chat["id"].as_str(), status.is_success(), answered == wanted) else {
            self.told.wrong.push(format!("{people:?} were answered {status} {chat}"));
            return None;
        };
        self.told.ids.insert((id.to_owned(), index));
        if self.service == Service::Onechat && chat["created"] == json!(true) {
            self.told.created.push(index);
        }
        Some(id.to_owned())
    }

    async fn send(&mut self, index: usize, chat: &str) {
        let user = self.somebody_of(index);
        let name = format!("live-{}-{}", self.name, self.told.calls);
        let Some((status, message)) = self.heard(user.send(chat, &name).await) else { return };
        let people = self.friends[index].people.clone();
        if let (201, Some(id)) = (status.as_u16(), message["id"].as_str()) {
            self.told.messages.push(Acknowledged { id: id.to_owned(), people });
        } else if status == StatusCode::SERVICE_UNAVAILABLE && message["code"] == json!("store_unprotected") {
            self.told.unguarded.push(Instant::now());
        } else {
            let what = format!("a message of {people:?} to {chat} was answered {status} {message}");
            self.told.wrong.push(what);
        }
    }

    fn heard(&mut self, answer: crate::server::Answer) -> Option<(StatusCode, Value)> {
        answer.map_err(|error| self.told.wrong.push(format!("no answer: {error}"))).ok()
    }
}

fn set_of(chat: &Value) -> BTreeSet<&str> {
    chat["participants"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Asks a server for every id, as one of its people. What is not answered with the chat `wanted`, in words.
pub(crate) async fn ask_for_all(url: &str, ids: Vec<(String, Vec<String>, Option<String>)>) -> Vec<String> {
    const AT_ONCE: usize = 32;
    let http = Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
    let ids = Arc::new(ids);
    let askers = (0..AT_ONCE).map(|first| {
        let (http, ids, url) = (http.clone(), Arc::clone(&ids), url.to_owned());
        async move {
            let mut wrong = Vec::new();
            for (id, people, wanted) in ids.iter().skip(first).step_by(AT_ONCE) {
                let user = User::at(&url, &http, &people[0]);
                let answer = user.call(Method::GET, &format!("/api/chats/{id}"), None).await;
                let is_right = answer.as_ref().is_ok_and(|(status, chat)| {
                    let of = set_of(chat);
                    let right: BTreeSet<&str> = people.iter().map(String::as_str).collect();
                    let is_the_one = wanted.as_ref().is_none_or(|wanted| chat["id"] == json!(wanted));
                    *status == 200 && of == right && is_the_one
                });
                if !is_right {
                    wrong.push(format!("{id} of {people:?} (now {wanted:?}): {answer:?}"));
                }
            }
            wrong
        }
    });
    let askers: JoinSet<Vec<String>> = askers.collect();
    askers.join_all().await.concat()
}
