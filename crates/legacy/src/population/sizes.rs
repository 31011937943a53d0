//! How many chats and messages each set of people has: together exactly what was asked for.

use crate::{LegacyError, Shape, chance::Chance};

/// The sizes of the groups come from a chance of their own, so that they can be drawn twice: once to know their sum.
const GROUPS: u64 = 0x6772_6f75_7073;

/// What one set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) chats: u64,
    pub(super) messages: u64,
}

pub(super) struct Sizes {
    of_groups: Chance,
    groups: u64,
    sets: u64,
    messages: u64,
    largest_is_due: bool,
}

impl Sizes {
    pub(super) fn new(shape: &Shape) -> Result<Self, LegacyError> {
        let start = |seed| Self {
            of_groups: Chance::new(seed),
            groups: shape.groups,
            sets: 0,
            messages: shape.messages.saturating_sub(shape.dangling),
            largest_is_due: shape.groups >= 20,
        };
        let seed = shape.seed ^ GROUPS;
        let mut rehearsal = start(seed);
        let in_groups: u64 = (0..shape.groups).map(|_| rehearsal.group()).sum();
        shape.check(in_groups)?;
        let alone = shape.chats - in_groups - shape.malformed - 2 * shape.ambiguous;
        Ok(Self { sets: shape.groups + alone, ..start(seed) })
    }

    /// Mostly two, now and then many, once as many as there can be.
    fn group(&mut self) -> u64 {
        if std::mem::take(&mut self.largest_is_due) {
            return 50;
        }
        let range = match self.of_groups.within(0..=999) {
            0..700 => 2..=2,
            700..850 => 3..=3,
            850..930 => 4..=4,
            930..980 => 5..=9,
            980..998 => 10..=24,
            _ => 25..=50,
        };
        self.of_groups.within(range)
    }

    /// What the next set has; nothing when there have been enough.
    pub(super) fn next(&mut self, chance: &mut Chance) -> Option<Size> {
        if self.sets == 0 {
            return None;
        }
        let is_group = chance.within(1..=self.sets) <= self.groups;
        let chats = if is_group { self.group() } else { 1 };
        self.groups -= u64::from(is_group);
        let mean = self.messages / self.sets;
        let messages = match self.sets {
            1 => self.messages,
            _ => chance.within(0..=2 * mean + 1).min(self.messages),
        };
        self.sets -= 1;
        self.messages -= messages;
        Some(Size { chats, messages })
    }
}
