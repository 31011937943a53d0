//! Configuration, its precedence and its errors; the development mode; exit codes.

use std::fs;

use serde_json::Value;

use crate::server::{SECRET, Server, onechat, run, text};

fn printed(configure: impl FnOnce(&mut std::process::Command)) -> toml::Table {
    let mut command = onechat();
    command.args(["serve", "--print-config"]);
    configure(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file_which_wins_over_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("onechat.toml");
    fs::write(
        &file,
        "[server]\nlisten = \"127.0.0.1:1001\"\nmax_body_bytes = 1001\nrequest_timeout_ms = 1001\n
         [store]\nurl = \"sqlite:file.db\"\nqueue_capacity = 1001\n[jwt]\nuser_claim = \"file\"\n",
    )
    .unwrap();
    for (set, policy) in [("", "off"), ("context = \"optional\"", "optional")] {
        let other = folder.path().join("other.toml");
        fs::write(&other, format!("[chats]\n{set}\n")).unwrap();
        let context = |name: &str| {
            let config = printed(|command| {
                command.arg("--config").arg(&other);
                if !name.is_empty() {
                    command.env("ONECHAT_CHATS_CONTEXT", name);
                }
            });
            config["chats"]["context"].as_str().unwrap().to_owned()
        };
        assert_eq!((context("").as_str(), context("required").as_str()), (policy, "required"));
    }
    let config = printed(|command| {
        command.arg("--config").arg(&file);
        command.env("ONECHAT_LISTEN", "127.0.0.1:1002").env("ONECHAT_MAX_BODY_BYTES", "1002");
        command.env("ONECHAT_STORE", "sqlite:environment.db");
        command.args(["--listen", "127.0.0.1:1003", "--store", "sqlite:flag.db"]);
    });
    let server = config["server"].as_table().unwrap();
    assert_eq!(server["listen"].as_str(), Some("127.0.0.1:1003"), "flag over environment over file");
    assert_eq!(server["max_body_bytes"].as_integer(), Some(1002), "environment over file");
    assert_eq!(server["request_timeout_ms"].as_integer(), Some(1001), "file over default");
    assert_eq!(server["max_concurrent_requests"].as_integer(), Some(1024), "default");
    assert_eq!(config["store"]["url"].as_str(), Some("sqlite:flag.db"));
    assert_eq!(config["store"]["queue_capacity"].as_integer(), Some(1001));
    assert_eq!(config["jwt"]["user_claim"].as_str(), Some("file"));
}

#[test]
fn the_printed_configuration_is_a_configuration_and_hides_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let first = printed(|command| {
        command.env("ONECHAT_JWT_SECRET", SECRET).args(["--store", "sqlite:x.db", "--key-format", "joined"]);
    });
    assert!(!first.to_string().contains(SECRET), "the secret is shown: {first}");
    assert_eq!(first["jwt"]["secret"].as_str(), Some("(hidden)"));
    let file = folder.path().join("printed.toml");
    fs::write(&file, first.to_string()).unwrap();
    let second = printed(|command| {
        command.arg("--config").arg(&file);
    });
    assert_eq!(first, second);
}

#[test]
fn wrong_configuration_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("typo.toml"), "[server]\nlissten = \"127.0.0.1:1\"\n").unwrap();
    fs::write(folder.path().join("layout.toml"), "[mongodb.chat_fields]\ncreated_at = \"a.b\"\n").unwrap();
    let store = ["--store", "sqlite:x.db"];
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], SECRET, "name one by --store"),
        (&["--store", "postgres://x"], SECRET, "use sqlite:PATH"),
        (&["--store", "mongodb:x"], SECRET, "mongodb://HOST/DATABASE"),
        (&["--store", "sqlite:x.db", "--unsafe-no-index"], SECRET, "unsafe_no_index is for MongoDB"),
        (&["--config", "layout.toml"], SECRET, "[mongodb]: chat_fields.created_at is \"a.b\""),
        (&["--store", "sqlite:nowhere/x.db"], SECRET, "check that its folder exists"),
        (&store, "", "openssl rand -hex 32"),
        (&store, "too short", "openssl rand -hex 32"),
        (&["--store", "sqlite:x.db", "--key-format", "plain"], SECRET, "\"escaped\" or \"joined\""),
        (
            &["--store", "sqlite:x.db", "--chats-context", "on"],
            SECRET,
            "\"off\", \"optional\" or \"required\"",
        ),
        (
            &["--store", "mongodb://h/d", "--chats-context", "optional"],
            SECRET,
            "set context in [mongodb.chat_fields]",
        ),
        (&["--store", "sqlite:x.db", "--jwt-jwks-file", "keys.json"], SECRET, "not several"),
        (&["--store", "sqlite:x.db", "--jwt-jwks-file", "keys.json"], "-", "--jwt-algorithm"),
        (&["--config", "typo.toml"], SECRET, "unknown field `lissten`"),
        (&["--config", "missing.toml"], SECRET, "missing.toml cannot be read"),
        (&["--dev", "--listen", "0.0.0.0:0"], SECRET, "loopback only"),
        (&["--store", "sqlite:x.db", "--log", "x=y=z"], SECRET, "log filter"),
        (&["--store", "sqlite:x.db", "--max-header-bytes", "10"], SECRET, "at least 8192"),
        (&["--lissten", "x"], SECRET, "--listen"),
    ];
    for (arguments, secret, advice) in cases {
        let mut command = onechat();
        command.current_dir(folder.path()).arg("serve").args(*arguments);
        if *secret != "-" {
            command.env("ONECHAT_JWT_SECRET", secret);
        }
        let output = command.output().unwrap();
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(advice), "{arguments:?}: {text}");
    }
    assert!(!folder.path().join("x.db").exists(), "a refused start left a database behind");
}

