//! What an answer shows: a chat, a message, a refusal. Numbers for what is known, words for what is out of order.

use onechat_core::{ChatId, MessageId};

use crate::{
    cast::{Cast, PersonNo, SetNo},
    names::No,
};

pub(crate) type ChatNo = No<ChatId>;
pub(crate) type StoredNo = No<MessageId>;

/// The number of an [`Intent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MessageNo(pub(crate) u32);

impl MessageNo {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A message that was to be sent, in one request or several.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) set: SetNo,
    pub(crate) sender: PersonNo,
    pub(crate) text: Box<str>,
    pub(crate) client_message_id: Box<str>,
}

/// An answer without what may differ between any two: the request's id, and the id that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Box<str>,
}

#[derive(Debug, Clone)]
pub(crate) struct SeenChat {
    pub(crate) chat: ChatNo,
    pub(crate) whose: Whose,
    /// Only create-or-get says so.
    pub(crate) created: bool,
    /// Whether the key is that of the participants and the context, in either format.
    pub(crate) keyed: bool,
}

/// The participants and the context of a chat, as the answer gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    Known(SetNo),
    Other { members: Box<[String]>, context: Option<Box<str>> },
}

#[derive(Debug, Clone)]
pub(crate) struct SeenMessage {
    pub(crate) stored: StoredNo,
    pub(crate) chat: ChatNo,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// One of ours: sender, text and client's id are what was sent.
    Intended(MessageNo),
    /// One of ours by the client's id, but by somebody else or with another text.
    Altered(MessageNo, Box<str>),
    /// None of ours.
    Alien(Box<str>),
}

impl Whose {
    pub(crate) fn includes(&self, cast: &Cast, person: PersonNo) -> bool {
        match self {
            Self::Known(set) => cast.is_member(person, *set),
            Self::Other { members, .. } => {
                members.iter().any(|member| cast.participant(person).as_str() == member.as_str())
            }
        }
    }

    pub(crate) fn names(&self, cast: &Cast) -> Vec<String> {
        match self {
            Self::Known(set) => cast.participants(*set).members().iter().map(ToString::to_string).collect(),
            Self::Other { members, .. } => members.to_vec(),
        }
    }

    pub(crate) fn context<'a>(&'a self, cast: &'a Cast) -> Option<&'a str> {
        match self {
            Self::Known(set) => cast.context(*set),
            Self::Other { context, .. } => context.as_deref(),
        }
    }

    /// In words: who, and what about.
    pub(crate) fn text(&self, cast: &Cast) -> String {
        let names = self.names(cast);
        match self.context(cast) {
            Some(context) => format!("{names:?} about {context:?}"),
            None => format!("{names:?}"),
        }
    }
}
