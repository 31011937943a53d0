//! Prints `docs/key-vectors/vectors.json`: what this implementation makes of the cases, for every other one.
//!
//! The file is committed; `cargo xtask generate` refreshes it, and `cargo xtask test` finds it stale. It is pure
//! ASCII: an editor that normalises Unicode would otherwise change the very thing that it shows.

mod cases;

use std::fmt::Write as _;

use onechat_core::{
    ChatIdentity, Context, ContextError, KeyFormat, ParticipantError, ParticipantSet, ParticipantsKey,
    SetError,
};
use serde_json::{Value, json};

fn main() {
    let mut vectors: Vec<Value> = cases::valid().iter().map(|given| vector(given, None)).collect();
    vectors.extend(cases::with_context().iter().map(|(context, given)| vector(given, Some(context))));
    let mut invalid: Vec<Value> = cases::invalid().iter().map(|given| refusal(given)).collect();
    invalid.extend(cases::invalid_contexts().iter().map(|context| context_refusal(context)));
    println!("{{\n\"vectors\": [\n{}\n],\n\"invalid\": [\n{}\n]\n}}", lines(&vectors), lines(&invalid));
}

fn vector(given: &[String], context: Option<&str>) -> Value {
    let participants = ParticipantSet::parse(given.iter().cloned()).expect("a valid case is a set");
    let members: Vec<_> = participants.members().iter().map(ToString::to_string).collect();
    let identity = ChatIdentity {
        participants,
        context: context.map(|text| Context::new(text).expect("a valid case has a context")),
    };
    let mut vector = json!({
        "participants": given,
        "members": members,
        "escaped": ParticipantsKey::new(&identity, KeyFormat::Escaped).as_str(),
        "joined": ParticipantsKey::new(&identity, KeyFormat::Joined).as_str(),
    });
    if let Some(context) = context {
        vector["context"] = context.into();
    }
    vector
}

fn refusal(given: &[String]) -> Value {
    let error = ParticipantSet::parse(given.iter().cloned()).expect_err("a case of cases::invalid is no set");
    json!({ "participants": given, "reason": reason(&error) })
}

fn context_refusal(context: &str) -> Value {
    let error = Context::new(context).expect_err("a case of cases::invalid_contexts is none");
    let reason = match error {
        ContextError::Empty => "empty_context",
        ContextError::TooLong { .. } => "context_too_long",
        ContextError::ControlCharacter { .. } => "control_character",
    };
    json!({ "participants": ["alice", "bob"], "context": context, "reason": reason })
}

/// A name that does not change when the wording of an error does.
fn reason(error: &SetError) -> &'static str {
    match error {
        SetError::Empty => "empty_set",
        SetError::TooMany { .. } => "too_many_members",
        SetError::Participant(ParticipantError::Empty) => "empty_participant",
        SetError::Participant(ParticipantError::TooLong { .. }) => "participant_too_long",
        SetError::Participant(ParticipantError::ControlCharacter { .. }) => "control_character",
    }
}

/// One vector a line, so that a change shows as the lines that it concerns.
fn lines(values: &[Value]) -> String {
    values.iter().map(ascii).collect::<Vec<_>>().join(",\n")
}

fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if character.is_ascii() && character != '\u{7f}' {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}
