//! The set of people that a chat belongs to.

use crate::{Participant, ParticipantError};

/// 1 to [`ParticipantSet::MAX_MEMBERS`] participants, sorted and without repeats.
///
/// A set of one is a note to self; whether a service allows it is the service's decision, not this type's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParticipantSet(Box<[Participant]>);

/// Why some texts cannot be a [`ParticipantSet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no participant at all.
    #[error("a chat needs at least one participant")]
    Empty,
    /// There are more than [`ParticipantSet::MAX_MEMBERS`] different participants.
    #[error("a chat has at most {max} participants, these are {members}", max = ParticipantSet::MAX_MEMBERS)]
    TooMany {
        /// How many different participants were given.
        members: usize,
    },
    /// One of the texts is not a participant.
    #[error(transparent)]
    Participant(#[from] ParticipantError),
}

impl ParticipantSet {
    /// The most members a set can have.
    pub const MAX_MEMBERS: usize = 256;

    /// Sorts `members` and drops repeats.
    pub fn new(members: impl IntoIterator<Item = Participant>) -> Result<Self, SetError> {
        let mut members: Vec<Participant> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        match members.len() {
            0 => Err(SetError::Empty),
            1..=Self::MAX_MEMBERS => Ok(Self(members.into_boxed_slice())),
            members => Err(SetError::TooMany { members }),
        }
    }

    /// Checks each text, then makes the set of them.
    pub fn parse<T: Into<Box<str>>>(texts: impl IntoIterator<Item = T>) -> Result<Self, SetError> {
        let members = texts.into_iter().map(Participant::new).collect::<Result<Vec<_>, _>>()?;
        Self::new(members)
    }

    /// The members in canonical order.
    pub fn members(&self) -> &[Participant] {
        &self.0
    }

    /// Whether `participant` is a member.
    pub fn contains(&self, participant: &Participant) -> bool {
        self.0.binary_search(participant).is_ok()
    }
}
