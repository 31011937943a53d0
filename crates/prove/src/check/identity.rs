//! One set, one chat, while all is in motion: I1, I2, I5 and I7.

use std::collections::HashMap;

use onechat_core::ports::Invariant;

use super::{Findings, Violation, ViolationKind};
use crate::{
    cast::SetNo,
    history::{Answer, Exchange, History, Request},
    seen::{ChatNo, SeenChat, Whose},
};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut sets = Sets { history, findings, seen: HashMap::new() };
    for (index, exchange) in history.exchanges.iter().enumerate() {
        sets.vanished(exchange);
        sets.exchange(index, exchange);
    }
    for (_, chats) in history.rest.iter().flat_map(|rest| &rest.chats) {
        for seen in chats {
            if let Whose::Known(set) = seen.whose {
                sets.name(set, seen.chat, None);
            }
        }
    }
    sets.creations();
}

/// Whether a chat in the list of what is about the same as `set` belongs there.
pub(super) fn other_context(
    history: &History,
    findings: &mut Findings,
    set: SetNo,
    seen: &SeenChat,
    violation: impl FnOnce() -> Violation,
) {
    findings.observe(Invariant::I5);
    if seen.whose.context(&history.cast) != history.cast.context(set) {
        let whose = seen.whose.text(&history.cast);
        let why = format!("a list that was narrowed down to a context has the chat of {whose}");
        findings.add(violation().explained(why).chat(history, seen.chat));
    }
}

struct Sets<'a> {
    history: &'a History,
    findings: &'a mut Findings,
    seen: HashMap<SetNo, Seen>,
}

/// What the answers so far say about one set.
#[derive(Default)]
struct Seen {
    /// Different ids, in the order in which they came.
    ids: Vec<ChatNo>,
    /// The index of the first answer to create-or-get.
    first_opened: Option<usize>,
    created: Vec<ChatNo>,
    /// Whether a request may have created without anybody being told.
    unsure: bool,
}

