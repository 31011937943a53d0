//! What was promised, and whether a run kept it.

use std::fmt;

/// The promise about one figure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// How a run stands to its targets.
#[derive(Default)]
pub(super) struct Verdicts {
    pub(super) judged: usize,
    pub(super) missed: usize,
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(limit) => figure >= limit,
            Self::AtMost(limit) => figure <= limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
        }
    }
}

impl Verdicts {
    /// Counts the figure; a word for its line.
    pub(super) fn judge(&mut self, target: Target, figure: f64) -> String {
        self.judged += 1;
        if target.is_met(figure) {
            return "pass".to_owned();
        }
        self.missed += 1;
        "MISS".to_owned()
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { judged, missed } = self;
        match missed {
            0 => write!(f, "All {judged} targets are met."),
            _ => write!(f, "{missed} of {judged} targets missed."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, Verdicts};

    #[test]
    fn a_limit_itself_is_good_enough() {
        let mut verdicts = Verdicts::default();
        assert_eq!(verdicts.judge(Target::AtLeast(0.85), 0.85), "pass");
        assert_eq!(verdicts.judge(Target::AtMost(10.0), 10.0), "pass");
        assert_eq!(verdicts.to_string(), "All 2 targets are met.");
        assert_eq!(verdicts.judge(Target::AtMost(10.0), 10.1), "MISS");
        assert_eq!(verdicts.judge(Target::AtLeast(0.5), f64::NAN), "MISS");
        assert_eq!(verdicts.to_string(), "2 of 4 targets missed.");
    }
}
