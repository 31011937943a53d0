//! The moment that everything here is built for: many callers want one pair's chat, which does not exist yet.

use std::{collections::HashSet, thread, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{
    crowd::Crowd,
    http::{self, Answer},
    pairs,
    series::Series,
    servers::Server,
};

pub(super) const CALLERS: usize = 150;
pub(super) const RACES: u64 = 50;
/// Between two races: each begins on an idle server, as such moments do.
const PAUSE: Duration = Duration::from_millis(10);
const TAG: &str = "race";

/// How long it took until the last caller had its answer.
pub(super) struct Races {
    pub(super) null_ms: Series,
    pub(super) onechat_ms: Series,
    /// How many callers of a race, on average, found no chat and then were not the one who created it.
    pub(super) late_callers: f64,
}

/// Races on both servers in turn, each for a pair of its own.
pub(super) fn run(null: &Server, onechat: &Server, token: &str) -> anyhow::Result<Races> {
    let mut null_crowd = Crowd::gather(null.address(), CALLERS)?;
    let mut onechat_crowd = Crowd::gather(onechat.address(), CALLERS)?;
    let before = onechat.outcomes()?;
    let (mut null_ms, mut onechat_ms) = (Vec::new(), Vec::new());
    for race in 0..RACES {
        let requests = vec![http::create_or_get(token, &pairs::body(race, TAG)); CALLERS];
        thread::sleep(PAUSE);
        let (answers, time) = null_crowd.ask(&requests)?;
        ensure!(answers.iter().all(|answer| answer.status == 200), "the null server refused a caller");
        null_ms.push(time.as_secs_f64() * 1e3);
        thread::sleep(PAUSE);
        let (answers, time) = onechat_crowd.ask(&requests)?;
        check(&answers).with_context(|| format!("race {race}"))?;
        onechat_ms.push(time.as_secs_f64() * 1e3);
    }
    let outcomes = onechat.outcomes()?.since(before);
    ensure!(outcomes.created == RACES, "{RACES} races created {} chats", outcomes.created);
    #[expect(clippy::cast_precision_loss, reason = "at most the number of callers in all races")]
    let late_callers = outcomes.lost_race as f64 / RACES as f64;
    Ok(Races { null_ms: Series::new(null_ms), onechat_ms: Series::new(onechat_ms), late_callers })
}

/// All callers got the same chat, and exactly one of them was told that it is new.
fn check(answers: &[Answer]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Chat {
        id: String,
        created: bool,
    }
    let mut ids = HashSet::new();
    let mut created = 0;
    for Answer { status, body } in answers {
        let chat: Chat = serde_json::from_slice(body)
            .with_context(|| format!("answer {status}: {}", String::from_utf8_lossy(body)))?;
        created += usize::from(chat.created);
        ids.insert(chat.id);
    }
    ensure!(ids.len() == 1, "{} different chats were named", ids.len());
    ensure!(created == 1, "{created} callers were told that they created the chat");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Answer, check};

    fn answer(id: &str, created: bool) -> Answer {
        let body = format!(r#"{{"id":"{id}","created":{created}}}"#).into_bytes();
        Answer { status: if created { 201 } else { 200 }, body }
    }

    #[test]
    fn a_race_has_one_chat_and_one_creator() {
        assert!(check(&[answer("a", false), answer("a", true), answer("a", false)]).is_ok());
        assert!(check(&[answer("a", true), answer("b", false)]).is_err());
        assert!(check(&[answer("a", true), answer("a", true)]).is_err());
        assert!(check(&[answer("a", false), answer("a", false)]).is_err());
    }
}
