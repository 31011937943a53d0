//! Many new chats in a row: an import, or a launch.
//!
//! A find that finds nothing is then a third of the database's work. So only a sample of each batch is looked for, and
//! the unique index answers for the rest.

use std::sync::Arc;

use super::{Group, Missing, Resolver, State};
use crate::attempt::Deadline;

/// After how many keys in a row without a chat the next ones are expected to be new.
const EXPECTS_NEW_AFTER: usize = 200;

impl Resolver {
    /// What to look for, and what is expected to be new. The sample tells at once when chats are found again, or the
    /// index is lost.
    pub(super) fn sample(&self, mut batch: Vec<Group>) -> (Vec<Group>, Vec<Group>) {
        if !self.expects_new() {
            return (batch, Vec::new());
        }
        let rest = batch.split_off(1);
        let (expected_new, asked): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(_, group)| group.iter().all(|waiter| waiter.proposal.is_some()));
        batch.extend(asked);
        (batch, expected_new)
    }

    /// Whether an insert without a look before is right, and likely to succeed.
    fn expects_new(&self) -> bool {
        self.state().new_in_a_row >= EXPECTS_NEW_AFTER
            && !self.guard.has_history()
            && !self.guard.follows_previous()
            && !self.guard.looks_by_participants_only()
            && self.guard.refuses_chats().is_ok()
    }

    /// Chats to insert without a look, and what has to be looked for after all.
    pub(super) fn create_unlooked(
        &self,
        groups: Vec<Group>,
        deadline: Deadline,
    ) -> (Vec<Missing>, Vec<Group>) {
        if groups.is_empty() || !self.expects_new() {
            return (Vec::new(), groups);
        }
        let (mut missing, mut rest) = (Vec::new(), Vec::new());
        for (wanted, waiters) in groups {
            let proposal = waiters.first().and_then(|waiter| waiter.proposal.as_ref());
            match proposal.map(|proposal| self.proposed(&wanted, proposal)) {
                Some(Ok((chat, document))) => {
                    let chat = Arc::new(chat);
                    missing.push(Missing { wanted, chat, document, waiters, deadline, looked_for: false });
                }
                // What cannot be created may be there.
                _ => rest.push((wanted, waiters)),
            }
        }
        (missing, rest)
    }
}

impl State {
    /// Counts keys that had no chat, and starts anew with each that had one.
    pub(super) fn note_lookup(&mut self, keys: usize, all_new: bool) {
        self.new_in_a_row = if all_new { self.new_in_a_row.saturating_add(keys) } else { 0 };
    }
}
