//! Agreement with JavaScript, by asking it: a Node.js backend and this program write to the same collection.
//!
//! Without Node.js these tests fail. Skipped, they would leave the one claim unproven that nothing else proves.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use onechat_core::{KeyFormat, ParticipantsKey, Timestamp};
use serde_json::{Value, json};

use crate::{
    adversarial::{context, given_or_group, identity, seeded},
    time::RANGE_MS,
};

const OLDEST_NODE: u32 = 18;
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/key-vectors");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/javascript.mjs");

fn node() -> Command {
    let help =
        format!("install Node.js {OLDEST_NODE} or later, with `node` on the PATH, and run the tests again");
    let output = Command::new("node").arg("--version").output();
    let output = output.unwrap_or_else(|error| panic!("Node.js cannot be run ({error}): {help}"));
    let version = String::from_utf8_lossy(&output.stdout);
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    assert!(major >= Some(OLDEST_NODE), "Node.js is too old ({}): {help}", version.trim());
    Command::new("node")
}

fn check(vectors: &Path) -> Output {
    node().arg(format!("{VECTORS}/check.mjs")).arg(vectors).output().expect("node runs")
}

/// Asks the script beside this file. Writes from another thread: the answers may fill their pipe before that.
fn ask(questions: &[Value]) -> Vec<Value> {
    let lines = questions.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let mut child =
        node().arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(lines.as_bytes()).expect("node reads its questions"));
        child.wait_with_output().expect("node ends")
    });
    assert!(output.status.success(), "the script failed: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("node writes UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("node answers in JSON")).collect()
}

#[test]
fn the_vectors_agree_with_javascript() {
    let output = check(&Path::new(VECTORS).join("vectors.json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_check_of_the_vectors_finds_what_is_wrong() {
    let vectors = fs::read_to_string(format!("{VECTORS}/vectors.json")).expect("vectors.json can be read");
    for (number, (right, wrong, place)) in [
        (r#""escaped":"a%5Fb_c""#, r#""escaped":"a_b_c""#, "escaped"),
        (r#""joined":"a_b_c""#, r#""joined":"a_c_b""#, "joined"),
        (r#""members":["a","b"]"#, r#""members":["b","a"]"#, "members"),
        ("empty_set", "empty_participant", "reason"),
        (r#""escaped":"%in:x_a_b""#, r#""escaped":"a_b""#, "escaped"),
        (r#""joined":"%in:x_a_b""#, r#""joined":"%25in:x_a_b""#, "joined"),
        ("empty_context", "empty_participant", "reason"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(vectors.contains(right), "{right} is not in the file");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wrong-vectors-{number}.json"));
        fs::write(&file, vectors.replacen(right, wrong, 1)).expect("the copy can be written");
        let output = check(&file);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{wrong} was not found");
        assert!(message.contains(&format!(".{place}: ")), "{message}");
    }
}

#[test]
fn keys_of_tens_of_thousands_of_identities_are_those_of_javascript() {
    let contexts = seeded(context(), 7).flat_map(|context| [None, context]);
    let given: Vec<_> = contexts.zip(seeded(given_or_group(), 3)).take(25_000).collect();
    let questions: Vec<Value> = given
        .iter()
        .map(|(context, texts)| match context {
            Some(context) => json!({ "participants": texts, "context": context }),
            None => json!({ "participants": texts }),
        })
        .collect();
    let answers = ask(&questions);
    assert_eq!(answers.len(), given.len());
    for ((context, texts), answer) in given.iter().zip(&answers) {
        let identity = identity(context.as_deref(), texts);
        for (name, format) in [("joined", KeyFormat::Joined), ("escaped", KeyFormat::Escaped)] {
            assert_eq!(ParticipantsKey::new(&identity, format).as_str(), answer[name], "{identity:?}");
        }
    }
}

#[test]
fn times_are_those_of_javascript() {
    let edges =
        [0, 1, -1, 999, 1_000, -62_135_596_800_001, -62_167_219_200_001, *RANGE_MS.start(), *RANGE_MS.end()];
    let recent = seeded(1_600_000_000_000_i64..2_000_000_000_000, 4).take(10_000);
    let times: Vec<i64> = edges.into_iter().chain(recent).chain(seeded(RANGE_MS, 5).take(10_000)).collect();
    let questions: Vec<Value> = times.iter().map(|ms| json!(ms)).collect();
    let answers = ask(&questions);
    assert_eq!(answers.len(), times.len());
    for (ms, answer) in times.into_iter().zip(&answers) {
        let time = Timestamp::from_unix_ms(ms).expect("the moment is in range");
        assert_eq!(time.to_string().as_str(), answer, "{ms}");
    }
}
