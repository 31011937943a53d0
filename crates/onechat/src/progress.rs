//! Progress of long commands: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use onechat_core::ports::Progress;

/// A bar on standard error, which hides itself when that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar that says what is counted.
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::new(0);
        let template = "{msg} {bar:30} {pos}/{len} {per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well formed"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn advance(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }
}
