//! A token bucket over documents: whoever takes more than there is leaves a debt, which the next one waits for.

use std::time::{Duration, Instant};

/// As much as a tenth of a second brings may be saved up: batches are not even, and the mean is to be the limit.
const SAVED: f64 = 0.1;

pub(super) struct Bucket {
    /// Documents that may be written; below zero, that have been written too early.
    level: f64,
    seen: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self { level: 0.0, seen: now }
    }

    /// How long until something may be taken, at this many a second. The rate may be another one each time.
    pub(super) fn wait(&mut self, rate: Option<u32>, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        self.seen = now;
        let Some(rate) = rate.map(f64::from) else {
            self.level = 0.0;
            return Duration::ZERO;
        };
        self.level = passed.mul_add(rate, self.level).min(SAVED * rate);
        if self.level >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.level / rate) }
    }

    pub(super) fn take(&mut self, documents: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
        let documents = documents as f64;
        self.level -= documents;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many seconds it takes to write these batches.
    fn seconds(bucket: &mut Bucket, now: &mut Instant, rate: Option<u32>, batches: &[u64]) -> f64 {
        let began = *now;
        for batch in batches {
            *now += bucket.wait(rate, *now);
            // The wait is rounded to nanoseconds.
            *now += bucket.wait(rate, *now);
            bucket.take(*batch);
        }
        *now += bucket.wait(rate, *now);
        // What has passed has passed at this rate, whatever the next one is.
        *now += bucket.wait(rate, *now);
        now.duration_since(began).as_secs_f64()
    }

    #[test]
    fn the_mean_is_the_limit_whatever_the_batches() {
        let (mut now, batches) = (Instant::now(), [1000, 1, 250, 3000, 749]);
        let mut bucket = Bucket::new(now);
        assert!((seconds(&mut bucket, &mut now, Some(1000), &batches) - 5.0).abs() < 0.01);
        assert!((seconds(&mut bucket, &mut now, Some(100), &[100]) - 1.0).abs() < 0.01, "a slower rate");
        assert!(seconds(&mut bucket, &mut now, None, &batches) < 0.01, "no limit");
    }

    #[test]
    fn a_rest_is_not_made_up_for_by_a_rush() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(now);
        seconds(&mut bucket, &mut now, Some(1000), &[1000]);
        now += Duration::from_hours(1);
        assert!(seconds(&mut bucket, &mut now, Some(1000), &[1000; 5]) > 4.8);
    }

    #[test]
    fn a_faster_rate_shortens_a_wait_that_has_begun() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(now);
        bucket.take(1000);
        assert_eq!(bucket.wait(Some(10), now), Duration::from_secs(100));
        now += Duration::from_secs(50);
        assert_eq!(bucket.wait(Some(5000), now), Duration::from_millis(0));
        bucket.take(1000);
        assert!(bucket.wait(Some(5000), now) < Duration::from_millis(201));
    }
}
