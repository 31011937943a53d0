//! What a history proves, and what it refutes. Pure: the same history, the same findings.

mod findings;
mod identity;
mod messages;
mod privacy;
mod rest;
#[cfg(test)]
mod tests;
mod violation;

pub(crate) use findings::{Findings, invariants};
pub use violation::{Evidence, Violation, ViolationKind};

use crate::history::{Answer, History};

/// Checks everything in a history.
pub(crate) fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    unexpected_answers(history, &mut findings);
    identity::check(history, &mut findings);
    messages::check(history, &mut findings);
    privacy::check(history, &mut findings);
    rest::check(history, &mut findings);
    findings
}

fn unexpected_answers(history: &History, findings: &mut Findings) {
    let mut ambiguous = None;
    for exchange in &history.exchanges {
        let violation = || Violation::of(history, ViolationKind::UnexpectedAnswer, exchange);
        match &exchange.answer {
            Answer::Unexpected(what) => findings.add(violation().explained(what.as_ref())),
            Answer::Collision => {
                let ambiguous = ambiguous.get_or_insert_with(|| history.cast.ambiguous_sets());
                let set = history.set_of(&exchange.request);
                if !set.is_some_and(|set| ambiguous.contains(&set)) {
                    let why = "key_collision was answered for a set whose key no other set of this run has";
                    findings.add(violation().explained(why));
                }
            }
            _ => {}
        }
    }
}
