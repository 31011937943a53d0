//! From an HTTP answer to what it says. What the contract does not allow is kept, in words, as unexpected.

use serde::de::DeserializeOwned;

use crate::{
    history::{Answer, History},
    seen::Refusal,
    wire,
};

/// How much of a body is quoted.
const EXCERPT_CHARS: usize = 300;

pub(crate) fn opened(history: &mut History, status: u16, body: &str) -> Answer {
    if !matches!(status, 200 | 201) {
        return refused(status, body);
    }
    let seen = parse::<wire::Chat>(body).and_then(|chat| match chat.created {
        Some(created) if created == (status == 201) => history.see_chat(chat),
        created => Err(format!("the status says one thing and `created` another: {created:?}")),
    });
    or_unexpected(seen.map(Answer::Chat), status, body)
}

pub(crate) fn chat(history: &mut History, status: u16, body: &str) -> Answer {
    match status {
        200 => {
            let seen = parse(body).and_then(|chat| history.see_chat(chat));
            or_unexpected(seen.map(Answer::Chat), status, body)
        }
        404 => Answer::Absent,
        _ => refused(status, body),
    }
}

pub(crate) fn sent(history: &mut History, status: u16, body: &str) -> Answer {
    match status {
        200 | 201 => {
            let seen = parse::<wire::Message>(body).and_then(|message| history.see_message(&message));
            let sent = seen.map(|message| Answer::Sent { message, created: status == 201 });
            or_unexpected(sent, status, body)
        }
        404 => Answer::Absent,
        _ => refused(status, body),
    }
}

/// One page of chats, and the cursor of the next.
pub(crate) fn chats(history: &mut History, status: u16, body: &str) -> (Answer, Option<String>) {
    if status != 200 {
        return (refused(status, body), None);
    }
    let page = parse::<wire::Page<wire::Chat>>(body).and_then(|page| {
        let seen = page.items.into_iter().map(|chat| history.see_chat(chat)).collect::<Result<_, _>>()?;
        Ok((Answer::Chats(seen), page.next_cursor))
    });
    page.unwrap_or_else(|reason| (malformed(status, &reason, body), None))
}

/// One page of messages, and the cursor of the next.
pub(crate) fn messages(history: &mut History, status: u16, body: &str) -> (Answer, Option<String>) {
    match status {
        200 => {}
        404 => return (Answer::Absent, None),
        _ => return (refused(status, body), None),
    }
    let page = parse::<wire::Page<wire::Message>>(body).and_then(|page| {
        let seen = page.items.iter().map(|message| history.see_message(message)).collect::<Result<_, _>>()?;
        Ok((Answer::Messages(seen), page.next_cursor))
    });
    page.unwrap_or_else(|reason| (malformed(status, &reason, body), None))
}

/// What an outsider is told, without the parts that tell requests apart. `asked` is the id in the request, which
/// the caller knows already.
pub(crate) fn refusal(status: u16, body: &str, asked: Option<&str>) -> Refusal {
    let told = match serde_json::from_str::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(mut members)) => {
            members.remove("requestId");
            serde_json::Value::Object(members).to_string()
        }
        _ => body.to_owned(),
    };
    let told = asked.map_or(told.clone(), |id| told.replace(id, "{id}"));
    Refusal { status, body: told.into() }
}

pub(crate) fn problem_code(body: &str) -> Option<String> {
    parse::<wire::Problem>(body).ok().map(|problem| problem.code)
}

fn refused(status: u16, body: &str) -> Answer {
    if status == 409 && problem_code(body).as_deref() == Some("key_collision") {
        return Answer::Collision;
    }
    Answer::Unexpected(format!("{status}: {}", excerpt(body)).into())
}

fn or_unexpected(answer: Result<Answer, String>, status: u16, body: &str) -> Answer {
    answer.unwrap_or_else(|reason| malformed(status, &reason, body))
}

fn malformed(status: u16, reason: &str, body: &str) -> Answer {
    Answer::Unexpected(format!("{status}, not as the contract has it ({reason}): {}", excerpt(body)).into())
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| error.to_string())
}

fn excerpt(body: &str) -> String {
    body.chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_refusals_that_tell_nothing_are_equal() {
        let one = refusal(404, r#"{"code":"not_found","detail":"no chat 1a","requestId":"r1"}"#, Some("1a"));
        let two = refusal(404, r#"{"code":"not_found","detail":"no chat 2b","requestId":"r2"}"#, Some("2b"));
        let three =
            refusal(404, r#"{"code":"not_yours","detail":"no chat 2b","requestId":"r2"}"#, Some("2b"));
        assert_eq!(one, two);
        assert_ne!(two, three);
    }
}
