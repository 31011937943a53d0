//! Chance, ids and times, all from one seed.

use std::ops::RangeInclusive;

use mongodb::bson::oid::ObjectId;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::value::hex;

/// The first and the last moment of the old data: the years 2021 to 2024. Whatever is written today is younger.
const FIRST_MS: i64 = 1_609_459_200_000;
const LAST_MS: i64 = 1_735_689_599_000;

pub(crate) struct Chance {
    random: ChaCha8Rng,
    made: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), made: 0 }
    }

    pub(crate) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.random.random_range(range)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    pub(crate) fn percent(&mut self, of_100: u32) -> bool {
        self.random.random_range(0..100) < of_100
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }

    /// A number that this never gives again.
    pub(crate) fn serial(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A whole second, so that an ObjectId of that moment says the same.
    pub(crate) fn moment_ms(&mut self) -> i64 {
        self.random.random_range(FIRST_MS / 1000..=LAST_MS / 1000) * 1000
    }

    /// A moment after `start_ms`, of which no two are the same within a chat.
    pub(crate) fn later_ms(&mut self, start_ms: i64) -> i64 {
        let serial = i64::try_from(self.serial() % 1000).unwrap_or_default();
        start_ms + self.random.random_range(1..=86_400) * 1000 + serial
    }

    /// The ids of one second are ordered as they were made.
    pub(crate) fn object_id(&mut self, at_ms: i64) -> ObjectId {
        let seconds = u32::try_from(at_ms.div_euclid(1000)).unwrap_or_default();
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&self.serial().to_be_bytes());
        ObjectId::from_bytes(bytes)
    }

    /// A random UUID (version 4).
    pub(crate) fn uuid(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        bytes[6] = 0x40 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        bytes
    }
}

/// As text, the way everybody writes it.
pub(crate) fn uuid_text(bytes: &[u8]) -> String {
    let hex = hex(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
