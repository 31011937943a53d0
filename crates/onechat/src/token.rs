//! Tokens for testing. A production service gets its tokens from whoever signs users in.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jsonwebtoken::{EncodingKey, Header};
use onechat_core::{Participant, ports::Clock};
use serde_json::{Map, Value};

use crate::{
    ambient::SystemClock,
    config::{JwtConfig, JwtKey},
};

/// Signs tokens as the configuration expects them.
#[derive(Clone)]
pub(crate) struct Minter {
    key: EncodingKey,
    user_claim: String,
}

/// A token and what it says.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) expires_at_unix_s: i64,
}

impl Minter {
    /// Only a secret can sign; public keys can only check.
    pub(crate) fn new(jwt: &JwtConfig) -> anyhow::Result<Self> {
        match &jwt.key {
            JwtKey::Secret(secret) => {
                onechat_api::Authenticator::hs256(secret.as_bytes())?;
                Ok(Self {
                    key: EncodingKey::from_secret(secret.as_bytes()),
                    user_claim: jwt.user_claim.clone(),
                })
            }
            JwtKey::Missing => bail!(
                "no secret to sign with: set ONECHAT_JWT_SECRET to that of the server, or use --dev for that of `serve --dev`"
            ),
            JwtKey::PublicKey { .. } | JwtKey::Jwks { .. } => {
                bail!(
                    "tokens are checked with a public key here, which cannot sign: get a token from who holds the private key"
                )
            }
        }
    }

    pub(crate) fn mint(
        &self,
        sub: &Participant,
        scope: Option<&str>,
        ttl: Duration,
    ) -> anyhow::Result<Minted> {
        let now_s = SystemClock.now().unix_ms() / 1000;
        let ttl_s = i64::try_from(ttl.as_secs()).context("the time is too long")?;
        let expires_at_unix_s = now_s.checked_add(ttl_s).context("the time is too long")?;
        let mut claims = Map::new();
        claims.insert(self.user_claim.clone(), Value::from(sub.as_str()));
        claims.insert("iat".to_owned(), Value::from(now_s));
        claims.insert("exp".to_owned(), Value::from(expires_at_unix_s));
        if let Some(scope) = scope {
            claims.insert("scope".to_owned(), Value::from(scope));
        }
        let token = jsonwebtoken::encode(&Header::default(), &claims, &self.key)?;
        Ok(Minted { token, expires_at_unix_s })
    }
}
