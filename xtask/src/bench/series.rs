//! Figures of several rounds: their middle and their range, and what two servers had of each other in each round.

use super::wrk::Measurement;

/// A figure, once for each round, in ascending order.
#[derive(Clone, Debug)]
pub(super) struct Series(Vec<f64>);

/// The same load on two servers, round by round.
#[derive(Clone, Default)]
pub(super) struct Comparison {
    pub(super) reference: Vec<Measurement>,
    pub(super) subject: Vec<Measurement>,
}

impl Series {
    /// At least one figure.
    pub(super) fn new(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        assert!(!sorted.is_empty(), "a series has at least one figure");
        sorted.sort_unstable_by(f64::total_cmp);
        Self(sorted)
    }

    /// The one in the middle, or the mean of the two.
    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 { self.0[middle] } else { f64::midpoint(self.0[middle - 1], self.0[middle]) }
    }

    /// At most so much were this many percent of the figures: the nearest rank.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    pub(super) fn lowest(&self) -> f64 {
        self.0[0]
    }

    pub(super) fn highest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl Comparison {
    pub(super) fn push(&mut self, reference: Measurement, subject: Measurement) {
        self.reference.push(reference);
        self.subject.push(subject);
    }

    /// What the subject reached of the reference's speed, in each round for itself: what else the machine did in a
    /// round slowed both.
    pub(super) fn ratios(&self) -> Series {
        let rounds = self.reference.iter().zip(&self.subject);
        Series::new(rounds.map(|(reference, subject)| subject.requests_per_s / reference.requests_per_s))
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these figures are exact")]
mod tests {
    use super::Series;

    #[test]
    fn the_middle_and_the_range() {
        let series = Series::new([3.0, 1.0, 2.0]);
        assert_eq!((series.median(), series.lowest(), series.highest()), (2.0, 1.0, 3.0));
        assert_eq!(Series::new([1.0, 2.0]).median(), 1.5);
    }

    #[test]
    fn percentiles_are_figures_of_the_series() {
        let series = Series::new((1..=50).map(f64::from));
        assert_eq!((series.percentile(90), series.percentile(100)), (45.0, 50.0));
        assert_eq!(Series::new([7.0]).percentile(1), 7.0);
    }
}
