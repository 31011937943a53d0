//! The reading at rest, once nobody writes any more: every list of every person to its end, and every chat that was
//! handed out, by its id.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::Method;

use crate::{
    cast::{Cast, PersonNo, SetNo},
    history::{Answer, AtRest, History, Request},
    http::{Call, Reply},
    interpret,
    latency::Operation,
    seen::{ChatNo, SeenChat, SeenMessage, Whose},
    session::{Session, all_of},
};

/// The largest page there is.
const PAGE: &str = "100";

/// One chat that somebody's list names, and who can read it.
struct Listed {
    chat: ChatNo,
    whose: Whose,
    reader: PersonNo,
}

pub(crate) async fn read_at_rest(session: &Arc<Session>) {
    let people: Vec<_> = session.driver.cast.people().collect();
    let (chats, unread_lists) = each(session, people, |session, &person| async move {
        session.chats_of(person).await.map(|chats| (person, chats))
    })
    .await;
    let (messages, unread_chats) = each(session, listed(&chats), |session, listed| {
        let (chat, whose, reader) = (listed.chat, listed.whose.clone(), listed.reader);
        async move { session.messages_of(chat, reader).await.map(|messages| (chat, whose, messages)) }
    })
    .await;
    let opened = handed_out(&session.driver.recorder.book().history);
    let (about, unread_abouts) =
        each(session, abouts(&session.driver.cast, &opened), |session, &(reader, set)| async move {
            session.chats_about(set, reader).await.map(|chats| (reader, set, chats))
        })
        .await;
    let unread = unread_lists + unread_chats + unread_abouts + read_back(session, opened).await;
    session.driver.recorder.book().history.rest = Some(AtRest { chats, about, messages, unread });
}

/// A chat that a caller of create-or-get was told of.
struct HandedOut {
    set: SetNo,
    caller: PersonNo,
    chat: ChatNo,
}

/// Asks for every id that was ever acknowledged (I7), also where the lists have another one by now. How many got no answer.
async fn read_back(session: &Arc<Session>, handed_out: Vec<HandedOut>) -> u64 {
    let before = session.driver.recorder.book().history.exchanges.len();
    let (_, unread) = each(session, handed_out, |session, one| {
        let HandedOut { set, caller, chat } = *one;
        async move {
            session.driver.get_back(set, caller, chat).await;
            Some(())
        }
    })
    .await;
    let history = &session.driver.recorder.book().history;
    let unknown = history.exchanges[before..].iter().filter(|one| matches!(one.answer, Answer::Unknown));
    unread + unknown.count() as u64
}

fn handed_out(history: &History) -> Vec<HandedOut> {
    let mut once = HashSet::new();
    let opened =
        history.exchanges.iter().filter_map(|exchange| match (&exchange.request, &exchange.answer) {
            (&Request::Open { set, caller }, Answer::Chat(seen)) => {
                Some(HandedOut { set, caller, chat: seen.chat })
            }
            _ => None,
        });
    opened.filter(|one| once.insert((one.set, one.chat))).collect()
}

/// Each member of each chat that is about something and was handed out, with that chat.
fn abouts(cast: &Cast, opened: &[HandedOut]) -> Vec<(PersonNo, SetNo)> {
    let sets: HashSet<SetNo> =
        opened.iter().map(|one| one.set).filter(|&set| cast.context(set).is_some()).collect();
    sets.into_iter().flat_map(|set| cast.members(set).into_iter().map(move |member| (member, set))).collect()
}

fn listed(chats: &[(PersonNo, Vec<SeenChat>)]) -> Vec<Listed> {
    let mut found = HashMap::new();
    for (reader, list) in chats {
        for seen in list {
            let listed = || Listed { chat: seen.chat, whose: seen.whose.clone(), reader: *reader };
            found.entry(seen.chat).or_insert_with(listed);
        }
    }
    found.into_values().collect()
}