#[tokio::test]
async fn without_a_secret_there_is_no_service_and_the_error_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["serve", "--store", "sqlite:x.db"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("ONECHAT_JWT_SECRET") && text.contains("openssl rand -hex 32"), "{text}");
}

#[tokio::test]
async fn the_development_mode_needs_nothing_and_its_tokens_outlive_a_restart() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut process = onechat()
            .current_dir(folder.path())
            .args(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let curl = lines.map_while(Result::ok).find(|line| line.starts_with("curl ")).unwrap();
        (process, curl)
    };
    let paste = |curl: &str| -> Value {
        let output = std::process::Command::new("sh").args(["-c", curl]).output().unwrap();
        assert!(
            output.stdout.ends_with(b"\n"),
            "the prompt would stand behind the answer: {}",
            text(&output)
        );
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
    };
    let (mut process, curl) = start();
    let first = paste(&curl);
    assert_eq!((&first["created"], &first["participants"][1]), (&Value::from(true), &Value::from("bob")));
    assert_eq!(paste(&curl)["created"], false);
    process.kill().unwrap();
    process.wait().unwrap();

    let (mut process, new_curl) = start();
    let address = |curl: &str| curl.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let again = paste(&curl.replace(&address(&curl), &address(&new_curl)));
    assert_eq!((&again["id"], &again["created"]), (&first["id"], &Value::from(false)), "yesterday's token");
    let bob = run(folder.path(), &["token", "--dev", "--sub", "bob", "--json"]);
    let bob: Value = serde_json::from_slice(&bob.stdout).unwrap();
    let url = format!("http://{}/api/chats", address(&new_curl));
    let list =
        reqwest::Client::new().get(url).bearer_auth(bob["token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(list.json::<Value>().await.unwrap()["items"][0]["id"], first["id"], "bob sees the same chat");
    process.kill().unwrap();
    process.wait().unwrap();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let secret = fs::metadata(folder.path().join("onechat-dev/dev-secret")).unwrap();
        assert_eq!(secret.permissions().mode() & 0o777, 0o600, "others can read the secret");
    }
}

#[tokio::test]
async fn tokens_do_what_their_options_say() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mint = |arguments: &[&str]| {
        let mut command = onechat();
        command.env("ONECHAT_JWT_SECRET", SECRET).arg("token").args(arguments);
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let status = async |token: &str, path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", server.url)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let plain = mint(&["--sub", "alice"]);
    assert_eq!(status(&plain, "/api/chats").await, 200);
    assert_eq!(status(&plain, "/api/chats?as=bob").await, 403);
    assert_eq!(status(&mint(&["--sub", "robot", "--scope", "chats:any"]), "/api/chats?as=bob").await, 200);
    let expired = {
        let claims = serde_json::json!({"sub": "alice", "exp": 1_000_000});
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    assert_eq!(status(&expired, "/api/chats").await, 401);
    let output = run(folder.path(), &["token", "--sub", "alice"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("ONECHAT_JWT_SECRET"), "{}", text(&output));
}

#[tokio::test]
async fn the_audit_says_clean_or_not_by_its_exit_code_beside_a_running_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let audit = ["audit", "--store", "sqlite:chats.db", "--json"];
    let missing = run(folder.path(), &audit);
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing));
    assert!(text(&missing).contains("no database"), "{}", text(&missing));

    let server = Server::start(folder.path(), &[]);
    server.user("alice").open(&["alice", "bob"]).await.unwrap();
    let clean = run(folder.path(), &audit);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean));
    let report: Value = serde_json::from_slice(&clean.stdout).unwrap();
    assert_eq!((&report["clean"], &report["chats"]), (&Value::from(true), &Value::from(1)));
    drop(server);

    let file = folder.path().join("chats.db");
    let run_sql = |sql: &str| {
        let status = std::process::Command::new("sqlite3").arg(&file).arg(sql).status();
        status.is_ok_and(|status| status.success())
    };
    if !run_sql("DELETE FROM inbox WHERE participant = 'bob'") {
        eprintln!("NOT RUN to the end: the sqlite3 shell, which breaks the file for this test, is not there");
        return;
    }
    let found = run(folder.path(), &audit);
    assert_eq!(found.status.code(), Some(1), "{}", text(&found));
    let report: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(report["findings"][0]["code"], "inbox_mismatch", "{report}");
    assert_eq!(report["findings"][0]["invariant"], "I1", "{report}");
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let output = onechat()
        .current_dir(folder.path())
        .env("ONECHAT_JWT_SECRET", SECRET)
        .args(["serve", "--store", "sqlite:chats.db", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(&format!("in use by process {}", server.process.id())), "{text}");
}

#[test]
fn a_reader_who_stops_reading_is_no_error() {
    let command = format!("{} openapi | head -c 1; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_onechat"));
    let output = std::process::Command::new("bash").args(["-c", &command]).output().unwrap();
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "{"));
}

#[test]
fn completions_and_the_openapi_document_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(folder.path(), &["completions", shell]);
        assert!(output.status.success() && text(&output).contains("onechat"), "{shell}");
    }
    let output = run(folder.path(), &["openapi"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/api/chats/create-or-get"]["post"].is_object());
}
