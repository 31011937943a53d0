//! Standard error while long work goes on: a bar on a terminal, and notes everywhere.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

const COUNTED: &str = "{msg} {bar:30} {pos}/{len} {per_sec}, {eta} left";
const UNCOUNTED: &str = "{spinner} {msg} {pos} {per_sec}";

/// Quiet where it is no terminal, but for notes.
#[derive(Default)]
pub(super) struct Screen(Mutex<Option<Shown>>);

struct Shown {
    step: String,
    bar: ProgressBar,
}

impl Screen {
    /// `done` of about `total`; 0 if nobody knows how many there are.
    pub(super) fn advance(&self, step: &str, done: u64, total: u64) {
        let mut shown = self.shown();
        if shown.as_ref().is_none_or(|shown| shown.step != step) {
            if let Some(before) = shown.take() {
                before.bar.finish_and_clear();
            }
            *shown = Some(Shown { step: step.to_owned(), bar: bar(step, total) });
        }
        if let Some(Shown { bar, .. }) = &*shown {
            if total > 0 {
                bar.set_length(total.max(done));
            }
            bar.set_position(done);
        }
    }

    /// A line of its own above the bar.
    pub(super) fn note(&self, text: &str) {
        let line = || eprintln!("onechat: {text}");
        match &*self.shown() {
            Some(Shown { bar, .. }) => bar.suspend(line),
            None => line(),
        }
    }

    pub(super) fn clear(&self) {
        if let Some(Shown { bar, .. }) = self.shown().take() {
            bar.finish_and_clear();
        }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Option<Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(step: &str, total: u64) -> ProgressBar {
    let (bar, template) = match total {
        0 => (ProgressBar::new_spinner(), UNCOUNTED),
        total => (ProgressBar::new(total), COUNTED),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well formed"));
    bar.set_message(step.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
