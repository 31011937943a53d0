//! Everything that was asked and answered in one run: all that the checks may know.
//!
//! Compact: people, sets, ids and messages are numbers, and only what is out of order is kept in full.

use std::{collections::HashMap, sync::Arc};

use onechat_core::{
    Chat, ChatId, ChatIdentity, Context, KeyFormat, MessageId, ParticipantSet, ParticipantsKey,
};

use crate::{
    cast::{Cast, PersonNo, SetNo},
    names::Names,
    seen::{ChatNo, Intent, MessageNo, Refusal, SeenChat, SeenMessage, StoredNo, What, Whose},
    wire,
};

/// One request, repeated as often as was needed, and what came of it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// How many exchanges were over when this one began: the order that the checks may rely on.
    pub(crate) began: usize,
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    /// Whether a try before the answered one had an unknown outcome.
    pub(crate) unsure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Open {
        set: SetNo,
        caller: PersonNo,
    },
    Lookup {
        set: SetNo,
        caller: PersonNo,
    },
    Get {
        set: SetNo,
        caller: PersonNo,
        chat: ChatNo,
    },
    List {
        caller: PersonNo,
    },
    /// The list of the chats that are about the same as this one.
    ListAbout {
        set: SetNo,
        caller: PersonNo,
    },
    Send {
        message: MessageNo,
        chat: ChatNo,
    },
    Read {
        set: SetNo,
        caller: PersonNo,
        chat: ChatNo,
    },
    Probe {
        set: SetNo,
        intruder: PersonNo,
        how: Intrusion,
        signed_in_by: SignIn,
    },
    ReadAtRest {
        caller: PersonNo,
        chat: ChatNo,
    },
}

/// What somebody tries who is not in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intrusion {
    Get,
    Send,
    Read,
    /// Create-or-get with `participants` that the caller is not among.
    Open,
}

/// Whose token a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignIn {
    /// The caller's own.
    ByCaller,
    /// That of a service which acts for the caller (`as`).
    ByService,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Chat(SeenChat),
    Chats(Vec<SeenChat>),
    /// A message that was sent; `created` says whether it was stored by this request.
    Sent {
        message: SeenMessage,
        created: bool,
    },
    Messages(Vec<SeenMessage>),
    /// 404.
    Absent,
    /// 409 `key_collision`.
    Collision,
    /// A probe's answer, and the answer to the same where there is nothing to see.
    Refusals {
        foreign: Refusal,
        nothing: Refusal,
    },
    /// No answer in a bounded number of tries: it may have happened or not.
    Unknown,
    /// Not what the contract allows, in words.
    Unexpected(Box<str>),
}

/// What could be read when all was over.
#[derive(Debug, Default)]
pub(crate) struct AtRest {
    /// Complete lists of chats.
    pub(crate) chats: Vec<(PersonNo, Vec<SeenChat>)>,
    /// Complete lists of the chats that are about the same as a chat.
    pub(crate) about: Vec<(PersonNo, SetNo, Vec<SeenChat>)>,
    /// Complete lists of messages.
    pub(crate) messages: Vec<(ChatNo, Whose, Vec<SeenMessage>)>,
    /// How many lists could not be read to their end.
    pub(crate) unread: u64,
}

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) cast: Arc<Cast>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) intents: Vec<Intent>,
    pub(crate) rest: Option<AtRest>,
    chats: Names<ChatId>,
    stored: Names<MessageId>,
    by_client_id: HashMap<Box<str>, MessageNo>,
}

impl History {
    pub(crate) fn new(cast: Arc<Cast>) -> Self {
        Self {
            cast,
            exchanges: Vec::new(),
            intents: Vec::new(),
            rest: None,
            chats: Names::default(),
            stored: Names::default(),
            by_client_id: HashMap::new(),
        }
    }

    pub(crate) fn intend(&mut self, intent: Intent) -> MessageNo {
        let no = MessageNo(u32::try_from(self.intents.len()).expect("fewer than 2^32 messages"));
        self.by_client_id.insert(intent.client_message_id.clone(), no);
        self.intents.push(intent);
        no
    }

