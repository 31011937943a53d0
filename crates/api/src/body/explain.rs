//! What is wrong with a body: the field, and what is expected there, without the names of our types.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Why `json` could not be read as `T`, which `error` says in the parser's words.
///
/// Reads it once more to learn where: bodies that are as they should be do not pay for that.
pub(super) fn explain<T: DeserializeOwned>(json: &[u8], error: serde_json::Error) -> String {
    let mut parser = serde_json::Deserializer::from_slice(json);
    let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut parser) {
        Ok(_) => (String::new(), error),
        Err(error) => (error.path().to_string(), error.into_inner()),
    };
    let field = Some(path).filter(|path| !matches!(path.as_str(), "" | "." | "?"));
    match (error.classify(), field) {
        (Category::Data, field) => mismatch(field.as_deref(), &message(&error)),
        (_, Some(field)) => format!("The body is not valid JSON, in the field `{field}`: {error}."),
        (_, None) => format!("The body is not valid JSON: {error}."),
    }
}

/// What the parser says, without where.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

fn mismatch(field: Option<&str>, message: &str) -> String {
    if let Some(name) = message.strip_prefix("missing field ") {
        return format!("The field {name} is missing.");
    }
    if let Some(name) = message.strip_prefix("duplicate field ") {
        return format!("The field {name} is given more than once.");
    }
    let what = field.map_or_else(|| "The body".to_owned(), |field| format!("The field `{field}`"));
    let expected = message.rsplit_once(", expected ").and_then(|(_, expected)| in_json(expected));
    match expected {
        Some(expected) => format!("{what} has to be {expected}."),
        None => format!("{what} is not as documented."),
    }
}

/// The parser's name of a type, in the words of JSON.
fn in_json(expected: &str) -> Option<&'static str> {
    Some(match expected {
        "a string" | "a borrowed string" => "a string",
        "a sequence" => "an array",
        "a map" => "an object",
        "a boolean" => "true or false",
        _ if expected.starts_with("struct ") => "an object",
        _ => return None,
    })
}
