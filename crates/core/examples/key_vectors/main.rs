//! Prints `docs/key-vectors/vectors.json`: what this implementation makes of the cases, for every other one.
//!
//! The file is committed; `cargo xtask generate` refreshes it, and `cargo xtask test` finds it stale. It is pure
//! ASCII: an editor that normalises Unicode would otherwise change the very thing that it shows.

mod cases;

use std::fmt::Write as _;

use onechat_core::{KeyFormat, Participant, ParticipantError, ParticipantSet, ParticipantsKey, SetError};
use serde_json::{Value, json};

fn main() {
    let vectors: Vec<Value> = cases::valid().iter().map(|given| vector(given)).collect();
    let invalid: Vec<Value> = cases::invalid().iter().map(|given| refusal(given)).collect();
    println!("{{\n\"vectors\": [\n{}\n],\n\"invalid\": [\n{}\n]\n}}", lines(&vectors), lines(&invalid));
}

fn vector(given: &[String]) -> Value {
    let set = ParticipantSet::parse(given.iter().cloned()).expect("a case of cases::valid is a set");
    json!({
        "participants": given,
        "members": set.members().iter().map(Participant::as_str).collect::<Vec<_>>(),
        "escaped": ParticipantsKey::new(&set, KeyFormat::Escaped).as_str(),
        "joined": ParticipantsKey::new(&set, KeyFormat::Joined).as_str(),
    })
}

fn refusal(given: &[String]) -> Value {
    let error = ParticipantSet::parse(given.iter().cloned()).expect_err("a case of cases::invalid is no set");
    json!({ "participants": given, "reason": reason(&error) })
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
