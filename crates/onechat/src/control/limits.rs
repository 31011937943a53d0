//! The limits as they are now: the file is read again when it was changed, and on SIGHUP.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use super::screen::Screen;
use crate::config::{Limits, LimitsFile};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct CurrentLimits {
    /// What flags and file said at the start.
    first: Limits,
    file: Option<LimitsFile>,
    state: Mutex<State>,
    hung_up: Arc<AtomicBool>,
}

struct State {
    now: Limits,
    of_file: Limits,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl CurrentLimits {
    pub(super) fn new(first: Limits, file: Option<LimitsFile>) -> anyhow::Result<Self> {
        let modified = file.as_ref().and_then(LimitsFile::modified);
        let of_file = file.as_ref().map(LimitsFile::read).transpose()?.unwrap_or_default();
        let state = State { now: first, of_file, modified, looked: Instant::now() };
        let hung_up = Arc::new(AtomicBool::new(false));
        listen(Arc::clone(&hung_up))?;
        Ok(Self { first, file, state: Mutex::new(state), hung_up })
    }

    /// What holds now.
    pub(super) fn now(&self, screen: &Screen) -> Limits {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let hung_up = self.hung_up.swap(false, Ordering::Relaxed);
        if !hung_up && state.looked.elapsed() < LOOK {
            return state.now;
        }
        state.looked = Instant::now();
        let Some(file) = &self.file else {
            if hung_up {
                screen.note("SIGHUP: there is no configuration file (--config) to read again");
            }
            return state.now;
        };
        let modified = file.modified();
        if !hung_up && modified == state.modified {
            return state.now;
        }
        state.modified = modified;
        match file.read() {
            Ok(of_file) => {
                let now = changed(self.first, state.now, state.of_file, of_file);
                if now != state.now || hung_up {
                    screen.note(&format!("the limits are now: {now}"));
                }
                state.of_file = of_file;
                state.now = now;
            }
            Err(error) => screen.note(&format!("the limits stay as they are ({}): {error:#}", state.now)),
        }
        state.now
    }
}

/// A setting that was changed in the file is the operator's last word, over a flag too; one that was taken out of the
/// file is again what the flag said. What was not touched stays.
fn changed(first: Limits, now: Limits, before: Limits, after: Limits) -> Limits {
    fn one<T: PartialEq + Copy>(
        first: Option<T>,
        now: Option<T>,
        before: Option<T>,
        after: Option<T>,
    ) -> Option<T> {
        match after {
            after if after == before => now,
            None if before == first => None,
            None => first,
            after => after,
        }
    }
    Limits {
        max_rate: one(first.max_rate, now.max_rate, before.max_rate, after.max_rate),
        max_lag: one(first.max_lag, now.max_lag, before.max_lag, after.max_lag),
    }
}

#[cfg(unix)]
fn listen(hung_up: Arc<AtomicBool>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            hung_up.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn listen(_: Arc<AtomicBool>) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(max_rate: Option<u32>) -> Limits {
        Limits { max_rate, max_lag: None }
    }

    #[test]
    fn the_last_word_counts() {
        let cases = [
            ("untouched, a flag holds", (Some(10), Some(10), Some(50), Some(50)), Some(10)),
            ("changed, the file holds over a flag", (Some(10), Some(10), Some(50), Some(20)), Some(20)),
            ("added to a file that said nothing", (None, None, None, Some(20)), Some(20)),
            ("taken out, no limit is left", (Some(50), Some(50), Some(50), None), None),
            ("taken out again, the flag holds", (Some(10), Some(20), Some(20), None), Some(10)),
        ];
        for (what, (first, now, before, after), wanted) in cases {
            let limits = changed(rate(first), rate(now), rate(before), rate(after));
            assert_eq!(limits, rate(wanted), "{what}");
        }
    }
}
