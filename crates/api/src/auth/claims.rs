//! What a token says, as far as it matters here.

use std::time::Duration;

use onechat_core::{Participant, Timestamp};
use serde_json::{Map, Value};

use super::authenticator::Identity;

/// A token's payload. The claim that names the user is configured, so no fixed struct can hold it.
pub(super) type Claims = Map<String, Value>;

/// The scope that lets a token act for others.
const ANY_SCOPE: &str = "chats:any";

/// Checks the times of the claims against `now`, give or take `skew`, and reads who they speak for.
pub(super) fn identity(
    claims: &mut Claims,
    user_claim: &str,
    now: Timestamp,
    skew: Duration,
) -> Result<Identity, String> {
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 280,000 years")]
    let now = now.unix_ms() as f64 / 1000.0;
    let skew = skew.as_secs_f64();
    match time(claims, "exp")? {
        None => return Err("The token has no exp claim: tokens have to expire.".to_owned()),
        Some(expiry) if now >= expiry + skew => return Err("The token has expired.".to_owned()),
        Some(_) => {}
    }
    if time(claims, "nbf")?.is_some_and(|start| now + skew < start) {
        return Err("The token is not valid yet.".to_owned());
    }
    let may_act_for_others = match claims.get("scope") {
        Some(Value::String(scope)) => scope.split(' ').any(|scope| scope == ANY_SCOPE),
        _ => false,
    };
    let Some(Value::String(user)) = claims.remove(user_claim) else {
        return Err(format!("The token has no claim {user_claim:?} with a string in it to name the caller."));
    };
    let participant =
        Participant::new(user).map_err(|error| format!("The claim {user_claim:?}: {error}."))?;
    Ok(Identity { participant, may_act_for_others })
}

/// A time claim, in seconds since 1970; RFC 7519 allows fractions.
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, String> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| format!("The claim {name:?} of the token is not a number.")),
    }
}
