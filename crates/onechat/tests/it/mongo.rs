//! The binary on a real MongoDB: from nothing, on an existing layout, under the prover, and with its secrets kept.

use std::{fs, path::Path, process::Command};

use onechat_mongod::{Deployment, fresh_database, shared_standalone};
use serde_json::{Value, json};

use crate::server::{SECRET, Server, onechat, run, text};

/// The connection string of a database that nobody else uses.
pub(crate) async fn fresh() -> String {
    shared_standalone().await.uri(&fresh_database("it"))
}

/// A server on this store.
pub(crate) fn serve(store: &str, arguments: &[&str]) -> Server {
    let mut command = onechat();
    command.args(["serve", "--store", store]).args(arguments);
    Server::start_as(command)
}

/// Runs a command on this store, in no folder of importance.
pub(crate) fn on(store: &str, arguments: &[&str]) -> std::process::Output {
    onechat().env("ONECHAT_STORE", store).args(arguments).output().unwrap()
}

#[tokio::test]
async fn an_empty_database_needs_no_preparation_and_two_servers_share_it() {
    let store = fresh().await;
    let (one, other) = (serve(&store, &[]), serve(&store, &[]));
    let (status, chat) = one.user("alice").open(&["alice", "bob"]).await.unwrap();
    assert_eq!((status.as_u16(), &chat["created"]), (201, &json!(true)), "{chat}");
    assert_eq!(chat["id"].as_str().unwrap().len(), 24);
    let (status, same) = other.user("bob").open(&["bob", "alice"]).await.unwrap();
    assert_eq!((status.as_u16(), &same["id"]), (200, &chat["id"]), "{same}");
    let id = chat["id"].as_str().unwrap();
    assert_eq!(other.user("bob").send(id, "m1").await.unwrap().0, 201);
    assert_eq!(one.user("bob").send(id, "m1").await.unwrap().0, 200);
    assert_eq!(one.get("/readyz").await.0, 200);
    let (_, metrics) = one.get("/metrics").await;
    for metric in ["onechat_mongo_insert_duration_seconds_count 1\n", "onechat_unsafe_no_index 0\n"] {
        assert!(metrics.contains(metric), "{metric:?} is missing in {metrics}");
    }
    let audit = on(&store, &["audit", "--json"]);
    let report: Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert_eq!((audit.status.code(), &report["chats"], &report["messages"]), (Some(0), &json!(1), &json!(1)));
}

#[tokio::test]
async fn the_prover_holds_on_a_database_of_its_own_and_leaves_nothing_behind() {
    let deployment = Deployment::standalone().await.unwrap();
    let store = deployment.uri("chat");
    let output = on(&store, &["prove", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["audit"]["clean"]), (&json!("held"), &json!(true)));
    assert_eq!(report["reports"].as_array().unwrap().len(), 3);

    let mut command = onechat();
    command.args(["prove", "--store", &store, "--ops", "10000000"]);
    let process = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let client = deployment.client();
    while client.list_database_names().await.unwrap().iter().all(|name| !name.starts_with("chat-prove-")) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Command::new("kill").args(["-s", "INT", &process.id().to_string()]).status().unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "an interrupted run is no verdict: {}", text(&output));
    let left = client.list_database_names().await.unwrap();
    assert!(left.iter().all(|name| !name.starts_with("chat")), "{left:?}");
}

#[tokio::test]
async fn several_servers_of_one_database_are_proved_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh().await;
    let servers = [serve(&store, &[]), serve(&store, &[])];
    let trace = folder.path().join("trace");
    let lines: Vec<_> = (0..300).map(|n| format!("{} {} {}\n", n % 7, 7 + n % 11, 1_000_000 + n)).collect();
    fs::write(&trace, lines.concat()).unwrap();
    let workloads: [&[&str]; 2] = [&[], &["--trace", trace.to_str().unwrap()]];
    for workload in workloads {
        let mut command = onechat();
        command.env("ONECHAT_JWT_SECRET", SECRET).arg("prove");
        for server in &servers {
            command.args(["--url", &server.url]);
        }
        let output = command.args(workload).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
    for server in &servers {
        let (_, metrics) = server.get("/metrics").await;
        let created = metrics.lines().find(|line| line.contains("outcome=\"created\"")).unwrap();
        assert!(!created.ends_with(" 0"), "one of the servers had nothing to do: {metrics}");
    }
    let audit = on(&store, &["audit"]);
    assert_eq!(audit.status.code(), Some(0), "{}", text(&audit));
}

