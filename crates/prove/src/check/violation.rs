//! What can be found wrong, and how it is shown.

use std::fmt;

use onechat_core::ports::Invariant;
use serde::Serialize;

use crate::{
    cast::SetNo,
    history::{Exchange, History, Request, SignIn},
    seen::ChatNo,
};

macro_rules! violation_kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $invariant:expr;)+) => {
        /// Everything that a history can refute.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ViolationKind {
            $($(#[$doc])* $variant,)+
        }

        impl ViolationKind {
            /// A stable name for programs.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The promise that is broken; none if the answer only was not what the contract allows.
            pub const fn invariant(self) -> Option<Invariant> {
                match self { $(Self::$variant => $invariant,)+ }
            }
        }
    };
}

violation_kinds! {
    /// Two answers for one set name different chats.
    TwoIds = "two_ids", Some(Invariant::I1);
    /// Two answers for one set say that they created.
    TwoCreated = "two_created", Some(Invariant::I2);
    /// A chat that had been handed out before is said to be created.
    CreatedLate = "created_late", Some(Invariant::I2);
    /// A new set has a chat, every request was answered, and none was told that it created.
    NobodyCreated = "nobody_created", Some(Invariant::I2);
    /// Two chats of one set at rest.
    TwoChats = "two_chats", Some(Invariant::I3);
    /// A chat that was handed out is in no list of one of its participants at rest.
    NotListed = "not_listed", Some(Invariant::I3);
    /// One chat twice in one list at rest.
    ListedTwice = "listed_twice", Some(Invariant::I3);
    /// A chat at rest that nobody opened.
    UnexpectedChat = "unexpected_chat", Some(Invariant::I3);
    /// A chat at rest whose key is not that of its participants.
    WrongKey = "wrong_key", Some(Invariant::I3);
    /// An acknowledged message is not in the chat of its set.
    LostMessage = "lost_message", Some(Invariant::I4);
    /// One message is stored twice.
    MessageTwice = "message_twice", Some(Invariant::I4);
    /// A message in the chat of another set.
    MisplacedMessage = "misplaced_message", Some(Invariant::I4);
    /// A message with another sender or another text than was sent.
    AlteredMessage = "altered_message", Some(Invariant::I4);
    /// A message that nobody sent.
    AlienMessage = "alien_message", Some(Invariant::I4);
    /// A chat of other people, or about something else, than was asked for.
    StrangersChat = "strangers_chat", Some(Invariant::I5);
    /// A chat about something else in a list of one context.
    OtherContext = "other_context", Some(Invariant::I5);
    /// Somebody who is not in a set was shown something of it.
    Intrusion = "intrusion", Some(Invariant::I6);
    /// An outsider can tell from an answer whether a chat exists.
    ExistenceLeak = "existence_leak", Some(Invariant::I6);
    /// A chat that was handed out is not found afterwards.
    Vanished = "vanished", Some(Invariant::I7);
    /// An answer that the contract does not allow.
    UnexpectedAnswer = "unexpected_answer", None;
}

impl Serialize for ViolationKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What kind of thing.
    pub kind: ViolationKind,
    /// What is wrong here, in one sentence.
    pub explanation: String,
    /// Where to look.
    pub evidence: Evidence,
}

/// What a violation was seen by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The participants of the set in question.
    pub set: Vec<String>,
    /// What their chat is about, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The ids of chats and messages in question.
    pub ids: Vec<String>,
    /// The request whose answer shows it; empty if the reading at rest shows it.
    pub request: String,
}

impl Violation {
    pub(super) fn new(kind: ViolationKind) -> Self {
        Self { kind, explanation: String::new(), evidence: Evidence::default() }
    }

    pub(super) fn of(history: &History, kind: ViolationKind, exchange: &Exchange) -> Self {
        let violation = Self::new(kind).asked(describe(history, &exchange.request));
        match history.set_of(&exchange.request) {
            Some(set) => violation.about(history, set),
            None => violation,
        }
    }

    pub(super) fn explained(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = explanation.into();
        self
    }

    pub(super) fn about(mut self, history: &History, set: SetNo) -> Self {
        self.evidence.set = names(history, set);
        self.evidence.context = history.cast.context(set).map(ToOwned::to_owned);
        self
    }

    pub(super) fn chat(mut self, history: &History, chat: ChatNo) -> Self {
        self.evidence.ids.push(history.chat_id(chat).to_string());
        self
    }

    pub(super) fn id(mut self, id: &impl ToString) -> Self {
        self.evidence.ids.push(id.to_string());
        self
    }

    fn asked(mut self, request: String) -> Self {
        self.evidence.request = request;
        self
    }
}

fn names(history: &History, set: SetNo) -> Vec<String> {
    history.cast.participants(set).members().iter().map(ToString::to_string).collect()
}

fn describe(history: &History, request: &Request) -> String {
    let name = |person| history.cast.participant(person);
    match *request {
        Request::Open { caller, .. } => format!("create-or-get by {:?}", name(caller)),
        Request::Lookup { caller, .. } => format!("lookup by {:?}", name(caller)),
        Request::Get { caller, chat, .. } => {
            format!("get of {} by {:?}", history.chat_id(chat), name(caller))
        }
        Request::List { caller } => format!("list of the chats of {:?}", name(caller)),
        Request::ListAbout { set, caller } => {
            let context = history.cast.context(set).unwrap_or_default();
            format!("list of the chats of {:?} about {context:?}", name(caller))
        }
        Request::Send { message, chat } => {
            let intent = history.intent(message);
            let (id, sender) = (&intent.client_message_id, name(intent.sender));
            format!("send of {id:?} to {} by {sender:?}", history.chat_id(chat))
        }
        Request::Read { caller, chat, .. } | Request::ReadAtRest { caller, chat } => {
            format!("messages of {} by {:?}", history.chat_id(chat), name(caller))
        }
        Request::Probe { intruder, how, signed_in_by, .. } => {
            let by_as =
                if signed_in_by == SignIn::ByService { ", by a service's token and `as`" } else { "" };
            format!("{} by the outsider {:?}{by_as}", format!("{how:?}").to_lowercase(), name(intruder))
        }
    }
}
