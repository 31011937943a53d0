//! The canonical text of a chat's identity: what the unique index of every store is built on.
//!
//! The rules, with vectors for other languages, are in `docs/key-vectors/`.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{ChatIdentity, Context, ContextError, Participant, ParticipantSet, SetError};

const SEPARATOR: char = '_';
const HASH_PREFIX: &str = "%sha256:";
/// What begins the key of a chat with a context. In the `escaped` format no participant can imitate it: an escaped one
/// has `%` only before `25` and `5F`.
const CONTEXT_PREFIX: &str = "%in:";

/// How a [`ParticipantsKey`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyFormat {
    /// `%` becomes `%25` and `_` becomes `%5F` in each participant, then they are joined by `_`; a context goes before
    /// them, escaped in the same way and with `%in:` in front. Injective.
    #[default]
    Escaped,
    /// The plain join, byte-identical to JavaScript's `participants.sort().join('_')`; with a context, `%in:`, the
    /// context and `_` in front. Not injective: `["a_b","c"]` and `["a","b_c"]` share a key, so every hit has to be
    /// compared with the identity asked for.
    Joined,
}

/// A text that names no [`KeyFormat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a key format: use \"escaped\" or \"joined\"")]
pub struct UnknownKeyFormat(String);

impl KeyFormat {
    /// The name used in configuration and beside stored data.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Escaped => "escaped",
            Self::Joined => "joined",
        }
    }

    /// Whether the key of `identity` may be that of another one too, whose chat would then be refused. Of two that
    /// share a key, at least one is ambiguous.
    pub fn may_be_ambiguous(self, identity: &ChatIdentity) -> bool {
        let members = identity.participants.members().iter().map(Participant::as_str);
        let mut texts = members.chain(identity.context.iter().map(Context::as_str));
        self == Self::Joined && texts.any(|text| text.contains(SEPARATOR) || text.starts_with(CONTEXT_PREFIX))
    }
}

impl fmt::Display for KeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyFormat {
    type Err = UnknownKeyFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "escaped" => Ok(Self::Escaped),
            "joined" => Ok(Self::Joined),
            _ => Err(UnknownKeyFormat(text.to_owned())),
        }
    }
}

/// The key of one identity under one [`KeyFormat`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParticipantsKey(Box<str>);

/// Why no identity can be read from a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The key is a hash: the identity cannot be read from it.
    #[error("the key is the hash of a longer one, from which nothing can be read")]
    Hashed,
    /// The key has a `%` that starts neither `%25` nor `%5F`.
    #[error("the key is not in the escaped format: % must be followed by 25 or 5F")]
    Escape,
    /// The parts do not form a set.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The context is none.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The parts form an identity, but this is not how its key is written (order, repeats, or a long form unhashed).
    #[error("the key is not the canonical key of its participants")]
    NotCanonical,
}

impl ParticipantsKey {
    /// The longest `escaped` key that is kept as it is, in bytes; a longer one is replaced by its hash.
    pub const MAX_ESCAPED_BYTES: usize = 512;

    /// The key of `identity` in `format`.
    pub fn new(identity: &ChatIdentity, format: KeyFormat) -> Self {
        let members = identity.participants.members();
        let bytes = members.iter().map(|member| member.as_str().len() + 1).sum();
        let mut key = String::with_capacity(bytes);
        let push = match format {
            KeyFormat::Escaped => push_escaped,
            KeyFormat::Joined => String::push_str,
        };
        if let Some(context) = &identity.context {
            key.push_str(CONTEXT_PREFIX);
            push(&mut key, context.as_str());
            key.push(SEPARATOR);
        }
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                key.push(SEPARATOR);
            }
            push(&mut key, member.as_str());
        }
        if format == KeyFormat::Escaped && key.len() > Self::MAX_ESCAPED_BYTES {
            key = hashed(&key);
        }
        Self(key.into_boxed_str())
    }

    /// A key as it was stored, by this program or another. Promises nothing about its form.
    pub fn from_stored(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Reads the identity back from a key in the `escaped` format: the inverse of [`ParticipantsKey::new`].
    pub fn decode_escaped(&self) -> Result<ChatIdentity, DecodeError> {
        if self.0.starts_with(HASH_PREFIX) {
            return Err(DecodeError::Hashed);
        }
        let (context, members) = match self.0.strip_prefix(CONTEXT_PREFIX) {
            Some(rest) => {
                rest.split_once(SEPARATOR).map_or((Some(rest), ""), |(text, rest)| (Some(text), rest))
            }
            None => (None, &*self.0),
        };
        let context = context.map(unescape).transpose()?.map(Context::new).transpose()?;
        let members = members.split(SEPARATOR).map(unescape).collect::<Result<Vec<_>, _>>()?;
        let identity = ChatIdentity { participants: ParticipantSet::parse(members)?, context };
        if Self::new(&identity, KeyFormat::Escaped) != *self {
            return Err(DecodeError::NotCanonical);
        }
        Ok(identity)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ParticipantsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn push_escaped(key: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '%' => key.push_str("%25"),
            SEPARATOR => key.push_str("%5F"),
            other => key.push(other),
        }
    }
}

fn unescape(part: &str) -> Result<String, DecodeError> {
    let mut pieces = part.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("25"), piece.strip_prefix("5F")) {
            (Some(rest), _) => ('%', rest),
            (_, Some(rest)) => (SEPARATOR, rest),
            _ => return Err(DecodeError::Escape),
        };
        text.push(character);
        text.push_str(rest);
    }
    Ok(text)
}

/// No participant can imitate this: an escaped one has `%` only before `25` and `5F`.
fn hashed(long_key: &str) -> String {
    use fmt::Write as _;
    let mut key = HASH_PREFIX.to_owned();
    for byte in Sha256::digest(long_key.as_bytes()) {
        let _ = write!(key, "{byte:02x}");
    }
    key
}
