//! What a member of a set does: each call asks once, writes down the answer, and hands on what callers need.

use std::sync::Arc;

use onechat_core::{ChatId, Participant};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    cast::{Cast, PersonNo, SetNo},
    history::{Answer, History, Request, SignIn},
    http::{Call, Http, Reply},
    interpret,
    latency::Operation,
    plan::Form,
    recorder::Recorder,
    seen::{ChatNo, Intent, MessageNo},
};

/// How many items a list that is read in passing has.
const GLANCE: &str = "20";

pub(crate) struct Driver {
    pub(crate) http: Http,
    pub(crate) cast: Arc<Cast>,
    pub(crate) recorder: Recorder,
}

impl Driver {
    /// Opens the chat of a set; its id, if there was an answer with one.
    pub(crate) async fn open(&self, set: SetNo, caller: PersonNo, form: Form) -> Option<ChatId> {
        let call = self.call(caller, Method::POST, &["api", "chats", "create-or-get"]);
        let call = Call { body: Some(self.opening(set, caller, form)), ..call };
        let request = Request::Open { set, caller };
        self.exchange(Operation::Open, request, call, interpret::opened).await
    }

    /// The id of a set's chat: the last one handed out, or else by opening it.
    pub(crate) async fn chat_id(&self, set: SetNo, caller: PersonNo) -> Option<ChatId> {
        let known = self.recorder.book().known.get(&set).cloned();
        match known {
            Some(id) => Some(id),
            None => self.open(set, caller, Form::With).await,
        }
    }

    pub(crate) async fn lookup(&self, set: SetNo, caller: PersonNo) {
        let others = self.others(set, caller).map(|other| ("with", other.as_str()));
        let query = others.chain(self.about(set)).collect();
        let call = Call { query, ..self.call(caller, Method::GET, &["api", "chats", "lookup"]) };
        self.exchange(Operation::Lookup, Request::Lookup { set, caller }, call, interpret::chat).await;
    }

    pub(crate) async fn get(&self, set: SetNo, caller: PersonNo) {
        let Some(id) = self.chat_id(set, caller).await else { return };
        let chat = self.recorder.book().history.chat(id.clone());
        let path = ["api", "chats", id.as_str()];
        let call = self.call(caller, Method::GET, &path);
        self.exchange(Operation::Get, Request::Get { set, caller, chat }, call, interpret::chat).await;
    }

    /// Asks for the chat with an id that somebody was told once, even if another one is known by now.
    pub(crate) async fn get_back(&self, set: SetNo, caller: PersonNo, chat: ChatNo) {
        let id = self.recorder.book().history.chat_id(chat).clone();
        let path = ["api", "chats", id.as_str()];
        let call = self.call(caller, Method::GET, &path);
        self.exchange(Operation::Get, Request::Get { set, caller, chat }, call, interpret::chat).await;
    }

    pub(crate) async fn list(&self, caller: PersonNo) {
        let call = self.call(caller, Method::GET, &["api", "chats"]);
        let call = Call { query: vec![("limit", GLANCE)], ..call };
        let first_page =
            |history: &mut History, status, body: &str| interpret::chats(history, status, body).0;
        self.exchange(Operation::List, Request::List { caller }, call, first_page).await;
    }

    /// The caller's chats that are about the same as this one.
    pub(crate) async fn list_about(&self, set: SetNo, caller: PersonNo) {
        let call = self.call(caller, Method::GET, &["api", "chats"]);
        let query = [("limit", GLANCE)].into_iter().chain(self.about(set)).collect();
        let first_page =
            |history: &mut History, status, body: &str| interpret::chats(history, status, body).0;
        let request = Request::ListAbout { set, caller };
        self.exchange(Operation::List, request, Call { query, ..call }, first_page).await;
    }

