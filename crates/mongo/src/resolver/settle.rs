//! What becomes of an insert that was refused, or of which nothing is known.

use std::sync::Arc;

use onechat_core::StoreError;

use super::{Missing, Resolver};
use crate::{attempt::Pauses, error::Written};

/// How often a chat is looked for that another unique index than ours seems to hold.
const LOOKS_AFTER_REFUSAL: usize = 5;

impl Resolver {
    /// Finds out about chats whose insert has settled nothing: somebody else's may be there, or ours after all.
    pub(super) async fn settle(self: Arc<Self>, mut open: Vec<(Missing, Written)>) {
        let (mut pauses, mut looks) = (Pauses::default(), 0);
        while !open.is_empty() {
            looks += 1;
            open = self.look_again(open, looks).await;
            if open.is_empty() {
                return;
            }
            self.make_way(&mut open).await;
            let Some(deadline) = open.iter().map(|(missing, _)| missing.deadline).min_by_key(|by| by.at())
            else {
                return;
            };
            pauses.pause(deadline).await;
            // What may not have been written is written again, under the same id; the others are looked for.
            let (unknown, rest): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|(_, written)| matches!(written, Written::Unknown(_)));
            open = rest;
            let unknown: Vec<Missing> = unknown.into_iter().map(|(missing, _)| missing).collect();
            open.extend(match (unknown.is_empty(), self.guard.refuses_chats()) {
                (true, _) => Vec::new(),
                (false, Ok(())) => self.insert(unknown).await,
                (false, Err(error)) => {
                    for missing in unknown {
                        self.answer(&missing.wanted, missing.waiters, &Err(error.clone()));
                    }
                    Vec::new()
                }
            });
        }
    }

    /// Answers what a majority read finds, and what has no more time. Returns the rest.
    async fn look_again(
        self: &Arc<Self>,
        open: Vec<(Missing, Written)>,
        looks: usize,
    ) -> Vec<(Missing, Written)> {
        let keys: Vec<_> = open.iter().map(|(missing, _)| &missing.wanted.key).collect();
        let deadline = open[0].0.deadline;
        self.metrics.refetches.inc();
        let found = match self.find(&keys, deadline).await {
            Ok(found) => found,
            Err(error) => {
                for (missing, _) in open {
                    self.answer(&missing.wanted, missing.waiters, &Err(error.clone()));
                }
                return Vec::new();
            }
        };
        let refused = open.iter().filter(|(missing, written)| {
            self.is_of_previous(written) && !found.contains_key(&missing.wanted.key)
        });
        let refused: Vec<&Missing> = refused.map(|(missing, _)| missing).collect();
        // What cannot be found out now is looked for again, as long as there is time.
        let winners = self.winners_by_previous(&refused, deadline).await.unwrap_or_default();
        let mut rest = Vec::new();
        for (missing, written) in open {
            let chat = found.get(&missing.wanted.key).or_else(|| winners.get(&missing.wanted));
            if let Some(chat) = chat {
                let is_ours = chat.as_ref().is_ok_and(|chat| chat.id == missing.chat.id);
                let was_missing = is_ours || missing.looked_for;
                if chat.is_ok() && !is_ours && was_missing {
                    self.metrics.lost_races.inc();
                }
                let answer = chat.clone().map(|chat| Some((chat, was_missing)));
                self.answer(&missing.wanted, missing.waiters, &answer);
                continue;
            }
            match self.verdict(&missing, &written, looks) {
                Some(error) => self.answer(&missing.wanted, missing.waiters, &Err(error)),
                None => rest.push((missing, written)),
            }
        }
        rest
    }

    /// Whether there is no point, or no time, in looking once more.
    fn verdict(&self, missing: &Missing, written: &Written, looks: usize) -> Option<StoreError> {
        let late = missing.deadline.has_passed();
        let refused = looks >= LOOKS_AFTER_REFUSAL || late;
        let why = match written {
            Written::Refused(why) => return refused.then(|| StoreError::Refused(why.clone())),
            // A document outside `only` may have the previous key, and will not give it up.
            Written::Duplicate(fields) if !self.is_ours(fields) && !self.will_show(written) => {
                return refused.then(|| self.in_the_way(fields));
            }
            Written::Duplicate(_) => {
                self.metrics.majority_waits.inc();
                "somebody else's chat is not on a majority of the members yet"
            }
            Written::Unknown(why) => why,
            Written::Stored => "it was stored",
        };
        if late {
            self.metrics.deadline_misses.inc();
        }
        late.then(|| StoreError::Unavailable(why.to_owned()))
    }

    pub(super) fn in_the_way(&self, fields: &[String]) -> StoreError {
        let name = self.guard.name_of(fields).unwrap_or_else(|| "unknown".to_owned());
        let collection = &self.collections.codec().mapping().chats;
        let fields = fields.join(", ");
        StoreError::Refused(format!(
            "the unique index {name} of {collection}, on {fields}, holds the values of the chat already"
        ))
    }

    /// Whether who has the previous key is sure to be found by it, once it is on a majority of the members.
    fn will_show(&self, written: &Written) -> bool {
        self.is_of_previous(written) && self.collections.codec().only().is_none()
    }

    /// Whether these are the fields of the index on the key. Or of `_id`: then an earlier try of ours is there.
    pub(super) fn is_ours(&self, fields: &[String]) -> bool {
        matches!(fields, [field] if field == self.collections.codec().key_field() || field == "_id")
    }
}
