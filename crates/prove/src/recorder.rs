//! Where concurrent callers write down what they saw.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use onechat_core::ChatId;

use crate::{
    cast::{Cast, SetNo},
    history::{Answer, Exchange, History, Request},
    latency::Latencies,
};

pub(crate) struct Recorder(Mutex<Book>);

/// What the recorder holds.
pub(crate) struct Book {
    pub(crate) history: History,
    pub(crate) latencies: Latencies,
    /// The chat that was last handed out for a set. The last, so that both of two duplicates get used.
    pub(crate) known: HashMap<SetNo, ChatId>,
}

impl Recorder {
    pub(crate) fn new(cast: Arc<Cast>) -> Self {
        Self(Mutex::new(Book {
            history: History::new(cast),
            latencies: Latencies::default(),
            known: HashMap::new(),
        }))
    }

    /// Never held across an await: every caller waits for it.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has to be taken before the request is sent, see [`Exchange::began`].
    pub(crate) fn begin(&self) -> usize {
        self.book().history.exchanges.len()
    }

    pub(crate) fn into_book(self) -> Book {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    pub(crate) fn record(&mut self, began: usize, request: Request, answer: Answer, unsure: bool) {
        if let (Request::Open { set, .. }, Answer::Chat(seen)) = (&request, &answer) {
            self.known.insert(*set, self.history.chat_id(seen.chat).clone());
        }
        self.history.exchanges.push(Exchange { began, request, answer, unsure });
    }
}
