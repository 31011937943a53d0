//! New ids, in the form of MongoDB's ObjectId, on every store: data can move from one store to another.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    ChatId, MessageId,
    ports::{Clock, IdSource},
};

/// Makes ids of 24 hexadecimal digits: 4 bytes of seconds, 5 of this process, 3 of a counter.
///
/// Unique as long as no two processes share their five random bytes, and one does not make more than
/// 2^24 ids in a second. Source: the ObjectId specification of MongoDB's drivers.
pub struct ObjectIdSource {
    clock: Arc<dyn Clock>,
    process: u64,
    counter: AtomicU32,
}

impl ObjectIdSource {
    /// `process` and `counter` have to be random: the former tells processes apart, the latter restarts.
    pub fn new(clock: Arc<dyn Clock>, process: [u8; 5], counter: u32) -> Self {
        let mut bytes = [0; 8];
        bytes[3..].copy_from_slice(&process);
        Self { clock, process: u64::from_be_bytes(bytes), counter: AtomicU32::new(counter) }
    }

    fn next(&self) -> String {
        let seconds = self.clock.now().unix_ms().div_euclid(1000) & 0xffff_ffff;
        let counter = self.counter.fetch_add(1, Ordering::Relaxed) & 0x00ff_ffff;
        format!("{seconds:08x}{:010x}{counter:06x}", self.process)
    }
}

impl IdSource for ObjectIdSource {
    fn chat_id(&self) -> ChatId {
        ChatId::new(self.next()).expect("24 hexadecimal digits are an id")
    }

    fn message_id(&self) -> MessageId {
        MessageId::new(self.next()).expect("24 hexadecimal digits are an id")
    }
}
