//! The real clock and the real dice: the only place that asks the system for either.

use std::sync::Arc;

use anyhow::Context as _;
use onechat_core::{
    ChatId, MessageId, ObjectIdSource, Timestamp,
    ports::{Clock, IdSource},
};
use uuid::Uuid;

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the implementation of the Clock port")]
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ms = since_1970.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Timestamp::from_unix_ms(ms).expect("the system's clock is before the year 9999")
    }
}

/// Ids that no other process makes.
pub(crate) fn id_source() -> anyhow::Result<ObjectIdSource> {
    let random: [u8; 9] = random()?;
    let [process @ .., a, b, c, d] = random;
    Ok(ObjectIdSource::new(Arc::new(SystemClock), process, u32::from_be_bytes([a, b, c, d])))
}

/// Random UUIDs for chats, where their ids are such; messages keep the store's form.
pub(crate) struct UuidSource(ObjectIdSource);

impl UuidSource {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(id_source()?))
    }
}

impl IdSource for UuidSource {
    fn chat_id(&self) -> ChatId {
        ChatId::new(Uuid::new_v4().to_string()).expect("a UUID is an id")
    }

    fn message_id(&self) -> MessageId {
        self.0.message_id()
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system has no random bytes")?;
    Ok(bytes)
}

/// `N` random bytes as hexadecimal digits.
pub(crate) fn random_hex<const N: usize>() -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * N);
    for byte in random::<N>()? {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_ids_are_random_uuids_and_messages_keep_their_form() {
        let ids = UuidSource::new().unwrap();
        let (one, other) = (ids.chat_id(), ids.chat_id());
        assert_ne!(one, other);
        assert_eq!(Uuid::parse_str(one.as_str()).unwrap().get_version_num(), 4);
        assert_eq!(one.as_str().len(), 36);
        assert_eq!(ids.message_id().as_str().len(), 24);
    }
}
