//! A moment, as precise as MongoDB and JavaScript keep one, so that it survives a move between stores.

use std::{fmt, time::Duration};

/// A moment in UTC, in whole milliseconds since 1970. Covers the years -9999 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The last moment that can be made from milliseconds. `jiff`'s own last one has a fraction of a millisecond.
    const LAST: Self = Self(jiff::Timestamp::constant(253_402_207_200, 0));

    /// The moment `ms` milliseconds after 1970, or nothing if that is outside the years -9999 to 9999.
    pub fn from_unix_ms(ms: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(ms).ok().map(Self)
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(self) -> i64 {
        self.0.as_millisecond()
    }

    /// This moment, `duration` later; the latest possible one if that is out of range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_ms(self.unix_ms().saturating_add(ms)).unwrap_or(Self::LAST)
    }
}

/// RFC 3339 in UTC with three digits of a second, as JavaScript's `Date.prototype.toISOString()` writes it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}
