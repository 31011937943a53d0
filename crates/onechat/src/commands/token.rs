//! `token`: a token for testing, on standard output.

use anyhow::Context as _;
use onechat_core::{Participant, Timestamp};
use serde_json::json;

use crate::{
    cli::Token,
    config::{self, Settings},
    dev,
    exit::Exit,
    output::say,
    token::Minter,
};

pub(super) fn run(arguments: Token) -> anyhow::Result<Exit> {
    let Token { sources, sub, scope, ttl, json, jwt, store } = arguments;
    let mut config = config::load(&sources, Settings { store, jwt, ..Settings::default() })?;
    dev::join(&mut config)?;
    let participant = Participant::new(sub).context("--sub")?;
    let minted = Minter::new(&config.jwt)?.mint(&participant, scope.as_deref(), ttl)?;
    if json {
        let expires_at = Timestamp::from_unix_ms(minted.expires_at_unix_s.saturating_mul(1000));
        let expires_at = expires_at.context("the time is too long")?.to_string();
        let sub = participant.as_str();
        say(json!({"token": minted.token, "sub": sub, "scope": scope, "expiresAt": expires_at}))?;
    } else {
        say(minted.token)?;
    }
    Ok(Exit::Success)
}
