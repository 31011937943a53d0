//! Who takes part in a run, and which sets of people are spoken of. Fixed before the first request.

use std::collections::{HashMap, HashSet};

use onechat_core::{KeyFormat, Participant, ParticipantSet, ParticipantsKey};

use crate::names::{Names, No};

pub(crate) type PersonNo = No<Participant>;
pub(crate) type SetNo = No<ParticipantSet>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cast {
    people: Names<Participant>,
    sets: Names<ParticipantSet>,
}

impl Cast {
    /// Adds a person by an id that is known to be valid.
    pub(crate) fn person(&mut self, id: String) -> PersonNo {
        self.people.intern(Participant::new(id).expect("the prover makes valid ids"))
    }

    pub(crate) fn set(&mut self, members: &[PersonNo]) -> SetNo {
        let members = members.iter().map(|&no| self.people.get(no).clone());
        self.sets.intern(ParticipantSet::new(members).expect("the prover makes sets of 1 to 256"))
    }

    pub(crate) fn set_and(&mut self, set: SetNo, more: PersonNo) -> SetNo {
        let mut members = self.members(set);
        members.push(more);
        self.set(&members)
    }

    pub(crate) fn participant(&self, person: PersonNo) -> &Participant {
        self.people.get(person)
    }

    pub(crate) fn participants(&self, set: SetNo) -> &ParticipantSet {
        self.sets.get(set)
    }

    /// The members, in canonical order.
    pub(crate) fn members(&self, set: SetNo) -> Vec<PersonNo> {
        let number = |member| self.people.find(member).expect("sets are made of people of the cast");
        self.participants(set).members().iter().map(number).collect()
    }

    pub(crate) fn is_member(&self, person: PersonNo, set: SetNo) -> bool {
        self.participants(set).contains(self.participant(person))
    }

    pub(crate) fn find_set(&self, set: &ParticipantSet) -> Option<SetNo> {
        self.sets.find(set)
    }

    pub(crate) fn people(&self) -> impl Iterator<Item = PersonNo> {
        self.people.iter().map(|(no, _)| no)
    }

    pub(crate) fn set_count(&self) -> usize {
        self.sets.len()
    }

    /// The sets that share their key with another one of the cast where keys are plain joins.
    pub(crate) fn ambiguous_sets(&self) -> HashSet<SetNo> {
        let mut by_key: HashMap<ParticipantsKey, Vec<SetNo>> = HashMap::new();
        for (no, set) in self.sets.iter() {
            by_key.entry(ParticipantsKey::new(set, KeyFormat::Joined)).or_default().push(no);
        }
        by_key.into_values().filter(|sets| sets.len() > 1).flatten().collect()
    }
}
