//! An acknowledged message is stored exactly once, in the chat of its set, as it was sent: I4.

use std::collections::{HashMap, HashSet};

use onechat_core::ports::Invariant;

use super::{Findings, Violation, ViolationKind};
use crate::{
    history::{Answer, AtRest, Exchange, History, Request},
    seen::{ChatNo, MessageNo, SeenMessage, StoredNo, What, Whose},
};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut acknowledged = HashMap::new();
    for exchange in &history.exchanges {
        match (&exchange.request, &exchange.answer) {
            (Request::Send { message: wanted, .. }, Answer::Sent { message, created }) => {
                findings.observe(Invariant::I4);
                sent(history, findings, exchange, *wanted, message);
                let acknowledgement = Acknowledgement { created: *created, message };
                repeated(history, findings, exchange, &mut acknowledged, *wanted, &acknowledgement);
            }
            (Request::Read { set, .. }, Answer::Messages(messages)) => {
                let place = Place { history, whose: &Whose::Known(*set), exchange: Some(exchange) };
                place.check(findings, messages);
            }
            _ => {}
        }
    }
    if let Some(rest) = &history.rest {
        at_rest(history, findings, rest, &acknowledged);
    }
}

struct Acknowledgement<'a> {
    created: bool,
    message: &'a SeenMessage,
}

/// What has been acknowledged of one message so far.
#[derive(Default)]
struct Acknowledged {
    created: bool,
    stored: Option<StoredNo>,
}

fn sent(
    history: &History,
    findings: &mut Findings,
    exchange: &Exchange,
    wanted: MessageNo,
    seen: &SeenMessage,
) {
    if seen.what != What::Intended(wanted) {
        let violation = Violation::of(history, ViolationKind::AlteredMessage, exchange)
            .explained(format!(
                "the answer is not the message that was sent: {}",
                describe(history, &seen.what)
            ))
            .id(history.message_id(seen.stored));
        findings.add(violation);
    }
}

/// All answers to one message name one stored message, and at most one says that it was stored just now.
fn repeated(
    history: &History,
    findings: &mut Findings,
    exchange: &Exchange,
    acknowledged: &mut HashMap<MessageNo, Acknowledged>,
    wanted: MessageNo,
    now: &Acknowledgement<'_>,
) {
    let before = acknowledged.entry(wanted).or_default();
    let stored = *before.stored.get_or_insert(now.message.stored);
    let why = if stored != now.message.stored {
        "the same clientMessageId was answered with two different messages"
    } else if before.created && now.created {
        "the same clientMessageId was answered with 201 twice"
    } else {
        before.created |= now.created;
        return;
    };
    let violation = Violation::of(history, ViolationKind::MessageTwice, exchange)
        .explained(why)
        .id(history.message_id(stored))
        .id(history.message_id(now.message.stored));
    findings.add(violation);
}

fn at_rest(
    history: &History,
    findings: &mut Findings,
    rest: &AtRest,
    acknowledged: &HashMap<MessageNo, Acknowledged>,
) {
    let mut found: HashMap<MessageNo, u64> = HashMap::new();
    let mut read: HashSet<ChatNo> = HashSet::new();
    for (chat, whose, messages) in &rest.messages {
        read.insert(*chat);
        Place { history, whose, exchange: None }.check(findings, messages);
        for message in messages {
            if let What::Intended(no) | What::Altered(no, _) = message.what {
                *found.entry(no).or_default() += 1;
            }
        }
    }
    for no in history.messages() {
        let intent = history.intent(no);
        let violation = |kind| Violation::new(kind).about(history, intent.set).id(&intent.client_message_id);
        let count = found.get(&no).copied().unwrap_or(0);
        if count > 1 {
            let why = format!("the message is stored {count} times at rest");
            findings.add(violation(ViolationKind::MessageTwice).explained(why));
        }
        // What could not be read is neither held nor violated: the report says how much that was.
        if !acknowledged.contains_key(&no) || (count == 0 && rest.unread > 0) {
            continue;
        }
        findings.observe(Invariant::I4);
        if count == 0 {
            let why = "the message was acknowledged and is in no chat at rest";
            findings.add(violation(ViolationKind::LostMessage).explained(why));
        }
    }
}

/// A list of messages, and whose chat it is.
struct Place<'a> {
    history: &'a History,
    whose: &'a Whose,
    exchange: Option<&'a Exchange>,
}

impl Place<'_> {
    fn check(&self, findings: &mut Findings, messages: &[SeenMessage]) {
        let mut seen = HashSet::new();
        for message in messages {
            findings.observe(Invariant::I4);
            if !seen.insert(message.stored) {
                let why = "one stored message is twice in one list".to_owned();
                findings.add(self.violation(ViolationKind::MessageTwice, message, why));
            }
            let (kind, why) = match &message.what {
                What::Alien(_) => (ViolationKind::AlienMessage, "nobody sent this message"),
                What::Altered(..) => (ViolationKind::AlteredMessage, "this is not what was sent"),
                What::Intended(no) if *self.whose != Whose::Known(self.history.intent(*no).set) => {
                    (ViolationKind::MisplacedMessage, "the message was sent to other people")
                }
                What::Intended(_) => continue,
            };
            let why = format!("{why}: {}", describe(self.history, &message.what));
            findings.add(self.violation(kind, message, why));
        }
    }

    fn violation(&self, kind: ViolationKind, message: &SeenMessage, why: String) -> Violation {
        let mut violation = match self.exchange {
            Some(exchange) => Violation::of(self.history, kind, exchange),
            None => Violation::new(kind),
        };
        violation.evidence.set = self.whose.names(&self.history.cast);
        let id = self.history.message_id(message.stored);
        violation.explained(why).chat(self.history, message.chat).id(id)
    }
}

fn describe(history: &History, what: &What) -> String {
    match what {
        What::Intended(no) => {
            let intent = history.intent(*no);
            format!("{:?} by {:?}", intent.client_message_id, history.cast.participant(intent.sender))
        }
        What::Altered(_, what) | What::Alien(what) => what.to_string(),
    }
}
