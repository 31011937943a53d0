//! The race on the store itself: what HTTP would slow down or serialise reaches the store at once.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use onechat_core::{
    ChatCursor, ChatIdentity, OutcomeKind, PageSize, Participant, ParticipantSet, Proposal, ResolveError,
    Roles, StoreError,
    ports::{ChatStore, Clock, IdSource},
};
use tokio::sync::Barrier;

use crate::{
    Counts, Ended, Namespace, Report,
    cast::{Cast, PersonNo, SetNo},
    check::check,
    history::{Answer, AtRest, Request},
    latency::Operation,
    recorder::Recorder,
    report::About,
    session::all_of,
};

/// Many callers ask one store for the chat of the same two people in the same moment.
#[derive(Clone)]
pub struct StoreRace {
    /// What is raced for.
    pub store: Arc<dyn ChatStore>,
    /// The time that proposals carry.
    pub clock: Arc<dyn Clock>,
    /// Where proposals take their ids from.
    pub ids: Arc<dyn IdSource>,
    /// How many call in the same moment.
    pub callers: usize,
    /// New to the store.
    pub namespace: Namespace,
}

struct Racer {
    race: StoreRace,
    recorder: Recorder,
    set: SetNo,
    people: [PersonNo; 2],
    names: [String; 2],
}

/// Races create-or-get on a store and checks the answers, and what is there afterwards.
pub async fn store_race(race: StoreRace) -> Report {
    let mut cast = Cast::default();
    let names = ["ann", "bob"].map(|name| format!("{}{name}", race.namespace));
    let people = names.clone().map(|name| cast.person(name));
    let set = cast.set(&people);
    let (callers, namespace) = (race.callers, race.namespace.to_string());
    let racer = Arc::new(Racer { recorder: Recorder::new(Arc::new(cast)), race, set, people, names });
    let barrier = Arc::new(Barrier::new(callers));
    let began = Instant::now();
    all_of((0..callers).map(|n| {
        let (racer, barrier) = (Arc::clone(&racer), Arc::clone(&barrier));
        async move {
            barrier.wait().await;
            racer.open(n).await;
        }
    }))
    .await;
    let active = began.elapsed();
    racer.look_up().await;
    racer.read_at_rest().await;
    let Ok(racer) = Arc::try_unwrap(racer) else { unreachable!("all callers have been joined") };
    let book = racer.recorder.into_book();
    let unknown =
        book.history.exchanges.iter().filter(|e| matches!(e.answer, Answer::Unknown)).count() as u64;
    let requests = book.history.exchanges.len() as u64;
    About {
        workload: format!("{callers} callers at once, on the store itself"),
        namespace,
        seed: None,
        clients: callers,
        notes: Vec::new(),
        ended: Ended::Completed,
        counts: Counts { requests, unknown, ..Counts::of(&book.history) },
        active,
        requests_while_active: callers as u64,
    }
    .report(check(&book.history), &book.latencies)
}

impl Racer {
    async fn open(&self, n: usize) {
        let order = if n.is_multiple_of(2) { [0, 1] } else { [1, 0] };
        let participants = order.map(|index| Participant::new(self.names[index].as_str()));
        let participants = participants.map(|one| one.expect("the prover makes valid ids")).to_vec();
        let set = ParticipantSet::parse(participants.iter().map(Participant::as_str));
        let proposal = Proposal {
            identity: set.expect("the prover makes valid ids").into(),
            roles: Roles::new(participants, BTreeMap::new()),
            id: self.race.ids.chat_id(),
            now: self.race.clock.now(),
        };
        let began = self.recorder.begin();
        let asked = Instant::now();
        let outcome = self.race.store.create_or_get(proposal).await;
        let latency = asked.elapsed();
        let mut book = self.recorder.book();
        let answer = match outcome {
            Ok(outcome) => {
                book.latencies.record(Operation::Open, latency);
                let created = outcome.kind == OutcomeKind::Created;
                Answer::Chat(book.history.see_stored_chat(&outcome.chat, created))
            }
            Err(ResolveError::Collision(_)) => Answer::Collision,
            Err(ResolveError::Store(error)) => failed(&error),
        };
        let unsure = matches!(answer, Answer::Unknown);
        book.record(began, Request::Open { set: self.set, caller: self.people[n % 2] }, answer, unsure);
    }

    async fn look_up(&self) {
        let set = ParticipantSet::parse(self.names.clone()).expect("the prover makes valid ids");
        let identity = ChatIdentity::from(set);
        let began = self.recorder.begin();
        let found = self.race.store.lookup(&identity).await;
        let mut book = self.recorder.book();
        let answer = match found {
            Ok(Some(chat)) => Answer::Chat(book.history.see_stored_chat(&chat, false)),
            Ok(None) => Answer::Absent,
            Err(ResolveError::Collision(_)) => Answer::Collision,
            Err(ResolveError::Store(error)) => failed(&error),
        };
        book.record(began, Request::Lookup { set: self.set, caller: self.people[0] }, answer, false);
    }

    async fn read_at_rest(&self) {
        let mut rest = AtRest::default();
        for person in self.people {
            let began = self.recorder.begin();
            match self.chats_of(person).await {
                Ok(chats) => {
                    let history = &mut self.recorder.book().history;
                    let seen = chats.iter().map(|chat| history.see_stored_chat(chat, false)).collect();
                    rest.chats.push((person, seen));
                }
                Err(error) => {
                    rest.unread += 1;
                    let request = Request::List { caller: person };
                    self.recorder.book().record(began, request, failed(&error), false);
                }
            }
        }
        self.recorder.book().history.rest = Some(rest);
    }

    async fn chats_of(&self, person: PersonNo) -> Result<Vec<onechat_core::Chat>, StoreError> {
        let cast = Arc::clone(&self.recorder.book().history.cast);
        let mut chats = Vec::new();
        let mut after: Option<ChatCursor> = None;
        loop {
            let participant = cast.participant(person);
            let page =
                self.race.store.chats_of(participant, None, PageSize::default(), after.as_ref()).await?;
            chats.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(chats),
            }
        }
    }
}

fn failed(error: &StoreError) -> Answer {
    match error {
        StoreError::Overloaded
        | StoreError::Unavailable(_)
        | StoreError::Unprotected(_)
        | StoreError::NotMigrated(_) => Answer::Unknown,
        StoreError::Corrupt(_)
        | StoreError::Refused(_)
        | StoreError::OutsideFilter(_)
        | StoreError::RolesRequired(_)
        | StoreError::RolesUnknown(_) => Answer::Unexpected(error.to_string().into()),
    }
}
