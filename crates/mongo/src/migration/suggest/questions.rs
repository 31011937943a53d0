//! What only an operator knows, as questions in the file: a migration stops at them until they are answered.

use std::fmt::Write as _;

use mongodb::bson::{Bson, Document};
use serde::Serialize;

use super::print::quoted;

/// What a configuration cannot be inferred for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The fields that it is about.
    pub fields: Vec<String>,
    /// In one sentence.
    pub question: String,
    /// What was found.
    pub facts: Vec<String>,
    /// What can be answered, the likeliest first.
    pub answers: Vec<Answer>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What is so if this is the right one.
    pub when: String,
    /// What to write into the file then.
    pub toml: String,
}

impl Question {
    /// As a part of the file, with the answers as comments.
    pub(super) fn print(&self, text: &mut String) {
        let fields: Vec<String> = self.fields.iter().map(|field| quoted(field)).collect();
        let _ = writeln!(text, "\n[[migrate.questions]]");
        let _ = writeln!(text, "fields = [{}]", fields.join(", "));
        let _ = writeln!(text, "question = {}", quoted(&self.question));
        for fact in &self.facts {
            comment(text, fact);
        }
        for (number, answer) in self.answers.iter().enumerate() {
            let _ = writeln!(text, "#");
            comment(text, &format!("Answer {}: {}", number + 1, answer.when));
            for line in answer.toml.lines() {
                comment(text, &format!("  {line}"));
            }
        }
    }
}

fn comment(text: &mut String, line: &str) {
    let _ = writeln!(text, "# {}", line.replace(char::is_control, " "));
}

/// A condition on one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Has one of these values.
    Is(Vec<Bson>),
    /// Has none of them; nothing is none.
    IsNot(Vec<Bson>),
    /// Has nothing.
    IsNull,
}

impl Test {
    pub(super) fn holds(&self, value: Option<&Bson>) -> bool {
        let value = value.filter(|value| !matches!(value, Bson::Null));
        match self {
            Self::Is(values) => value.is_some_and(|value| values.contains(value)),
            Self::IsNot(values) => !value.is_some_and(|value| values.contains(value)),
            Self::IsNull => value.is_none(),
        }
    }

    fn json(&self) -> serde_json::Value {
        let json = |value: &Bson| value.clone().into_relaxed_extjson();
        let list = |values: &[Bson]| -> serde_json::Value { values.iter().map(json).collect() };
        match self {
            Self::Is(values) if values.len() == 1 => json(&values[0]),
            Self::Is(values) => serde_json::json!({ "$in": list(values) }),
            Self::IsNot(values) if values.len() == 1 => serde_json::json!({ "$ne": json(&values[0]) }),
            Self::IsNot(values) => serde_json::json!({ "$nin": list(values) }),
            Self::IsNull => serde_json::Value::Null,
        }
    }
}

/// A filter, by fields.
pub(super) type Tests<'a> = [(&'a str, &'a Test)];

pub(super) fn all_hold(tests: &Tests<'_>, document: &Document) -> bool {
    tests.iter().all(|(field, test)| test.holds(document.get(*field)))
}

/// In MongoDB's query language, as a setting.
pub(super) fn filter(tests: &Tests<'_>) -> String {
    let filter: serde_json::Map<String, serde_json::Value> =
        tests.iter().map(|(field, test)| ((*field).to_owned(), test.json())).collect();
    literal(&serde_json::Value::Object(filter).to_string())
}

/// A filter that selects nothing.
pub(super) fn nothing() -> String {
    literal(r#"{"_id":{"$exists":false}}"#)
}

/// Without escapes, if it can be.
fn literal(text: &str) -> String {
    if text.contains(['\'', '\n']) || text.chars().any(char::is_control) {
        quoted(text)
    } else {
        format!("'{text}'")
    }
}
