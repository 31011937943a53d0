//! Who takes part in a run, and which chats are spoken of: of which set of people, in which context. Fixed before the
//! first request.

use std::collections::{HashMap, HashSet};

use onechat_core::{ChatIdentity, Context, KeyFormat, Participant, ParticipantSet, ParticipantsKey};

use crate::{
    Contexts, Namespace,
    names::{Names, No},
};

pub(crate) type PersonNo = No<Participant>;
/// The number of a chat's identity: a set of people, in a context or in none.
pub(crate) type SetNo = No<ChatIdentity>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cast {
    people: Names<Participant>,
    sets: Names<ChatIdentity>,
    /// What a set is about that is given no context.
    everywhere: Option<Context>,
}

impl Cast {
    /// Nobody yet. Where each chat has to have a context, those that are given none get one and the same.
    pub(crate) fn new(contexts: Contexts, namespace: &Namespace) -> Self {
        let everywhere = (contexts == Contexts::Required).then(|| context(&namespace.to_string()));
        Self { everywhere, ..Self::default() }
    }

    /// Adds a person by an id that is known to be valid.
    pub(crate) fn person(&mut self, id: String) -> PersonNo {
        self.people.intern(Participant::new(id).expect("the prover makes valid ids"))
    }

    pub(crate) fn set(&mut self, members: &[PersonNo]) -> SetNo {
        self.add(members, self.everywhere.clone())
    }

    /// The same people, talking about something.
    pub(crate) fn set_about(&mut self, members: &[PersonNo], about: &str) -> SetNo {
        self.add(members, Some(context(about)))
    }

    fn add(&mut self, members: &[PersonNo], context: Option<Context>) -> SetNo {
        let members = members.iter().map(|&no| self.people.get(no).clone());
        let participants = ParticipantSet::new(members).expect("the prover makes sets of 1 to 256");
        self.sets.intern(ChatIdentity { participants, context })
    }

    pub(crate) fn set_and(&mut self, set: SetNo, more: PersonNo) -> SetNo {
        let mut members = self.members(set);
        members.push(more);
        self.add(&members, self.sets.get(set).context.clone())
    }

    pub(crate) fn participant(&self, person: PersonNo) -> &Participant {
        self.people.get(person)
    }

    pub(crate) fn identity(&self, set: SetNo) -> &ChatIdentity {
        self.sets.get(set)
    }

    pub(crate) fn participants(&self, set: SetNo) -> &ParticipantSet {
        &self.identity(set).participants
    }

    pub(crate) fn context(&self, set: SetNo) -> Option<&str> {
        self.identity(set).context.as_ref().map(Context::as_str)
    }

    /// The members, in canonical order.
    pub(crate) fn members(&self, set: SetNo) -> Vec<PersonNo> {
        let number = |member| self.people.find(member).expect("sets are made of people of the cast");
        self.participants(set).members().iter().map(number).collect()
    }

    pub(crate) fn is_member(&self, person: PersonNo, set: SetNo) -> bool {
        self.participants(set).contains(self.participant(person))
    }

    pub(crate) fn find_set(&self, identity: &ChatIdentity) -> Option<SetNo> {
        self.sets.find(identity)
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

fn context(text: &str) -> Context {
    Context::new(text).expect("the prover makes valid contexts")
}
