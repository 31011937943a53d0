//! SIGHUP: a server reads its keys again, and lives.

use std::{fs, path::Path, process::Command};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use crate::server::{SECRET, Server, onechat, text};

const NEW_SECRET: &str = "another secret of the tests, which has more than 32 bytes";

/// A server with this configuration file, and nothing of it in its environment.
fn serve(folder: &Path) -> Server {
    let mut command = onechat();
    command.current_dir(folder).args(["serve", "--config", "onechat.toml"]);
    Server::start_without_secret(command)
}

fn configure(folder: &Path, jwt: &str) {
    fs::write(folder.join("onechat.toml"), format!("[store]\nurl = \"sqlite:chats.db\"\n[jwt]\n{jwt}\n"))
        .unwrap();
}

fn token(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &json!({"sub": "alice", "exp": 4_102_444_800_i64}), key).unwrap()
}

async fn status(server: &Server, token: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/api/chats", server.url)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_secret_in_the_file_is_exchanged_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let of = |secret: &str| token(Algorithm::HS256, None, &EncodingKey::from_secret(secret.as_bytes()));
    let (old, new) = (of(SECRET), of(NEW_SECRET));
    configure(folder, &format!("secret = \"{SECRET}\""));
    let mut server = serve(folder);
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (200, 401));

    configure(folder, &format!("secret = \"{NEW_SECRET}\""));
    server.signal("HUP");
    let event = server.event("keys_reloaded");
    assert_eq!(event["level"], "INFO", "{event}");
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (401, 200));

    for bad in ["secret = \"short\"", "secret = \"", "", "sekret = \"x\""] {
        configure(folder, bad);
        server.signal("HUP");
        let event = server.event("keys_not_reloaded");
        assert_eq!(event["level"], "ERROR", "{event}");
        assert!(event["message"].as_str().unwrap().contains("stay in force"), "{event}");
        assert!(!event["reason"].as_str().unwrap().is_empty(), "{event}");
        assert_eq!(status(&server, &new).await, 200, "{bad}");
    }
    fs::remove_file(folder.join("onechat.toml")).unwrap();
    server.signal("HUP");
    assert!(
        server.event("keys_not_reloaded")["reason"].as_str().unwrap().contains("onechat.toml cannot be read")
    );
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (401, 200));
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0), "it ends as it always did");
}

#[tokio::test]
async fn key_files_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let make = |name: &str| {
        for command in [
            format!("openssl genpkey -algorithm ED25519 -out {name}.pem"),
            format!("openssl pkey -in {name}.pem -pubout -out {name}-public.pem"),
        ] {
            let output = Command::new("sh").current_dir(folder).args(["-c", &command]).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        }
        let key = EncodingKey::from_ed_pem(&fs::read(folder.join(format!("{name}.pem"))).unwrap()).unwrap();
        token(Algorithm::EdDSA, Some(name), &key)
    };
    let (old, new) = (make("old"), make("new"));
    let install =
        |name: &str| fs::copy(folder.join(format!("{name}-public.pem")), folder.join("public.pem")).unwrap();
    install("old");
    configure(folder, "public_key_file = \"public.pem\"\nalgorithm = \"EdDSA\"");
    let mut server = serve(folder);
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (200, 401));
    install("new");
    assert_eq!(status(&server, &new).await, 401, "nothing is read before the signal");
    server.signal("HUP");
    server.event("keys_reloaded");
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (401, 200));
    fs::write(folder.join("public.pem"), "no key").unwrap();
    server.signal("HUP");
    let event = server.event("keys_not_reloaded");
    assert!(
        event["reason"].as_str().unwrap().contains("the public key in public.pem cannot be used"),
        "{event}"
    );
    assert_eq!(status(&server, &new).await, 200);

    // Both keys at once, while they are exchanged: a key set, which the file names from now on.
    let jwk = |name: &str| {
        let file = folder.join(format!("{name}-public.pem"));
        let der =
            Command::new("openssl").args(["pkey", "-pubin", "-outform", "DER", "-in"]).arg(file).output();
        let x = base64url(&der.unwrap().stdout[12..]);
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": name, "use": "sig", "alg": "EdDSA"})
    };
    fs::write(folder.join("jwks.json"), json!({"keys": [jwk("old"), jwk("new")]}).to_string()).unwrap();
    configure(folder, "jwks_file = \"jwks.json\"\nalgorithm = \"EdDSA\"");
    server.signal("HUP");
    server.event("keys_reloaded");
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (200, 200));
    fs::write(folder.join("jwks.json"), json!({"keys": [jwk("new")]}).to_string()).unwrap();
    server.signal("HUP");
    server.event("keys_reloaded");
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (401, 200));
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bit = |at: usize| usize::from(bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1));
    let digit = |n: usize| (0..6).fold(0, |digit, part| digit * 2 + bit(n * 6 + part));
    (0..(bytes.len() * 8).div_ceil(6)).map(|n| char::from(ALPHABET[digit(n)])).collect()
}
