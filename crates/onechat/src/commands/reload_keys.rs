//! SIGHUP to a server: the keys for tokens are read again, as the configuration names them then. Nothing else is.

use onechat_api::{Authenticator, AuthenticatorHandle};

use crate::{
    cli::Sources,
    config::{self, Settings},
    dev, service,
};

/// What the keys depend on: the configuration file, and what flags and environment say beside it.
pub(super) struct Reload {
    sources: Sources,
    given: Settings,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
}

impl Reload {
    /// Takes the signal, which would otherwise end the process.
    pub(super) fn prepare(sources: &Sources, given: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            sources: sources.clone(),
            given: given.clone(),
            #[cfg(unix)]
            hang_up: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Replaces the keys at every signal from now on. Keys that cannot be used change nothing.
    #[cfg(unix)]
    pub(super) fn run(mut self, in_force: AuthenticatorHandle) {
        tokio::spawn(async move {
            while self.hang_up.recv().await.is_some() {
                match self.read() {
                    Ok(authenticator) => {
                        in_force.replace(authenticator);
                        tracing::info!(
                            event = "keys_reloaded",
                            "the keys for tokens were read again, and are in force; other settings need a restart"
                        );
                    }
                    Err(error) => tracing::error!(
                        event = "keys_not_reloaded",
                        reason = format!("{error:#}"),
                        "the keys for tokens could not be read again: those from before stay in force"
                    ),
                }
            }
        });
    }

    #[cfg(not(unix))]
    pub(super) fn run(self, _in_force: AuthenticatorHandle) {}

    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no SIGHUP"))]
    fn read(&self) -> anyhow::Result<Authenticator> {
        let mut config = config::load(&self.sources, self.given.clone())?;
        dev::set_up(&mut config)?;
        service::authenticator(&config.jwt)
    }
}
