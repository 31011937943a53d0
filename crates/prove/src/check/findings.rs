//! The tally: how often each promise was put to the test, and how often it failed.

use std::collections::BTreeMap;

use onechat_core::ports::Invariant;

use super::{Violation, ViolationKind};

/// Every promise, in the order of the design.
pub(crate) const fn invariants() -> [Invariant; 7] {
    use Invariant::{I1, I2, I3, I4, I5, I6, I7};
    [I1, I2, I3, I4, I5, I6, I7]
}

#[derive(Debug, Default)]
pub(crate) struct Findings {
    observations: [u64; 7],
    violations: BTreeMap<ViolationKind, (u64, Vec<Violation>)>,
}

impl Findings {
    /// How many violations of one kind are kept in full. All are counted.
    pub(crate) const MAX_EXAMPLES: usize = 5;

    pub(super) fn observe(&mut self, invariant: Invariant) {
        self.observations[invariant as usize] += 1;
    }

    pub(super) fn add(&mut self, violation: Violation) {
        let (count, examples) = self.violations.entry(violation.kind).or_default();
        *count += 1;
        if examples.len() < Self::MAX_EXAMPLES {
            examples.push(violation);
        }
    }

    pub(crate) fn observations(&self, invariant: Invariant) -> u64 {
        self.observations[invariant as usize]
    }

    pub(crate) fn violations_of(&self, invariant: Invariant) -> u64 {
        let concerned = self.violations.iter().filter(|(kind, _)| kind.invariant() == Some(invariant));
        concerned.map(|(_, (count, _))| count).sum()
    }

    /// Every kind that was found, with how often and the first few.
    pub(crate) fn into_violations(self) -> impl Iterator<Item = (ViolationKind, u64, Vec<Violation>)> {
        self.violations.into_iter().map(|(kind, (count, examples))| (kind, count, examples))
    }

    #[cfg(test)]
    pub(super) fn kinds(&self) -> Vec<ViolationKind> {
        self.violations.keys().copied().collect()
    }
}
