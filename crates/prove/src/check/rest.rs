//! At rest there is exactly one chat for every set that was opened, and none besides: I3.

use std::collections::{HashMap, HashSet};

use onechat_core::ports::Invariant;

use super::{Findings, Violation, ViolationKind, identity::other_context};
use crate::{
    cast::{PersonNo, SetNo},
    history::{Answer, AtRest, History, Request},
    seen::{ChatNo, SeenChat, Whose},
};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let Some(rest) = &history.rest else { return };
    let opened = Opened::of(history);
    let mut ids: HashMap<SetNo, Vec<ChatNo>> = HashMap::new();
    let mut listed: HashSet<(PersonNo, SetNo)> = HashSet::new();
    for (person, chats) in &rest.chats {
        let mut once = HashSet::new();
        for seen in chats {
            if !once.insert(seen.chat) {
                findings.add(found(history, ViolationKind::ListedTwice, *person, seen, "is there twice"));
            }
            match seen.whose {
                Whose::Known(set) if opened.maybe.contains(&set) => {
                    listed.insert((*person, set));
                    let ids = ids.entry(set).or_default();
                    if !ids.contains(&seen.chat) {
                        ids.push(seen.chat);
                    }
                    if !seen.keyed {
                        let why = "has a key that is not that of its participants and context";
                        findings.add(found(history, ViolationKind::WrongKey, *person, seen, why));
                    }
                }
                _ => findings.add(found(
                    history,
                    ViolationKind::UnexpectedChat,
                    *person,
                    seen,
                    "was opened by nobody in this run",
                )),
            }
        }
    }
    duplicates(history, findings, &ids);
    missing(history, findings, rest, &opened, &listed);
    about(history, findings, rest);
}

/// A list of one context has the chats of that context, and the one that was opened among them.
fn about(history: &History, findings: &mut Findings, rest: &AtRest) {
    for (reader, set, chats) in &rest.about {
        findings.observe(Invariant::I3);
        let name = history.cast.participant(*reader);
        for seen in chats {
            let violation = || Violation::new(ViolationKind::OtherContext).about(history, *set);
            other_context(history, findings, *set, seen, violation);
        }
        if !chats.iter().any(|seen| seen.whose == Whose::Known(*set)) {
            let why = format!(
                "the chat was handed out, but the list of {name:?} for its context does not have it at rest"
            );
            findings.add(Violation::new(ViolationKind::NotListed).about(history, *set).explained(why));
        }
    }
}

/// The sets whose chats have to be there, and those whose chats may be.
#[derive(Default)]
struct Opened {
    surely: Vec<SetNo>,
    maybe: HashSet<SetNo>,
}

impl Opened {
    fn of(history: &History) -> Self {
        let mut opened = Self::default();
        let mut surely = HashSet::new();
        for exchange in &history.exchanges {
            let Request::Open { set, .. } = exchange.request else { continue };
            match &exchange.answer {
                Answer::Chat(_) => {
                    opened.maybe.insert(set);
                    if surely.insert(set) {
                        opened.surely.push(set);
                    }
                }
                Answer::Unknown | Answer::Unexpected(_) => {
                    opened.maybe.insert(set);
                }
                _ => {}
            }
        }
        opened
    }
}

fn found(history: &History, kind: ViolationKind, person: PersonNo, seen: &SeenChat, what: &str) -> Violation {
    let reader = history.cast.participant(person);
    let mut violation = Violation::new(kind)
        .explained(format!("in the list of {reader:?}, this chat {what}"))
        .chat(history, seen.chat);
    violation.evidence.set = seen.whose.names(&history.cast);
    violation.evidence.context = seen.whose.context(&history.cast).map(ToOwned::to_owned);
    violation
}

fn duplicates(history: &History, findings: &mut Findings, ids: &HashMap<SetNo, Vec<ChatNo>>) {
    let mut several: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    several.sort_unstable_by_key(|(set, _)| set.index());
    for (&set, ids) in several {
        let why = format!("the set has {} chats at rest", ids.len());
        let violation = Violation::new(ViolationKind::TwoChats).about(history, set).explained(why);
        findings.add(ids.iter().fold(violation, |violation, &id| violation.chat(history, id)));
    }
}

/// Only members whose list was read to its end can miss something in it.
fn missing(
    history: &History,
    findings: &mut Findings,
    rest: &AtRest,
    opened: &Opened,
    listed: &HashSet<(PersonNo, SetNo)>,
) {
    let readers: HashSet<PersonNo> = rest.chats.iter().map(|(person, _)| *person).collect();
    for &set in &opened.surely {
        let mut members = history.cast.members(set);
        members.retain(|member| readers.contains(member));
        if members.is_empty() {
            continue;
        }
        findings.observe(Invariant::I3);
        for member in members.into_iter().filter(|&member| !listed.contains(&(member, set))) {
            let name = history.cast.participant(member);
            let why = format!("the chat was handed out, but the list of {name:?} does not have it at rest");
            findings.add(Violation::new(ViolationKind::NotListed).about(history, set).explained(why));
        }
    }
}