/// What `read` makes of each item, by all clients at once, and how many it made nothing of.
async fn each<I, O, R>(
    session: &Arc<Session>,
    items: Vec<I>,
    read: impl Fn(Arc<Session>, &I) -> R + Clone + Send + Sync + 'static,
) -> (Vec<O>, u64)
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    R: Future<Output = Option<O>> + Send,
{
    session.restart_progress();
    let total = items.len();
    let items = Arc::new(items);
    let cursor = Arc::new(AtomicUsize::new(0));
    let found = Arc::new(Mutex::new(Vec::with_capacity(total)));
    all_of((0..session.clients).map(|_| {
        let (session, items, cursor, found, read) =
            (Arc::clone(session), Arc::clone(&items), Arc::clone(&cursor), Arc::clone(&found), read.clone());
        async move {
            while let Some(item) = items.get(cursor.fetch_add(1, Ordering::Relaxed)) {
                if session.driver.http.halted() {
                    break;
                }
                if let Some(output) = read(Arc::clone(&session), item).await {
                    found.lock().unwrap_or_else(PoisonError::into_inner).push(output);
                }
                session.advance(total);
            }
        }
    }))
    .await;
    let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    let unread = (total - found.len()) as u64;
    (found, unread)
}

impl Session {
    async fn chats_of(&self, person: PersonNo) -> Option<Vec<SeenChat>> {
        let reading = Reading {
            operation: Operation::List,
            request: Request::List { caller: person },
            caller: person,
            path: &["api", "chats"],
            about: None,
            cursor: "cursor",
        };
        self.pages(reading, interpret::chats, chats).await
    }

    async fn chats_about(&self, set: SetNo, reader: PersonNo) -> Option<Vec<SeenChat>> {
        let reading = Reading {
            operation: Operation::List,
            request: Request::ListAbout { set, caller: reader },
            caller: reader,
            path: &["api", "chats"],
            about: Some(set),
            cursor: "cursor",
        };
        self.pages(reading, interpret::chats, chats).await
    }

    async fn messages_of(&self, chat: ChatNo, reader: PersonNo) -> Option<Vec<SeenMessage>> {
        let id = self.driver.recorder.book().history.chat_id(chat).clone();
        let reading = Reading {
            operation: Operation::Read,
            request: Request::ReadAtRest { caller: reader, chat },
            caller: reader,
            path: &["api", "chats", id.as_str(), "messages"],
            about: None,
            cursor: "before",
        };
        self.pages(reading, interpret::messages, |answer| match answer {
            Answer::Messages(messages) => Ok(messages),
            Answer::Absent => {
                Err(Answer::Unexpected("404 for a chat that the caller's own list names".into()))
            }
            other => Err(other),
        })
        .await
    }

    /// A whole list, or nothing if it could not be read to its end. Why is written down.
    async fn pages<T>(
        &self,
        reading: Reading<'_>,
        interpret: impl Fn(&mut History, u16, &str) -> (Answer, Option<String>),
        take: impl Fn(Answer) -> Result<Vec<T>, Answer>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let began = self.driver.recorder.begin();
            let (answer, next) = self.page(&reading, cursor.as_deref(), &interpret).await;
            let stuck = next.is_some() && next == cursor;
            let broken = match take(answer) {
                Ok(_) if stuck => Answer::Unexpected("a page's nextCursor is the cursor of that page".into()),
                Ok(items) => {
                    all.extend(items);
                    match next {
                        Some(next) => cursor = Some(next),
                        None => return Some(all),
                    }
                    continue;
                }
                Err(broken) => broken,
            };
            self.driver.recorder.book().record(began, reading.request, broken, false);
            return None;
        }
    }

    async fn page(
        &self,
        reading: &Reading<'_>,
        cursor: Option<&str>,
        interpret: impl Fn(&mut History, u16, &str) -> (Answer, Option<String>),
    ) -> (Answer, Option<String>) {
        let mut query = vec![("limit", PAGE)];
        query.extend(reading.about.into_iter().flat_map(|set| self.driver.about(set)));
        query.extend(cursor.map(|cursor| (reading.cursor, cursor)));
        let call = Call { query, ..self.driver.call(reading.caller, Method::GET, reading.path) };
        match self.driver.http.call(call).await {
            Reply::Answered { status, body, latency, .. } => {
                let mut book = self.driver.recorder.book();
                book.latencies.record(reading.operation, latency);
                interpret(&mut book.history, status, &body)
            }
            Reply::Unknown => (Answer::Unknown, None),
            Reply::Unsendable(reason) => (Answer::Unexpected(reason.into()), None),
        }
    }
}

fn chats(answer: Answer) -> Result<Vec<SeenChat>, Answer> {
    match answer {
        Answer::Chats(chats) => Ok(chats),
        other => Err(other),
    }
}

/// A list to be read to its end.
struct Reading<'a> {
    operation: Operation,
    request: Request,
    caller: PersonNo,
    path: &'a [&'a str],
    /// The chat whose context narrows the list down.
    about: Option<SetNo>,
    /// The name of the parameter that says where to go on.
    cursor: &'static str,
}
