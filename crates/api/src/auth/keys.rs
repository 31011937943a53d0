//! The keys that tokens are checked with. The algorithm comes from the configuration, never from a token:
//! otherwise a public key could be passed off as the secret of HS256.

use std::{fmt, str::FromStr};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, crypto,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};

/// Why keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The secret can be guessed.
    #[error(
        "the HS256 secret has {bytes} bytes and needs at least {min}: make a good one with `openssl rand -hex 32`",
        min = Keys::MIN_SECRET_BYTES
    )]
    ShortSecret {
        /// The length that was found.
        bytes: usize,
    },
    /// The RSA key can be factored.
    #[error(
        "the RSA key{} has {bits} bits and needs at least {min}: make a good one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{min}`",
        kid.as_ref().map(|kid| format!(" {kid:?}")).unwrap_or_default(),
        min = Keys::MIN_RSA_BITS
    )]
    ShortRsaKey {
        /// Its id, if it is one of a set and has one.
        kid: Option<String>,
        /// The length of its modulus, in bits.
        bits: usize,
    },
    /// The PEM text has a private key in it, which has no business on a server that only checks.
    #[error("this is a private key: give the public one, made by `openssl pkey -in KEY -pubout`")]
    PrivateKey,
    /// The PEM text is not a public key of the algorithm.
    #[error(
        "this is not a public key for {algorithm} in PEM form (it begins with -----BEGIN PUBLIC KEY-----)"
    )]
    Pem {
        /// What the key should be for.
        algorithm: PublicKeyAlgorithm,
    },
    /// The text is not a JSON Web Key Set.
    #[error("this is not a JSON Web Key Set: {reason}")]
    Jwks {
        /// What the parser found.
        reason: String,
    },
    /// The key set has no key for the algorithm.
    #[error("the JSON Web Key Set has no signature key for {algorithm}")]
    NoFittingKey {
        /// What a key was wanted for.
        algorithm: PublicKeyAlgorithm,
    },
    /// Two keys of the set have the same id.
    #[error("the JSON Web Key Set has more than one key with the id {kid:?}")]
    RepeatedKid {
        /// The id.
        kid: String,
    },
}

/// The signature algorithms for which only a public key is needed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicKeyAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on the curve P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// A text that names no [`PublicKeyAlgorithm`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a public key algorithm: use \"RS256\", \"ES256\" or \"EdDSA\"")]
pub struct UnknownAlgorithm(String);

impl PublicKeyAlgorithm {
    /// The name in the `alg` of a token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }

    fn fits(self, jwk: &Jwk) -> bool {
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => self == Self::Rs256,
            AlgorithmParameters::EllipticCurve(key) => {
                self == Self::Es256 && key.curve == EllipticCurve::P256
            }
            AlgorithmParameters::OctetKeyPair(key) => {
                self == Self::EdDsa && key.curve == EllipticCurve::Ed25519
            }
            _ => false,
        };
        let common = &jwk.common;
        kind && common.key_algorithm.is_none_or(|named| named.to_string() == self.name())
            && common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
    }
}

impl fmt::Display for PublicKeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PublicKeyAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Rs256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// What the label of every kind of private key in a PEM file ends with.
const PRIVATE: &[u8] = b"PRIVATE KEY-----";

/// One algorithm, and one or more keys for it.
pub(super) struct Keys {
    pub(super) algorithm: Algorithm,
    kind: Kind,
}

enum Kind {
    /// The only key: whatever `kid` a token names is of no interest.
    One(DecodingKey),
    /// The keys of a set, at least one, each with its `kid` if it has one.
    Set(Vec<(Option<String>, DecodingKey)>),
}

impl Keys {
    /// RFC 7518, section 3.2: a key of at least the size of the hash.
    const MIN_SECRET_BYTES: usize = 32;
    /// RFC 7518, section 3.3.
    const MIN_RSA_BITS: usize = 2048;

