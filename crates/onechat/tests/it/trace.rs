//! The real trace of private messages, when it is there: 59,835 messages of 1,899 people in 13,838 pairs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::server::{run, text};

const NAME: &str = "college-msg.tsv.gz";

/// The trace is not redistributed with the project: it lies in `data/`, or in the folder of shared files beside.
fn trace() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let places = [root.join("data").join(NAME), root.join("../shared/data").join(NAME)];
    places.into_iter().find(|path| path.exists())
}

#[test]
fn the_real_trace_ends_in_one_chat_for_each_pair() {
    let Some(trace) = trace() else {
        eprintln!(
            "NOT RUN: {NAME} (SNAP CollegeMsg) is not in data/; docs/BENCHMARKS.md says how to make it"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let trace = trace.canonicalize().unwrap();
    let arguments = ["prove", "--clients", "64", "--json", "--trace", trace.to_str().unwrap()];
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &report["reports"][0]["counts"];
    assert_eq!(
        (&counts["chats"], &counts["messages"]),
        (&Value::from(13_838), &Value::from(59_835)),
        "{counts}"
    );
    assert_eq!(counts["unknown"], 0, "{counts}");
    let audit = &report["audit"];
    assert_eq!(
        (&audit["chats"], &audit["messages"]),
        (&Value::from(13_838), &Value::from(59_835)),
        "{audit}"
    );
    assert_eq!(audit["clean"], true, "{audit}");
}
