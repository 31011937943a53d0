//! The published vectors hold for this implementation. `javascript.rs` holds them against another one.

use onechat_core::{KeyFormat, Participant, ParticipantSet, ParticipantsKey};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../docs/key-vectors/vectors.json");

fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().expect("a list of participants");
    list.iter().map(|text| text.as_str().expect("a participant is a text")).collect()
}

#[test]
fn the_vectors_are_what_this_implementation_makes() {
    let file: Value = serde_json::from_str(VECTORS).expect("vectors.json is JSON");
    for vector in file["vectors"].as_array().expect("a list of vectors") {
        let set = ParticipantSet::parse(texts(&vector["participants"])).expect("the participants make a set");
        let members: Vec<_> = set.members().iter().map(Participant::as_str).collect();
        assert_eq!(members, texts(&vector["members"]));
        for (name, format) in [("escaped", KeyFormat::Escaped), ("joined", KeyFormat::Joined)] {
            assert_eq!(ParticipantsKey::new(&set, format).as_str(), vector[name], "{vector}");
        }
    }
}

#[test]
fn the_refusals_are_refused_here_too() {
    let file: Value = serde_json::from_str(VECTORS).expect("vectors.json is JSON");
    for refusal in file["invalid"].as_array().expect("a list of refusals") {
        assert!(ParticipantSet::parse(texts(&refusal["participants"])).is_err(), "{refusal}");
    }
}
