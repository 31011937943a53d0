//! Outsiders learn nothing: I6.

use onechat_core::ports::Invariant;

use super::{Findings, Violation, ViolationKind};
use crate::{
    cast::PersonNo,
    history::{Answer, Exchange, History, Intrusion, Request},
    interpret::problem_code,
    seen::{Refusal, SeenChat},
};

pub(super) fn check(history: &History, findings: &mut Findings) {
    for exchange in &history.exchanges {
        match (&exchange.request, &exchange.answer) {
            (Request::Probe { how, .. }, Answer::Refusals { foreign, nothing }) => {
                probe(history, findings, exchange, *how, foreign, nothing);
            }
            (Request::Lookup { caller, .. } | Request::Get { caller, .. }, Answer::Chat(seen)) => {
                shown(history, findings, Some(exchange), *caller, seen);
            }
            (Request::List { caller } | Request::ListAbout { caller, .. }, Answer::Chats(chats)) => {
                for seen in chats {
                    shown(history, findings, Some(exchange), *caller, seen);
                }
            }
            _ => {}
        }
    }
    let Some(rest) = &history.rest else { return };
    let about = rest.about.iter().map(|(reader, _, chats)| (reader, chats));
    for (reader, chats) in rest.chats.iter().map(|(reader, chats)| (reader, chats)).chain(about) {
        for seen in chats {
            shown(history, findings, None, *reader, seen);
        }
    }
}

fn probe(
    history: &History,
    findings: &mut Findings,
    exchange: &Exchange,
    how: Intrusion,
    foreign: &Refusal,
    nothing: &Refusal,
) {
    findings.observe(Invariant::I6);
    let Refusal { status, body } = foreign;
    let (expected, code) = match how {
        Intrusion::Open => (403, Some("not_a_participant")),
        Intrusion::Get | Intrusion::Send | Intrusion::Read => (404, None),
    };
    let refused = *status == expected && (code.is_none() || problem_code(body).as_deref() == code);
    let (kind, why) = if !refused && (200..500).contains(status) {
        (ViolationKind::Intrusion, format!("an outsider was answered {status} instead of {expected}: {body}"))
    } else if !refused {
        (ViolationKind::UnexpectedAnswer, format!("{status} instead of {expected}: {body}"))
    } else if foreign != nothing {
        let why = format!(
            "an outsider is told {status} {body} where there is a chat, and {} {} where there is none",
            nothing.status, nothing.body
        );
        (ViolationKind::ExistenceLeak, why)
    } else {
        return;
    };
    findings.add(Violation::of(history, kind, exchange).explained(why));
}

fn shown(
    history: &History,
    findings: &mut Findings,
    exchange: Option<&Exchange>,
    viewer: PersonNo,
    seen: &SeenChat,
) {
    findings.observe(Invariant::I6);
    if !seen.whose.includes(&history.cast, viewer) {
        let kind = ViolationKind::Intrusion;
        let violation = exchange
            .map_or_else(|| Violation::new(kind), |exchange| Violation::of(history, kind, exchange))
            .explained(format!(
                "{:?} was shown the chat of {}",
                history.cast.participant(viewer),
                seen.whose.text(&history.cast)
            ));
        findings.add(violation.chat(history, seen.chat));
    }
}
