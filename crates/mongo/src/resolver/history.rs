//! Chats of old, which have no key yet: found by their participants, and given their key when somebody asks for them.

use std::{collections::HashMap, sync::Arc};

use mongodb::options::ReadConcern;
use onechat_core::{Chat, StoreError};

use super::{Resolver, Unfound};
use crate::{
    attempt::{Deadline, Pauses},
    error::Written,
    historic::{FoundBySet, Historic, Wanted},
};

/// How chats are found that their key does not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Participants,
    Previous,
}

impl Resolver {
    /// Answers what is found by participants. Returns the rest.
    pub(super) async fn look_in_history(
        self: &Arc<Self>,
        unfound: Vec<Unfound>,
        deadline: Deadline,
    ) -> Vec<Unfound> {
        self.look_back(unfound, Way::Participants, self.guard.adopts(), deadline).await
    }

    /// Answers what is found in this way. Returns the rest.
    pub(super) async fn look_back(
        self: &Arc<Self>,
        unfound: Vec<Unfound>,
        way: Way,
        adopts: bool,
        deadline: Deadline,
    ) -> Vec<Unfound> {
        let asked = unfound.iter().map(|unfound| {
            let opens = unfound.waiters.iter().any(|waiter| waiter.proposal.is_some());
            (&unfound.wanted, adopts && opens && unfound.stranger.is_none())
        });
        let found = self.chats_of_old(asked.collect(), way, deadline).await;
        let mut rest = Vec::new();
        for unfound in unfound {
            let answer = match &found {
                Ok(found) => found.get(&unfound.wanted).cloned(),
                Err(error) => Some(Err(error.clone())),
            };
            match answer {
                Some(answer) => {
                    let answer = answer.map(|chat| Some((chat, false)));
                    self.answer(&unfound.wanted, unfound.waiters, &answer);
                }
                None => rest.push(unfound),
            }
        }
        rest
    }

    /// The chats that are found in this way, adopted where that is asked for. Of those who adopt one chat at once, and
    /// of those who adopt and those who insert, the index lets one through: what stands under the key then is the
    /// answer for all.
    pub(super) async fn chats_of_old(
        &self,
        asked: Vec<(&Wanted, bool)>,
        way: Way,
        deadline: Deadline,
    ) -> Result<HashMap<Wanted, Result<Arc<Chat>, StoreError>>, StoreError> {
        let mut settled = HashMap::new();
        let mut open = asked;
        let mut pauses = Pauses::default();
        while !open.is_empty() {
            let sets: Vec<&Wanted> = open.iter().map(|(wanted, _)| *wanted).collect();
            let mut found = self.found(&sets, way, deadline).await?;
            let mut orphans = Vec::new();
            for (wanted, adopts) in open {
                match found.remove(wanted) {
                    Some(Ok(chat)) if adopts && !chat.is_keyed && chat.is_adoptable => {
                        orphans.push((wanted, chat));
                    }
                    Some(answer) => {
                        settled.insert(wanted.clone(), answer.map(|found| found.chat));
                    }
                    None => {}
                }
            }
            open = self.adopt(orphans, &mut settled, deadline).await?;
            if !open.is_empty() {
                if deadline.has_passed() {
                    self.metrics.deadline_misses.inc();
                    return Err(StoreError::Unavailable(
                        "an old chat could not be adopted in time".to_owned(),
                    ));
                }
                pauses.pause(deadline).await;
            }
        }
        Ok(settled)
    }

    async fn found(&self, sets: &[&Wanted], way: Way, deadline: Deadline) -> Result<FoundBySet, StoreError> {
        let majority = ReadConcern::majority();
        match way {
            Way::Participants => self.collections.by_participants(sets, &majority, deadline).await,
            Way::Previous => {
                let hint = self.guard.previous_hint();
                self.collections.by_previous(sets, &majority, hint.as_deref(), deadline).await
            }
        }
    }

    /// Gives the chats their keys and settles what stands under the keys then. Returns what has to be looked for again.
    async fn adopt<'a>(
        &self,
        orphans: Vec<(&'a Wanted, Historic)>,
        settled: &mut HashMap<Wanted, Result<Arc<Chat>, StoreError>>,
        deadline: Deadline,
    ) -> Result<Vec<(&'a Wanted, bool)>, StoreError> {
        if orphans.is_empty() {
            return Ok(Vec::new());
        }
        let (written, adopted) =
            self.collections.adopt(&orphans, self.guard.follows_previous(), deadline).await?;
        if adopted > 0 {
            self.metrics.adopted.inc_by(adopted);
            tracing::info!(event = "adopted", chats = adopted, "old chats were given their key");
        }
        let keys: Vec<_> = orphans.iter().map(|(wanted, _)| &wanted.key).collect();
        let found = self.find(&keys, deadline).await?;
        let in_the_way = orphans.iter().zip(&written).filter(|((wanted, _), written)| {
            matches!(written, Written::Duplicate(fields) if self.is_ours(fields))
                && !found.contains_key(&wanted.key)
        });
        let in_the_way: Vec<_> = in_the_way.map(|((wanted, _), _)| &wanted.key).collect();
        if !in_the_way.is_empty() {
            self.collections.take_from_outside(&in_the_way, deadline).await?;
        }
        let mut open = Vec::new();
        for ((wanted, orphan), written) in orphans.into_iter().zip(written) {
            let answer = match (found.get(&wanted.key), written) {
                (Some(chat), _) => chat.clone(),
                // It is there, and creating another one would be wrong whatever keeps it from having its key.
                (None, Written::Refused(why)) => {
                    tracing::warn!(event = "not_adopted", chat = %orphan.chat.id, why, "a chat cannot be given its key");
                    Ok(orphan.chat)
                }
                (None, written) if self.is_of_previous(&written) => {
                    if self.stranger_under_previous(wanted, deadline).await?.is_none() {
                        open.push((wanted, true));
                        continue;
                    }
                    tracing::warn!(
                        event = "not_adopted",
                        chat = %orphan.chat.id,
                        why = "a chat of others has its previous key",
                        "a chat cannot be given its key"
                    );
                    Ok(orphan.chat)
                }
                (None, Written::Duplicate(fields)) if !self.is_ours(&fields) => Err(self.in_the_way(&fields)),
                _ => {
                    open.push((wanted, true));
                    continue;
                }
            };
            settled.insert(wanted.clone(), answer);
        }
        Ok(open)
    }
}
