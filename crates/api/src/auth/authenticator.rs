//! From the Authorization header to the one who calls.

use std::{borrow::Cow, time::Duration};

use axum::http::{HeaderMap, header};
use jsonwebtoken::{crypto, dangerous::insecure_decode_claims, decode_header};
use onechat_core::{Participant, Timestamp};

use super::{
    KeyError, PublicKeyAlgorithm,
    claims::{self, Claims},
    keys::Keys,
};
use crate::problem::{Code, Problem};

/// Checks bearer tokens (JWT): signature, times, and the claim that names the caller.
///
/// The audience (`aud`) and the issuer (`iss`) are not looked at: a key that is trusted here should sign tokens
/// for this service only.
pub struct Authenticator {
    keys: Keys,
    user_claim: String,
    clock_skew: Duration,
}

/// Who a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) participant: Participant,
    /// Whether it has the scope `chats:any`.
    pub(crate) may_act_for_others: bool,
}

impl Authenticator {
    /// Trusts tokens signed by HS256 with `secret`, which needs 32 bytes at least.
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        Keys::secret(secret).map(Self::new)
    }

    /// Trusts tokens signed by `algorithm` with the private half of the public key in `pem`.
    pub fn public_key_pem(pem: &[u8], algorithm: PublicKeyAlgorithm) -> Result<Self, KeyError> {
        Keys::pem(pem, algorithm).map(Self::new)
    }

    /// Trusts tokens signed by `algorithm` with the private half of a key in the JSON Web Key Set `json`.
    ///
    /// Keys for other purposes are passed over. A token names its key by `kid`; it may leave that out if there is
    /// only one that fits.
    pub fn jwks(json: &[u8], algorithm: PublicKeyAlgorithm) -> Result<Self, KeyError> {
        Keys::jwks(json, algorithm).map(Self::new)
    }

    fn new(keys: Keys) -> Self {
        Self { keys, user_claim: "sub".to_owned(), clock_skew: Duration::from_mins(1) }
    }

    /// Takes the caller's name from the claim `name` instead of `sub`.
    #[must_use]
    pub fn with_user_claim(self, name: impl Into<String>) -> Self {
        Self { user_claim: name.into(), ..self }
    }

    /// Forgives clocks that differ by `skew` instead of 60 seconds.
    #[must_use]
    pub fn with_clock_skew(self, skew: Duration) -> Self {
        Self { clock_skew: skew, ..self }
    }

    /// Who sent these headers.
    pub(crate) fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Identity, Problem> {
        bearer_token(headers)
            .map_err(Cow::Borrowed)
            .and_then(|token| self.verify(token, now).map_err(Cow::Owned))
            .map_err(|detail| Problem::new(Code::Unauthorized, detail))
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, String> {
        // Step by step, and not by the library's `decode`, which calls a signed token with an unexpected type of a
        // claim unsigned. Its own checks of claims are not needed: `claims` makes them, by the clock that was passed in.
        const MALFORMED: &str = "The token is malformed: it is not a signed JWT.";
        let (message, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let header = decode_header(token).map_err(|_| MALFORMED)?;
        if header.alg != self.keys.algorithm {
            return Err(
                "The token is signed with another algorithm than this service is configured for.".into()
            );
        }
        let key = self.keys.choose(header.kid.as_deref());
        let key = key.ok_or("The token's kid names no key that is trusted here.")?;
        // An error here is a signature that is not even base64.
        if !crypto::verify(signature, message.as_bytes(), key, header.alg).unwrap_or(false) {
            return Err("The token's signature is not valid.".to_owned());
        }
        if header.crit.is_some() {
            // RFC 7515, section 4.1.11: an extension that is not understood makes the token invalid.
            return Err("The token's header has crit, and no extension is supported here.".to_owned());
        }
        let mut claims: Claims =
            insecure_decode_claims(token).map_err(|_| "The token's payload is not a JSON object.")?;
        claims::identity(&mut claims, &self.user_claim, now, self.clock_skew)
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or("The Authorization header is missing.")?;
    if values.next().is_some() {
        return Err("The Authorization header is given more than once.");
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or("The Authorization header is malformed: it should be `Bearer <token>`.")?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err("The Authorization header has another scheme: it should be `Bearer <token>`.");
    }
    Ok(token.trim())
}