    pub(crate) fn intent(&self, message: MessageNo) -> &Intent {
        &self.intents[message.index()]
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = MessageNo> {
        (0..).map(MessageNo).take(self.intents.len())
    }

    pub(crate) fn chat(&mut self, id: ChatId) -> ChatNo {
        self.chats.intern(id)
    }

    pub(crate) fn chat_id(&self, chat: ChatNo) -> &ChatId {
        self.chats.get(chat)
    }

    pub(crate) fn message_id(&self, stored: StoredNo) -> &MessageId {
        self.stored.get(stored)
    }

    /// The set that a request speaks of, if it speaks of one.
    pub(crate) fn set_of(&self, request: &Request) -> Option<SetNo> {
        match *request {
            Request::Open { set, .. }
            | Request::Lookup { set, .. }
            | Request::Get { set, .. }
            | Request::Read { set, .. }
            | Request::ListAbout { set, .. }
            | Request::Probe { set, .. } => Some(set),
            Request::Send { message, .. } => Some(self.intent(message).set),
            Request::List { .. } | Request::ReadAtRest { .. } => None,
        }
    }

    pub(crate) fn see_chat(&mut self, seen: wire::Chat) -> Result<SeenChat, String> {
        if seen.id != seen.mongoose_id {
            return Err(format!("id is {:?} and _id is {:?}", seen.id, seen.mongoose_id));
        }
        let id = ChatId::new(seen.id.as_str()).map_err(|error| error.to_string())?;
        let key = ParticipantsKey::from_stored(seen.participants_key);
        let identity = identity(&seen.participants, seen.context.as_deref());
        let keyed = identity.as_ref().is_some_and(|identity| is_key_of(&key, identity));
        let known = identity.and_then(|identity| self.cast.find_set(&identity));
        let whose = known.map_or_else(
            || Whose::Other { members: seen.participants.into(), context: seen.context.map(Into::into) },
            Whose::Known,
        );
        Ok(SeenChat { chat: self.chats.intern(id), whose, created: seen.created == Some(true), keyed })
    }

    pub(crate) fn see_stored_chat(&mut self, chat: &Chat, created: bool) -> SeenChat {
        let ChatIdentity { participants, context } = &chat.identity;
        let keyed = is_key_of(&chat.participants_key, &chat.identity);
        let known = self.cast.find_set(&chat.identity);
        let other = || Whose::Other {
            members: participants.members().iter().map(ToString::to_string).collect(),
            context: context.as_ref().map(|context| context.as_str().into()),
        };
        let whose = known.map_or_else(other, Whose::Known);
        SeenChat { chat: self.chats.intern(chat.id.clone()), whose, created, keyed }
    }

    pub(crate) fn see_message(&mut self, seen: &wire::Message) -> Result<SeenMessage, String> {
        let stored = MessageId::new(seen.id.as_str()).map_err(|error| error.to_string())?;
        let chat = ChatId::new(seen.chat_id.as_str()).map_err(|error| error.to_string())?;
        let what = self.recognise(seen);
        Ok(SeenMessage { stored: self.stored.intern(stored), chat: self.chats.intern(chat), what })
    }

    fn recognise(&self, seen: &wire::Message) -> What {
        let Some(&no) = self.by_client_id.get(seen.client_message_id.as_str()) else {
            return What::Alien(format!("{:?} by {:?}", seen.client_message_id, seen.sender).into());
        };
        let intent = self.intent(no);
        if self.cast.participant(intent.sender).as_str() == seen.sender && *intent.text == *seen.text {
            What::Intended(no)
        } else {
            What::Altered(no, format!("{:?} by {:?}", seen.text, seen.sender).into())
        }
    }
}

/// Nothing if they make none.
fn identity(participants: &[String], context: Option<&str>) -> Option<ChatIdentity> {
    let participants = ParticipantSet::parse(participants.iter().map(String::as_str)).ok()?;
    let context = context.map(Context::new).transpose().ok()?;
    Some(ChatIdentity { participants, context })
}

fn is_key_of(key: &ParticipantsKey, identity: &ChatIdentity) -> bool {
    [KeyFormat::Escaped, KeyFormat::Joined].map(|format| ParticipantsKey::new(identity, format)).contains(key)
}
