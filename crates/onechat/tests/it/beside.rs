//! Old backends beside us, one for each layout that real collections have: a Mongoose model with its own query. After a
//! migration either finds the other's chats and reads the other's messages.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use onechat_mongod::{Deployment, fresh_database, shared_replica_set, shared_standalone};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    old_data::Running,
    peers,
    server::{Server, User, onechat, text},
};

/// An old backend in a process of its own, killed when it goes out of scope.
struct Backend {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Backend {
    fn start(layout: &str, store: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = peers::mongoose(&root).unwrap_or_else(|error| panic!("there is no Mongoose: {error}"));
        let mut process = Command::new("node")
            .arg("layouts.js")
            .current_dir(folder)
            .env("MONGO_URL", store)
            .env("LAYOUT", layout)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node cannot be run: {error}"));
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut backend = Self { process, input, output };
        assert_eq!(
            backend.line(),
            "ready\n",
            "{layout}: the old backend did not start; its errors are above"
        );
        backend
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// What a call gives, or the error that it ends with.
    fn try_call(&mut self, call: &Value) -> Result<Value, Value> {
        writeln!(self.input, "{call}").unwrap();
        let line = self.line();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{call}: {line:?}"));
        if answer["error"].is_null() { Ok(answer["ok"].take()) } else { Err(answer["error"].take()) }
    }

    fn call(&mut self, call: &Value) -> Value {
        self.try_call(call).unwrap_or_else(|error| panic!("{call}: {error}"))
    }

    fn text(&mut self, call: &Value) -> String {
        self.call(call).as_str().unwrap_or_else(|| panic!("{call}: no text")).to_owned()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One layout on one server.
struct Beside {
    layout: &'static str,
    store: String,
    config: String,
    people: [&'static str; 4],
    about: Option<&'static str>,
    has_watch: bool,
}

const IDS: [&str; 4] = [
    "5f5e10000000000b00000001",
    "5f5f61800000000b00000002",
    "5f60b3000000000b00000003",
    "5f6204800000000b00000004",
];
const NAMES: [&str; 4] = ["north-10", "Maple4", "signal 11", "ü_1"];
const UUIDS: [&str; 4] = [
    "793bfb39-a2ef-483a-8e04-33b7df284d43",
    "9092a4d9-4e4f-46d7-88e3-69b041747c23",
    "c1e3efac-f3f5-4a17-9ba8-b6150ada35d1",
    "dbcf34d8-96a8-4ab3-989d-51ec6c90847f",
];
const ABOUT: &str = "625900806374780000000000";

impl Beside {
    fn new(layout: &'static str, on: &Deployment, has_watch: bool) -> Self {
        Self {
            layout,
            store: on.uri(&fresh_database("it")),
            config: format!("{}/tests/it/layouts/{layout}.toml", env!("CARGO_MANIFEST_DIR")),
            people: match layout {
                "08-strings" => NAMES,
                "15-uuid-number" => UUIDS,
                _ => IDS,
            },
            about: layout.contains("context").then_some(ABOUT),
            has_watch,
        }
    }

    fn backend(&self) -> Backend {
        Backend::start(self.layout, &self.store)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = onechat();
        command.env("ONECHAT_STORE", &self.store).args(arguments).args(["--config", &self.config]);
        command
    }

    fn migrate(&self) {
        self.migrate_with(0);
    }

    /// Migrates. Besides success, this exit code is as good.
    fn migrate_with(&self, code: i32) {
        let output = self.command(&["migrate", "--yes"]).output().unwrap();
        assert!(
            output.status.code().is_some_and(|ended| ended == 0 || ended == code),
            "{}: {}",
            self.layout,
            text(&output)
        );
    }

    fn serve(&self) -> Server {
        let context = if self.about.is_some() { "optional" } else { "off" };
        Server::start_as(self.command(&["serve", "--chats-context", context]))
    }

    fn ids(&self, backend: &mut Backend, one: usize, other: usize) -> Value {
        backend.call(&json!(["find", self.people[one], self.people[other], self.about]))
    }

    fn create(&self, backend: &mut Backend, one: usize, other: usize) -> String {
        backend.text(&json!(["create", self.people[one], self.people[other], self.about]))
    }

    fn send(&self, backend: &mut Backend, chat: &str, from: usize, said: &str) {
        backend.call(&json!(["send", chat, self.people[from], said]));
    }

    /// The chat of these two by onechat: its id, and whether it was created.
    async fn open(&self, server: &Server, one: usize, other: usize) -> (String, bool) {
        let mut body = json!({ "with": [self.people[other]] });
        if let Some(about) = self.about {
            body["context"] = about.into();
        }
        if self.layout == "07-two-fields-context" {
            body["roles"] = json!({ "buyer": self.people[one], "seller": self.people[other] });
        }
        let user = server.user(self.people[one]);
        let (status, chat) = user.call(Method::POST, "/api/chats/create-or-get", Some(body)).await.unwrap();
        assert!(status.is_success(), "{}: {status} {chat}", self.layout);
        (chat["id"].as_str().unwrap().to_owned(), chat["created"] == true)
    }
}

async fn say(user: &User, chat: &str, said: &str) {
    let body = json!({ "text": said, "clientMessageId": said });
    for expected in [201, 200] {
        let path = format!("/api/chats/{chat}/messages");
        let (status, message) = user.call(Method::POST, &path, Some(body.clone())).await.unwrap();
        assert_eq!(status.as_u16(), expected, "{message}");
    }
}

/// What was said in a chat, oldest first.
async fn read(user: &User, chat: &str) -> Vec<String> {
    let mut messages = user.all(&format!("/api/chats/{chat}/messages"), "before").await;
    messages.reverse();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// Both sides read this in the chat.
async fn both_read(
    of: &Beside,
    backend: &mut Backend,
    server: &Server,
    chat: &str,
    who: usize,
    said: &[&str],
) {
    assert_eq!(backend.call(&json!(["read", chat])), json!(said), "{}: the old backend", of.layout);
    assert_eq!(read(&server.user(of.people[who]), chat).await, said, "{}: onechat", of.layout);
}

async fn either_finds_the_others_chats_and_reads_the_others_messages(of: &Beside) {
    let mut backend = of.backend();
    // Two phones at once, long ago.
    let first = of.create(&mut backend, 0, 1);
    let second = of.create(&mut backend, 1, 0);
    let other = of.create(&mut backend, 0, 2);
    of.send(&mut backend, &first, 0, "one");
    of.send(&mut backend, &second, 1, "two");
    of.send(&mut backend, &first, 1, "three");
    of.send(&mut backend, &other, 2, "apart");
    let busy = [of.create(&mut backend, 2, 3), of.create(&mut backend, 3, 2)];
    let writer = Writer::start(of, busy.clone());
    // It says so with 1 if the writer does not cease to write to a chat that has ended.
    of.migrate_with(1);
    let written = writer.end();

    let server = of.serve();
    assert_eq!(of.open(&server, 1, 0).await, (first.clone(), false), "{}", of.layout);
    assert_eq!(of.open(&server, 0, 2).await, (other.clone(), false), "{}", of.layout);
    let found = [of.ids(&mut backend, 0, 1), of.ids(&mut backend, 1, 0)];
    // Of roles, the old backend looks for one order only.
    assert!(found.contains(&json!([first])), "{}: {found:?} instead of {first}", of.layout);
    both_read(of, &mut backend, &server, &first, 0, &["one", "two", "three"]).await;
    say(&server.user(of.people[1]), &first, "four").await;
    of.send(&mut backend, &first, 0, "five");
    both_read(of, &mut backend, &server, &first, 1, &["one", "two", "three", "four", "five"]).await;
    let old_id =
        server.user(of.people[0]).call(Method::GET, &format!("/api/chats/{second}"), None).await.unwrap();
    assert_eq!((old_id.0.as_u16(), &old_id.1["id"]), (200, &json!(first)), "{}: {}", of.layout, old_id.1);
    let listed = server.user(of.people[0]).all("/api/chats", "cursor").await;
    let listed: Vec<_> = listed.iter().map(|chat| chat["id"].as_str().unwrap()).collect();
    assert_eq!(listed, [&first, &other], "{}", of.layout);

    // One that onechat makes.
    let (new, created) = of.open(&server, 0, 3).await;
    assert!(created, "{}", of.layout);
    assert_eq!(of.ids(&mut backend, 0, 3), json!([new]), "{}: the old backend finds no new chat", of.layout);
    say(&server.user(of.people[3]), &new, "hello").await;
    of.send(&mut backend, &new, 0, "hello too");
    both_read(of, &mut backend, &server, &new, 0, &["hello", "hello too"]).await;
    backend.call(&json!(["fields", new]));

    // One that the old backend makes later, without a key.
    let late = of.create(&mut backend, 1, 3);
    of.send(&mut backend, &late, 1, "late");
    if of.has_watch {
        let watch = Running::start(of.command(&["watch", "--yes"]));
        while of.open_found(&server, 3, 1).await.as_deref() != Some(&late)
            || of.said(&server, &busy[0]).await.len() < written.len()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        watch.interrupt();
        drop(watch.end());
    } else {
        of.migrate();
    }
    // What the writer beside the migration was told is stored, once.
    assert_eq!(of.said(&server, &busy[1]).await, written, "{}", of.layout);
    let mut by_backend: Vec<String> =
        serde_json::from_value(backend.call(&json!(["read", busy[0]]))).unwrap();
    by_backend.sort();
    assert_eq!(by_backend, written, "{}", of.layout);
    assert_eq!(of.open(&server, 3, 1).await, (late.clone(), false), "{}", of.layout);
    both_read(of, &mut backend, &server, &late, 3, &["late"]).await;
    let audit = of
        .command(&["audit", "--only", "duplicate_set,malformed_sender,orphaned_message,missing_key"])
        .output();
    let audit = audit.unwrap();
    assert_eq!(audit.status.code(), Some(0), "{}: {}", of.layout, text(&audit));
}

/// The old backend while a migration runs: it sends to both chats of one pair.
struct Writer {
    thread: JoinHandle<Vec<String>>,
    ends: Arc<AtomicBool>,
}

impl Writer {
    fn start(of: &Beside, chats: [String; 2]) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (mut backend, people, stop) = (of.backend(), of.people, Arc::clone(&ends));
        let thread = thread::spawn(move || {
            let mut written = Vec::new();
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let said = format!("beside {number:05}");
                let call = json!(["send", chats[number % 2], people[2 + number % 2], said]);
                // It may be told that the chat is gone, or that somebody else was faster.
                if backend.try_call(&call).is_ok() {
                    written.push(said);
                }
                thread::sleep(Duration::from_millis(2));
            }
            written
        });
        Self { thread, ends }
    }

    /// What it was told is stored.
    fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Beside {
    /// What was said in the chat of the writer, sorted.
    async fn said(&self, server: &Server, chat: &str) -> Vec<String> {
        let mut said = read(&server.user(self.people[2]), chat).await;
        said.sort();
        said
    }

    /// The chat of these two if there is one.
    async fn open_found(&self, server: &Server, one: usize, other: usize) -> Option<String> {
        let about = self.about.map(|about| format!("&context={about}")).unwrap_or_default();
        let path = format!("/api/chats/lookup?with={}{about}", self.people[other]);
        let (_, chat) = server.user(self.people[one]).call(Method::GET, &path, None).await.unwrap();
        chat["id"].as_str().map(str::to_owned)
    }
}

/// A test on each kind of server.
macro_rules! beside {
    ($($name:ident: $layout:literal,)*) => { $(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_a_standalone_server() {
                let of = Beside::new($layout, shared_standalone().await, false);
                either_finds_the_others_chats_and_reads_the_others_messages(&of).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_a_replica_set() {
                let of = Beside::new($layout, shared_replica_set().await, true);
                either_finds_the_others_chats_and_reads_the_others_messages(&of).await;
            }
        }
    )* };
}

beside! {
    groups_by_a_flag: "01-group-flag",
    a_context: "02-context-array",
    two_fields: "03-two-fields",
    plain: "04-plain",
    embedded_messages: "05-embedded",
    soft_delete: "06-soft-delete",
    roles_and_a_context: "07-two-fields-context",
    texts_and_numbers: "08-strings",
    ids_of_messages: "10-message-ids",
    sub_documents: "13-sub-documents",
    state_for_each_person: "14-state-per-person",
    uuids: "15-uuid-number",
    references: "16-dbref",
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_the_old_backend_deletes_is_neither_shown_nor_found_and_a_new_one_begins() {
    let of = Beside::new("06-soft-delete", shared_standalone().await, false);
    let mut backend = of.backend();
    let (dead, living) = (of.create(&mut backend, 0, 1), of.create(&mut backend, 0, 2));
    of.send(&mut backend, &dead, 0, "secret");
    of.migrate();
    let server = of.serve();
    assert_eq!(of.open(&server, 0, 1).await, (dead.clone(), false));
    // After it has its key, as far as the old backend is concerned.
    assert_eq!(backend.call(&json!(["mark", dead, { "isDeleted": true }])), 1);
    let user = server.user(of.people[0]);
    for path in [format!("/api/chats/{dead}"), format!("/api/chats/{dead}/messages")] {
        let (status, answer) = user.call(Method::GET, &path, None).await.unwrap();
        assert_eq!(status, 404, "{path}: {answer}");
    }
    let listed = user.all("/api/chats", "cursor").await;
    let listed: Vec<_> = listed.iter().map(|chat| &chat["id"]).collect();
    assert_eq!(listed, [&json!(living)]);
    assert_eq!(of.open_found(&server, 0, 1).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn named_rooms_are_read_and_written_and_none_is_created() {
    let of = Beside::new("12-named-rooms", shared_standalone().await, false);
    let mut backend = of.backend();
    let rooms = [of.create(&mut backend, 0, 1), of.create(&mut backend, 0, 1)];
    of.send(&mut backend, &rooms[1], 0, "one");
    of.migrate();
    let server = of.serve();
    let user = server.user(of.people[1]);
    say(&user, &rooms[1], "two").await;
    both_read(&of, &mut backend, &server, &rooms[1], 1, &["one", "two"]).await;
    both_read(&of, &mut backend, &server, &rooms[0], 0, &[]).await;
    assert_eq!(user.all("/api/chats", "cursor").await.len(), 2);
    let (status, problem) = user.open(&[of.people[0], of.people[1]]).await.unwrap();
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("outside_filter")), "{problem}");
    assert_eq!(of.open_found(&server, 0, 1).await, None);
}
