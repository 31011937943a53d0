//! What somebody meets who has just begun: addresses as people write them, misspelt variables, databases that are
//! empty, not named or not there.

use std::{fs, net::TcpListener, process::Output};

use bson::doc;
use onechat_mongod::Deployment;

use crate::{
    mongo::{fresh, on},
    server::{SECRET, Server, onechat, run, text},
};

/// Every command that opens a store on MongoDB, in an order in which all of them work; `account`, which needs a run,
/// and `watch`, which does not end, excepted.
const COMMANDS: &[&[&str]] = &[
    &["audit"],
    &["index", "status"],
    &["audit", "--suggest"],
    &["guard", "status"],
    &["guard", "on", "--yes"],
    &["guard", "off", "--yes"],
    &["guard", "on", "--yes"],
    &["backfill", "--yes"],
    &["merge", "plan"],
    &["merge", "apply", "--yes"],
    &["merge", "list"],
    &["enforce", "--yes"],
    &["migrate", "--dry-run"],
    &["migrate", "--yes"],
    &["rollback", "--yes"],
    &["index", "create"],
    &["index", "drop", "--yes"],
    &["prove", "--ops", "50"],
];

#[tokio::test]
async fn an_empty_database_is_clean_before_the_first_server_too() {
    let store = fresh().await;
    let first = on(&store, &["audit"]);
    assert_eq!(text(&first), "audited 0 chats, 0 messages, 0 aliases: clean\n");
    assert_eq!(first.status.code(), Some(0));
}

/// The driver says goodbye in a task when a client is dropped, and the end of the runtime cuts it off: some of many
/// commands used to leave their sessions behind, and a few of these panicked. The server counts who said goodbye.
#[tokio::test]
async fn every_command_on_mongodb_ends_in_order_and_without_noise() {
    let deployment = Deployment::standalone().await.unwrap();
    let store = deployment.uri("chat");
    let goodbyes = async || {
        let admin = deployment.client().database("admin");
        let status = admin.run_command(doc! { "serverStatus": 1 }).await.unwrap();
        let commands = status.get_document("metrics").unwrap().get_document("commands").unwrap();
        commands.get_document("endSessions").unwrap().get_i64("total").unwrap()
    };
    let chat = doc! { "_id": "one", "participants": ["ann", "bob"] };
    let insert = doc! { "insert": "chats", "documents": [chat] };
    deployment.client().database("chat").run_command(insert).await.unwrap();
    for command in COMMANDS {
        let before = goodbyes().await;
        let output = on(&store, command);
        assert!(output.status.code().is_some_and(|code| code <= 1), "{command:?}: {}", text(&output));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked") && !errors.contains("RUST_BACKTRACE"), "{command:?}: {errors}");
        assert!(goodbyes().await > before, "{command:?} has left its sessions behind");
    }
}

#[tokio::test]
async fn a_connection_string_without_a_database_is_answered_with_one_that_has_it() {
    let at = fresh().await;
    let host = at.trim_start_matches("mongodb://").split('/').next().unwrap();
    let cases = [
        (format!("mongodb://{host}"), format!("write mongodb://{host}/chat,")),
        (format!("mongodb://{host}/?replicaSet=rs0"), format!("write mongodb://{host}/chat?replicaSet=rs0,")),
        (
            format!("mongodb://ann:hidden@{host}/?appName=hidden&tls=true"),
            format!("write mongodb://USER:PASSWORD@{host}/chat?appName=…&tls=true,"),
        ),
    ];
    for (store, wanted) in cases {
        for command in [&["audit"][..], &["index", "status"], &["migrate", "--dry-run"]] {
            let refused = on(&store, command);
            assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
            assert!(
                text(&refused).contains(&wanted) && !text(&refused).contains("hidden"),
                "{}",
                text(&refused)
            );
        }
    }
}