/// A collection of an older system: sub-documents with ObjectIds, a public UUID, and a field that every chat has.
#[tokio::test]
async fn an_existing_layout_is_configuration() {
    let deployment = Deployment::standalone().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("onechat.toml");
    let store = deployment.uri("shop");
    let section = "
        [mongodb]
        chats = 'conversations'
        participants = 'object_id'
        participant_path = 'user'
        id_field = 'conversationId'
        id_form = 'uuid'
        [mongodb.chat_fields]
        participants = 'members'
        participants_key = 'memberKey'
        [mongodb.constants]
        kind = 'direct'
        settings = { muted = [] }
    ";
    fs::write(&layout, format!("[store]\nurl = '{store}'\nkey_format = 'joined'\n{section}")).unwrap();
    let mut command = onechat();
    command.args(["serve", "--config", layout.to_str().unwrap()]);
    let server = Server::start_as(command);
    let (ann, bob) = ("64f000000000000000000001", "64f000000000000000000002");
    let (status, chat) = server.user(ann).open(&[bob, ann]).await.unwrap();
    assert_eq!(status, 201, "{chat}");
    let id = chat["id"].as_str().unwrap();
    assert_eq!((id.len(), id.chars().nth(14)), (36, Some('4')), "no random UUID: {id}");
    let (status, sent) = server.user(bob).send(id, "m1").await.unwrap();
    assert_eq!((status.as_u16(), sent["id"].as_str().unwrap().len()), (201, 24), "{sent}");

    let chats = deployment.client().database("shop").collection::<Value>("conversations");
    let stored = chats.find_one(serde_json::from_value(json!({})).unwrap()).await.unwrap().unwrap();
    assert_eq!(stored["members"][0]["user"], json!({"$oid": ann}), "{stored}");
    assert_eq!(stored["memberKey"], json!(format!("{ann}_{bob}")), "{stored}");
    assert_eq!((&stored["kind"], &stored["settings"]["muted"]), (&json!("direct"), &json!([])), "{stored}");
    assert_eq!(stored["_id"]["$oid"].as_str().map(str::len), Some(24), "{stored}");

    let (status, problem) = server.user("alice").open(&["alice", "bob"]).await.unwrap();
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("store_refused")), "{problem}");
    let mut audit = onechat();
    let audit = audit.args(["audit", "--config", layout.to_str().unwrap()]).output().unwrap();
    assert_eq!(audit.status.code(), Some(0), "{}", text(&audit));
}

#[test]
fn the_layout_is_printed_as_a_file_that_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    fs::write(
        &file,
        "[store]\nurl = 'mongodb://ann:hidden@db/chat'\nunsafe_no_index = true\n
         [mongodb]\nid_field = 'publicId'\ndeadline_ms = 1234\n[mongodb.constants]\nkind = 'direct'\n",
    )
    .unwrap();
    let print = |file: &Path| {
        let output = run(folder.path(), &["serve", "--print-config", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = print(&file);
    assert!(!first.contains("hidden") && first.contains("mongodb://ann:****@db/chat"), "{first}");
    for setting in
        ["id_form = \"string\"", "deadline_ms = 1234", "unsafe_no_index = true", "kind = \"direct\""]
    {
        assert!(first.contains(setting), "{setting} is missing in {first}");
    }
    let again = folder.path().join("b.toml");
    fs::write(&again, &first).unwrap();
    assert_eq!(print(&again), first);
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_said_without_the_password() {
    let at = shared_standalone().await.uri("");
    let host = at.trim_start_matches("mongodb://").trim_end_matches('/');
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("open.toml"), "[store]\nurl = \"mongodb://ann:hidden@h/db\n").unwrap();
    let cases = [
        (format!("mongodb://{host}"), "names no database"),
        (format!("mongodb://ann:hidden@{host}/"), "names no database"),
        ("mongodb://ann:hidden@127.0.0.1:1/db?serverSelectionTimeoutMS=300".to_owned(), "127.0.0.1:1"),
        (format!("mongodb://ann:hidden@{host}/db"), "Authentication failed"),
        ("mongodb://ann:hidden@h/db?nonsense=1".to_owned(), "nonsense"),
        ("mongodb://ann:hid@hidden@h/db".to_owned(), "encoded"),
        ("mongo://ann:hidden@h/db".to_owned(), "names no store"),
    ];
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["audit"], &["index", "status"]] {
        for (store, reason) in &cases {
            let mut process = onechat();
            process.env("ONECHAT_STORE", store).env("ONECHAT_JWT_SECRET", SECRET);
            let output = process.args(command).output().unwrap();
            let text = text(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?} {store}: {text}");
            assert!(text.contains(reason) && !text.contains("hidden"), "{command:?} {store}: {text}");
        }
    }
    let broken = run(folder.path(), &["serve", "--config", "open.toml"]);
    let broken = text(&broken);
    assert!(broken.contains("not right in line 2") && !broken.contains("hidden"), "{broken}");
    let help = onechat().env("ONECHAT_STORE", "mongodb://ann:hidden@h/db").args(["audit", "--help"]).output();
    assert!(!text(&help.unwrap()).contains("hidden"), "the help shows the variable");
}

#[tokio::test]
async fn it_signs_in_and_does_not_log_the_password() {
    // It asks nobody for a password, and checks one that is given.
    let deployment = Deployment::standalone().await.unwrap();
    let user = json!({
        "createUser": "ann", "pwd": "p@ss:hidden/word", "roles": [{"role": "root", "db": "admin"}],
    });
    let admin = deployment.client().database("admin");
    admin.run_command(serde_json::from_value(user).unwrap()).await.unwrap();
    let signed_in = "mongodb://ann:p%40ss%3Ahidden%2Fword@";
    let store = deployment.uri("chat").replace("mongodb://", signed_in) + "?authSource=admin";
    let mut command = onechat();
    command.env("ONECHAT_STORE", &store).env("ONECHAT_LOG", "trace").arg("serve");
    let (mut server, mut log) = Server::start_with_log(command);
    assert_eq!(server.user("ann").open(&["ann", "bob"]).await.unwrap().0, 201);
    server.signal("TERM");
    log.push_str(&server.rest_of_log());
    assert!(log.contains("****") && !log.contains("hidden"), "{log}");
    let prove = on(&store, &["prove", "--ops", "200"]);
    assert_eq!(prove.status.code(), Some(0), "{}", text(&prove));
}
