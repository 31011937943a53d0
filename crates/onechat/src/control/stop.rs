//! Who asks for an end: a signal, or a flag file that appears.

use std::{path::PathBuf, sync::Arc, time::Duration};

use onechat_migrate::Stopped;
use tokio::sync::watch;

use super::screen::Screen;

/// How often the flag file is looked for where nothing else asks.
const LOOK: Duration = Duration::from_millis(250);

pub(super) struct Stop {
    file: Option<PathBuf>,
    /// The signals that came.
    signals: watch::Receiver<Vec<&'static str>>,
}

impl Stop {
    /// Listens from now on.
    pub(super) fn new(file: Option<PathBuf>, screen: Arc<Screen>) -> anyhow::Result<Self> {
        let (sender, signals) = watch::channel(Vec::new());
        listen(sender, screen)?;
        Ok(Self { file, signals })
    }

    /// An error if the work is to stop.
    pub(super) fn check(&self) -> Result<(), Stopped> {
        if let Some(signal) = self.signals.borrow().first() {
            return Err(Stopped { reason: (*signal).to_owned() });
        }
        match &self.file {
            Some(file) if file.exists() => Err(Stopped {
                reason: format!("the flag file {} is there; remove it to go on", file.display()),
            }),
            _ => Ok(()),
        }
    }

    /// Completes when the work is to stop.
    pub(super) async fn asked(&self) -> Stopped {
        let mut signals = self.signals.clone();
        loop {
            if let Err(stopped) = self.check() {
                return stopped;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK), if self.file.is_some() => {}
                _ = signals.wait_for(|signals| !signals.is_empty()) => {}
            }
        }
    }

    /// Completes when a second signal has come: somebody does not want to wait.
    pub(super) async fn insisted(&self) -> Stopped {
        let mut signals = self.signals.clone();
        if signals.wait_for(|signals| signals.len() > 1).await.is_err() {
            return std::future::pending().await;
        }
        Stopped { reason: "asked twice, so not at the end of a batch".to_owned() }
    }
}

#[cfg(unix)]
fn listen(sender: watch::Sender<Vec<&'static str>>, screen: Arc<Screen>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "interrupted (SIGINT)",
                _ = terminate.recv() => "asked to end (SIGTERM)",
            };
            if sender.borrow().is_empty() {
                screen.note(&format!(
                    "{name}: stopping at the end of what is at hand; once more to end at once"
                ));
            }
            sender.send_modify(|signals| signals.push(name));
        }
    });
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn listen(sender: watch::Sender<Vec<&'static str>>, screen: Arc<Screen>) -> anyhow::Result<()> {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            screen.note("interrupted: stopping at the end of what is at hand; once more to end at once");
            sender.send_modify(|signals| signals.push("interrupted"));
        }
    });
    Ok(())
}
