//! Tokens, good and bad.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

pub(crate) const SECRET: &[u8] = b"a secret of the tests, long enough to be taken";

/// What the clock of a new service shows.
pub(crate) const NOW_MS: i64 = 1_769_860_800_000;
pub(crate) const NOW: i64 = NOW_MS / 1000;

/// Signed with the good secret.
pub(crate) fn with_claims(claims: &Value) -> String {
    signed(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET))
}

pub(crate) fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).unwrap()
}

pub(crate) fn claims_of(user: &str) -> Value {
    json!({ "sub": user, "exp": NOW + 3600 })
}

pub(crate) fn of(user: &str) -> String {
    with_claims(&claims_of(user))
}

pub(crate) fn of_service(user: &str) -> String {
    with_claims(&json!({ "sub": user, "exp": NOW + 3600, "scope": "openid chats:any" }))
}