#[tokio::test]
async fn a_database_out_of_reach_is_told_by_host_failure_and_what_to_check() {
    let reachable = fresh().await;
    let host = reachable.trim_start_matches("mongodb://").split('/').next().unwrap();
    // A port that was free a moment ago, and one where somebody listens and says nothing.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let patience = "serverSelectionTimeoutMS=700&connectTimeoutMS=200";
    let cases = [
        (
            format!("mongodb://ann:hidden@{free}/chat?{patience}"),
            vec![format!("{free}: Connection refused"), "that mongod runs there".to_owned()],
        ),
        (format!("mongodb://ann:hidden@{silent}/chat?{patience}"), vec![format!("{silent}: ")]),
        (
            format!("mongodb://ann:hidden@nowhere.invalid/chat?{patience}"),
            vec!["nowhere.invalid:27017: there is no host of this name".to_owned()],
        ),
        (
            format!("mongodb://ann:hidden@{host},{free}/chat?replicaSet=rs7&{patience}"),
            vec![
                format!("{host}: answers, and is in no replica set, not in rs7"),
                format!("{free}: Connection refused"),
                "replicaSet in the connection string".to_owned(),
            ],
        ),
        (
            format!("mongodb://ann:hidden@{host}/chat"),
            vec![format!("{host} refuses to let us in"), "authSource".to_owned()],
        ),
    ];
    let reading = COMMANDS.iter().filter(|command| command[0] != "prove").copied();
    for (store, wanted) in &cases {
        let mut commands: Vec<&[&str]> = reading.clone().collect();
        commands.extend([
            &["serve", "--listen", "0"][..],
            &["prove"],
            &["account", "000000000000000000000001"],
            &["watch", "--yes"],
        ]);
        // All of them for the first, a few for the others: each waits for its time.
        commands.truncate(if wanted.len() == 2 && store.contains(&free.to_string()) {
            usize::MAX
        } else {
            2
        });
        for command in commands {
            let output = onechat()
                .env("ONECHAT_STORE", store)
                .env("ONECHAT_JWT_SECRET", SECRET)
                .args(command)
                .output()
                .unwrap();
            let said = text(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?} {store}: {said}");
            assert!(said.contains("the database cannot be used: "), "{command:?} {store}: {said}");
            for wanted in wanted {
                assert!(said.contains(wanted), "{command:?} {store}: {wanted:?} is missing in: {said}");
            }
            for unwanted in ["hidden", "Topology", "Kind:", "Address:"] {
                assert!(!said.contains(unwanted), "{command:?} {store}: {unwanted} in: {said}");
            }
        }
    }
}

#[tokio::test]
async fn addresses_are_taken_as_people_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let on_port: [fn(u16) -> String; 4] = [
        |port| port.to_string(),
        |port| format!(":{port}"),
        |port| format!("localhost:{port}"),
        |port| format!("127.0.0.1:{port}"),
    ];
    for written in on_port {
        let (port, mut command) = (port(), onechat());
        command.current_dir(folder.path()).args(["serve", "--store", "sqlite:chats.db"]);
        command.args(["--listen", &written(port)]);
        let server = Server::start_as(command);
        assert!(server.url.ends_with(&format!(":{port}")), "{}", server.url);
        assert_eq!(server.get("/healthz").await.0, 200, "{}", written(port));
    }
    let file = folder.path().join("onechat.toml");
    fs::write(&file, "[server]\nlisten = 8081\n").unwrap();
    let printed = run(folder.path(), &["serve", "--print-config", "--config", "onechat.toml"]);
    assert!(text(&printed).contains("listen = \"127.0.0.1:8081\""), "{}", text(&printed));
    for wrong in ["localhost", "99999", "http://127.0.0.1:8080", "::1:8080", ""] {
        let flag = format!("--listen={wrong}");
        let refused = run(folder.path(), &["serve", "--store", "sqlite:chats.db", &flag]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}: {}", text(&refused));
        let said = text(&refused);
        assert!(said.contains("for example 127.0.0.1:8080"), "{wrong}: {said}");
    }
    let unknown = onechat()
        .current_dir(folder.path())
        .env("ONECHAT_JWT_SECRET", SECRET)
        .args(["serve", "--store", "sqlite:chats.db", "--listen", "nowhere.invalid:8080"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    assert!(text(&unknown).contains("cannot listen on nowhere.invalid:8080"), "{}", text(&unknown));
}

#[test]
fn a_misspelt_variable_is_an_error_as_a_misspelt_key_is() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, value: &str, arguments: &[&str]| -> Output {
        onechat().current_dir(folder.path()).env(name, value).args(arguments).output().unwrap()
    };
    let print = ["serve", "--print-config", "--store", "sqlite:chats.db"];
    for (misspelt, meant) in [
        ("ONECHAT_JWT_SECRT", "ONECHAT_JWT_SECRET"),
        ("ONECHAT_LISTENS", "ONECHAT_LISTEN"),
        ("ONECHAT_QUEUE_CAPACTIY", "ONECHAT_QUEUE_CAPACITY"),
    ] {
        for command in [&print[..], &["audit", "--store", "sqlite:chats.db"], &["token", "--sub", "ann"]] {
            let refused = with(misspelt, "1", command);
            assert_eq!(refused.status.code(), Some(2), "{misspelt}: {}", text(&refused));
            let wanted = format!("{misspelt} is not known; did you mean {meant}?");
            assert!(text(&refused).contains(&wanted), "{}", text(&refused));
        }
    }
    let alien = with("ONECHAT_COLOUR_OF_THE_SKY", "blue", &print);
    assert!(text(&alien).contains("ONECHAT_JWT_SECRET, ONECHAT_JWT_USER_CLAIM"), "{}", text(&alien));
    // What the tools of the repository and orchestrators set is not ours to refuse.
    for (name, value) in [
        ("ONECHAT_MONGOD", "/x"),
        ("ONECHAT_SERVICE_HOST", "10.0.0.1"),
        ("ONECHAT_PORT", "tcp://10.0.0.1:80"),
    ] {
        let taken = with(name, value, &print);
        assert_eq!(taken.status.code(), Some(0), "{name}: {}", text(&taken));
    }
}
