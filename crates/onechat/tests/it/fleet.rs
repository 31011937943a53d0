//! A mixed fleet: two onechat servers and the Mongoose peer's two forms race on one collection of a replica set, as they
//! do while an old backend is being replaced. Each pair is asked for from all four at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use onechat_mongod::{Deployment, fresh_database, shared_replica_set};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    peer::Peer,
    server::{Server, User, onechat, text},
};

/// How many pairs are raced for at the same time: with every program asked twice, 200 callers.
const AT_ONCE: usize = 25;
const EACH_ASKS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_chat_for_each_pair_when_onechat_was_there_first() {
    let fleet = Fleet::new().await;
    let onechats = [fleet.onechat(&[]), fleet.onechat(&[])];
    let peers = [fleet.peer(false), fleet.peer(true)];
    // Neither index keeps the other program from making its own.
    assert_eq!(fleet.unique_indexes().await, ["onechat_participantsKey", "participantsKey_1"]);
    fleet.race_and_judge(&programs(&onechats, &peers), 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_chat_for_each_pair_when_the_old_backend_was_there_first() {
    let fleet = Fleet::new().await;
    let peers = [fleet.peer(false), fleet.peer(true)];
    let onechats = [fleet.onechat(&[]), fleet.onechat(&[])];
    // The index of the old backend does it.
    assert_eq!(fleet.unique_indexes().await, ["participantsKey_1"]);
    fleet.race_and_judge(&programs(&onechats, &peers), 500).await;
}

/// A check that was never seen to fail proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_an_index_the_same_race_has_duplicates_and_the_same_check_finds_them() {
    let fleet = Fleet::new().await;
    let peers = [fleet.peer(false), fleet.peer(true)];
    let unsafe_ones = [(); 2].map(|()| fleet.onechat(&["--unsafe-no-index"]));
    let dropped = fleet.command(&["index", "drop", "--yes"]).output().unwrap();
    assert_eq!(dropped.status.code(), Some(0), "{}", text(&dropped));
    let programs = programs(&unsafe_ones, &peers);
    let mut raced = 0;
    // Who wins a race is not ours to say: on until somebody has lost one.
    loop {
        let answers = race(&programs, raced..raced + 100).await;
        raced += 100;
        let problems = problems(&answers, &fleet.chats().await);
        if !problems.is_empty() {
            println!("{} problems in {raced} pairs, the first: {}", problems.len(), problems[0]);
            break;
        }
        assert!(raced < 10_000, "{raced} pairs without an index, and no duplicate: what is raced for here?");
    }
    let audit = fleet.command(&["audit"]).output().unwrap();
    assert_eq!(audit.status.code(), Some(1), "{}", text(&audit));
    assert!(text(&audit).contains("duplicate_set"), "{}", text(&audit));
}

/// A database of its own, laid out as the Mongoose schema has it.
struct Fleet {
    set: &'static Deployment,
    database: String,
    layout: PathBuf,
    _folder: TempDir,
}

impl Fleet {
    async fn new() -> Self {
        let set = shared_replica_set().await;
        let database = fresh_database("fleet");
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("onechat.toml");
        let store = set.uri(&database);
        let content = format!(
            "[store]\nurl = '{store}'\nkey_format = 'joined'\n[mongodb]\nchats = 'chats'\nid_field = 'id'\nid_form = 'string'\n"
        );
        fs::write(&layout, content).unwrap();
        Self { set, database, layout, _folder: folder }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = onechat();
        command.args(arguments).arg("--config").arg(&self.layout);
        command
    }

    fn onechat(&self, arguments: &[&str]) -> Server {
        Server::start_as(self.command(&[&["serve"], arguments].concat()))
    }

    fn peer(&self, reads_first: bool) -> Peer {
        Peer::start(&self.set.uri(&self.database), reads_first)
    }

    /// What is really there, past every program.
    async fn chats(&self) -> Vec<Value> {
        let client = self.set.connect().await.unwrap();
        let chats = client.database(&self.database).collection::<Value>("chats");
        let mut cursor = chats.find(serde_json::from_value(json!({})).unwrap()).await.unwrap();
        let mut all = Vec::new();
        while cursor.advance().await.unwrap() {
            all.push(cursor.deserialize_current().unwrap());
        }
        all
    }

    async fn unique_indexes(&self) -> Vec<String> {
        let client = self.set.connect().await.unwrap();
        let chats = client.database(&self.database).collection::<Value>("chats");
        let mut names = chats.list_index_names().await.unwrap();
        names.retain(|name| name.ends_with("participantsKey") || name == "participantsKey_1");
        names.sort();
        names
    }

    async fn race_and_judge(&self, programs: &[Program], pairs: usize) {
        let mut answers = race(programs, 0..pairs).await;
        let created: Vec<usize> = programs
            .iter()
            .map(|program| {
                answers.iter().filter(|answer| answer.by == program.name && answer.created).count()
            })
            .collect();
        println!("{pairs} sets, {} answers; created by the onechats: {created:?}", answers.len());
        assert!(created[0] > 0 && created[1] > 0, "one of the onechats won nothing");
        assert!(created[0] + created[1] < pairs, "the peers won nothing");
        // And at leisure: everybody reads what everybody wrote.
        answers.extend(read_back(programs, &answers).await);
        let problems = problems(&answers, &self.chats().await);
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
        let audit = self.command(&["audit"]).output().unwrap();
        assert_eq!(audit.status.code(), Some(0), "{}", text(&audit));
        assert!(text(&audit).contains(&format!("audited {pairs} chats")), "{}", text(&audit));
    }
}

/// One of those who share the collection.
#[derive(Clone)]
struct Program {
    name: &'static str,
    url: String,
    client: Client,
    is_onechat: bool,
}

impl Program {
    fn user(&self, name: &str) -> User {
        User::at(&self.url, &self.client, name)
    }
}

fn programs(onechats: &[Server; 2], peers: &[Peer; 2]) -> Vec<Program> {
    let client = Client::builder().timeout(Duration::from_mins(1)).build().unwrap();
    let program = |name, url: &String, is_onechat| Program {
        name,
        url: url.clone(),
        client: client.clone(),
        is_onechat,
    };
    vec![
        program("onechat A", &onechats[0].url, true),
        program("onechat B", &onechats[1].url, true),
        program("mongoose", &peers[0].url, false),
        program("mongoose, reading first", &peers[1].url, false),
    ]
}

/// Whom a number stands for: mostly two people, now and then three. Some of them are sorted differently by JavaScript
/// and by UTF-8.
fn people(n: usize) -> Vec<String> {
    let mut people = match n % 4 {
        0 => vec![format!("ann-{n}"), format!("bob-{n}")],
        1 => vec![format!("Zoë-{n}"), format!("ann-{n}")],
        2 => vec![format!("\u{FFFD}-{n}"), format!("\u{1F600}-{n}")],
        _ => vec![format!("{n}"), format!("{}", n + 1_000_000)],
    };
    if n % 10 == 9 {
        people.push(format!("eve {n}"));
    }
    people
}

/// What a program said.
struct Answer {
    by: &'static str,
    set: BTreeSet<String>,
    id: String,
    participants: BTreeSet<String>,
    created: bool,
}

impl Answer {
    fn of(by: &Program, asked: &[String], chat: &Value) -> Self {
        Self {
            by: by.name,
            set: asked.iter().cloned().collect(),
            id: chat["id"].as_str().unwrap_or_else(|| panic!("{}: {chat}", by.name)).to_owned(),
            participants: set_of(chat),
            created: chat["created"] == json!(true),
        }
    }
}

fn set_of(chat: &Value) -> BTreeSet<String> {
    let participants = chat["participants"].as_array().unwrap_or_else(|| panic!("no participants: {chat}"));
    participants.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// Asks for every set from all programs at once, in every order of its members, for many sets at a time.
async fn race(programs: &[Program], sets: std::ops::Range<usize>) -> Vec<Answer> {
    let next = Arc::new(AtomicUsize::new(sets.start));
    let racers = (0..AT_ONCE).map(|_| {
        let (programs, next, end) = (programs.to_vec(), Arc::clone(&next), sets.end);
        async move {
            let mut answers = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= end {
                    return answers;
                }
                // Another program is first each time.
                let first = n % programs.len();
                let turns = programs[first..].iter().chain(&programs[..first]).enumerate();
                let asks = turns
                    .flat_map(|(turn, program)| (0..EACH_ASKS).map(move |again| (turn + again, program)));
                let asks: JoinSet<Answer> =
                    asks.map(|(turn, program)| ask(program.clone(), n, turn)).collect();
                answers.extend(asks.join_all().await);
            }
        }
    });
    let racers: JoinSet<Vec<Answer>> = racers.collect();
    racers.join_all().await.into_iter().flatten().collect()
}

async fn ask(program: Program, n: usize, turn: usize) -> Answer {
    let mut asked = people(n);
    asked.rotate_left(turn % 2);
    let list: Vec<&str> = asked.iter().map(String::as_str).collect();
    let (status, chat) = program.user(list[turn % 2]).open(&list).await.unwrap();
    assert!(status == 200 || status == 201, "{}: {status} {chat}", program.name);
    Answer::of(&program, &asked, &chat)
}

/// Asks every program for every set again, one after the other, and the onechats in their other ways too.
async fn read_back(programs: &[Program], raced: &[Answer]) -> Vec<Answer> {
    let sets: BTreeMap<BTreeSet<String>, String> =
        raced.iter().map(|answer| (answer.set.clone(), answer.id.clone())).collect();
    let sets = Arc::new(sets.into_iter().collect::<Vec<_>>());
    let next = Arc::new(AtomicUsize::new(0));
    let readers = (0..AT_ONCE).map(|_| {
        let (programs, sets, next) = (programs.to_vec(), Arc::clone(&sets), Arc::clone(&next));
        async move {
            let mut answers = Vec::new();
            while let Some((set, id)) = sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                let set: Vec<String> = set.iter().cloned().collect();
                for program in &programs {
                    answers.extend(read(program, &set, id).await);
                }
            }
            answers
        }
    });
    let readers: JoinSet<Vec<Answer>> = readers.collect();
    readers.join_all().await.into_iter().flatten().collect()
}

