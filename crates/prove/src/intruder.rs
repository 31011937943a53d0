//! What somebody tries who is not in the set. Every probe is made twice, once at a chat that exists and once at
//! nothing, because only a difference between the two answers tells the intruder anything. Intruders come with a token of their
//! own, and by a service that acts for them.

use onechat_core::ChatId;
use reqwest::Method;
use serde_json::json;

use crate::{
    cast::{PersonNo, SetNo},
    driver::Driver,
    history::{Answer, Intrusion, Request, SignIn},
    http::{Call, Reply},
    interpret,
    latency::Operation,
    seen::Refusal,
};

/// An id in the form of real ones that no chat has: its time stamp lies in 1970.
const NO_CHAT: &str = "00000000ffffffffffffffff";

impl Driver {
    pub(crate) async fn probe(&self, set: SetNo, intruder: PersonNo, how: Intrusion, by: SignIn) {
        let member = self.cast.members(set)[0];
        let Some(id) = self.chat_id(set, member).await else { return };
        let began = self.recorder.begin();
        let (foreign, nothing) = if how == Intrusion::Open {
            let members: Vec<_> = self.texts(set).collect();
            let nobody: Vec<_> = members.iter().map(|member| format!("{member}-nobody")).collect();
            let nobody: Vec<_> = nobody.iter().map(String::as_str).collect();
            (
                self.try_open(set, intruder, by, &members).await,
                self.try_open(set, intruder, by, &nobody).await,
            )
        } else {
            let nothing = ChatId::new(NO_CHAT).expect("hexadecimal digits are an id");
            (self.try_id(intruder, by, how, &id).await, self.try_id(intruder, by, how, &nothing).await)
        };
        let answer = match (foreign, nothing) {
            (Some(foreign), Some(nothing)) => Answer::Refusals { foreign, nothing },
            _ => Answer::Unknown,
        };
        let request = Request::Probe { set, intruder, how, signed_in_by: by };
        self.recorder.book().record(began, request, answer, false);
    }

    /// For `members`, about the same as the chat of `set`.
    async fn try_open(
        &self,
        set: SetNo,
        intruder: PersonNo,
        by: SignIn,
        members: &[&str],
    ) -> Option<Refusal> {
        let call = self.call(intruder, Method::POST, &["api", "chats", "create-or-get"]);
        let mut body = json!({ "participants": members });
        if let Some(context) = self.cast.context(set) {
            body["context"] = context.into();
        }
        self.attempt(Call { body: Some(body), signed_in_by: by, ..call }, None).await
    }

    async fn try_id(&self, intruder: PersonNo, by: SignIn, how: Intrusion, id: &ChatId) -> Option<Refusal> {
        let id = id.as_str();
        let chat = ["api", "chats", id];
        let messages = ["api", "chats", id, "messages"];
        let call = match how {
            Intrusion::Send => {
                let body = json!({ "text": "let me in", "clientMessageId": "intruder" });
                Call { body: Some(body), ..self.call(intruder, Method::POST, &messages) }
            }
            Intrusion::Read => self.call(intruder, Method::GET, &messages),
            Intrusion::Get | Intrusion::Open => self.call(intruder, Method::GET, &chat),
        };
        self.attempt(Call { signed_in_by: by, ..call }, Some(id)).await
    }

    async fn attempt(&self, call: Call<'_>, asked: Option<&str>) -> Option<Refusal> {
        match self.http.call(call).await {
            Reply::Answered { status, body, latency, .. } => {
                self.recorder.book().latencies.record(Operation::Intrude, latency);
                Some(interpret::refusal(status, &body, asked))
            }
            Reply::Unknown => None,
            Reply::Unsendable(reason) => Some(Refusal { status: 0, body: reason.into() }),
        }
    }
}