impl Sets<'_> {
    fn exchange(&mut self, index: usize, exchange: &Exchange) {
        match (&exchange.request, &exchange.answer) {
            (Request::Open { set, .. }, Answer::Chat(seen)) => {
                self.opened(*set, index, seen, exchange);
            }
            (Request::Open { set, .. }, Answer::Unknown | Answer::Unexpected(_)) => {
                self.seen.entry(*set).or_default().unsure = true;
            }
            (Request::Lookup { set, .. } | Request::Get { set, .. }, Answer::Chat(seen)) => {
                self.found(*set, seen, exchange);
            }
            (Request::List { .. } | Request::ListAbout { .. }, Answer::Chats(chats)) => {
                self.about(exchange, chats);
                for seen in chats {
                    if let Whose::Known(set) = seen.whose {
                        self.name(set, seen.chat, Some(exchange));
                    }
                }
            }
            (Request::Send { message: wanted, .. }, Answer::Sent { message, .. }) => {
                self.name(self.history.intent(*wanted).set, message.chat, Some(exchange));
            }
            _ => {}
        }
    }

    /// I5: a list that is narrowed down to a context has chats of it only.
    fn about(&mut self, exchange: &Exchange, chats: &[SeenChat]) {
        let Request::ListAbout { set, .. } = exchange.request else { return };
        for seen in chats {
            let violation = || Violation::of(self.history, ViolationKind::OtherContext, exchange);
            other_context(self.history, self.findings, set, seen, violation);
        }
    }

    /// I5: the chat belongs to exactly those who were asked for, and is about what was asked for.
    fn owned(&mut self, set: SetNo, seen: &SeenChat, exchange: &Exchange) -> bool {
        self.findings.observe(Invariant::I5);
        let owned = seen.whose == Whose::Known(set);
        if !owned {
            let whose = seen.whose.text(&self.history.cast);
            let violation = Violation::of(self.history, ViolationKind::StrangersChat, exchange)
                .explained(format!("the answer is the chat of {whose}, which is not the one asked for"))
                .chat(self.history, seen.chat);
            self.findings.add(violation);
        }
        owned
    }

    fn found(&mut self, set: SetNo, seen: &SeenChat, exchange: &Exchange) -> bool {
        let owned = self.owned(set, seen, exchange);
        if owned {
            self.name(set, seen.chat, Some(exchange));
        }
        owned
    }

    /// I1: the set is known by one id only.
    fn name(&mut self, set: SetNo, chat: ChatNo, exchange: Option<&Exchange>) {
        self.findings.observe(Invariant::I1);
        let ids = &mut self.seen.entry(set).or_default().ids;
        if ids.contains(&chat) {
            return;
        }
        ids.push(chat);
        if ids.len() > 1 {
            let violation = exchange
                .map_or_else(
                    || Violation::new(ViolationKind::TwoIds).about(self.history, set),
                    |exchange| Violation::of(self.history, ViolationKind::TwoIds, exchange),
                )
                .about(self.history, set)
                .explained("the set has been answered with two different chats")
                .chat(self.history, ids[0])
                .chat(self.history, chat);
            self.findings.add(violation);
        }
    }

    fn opened(&mut self, set: SetNo, index: usize, chat: &SeenChat, exchange: &Exchange) {
        if !self.found(set, chat, exchange) {
            return;
        }
        self.findings.observe(Invariant::I2);
        let seen = self.seen.entry(set).or_default();
        seen.unsure |= exchange.unsure;
        if chat.created {
            seen.created.push(chat.chat);
            if seen.first_opened.is_some_and(|first| first < exchange.began) {
                let violation = Violation::of(self.history, ViolationKind::CreatedLate, exchange)
                    .explained("the answer says `created`, but began after the chat had been handed out")
                    .chat(self.history, chat.chat);
                self.findings.add(violation);
            }
        }
        seen.first_opened.get_or_insert(index);
    }

    /// I7: what was handed out before the request began is there.
    fn vanished(&mut self, exchange: &Exchange) {
        let Some(set) = self.history.set_of(&exchange.request) else { return };
        let (Request::Lookup { .. } | Request::Get { .. } | Request::Read { .. } | Request::Send { .. }) =
            exchange.request
        else {
            return;
        };
        let handed_out = self.seen.get(&set).and_then(|seen| seen.first_opened);
        if handed_out.is_none_or(|index| index >= exchange.began)
            || matches!(exchange.answer, Answer::Unknown)
        {
            return;
        }
        self.findings.observe(Invariant::I7);
        if matches!(exchange.answer, Answer::Absent) {
            let mut violation = Violation::of(self.history, ViolationKind::Vanished, exchange)
                .explained("404 for a chat that had been handed out before the request began");
            for &chat in self.seen.get(&set).iter().flat_map(|seen| &seen.ids) {
                violation = violation.chat(self.history, chat);
            }
            self.findings.add(violation);
        }
    }

    /// I2: of a set that was new, exactly one was told that it created.
    fn creations(self) {
        let mut sets: Vec<_> = self.seen.into_iter().collect();
        sets.sort_unstable_by_key(|(set, _)| set.index());
        for (set, seen) in sets {
            let violation = |kind| Violation::new(kind).about(self.history, set);
            for &again in seen.created.iter().skip(1) {
                let why = "two answers for the set say `created`";
                let two = violation(ViolationKind::TwoCreated).explained(why);
                self.findings.add(two.chat(self.history, seen.created[0]).chat(self.history, again));
            }
            if seen.created.is_empty() && seen.first_opened.is_some() && !seen.unsure {
                let why = "the set was new and has a chat, but no answer says `created`";
                let nobody = violation(ViolationKind::NobodyCreated).explained(why);
                self.findings.add(seen.ids.iter().fold(nobody, |nobody, &id| nobody.chat(self.history, id)));
            }
        }
    }
}