async fn read(program: &Program, set: &[String], id: &str) -> Vec<Answer> {
    let list: Vec<&str> = set.iter().map(String::as_str).collect();
    let user = program.user(list[0]);
    let (status, chat) = user.open(&list).await.unwrap();
    assert_eq!(status, 200, "{}, asked again: {chat}", program.name);
    let mut answers = vec![Answer::of(program, set, &chat)];
    if program.is_onechat {
        let mut lookup = reqwest::Url::parse("http://x/api/chats/lookup").unwrap();
        lookup.query_pairs_mut().extend_pairs(list[1..].iter().map(|other| ("with", other)));
        let lookup = format!("{}?{}", lookup.path(), lookup.query().unwrap());
        for path in [lookup, format!("/api/chats/{id}")] {
            let (status, chat) = user.call(Method::GET, &path, None).await.unwrap();
            assert_eq!(status, 200, "{}, {path}: {chat}", program.name);
            answers.push(Answer::of(program, set, &chat));
        }
    }
    answers
}

/// Everything that is wrong with what was said, and with what is there. Sets are made of the participants anew: what
/// a document says its key is proves nothing.
fn problems(answers: &[Answer], chats: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut stored: BTreeMap<BTreeSet<String>, Vec<&Value>> = BTreeMap::new();
    for chat in chats {
        stored.entry(set_of(chat)).or_default().push(chat);
    }
    for (set, chats) in &stored {
        if chats.len() != 1 {
            problems.push(format!("{set:?} has {} chats: {chats:?}", chats.len()));
        }
        let key = javascript_key(set);
        problems.extend(
            chats
                .iter()
                .filter(|chat| chat["participantsKey"] != json!(key))
                .map(|chat| format!("not the key: {chat}")),
        );
    }
    let mut created: BTreeMap<&BTreeSet<String>, usize> = BTreeMap::new();
    for answer in answers {
        let Answer { by, set, id, participants, .. } = answer;
        if participants != set {
            problems.push(format!("{by} answered {set:?} with the chat of {participants:?}"));
        }
        let there = stored.get(set).map(Vec::as_slice).unwrap_or_default();
        if there.iter().any(|chat| chat["id"] != json!(id)) || there.is_empty() {
            problems.push(format!("{by} answered {set:?} with {id}; there is {there:?}"));
        }
        *created.entry(set).or_default() += usize::from(answer.created);
    }
    let twice = created.into_iter().filter(|(_, times)| *times > 1);
    problems.extend(twice.map(|(set, times)| format!("{set:?} was created {times} times")));
    problems
}

/// `participants.sort().join('_')`.
fn javascript_key(set: &BTreeSet<String>) -> String {
    let mut members: Vec<&str> = set.iter().map(String::as_str).collect();
    members.sort_by_key(|member| member.encode_utf16().collect::<Vec<_>>());
    members.join("_")
}
