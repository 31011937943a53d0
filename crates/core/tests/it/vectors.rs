//! The published vectors hold for this implementation. `javascript.rs` holds them against another one.

use onechat_core::{ChatIdentity, Context, KeyFormat, Participant, ParticipantSet, ParticipantsKey};
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
        let participants =
            ParticipantSet::parse(texts(&vector["participants"])).expect("the participants make a set");
        let members: Vec<_> = participants.members().iter().map(Participant::as_str).collect();
        assert_eq!(members, texts(&vector["members"]));
        let context = vector.get("context").map(|context| {
            Context::new(context.as_str().expect("a context is a text")).expect("the text is a context")
        });
        let identity = ChatIdentity { participants, context };
        for (name, format) in [("escaped", KeyFormat::Escaped), ("joined", KeyFormat::Joined)] {
            assert_eq!(ParticipantsKey::new(&identity, format).as_str(), vector[name], "{vector}");
        }
    }
}

#[test]
fn the_refusals_are_refused_here_too() {
    let file: Value = serde_json::from_str(VECTORS).expect("vectors.json is JSON");
    for refusal in file["invalid"].as_array().expect("a list of refusals") {
        let is_set = ParticipantSet::parse(texts(&refusal["participants"])).is_ok();
        let context = refusal.get("context").map(|context| context.as_str().expect("a context is a text"));
        let is_context = context.is_none_or(|context| Context::new(context).is_ok());
        assert!(!(is_set && is_context), "{refusal}");
    }
}