    pub(crate) async fn read(&self, set: SetNo, caller: PersonNo) {
        let Some(id) = self.chat_id(set, caller).await else { return };
        let chat = self.recorder.book().history.chat(id.clone());
        let path = ["api", "chats", id.as_str(), "messages"];
        let call = self.call(caller, Method::GET, &path);
        let call = Call { query: vec![("limit", GLANCE)], ..call };
        let first_page =
            |history: &mut History, status, body: &str| interpret::messages(history, status, body).0;
        self.exchange(Operation::Read, Request::Read { set, caller, chat }, call, first_page).await;
    }

    /// Declares a message that [`Driver::send`] then sends, once or repeatedly.
    pub(crate) fn intend(&self, set: SetNo, sender: PersonNo, text: String, client_id: String) -> MessageNo {
        let intent = Intent { set, sender, text: text.into(), client_message_id: client_id.into() };
        self.recorder.book().history.intend(intent)
    }

    pub(crate) async fn send(&self, id: &ChatId, message: MessageNo) {
        let (sender, body, chat) = {
            let history = &mut self.recorder.book().history;
            let intent = history.intent(message);
            let body = json!({ "text": intent.text, "clientMessageId": intent.client_message_id });
            (intent.sender, body, history.chat(id.clone()))
        };
        let path = ["api", "chats", id.as_str(), "messages"];
        let call = Call { body: Some(body), ..self.call(sender, Method::POST, &path) };
        self.exchange(Operation::Send, Request::Send { message, chat }, call, interpret::sent).await;
    }

    pub(crate) fn call<'a>(&'a self, caller: PersonNo, method: Method, path: &'a [&'a str]) -> Call<'a> {
        Call {
            caller: self.cast.participant(caller),
            method,
            path,
            query: Vec::new(),
            body: None,
            signed_in_by: SignIn::ByCaller,
        }
    }

    async fn exchange(
        &self,
        operation: Operation,
        request: Request,
        call: Call<'_>,
        interpret: impl FnOnce(&mut History, u16, &str) -> Answer,
    ) -> Option<ChatId> {
        let began = self.recorder.begin();
        let reply = self.http.call(call).await;
        let mut book = self.recorder.book();
        let (answer, unsure) = match reply {
            Reply::Answered { status, body, latency, unsure } => {
                book.latencies.record(operation, latency);
                (interpret(&mut book.history, status, &body), unsure)
            }
            Reply::Unknown => (Answer::Unknown, true),
            Reply::Unsendable(reason) => (Answer::Unexpected(reason.into()), false),
        };
        let id = match &answer {
            Answer::Chat(seen) => Some(book.history.chat_id(seen.chat).clone()),
            _ => None,
        };
        book.record(began, request, answer, unsure);
        id
    }

    fn opening(&self, set: SetNo, caller: PersonNo, form: Form) -> Value {
        let mut body = self.opening_of_people(set, caller, form);
        if let Some(context) = self.cast.context(set) {
            body["context"] = context.into();
        }
        body
    }

    fn opening_of_people(&self, set: SetNo, caller: PersonNo, form: Form) -> Value {
        let mut members: Vec<_> = self.texts(set).collect();
        match form {
            Form::Listed => {}
            Form::Reversed => members.reverse(),
            Form::Repeated => members.push(members[0]),
            Form::With => {
                let others: Vec<_> = self.others(set, caller).map(Participant::as_str).collect();
                return json!({ "with": others });
            }
        }
        json!({ "participants": members })
    }

    /// The parameter that names the context, if there is one.
    pub(crate) fn about(&self, set: SetNo) -> impl Iterator<Item = (&str, &str)> {
        self.cast.context(set).map(|context| ("context", context)).into_iter()
    }

    pub(crate) fn texts(&self, set: SetNo) -> impl Iterator<Item = &str> {
        self.cast.participants(set).members().iter().map(Participant::as_str)
    }

    fn others(&self, set: SetNo, caller: PersonNo) -> impl Iterator<Item = &Participant> {
        let caller = self.cast.participant(caller);
        self.cast.participants(set).members().iter().filter(move |member| *member != caller)
    }
}
