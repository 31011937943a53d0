//! Pauses while a secondary is too far behind.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use onechat_mongo::{MigrateError, MongoMigrator};
use tokio::sync::Mutex;

use super::screen::Screen;

/// How old an answer may be. The members themselves tell each other every two seconds, or when something changes.
const FRESH: Duration = Duration::from_millis(500);

pub(super) struct Gauge {
    migrator: Arc<MongoMigrator>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Option<Instant>,
    wait: Duration,
    /// What was said last, so that it is said once.
    said: Option<Saying>,
}

#[derive(PartialEq, Eq)]
enum Saying {
    Paused,
    Unknown,
    Impossible,
}

impl Gauge {
    pub(super) fn new(migrator: Arc<MongoMigrator>) -> Self {
        Self { migrator, state: Mutex::default() }
    }

    /// How long to wait before it is worth asking again; zero if nobody is behind.
    pub(super) async fn wait(&self, max_lag: Option<Duration>, screen: &Screen) -> Duration {
        let mut state = self.state.lock().await;
        let Some(max_lag) = max_lag else {
            *state = State::default();
            return Duration::ZERO;
        };
        if state.asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return state.wait;
        }
        let lag = self.migrator.lag().await;
        state.asked = Some(Instant::now());
        let (wait, saying, text) = match lag {
            Ok(lag) if lag <= max_lag => (Duration::ZERO, None, "the secondaries have caught up".to_owned()),
            Ok(lag) => {
                let (lag, max) = (lag.as_secs_f64(), max_lag.as_secs_f64());
                let text =
                    format!("paused: a secondary is {lag:.1} s behind, and at most {max:.1} s are allowed");
                (FRESH, Some(Saying::Paused), text)
            }
            // Can only be so for a limit that was set while the work goes on: at the start it is an error.
            Err(error @ MigrateError::Refused(_)) => (
                Duration::ZERO,
                Some(Saying::Impossible),
                format!("the limit of the lag is not kept: {error}"),
            ),
            Err(error) => (
                FRESH,
                Some(Saying::Unknown),
                format!("paused: how far the secondaries are is not known: {error}"),
            ),
        };
        if state.said != saying {
            screen.note(&text);
        }
        state.said = saying;
        state.wait = wait;
        wait
    }
}
