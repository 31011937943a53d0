//! Who is what in a new chat, for stores whose chats have a place for each participant.

use std::collections::BTreeMap;

use crate::{Participant, ParticipantSet, StoreError};

/// Who is what in a new chat, as the request says it. No part of the identity: the same people have one chat, whoever was
/// named first, and one that is there stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    in_order: Vec<Participant>,
    by_name: BTreeMap<String, Participant>,
}

impl Roles {
    /// Of a request that names the participants in this order, and these by their roles.
    pub fn new(in_order: Vec<Participant>, by_name: BTreeMap<String, Participant>) -> Self {
        Self { in_order, by_name }
    }

    /// The participants in the order in which the request names them, each once; nothing if these are others.
    pub fn in_order(&self, participants: &ParticipantSet) -> Option<Vec<&Participant>> {
        let mut first: Vec<&Participant> = Vec::with_capacity(self.in_order.len());
        for participant in &self.in_order {
            if !first.contains(&participant) {
                first.push(participant);
            }
        }
        let is_theirs = first.len() == participants.members().len()
            && first.iter().all(|participant| participants.contains(participant));
        is_theirs.then_some(first)
    }

    /// The participants by their roles; empty if the request names none.
    pub fn by_name(&self) -> &BTreeMap<String, Participant> {
        &self.by_name
    }

    /// Refuses a request that names roles where chats have none.
    pub fn ensure_none(&self) -> Result<(), StoreError> {
        if self.by_name.is_empty() {
            return Ok(());
        }
        Err(StoreError::RolesUnknown("chats have no roles here".to_owned()))
    }
}
