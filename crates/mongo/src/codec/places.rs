//! Who goes where in a new chat that has a field for each participant.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, Document};
use onechat_core::{Participant, ParticipantSet, Proposal, Roles, StoreError};

use super::Codec;
use crate::Order;

impl Codec {
    /// Refuses roles that chats do not have here, and such that do not say of everybody who is what. That is so whether or not
    /// there is a chat.
    pub(crate) fn ensure_roles_are_known(&self, proposal: &Proposal) -> Result<(), StoreError> {
        if self.mapping.order != Some(Order::Roles) {
            return proposal.roles.ensure_none();
        }
        let (fields, by_name) = (&self.mapping.fields.participants, proposal.roles.by_name());
        if by_name.is_empty() {
            return Ok(());
        }
        if by_name.len() != fields.len() || !fields.iter().all(|field| by_name.contains_key(field)) {
            return Err(StoreError::RolesUnknown(format!(
                "the roles of a chat are {}",
                fields.join(" and ")
            )));
        }
        let named: BTreeSet<&Participant> = by_name.values().collect();
        if !named.into_iter().eq(proposal.identity.participants.members().iter().collect::<BTreeSet<_>>()) {
            return Err(StoreError::RolesUnknown(format!(
                "each participant has to be {}, and nobody else",
                fields.join(" or ")
            )));
        }
        Ok(())
    }

    /// The fields of a new chat with those who are in them. Somebody alone is in all of them.
    pub(super) fn in_fields(
        &self,
        fields: &[String],
        participants: &ParticipantSet,
        roles: &Roles,
        written: impl Fn(&Participant) -> Result<Bson, StoreError>,
    ) -> Result<Document, StoreError> {
        let Some(order) = self.mapping.order else {
            return Err(StoreError::Refused(format!(
                "nothing says who of a new chat goes into {}: [mongodb] order does",
                fields.join(" and who into ")
            )));
        };
        let members: Vec<&Participant> = participants.members().iter().collect();
        let (room, count) = (fields.len(), members.len());
        let members = match (&members[..], order) {
            ([alone], _) => vec![*alone; room],
            _ if count != room => {
                return Err(StoreError::Refused(format!("chats are of {room} people here, not of {count}")));
            }
            (_, Order::Sorted) => members,
            (_, Order::Request) => roles.in_order(participants).ok_or_else(|| {
                StoreError::Refused("nothing says in which order the participants were named".to_owned())
            })?,
            (_, Order::Roles) => {
                let of = |field: &String| roles.by_name().get(field);
                let members: Option<Vec<&Participant>> = fields.iter().map(of).collect();
                members.ok_or_else(|| StoreError::RolesRequired(fields.join(" and ")))?
            }
        };
        fields.iter().cloned().zip(members).map(|(field, member)| Ok((field, written(member)?))).collect()
    }
}
