//! Moments: their range, and how they are written. `javascript.rs` compares the writing with JavaScript's own.

use std::time::Duration;

use onechat_core::Timestamp;

/// The first and the last millisecond that a timestamp can be.
pub(crate) const RANGE_MS: std::ops::RangeInclusive<i64> = -377_705_023_201_000..=253_402_207_200_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms).expect("the moment is in range")
}

#[test]
fn is_written_as_javascript_writes_it() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_700_000_000_120, "2023-11-14T22:13:20.120Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_207_200_000, "9999-12-30T22:00:00.000Z"),
    ] {
        assert_eq!(at(ms).to_string(), text);
        assert_eq!(at(ms).unix_ms(), ms);
    }
}

#[test]
fn is_refused_out_of_range() {
    assert!(Timestamp::from_unix_ms(*RANGE_MS.start()).is_some());
    assert!(Timestamp::from_unix_ms(*RANGE_MS.end()).is_some());
    for ms in [RANGE_MS.start() - 1, RANGE_MS.end() + 1, i64::MIN, i64::MAX] {
        assert_eq!(Timestamp::from_unix_ms(ms), None, "{ms}");
    }
}

#[test]
fn adding_stops_at_the_end_of_the_range() {
    assert_eq!(at(1_000).plus(Duration::from_millis(234)), at(1_234));
    assert_eq!(at(1_000).plus(Duration::from_micros(999)), at(1_000), "less than a millisecond is dropped");
    let last = at(1_000).plus(Duration::MAX);
    assert_eq!(last.unix_ms(), *RANGE_MS.end());
    assert_eq!(last, at(*RANGE_MS.end()), "the last moment is in whole milliseconds, as any other");
}
