//! `serve`: the service, until it is asked to end.

use std::time::Duration;

use onechat_core::Participant;

use super::{asked_to_end, reload_keys::Reload};
use crate::{
    cli::Serve,
    config::{self, Config, Settings, StoreUrl},
    dev,
    exit::Exit,
    logging,
    output::say,
    service::Service,
    token::Minter,
};

/// How long the token lasts that `--dev` prints: a day's work.
const DEV_TOKEN_TTL: Duration = Duration::from_hours(12);

pub(super) async fn run(arguments: Serve) -> anyhow::Result<Exit> {
    let Serve { sources, print_config, server, chats, store, jwt } = arguments;
    // From here on, also while the store is being opened, a SIGHUP is no end.
    let given = Settings { server, chats, store, jwt, ..Settings::default() };
    let reload = Reload::prepare(&sources, &given)?;
    let mut config = config::load(&sources, given)?;
    if print_config {
        say(config.to_toml()?.trim_end())?;
        return Ok(Exit::Success);
    }
    config.migrate.ensure_answered()?;
    dev::set_up(&mut config)?;
    logging::start(&config.log)?;
    let service = Service::open(&config).await?;
    let (address, store) = (service.address, shown(config.store.required()?));
    tracing::info!(event = "started", %address, store, key_format = %config.store.key_format, "onechat serves");
    if config.dev {
        print_welcome(&config, &service)?;
    }
    reload.run(service.authenticator.clone());
    let drained = service.run(asked_to_end()).await;
    if drained.aborted_connections > 0 {
        tracing::warn!(
            event = "stopped",
            aborted_connections = drained.aborted_connections,
            "stopped before every request was finished: the drain timeout has passed"
        );
    } else {
        tracing::info!(event = "stopped", "everything that was accepted is finished");
    }
    Ok(Exit::Success)
}

/// The store as the log names it: a file by its path, a database without its password.
fn shown(store: &StoreUrl) -> String {
    match store {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Mongo(url) => url.to_string(),
    }
}

fn print_welcome(config: &Config, service: &Service) -> anyhow::Result<()> {
    let url = format!("http://{}", service.address);
    let alice = Participant::new("alice")?;
    let token = Minter::new(&config.jwt)?.mint(&alice, None, DEV_TOKEN_TTL)?.token;
    let program = std::env::args().next().unwrap_or_else(|| "onechat".to_owned());
    say(format_args!(
        "onechat listens on {url}, for development only; its API can be tried at {url}/docs

A token of alice, valid for 12 hours (for others: {program} token --dev --sub bob):

{token}

Alice's chat with bob, created by the first call, the same for ever after:

curl -sS -w '\\n' {url}/api/chats/create-or-get -H 'Content-Type: application/json' -H 'Authorization: Bearer {token}' -d '{{\"with\": [\"bob\"]}}'
"
    ))
}