    pub(super) fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < Self::MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret { bytes: secret.len() });
        }
        Ok(Self { algorithm: Algorithm::HS256, kind: Kind::One(DecodingKey::from_secret(secret)) })
    }

    pub(super) fn pem(pem: &[u8], algorithm: PublicKeyAlgorithm) -> Result<Self, KeyError> {
        // The library reads a private RSA key too, and then finds no signature good.
        if pem.windows(PRIVATE.len()).any(|window| window == PRIVATE) {
            return Err(KeyError::PrivateKey);
        }
        let key = match algorithm {
            PublicKeyAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
            PublicKeyAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            PublicKeyAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
        };
        let key = key.map_err(|_| KeyError::Pem { algorithm })?;
        check_size(&key, algorithm, None)?;
        if !is_usable(&key, algorithm) {
            return Err(KeyError::Pem { algorithm });
        }
        Ok(Self { algorithm: algorithm.algorithm(), kind: Kind::One(key) })
    }

    pub(super) fn jwks(json: &[u8], algorithm: PublicKeyAlgorithm) -> Result<Self, KeyError> {
        let jwks: JwkSet =
            serde_json::from_slice(json).map_err(|error| KeyError::Jwks { reason: error.to_string() })?;
        let mut keys: Vec<(Option<String>, DecodingKey)> = Vec::new();
        for jwk in jwks.keys.iter().filter(|jwk| algorithm.fits(jwk)) {
            let kid = jwk.common.key_id.clone();
            let malformed = || KeyError::Jwks { reason: format!("the key {kid:?} is malformed") };
            let key = DecodingKey::from_jwk(jwk).map_err(|_| malformed())?;
            check_size(&key, algorithm, kid.as_deref())?;
            if !is_usable(&key, algorithm) {
                return Err(malformed());
            }
            if let Some(kid) = kid.clone().filter(|_| keys.iter().any(|(other, _)| *other == kid)) {
                return Err(KeyError::RepeatedKid { kid });
            }
            keys.push((kid, key));
        }
        if keys.is_empty() {
            return Err(KeyError::NoFittingKey { algorithm });
        }
        Ok(Self { algorithm: algorithm.algorithm(), kind: Kind::Set(keys) })
    }

    /// The key that a token says it is signed with.
    pub(super) fn choose(&self, kid: Option<&str>) -> Option<&DecodingKey> {
        let keys = match &self.kind {
            Kind::One(key) => return Some(key),
            Kind::Set(keys) => keys,
        };
        match (kid, keys.as_slice()) {
            (Some(kid), keys) => {
                keys.iter().find(|(name, _)| name.as_deref() == Some(kid)).map(|(_, key)| key)
            }
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
        }
    }
}

/// An RSA key that is too short proves nothing, as a short secret does not. Others have one size.
fn check_size(key: &DecodingKey, algorithm: PublicKeyAlgorithm, kid: Option<&str>) -> Result<(), KeyError> {
    if algorithm != PublicKeyAlgorithm::Rs256 {
        return Ok(());
    }
    let modulus = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.as_slice(),
        DecodingKeyKind::SecretOrDer(der) => {
            let key =
                pkcs1::RsaPublicKey::try_from(der.as_slice()).map_err(|_| KeyError::Pem { algorithm })?;
            key.modulus.as_bytes()
        }
    };
    let mut significant = modulus.iter().skip_while(|byte| **byte == 0);
    let bits =
        significant.next().map_or(0, |first| 8 - first.leading_zeros() as usize) + significant.count() * 8;
    if bits < Keys::MIN_RSA_BITS {
        return Err(KeyError::ShortRsaKey { kid: kid.map(str::to_owned), bits });
    }
    Ok(())
}

/// Whether the key can check any signature at all: its numbers are only looked at when it is used.
fn is_usable(key: &DecodingKey, algorithm: PublicKeyAlgorithm) -> bool {
    const ED25519_BYTES: usize = 32;
    // The library panics over an Ed25519 key of another length.
    let is_sized = algorithm != PublicKeyAlgorithm::EdDsa
        || key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == ED25519_BYTES);
    is_sized && crypto::verify("", b"", key, algorithm.algorithm()).is_ok()
}
