//! A server in a process of its own, and a client that speaks for anybody.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

pub(crate) const SECRET: &str = "a secret of the tests, which has more than 32 bytes";

/// The binary under test, with nothing of the surroundings in its configuration.
pub(crate) fn onechat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onechat"));
    scrub(&mut command);
    command
}

/// Takes everything out of a command's environment that would configure the binary.
pub(crate) fn scrub(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ONECHAT_") {
            command.env_remove(name);
        }
    }
}

/// Runs a command of the binary to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    onechat().current_dir(folder).args(arguments).output().unwrap()
}

/// What a command printed on both streams.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A server that is killed when it goes out of scope.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) url: String,
    logs: Receiver<String>,
    client: Client,
}

impl Server {
    /// Serves the store `chats.db` in `folder`, on any port.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = onechat();
        command.current_dir(folder).args(["serve", "--store", "sqlite:chats.db"]).args(arguments);
        Self::start_as(command)
    }

    /// Adds address, secret and log format to a `serve` command, and waits until it serves.
    pub(crate) fn start_as(command: Command) -> Self {
        Self::start_with_log(command).0
    }

    /// The same, with everything that was logged until it served.
    pub(crate) fn start_with_log(mut command: Command) -> (Self, String) {
        command.env("ONECHAT_JWT_SECRET", SECRET);
        Self::spawn(command)
    }

    /// The same without a secret: the command has its keys from elsewhere.
    pub(crate) fn start_without_secret(command: Command) -> Self {
        Self::spawn(command).0
    }

    fn spawn(mut command: Command) -> (Self, String) {
        command
            .env("ONECHAT_LISTEN", "127.0.0.1:0")
            .env("ONECHAT_LOG_FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let logs = lines_of(process.stderr.take().unwrap());
        let (started, before) =
            next_event(&logs, "started").unwrap_or_else(|lines| panic!("the server did not start:\n{lines}"));
        let address = started["address"].as_str().unwrap();
        let client = Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        (Self { process, url: format!("http://{address}"), logs, client }, before)
    }

    /// Everything that it logs from here to its end.
    pub(crate) fn rest_of_log(&mut self) -> String {
        self.logs.iter().collect()
    }

    /// What it has logged since it was last asked.
    pub(crate) fn log_so_far(&self) -> Vec<String> {
        self.logs.try_iter().collect()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(status.unwrap().success(), "the signal was not sent");
    }

    /// Waits for a log event with this name.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        next_event(&self.logs, name).unwrap_or_else(|lines| panic!("no event {name} in:\n{lines}")).0
    }

    /// A client that calls as `user`.
    pub(crate) fn user(&self, user: &str) -> User {
        User::at(&self.url, &self.client, user)
    }

    /// A GET without a token.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads all the time, also when nobody asks: a server whose log nobody reads comes to a stop.
fn lines_of(log: ChildStderr) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut log = BufReader::new(log);
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    lines
}

/// The event with all lines up to it; or all lines, if it did not come.
fn next_event(lines: &Receiver<String>, name: &str) -> Result<(Value, String), String> {
    let mut seen = String::new();
    for line in lines {
        seen.push_str(&line);
        match serde_json::from_str::<Value>(&line) {
            Ok(event) if event["event"] == name => return Ok((event, seen)),
            _ => {}
        }
    }
    Err(seen)
}

/// A token for `user`, made as `onechat token` makes them.
pub(crate) fn token(user: &str) -> String {
    let claims = serde_json::json!({"sub": user, "exp": 4_102_444_800_i64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct User {
    client: Client,
    url: String,
    token: String,
}

pub(crate) type Answer = Result<(StatusCode, Value), reqwest::Error>;

impl User {
    /// Calls a server at this address, ours or another.
    pub(crate) fn at(url: &str, client: &Client, user: &str) -> Self {
        Self { client: client.clone(), url: url.to_owned(), token: token(user) }
    }

    /// One request; an error means that no complete answer came.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        Ok((response.status(), response.json().await?))
    }

    pub(crate) async fn open(&self, participants: &[&str]) -> Answer {
        let body = serde_json::json!({"participants": participants});
        self.call(Method::POST, "/api/chats/create-or-get", Some(body)).await
    }

    pub(crate) async fn send(&self, chat: &str, client_message_id: &str) -> Answer {
        let body = serde_json::json!({"text": "hello", "clientMessageId": client_message_id});
        self.call(Method::POST, &format!("/api/chats/{chat}/messages"), Some(body)).await
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str, cursor_name: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}?limit=100{cursor}");
            let (status, page) = self.call(Method::GET, &page, None).await.unwrap();
            assert_eq!(status, 200, "{page}");
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&{cursor_name}={next}"),
                None => return items,
            }
        }
    }
}

/// All documents of a collection, by `_id`.
pub(crate) async fn all_of(database: &onechat_legacy::Database, collection: &str) -> Vec<bson::Document> {
    let collection = database.collection::<bson::Document>(collection);
    let mut cursor = collection.find(bson::Document::new()).sort(bson::doc! { "_id": 1 }).await.unwrap();
    let mut found = Vec::new();
    while cursor.advance().await.unwrap() {
        found.push(cursor.deserialize_current().unwrap());
    }
    found
}
