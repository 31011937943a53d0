//! One request.

use reqwest::{Method, RequestBuilder, header};
use serde_json::Value;

use super::{Answer, tokens};

pub(crate) struct Call {
    request: RequestBuilder,
    method: Method,
    path: String,
}

impl Call {
    pub(crate) fn new(request: RequestBuilder, method: Method, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default().to_owned();
        Self { request, method, path }
    }

    fn map(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self { request: change(self.request), ..self }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.map(|request| request.json(body))
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.map(|request| request.header(header::CONTENT_TYPE, content_type).body(body))
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.map(|request| request.header(name, value))
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.map(|request| request.bearer_auth(token))
    }

    /// With a good token of `user`.
    pub(crate) fn by(self, user: &str) -> Self {
        self.token(&tokens::of(user))
    }

    /// With a token of `user` that may act for others.
    pub(crate) fn by_service(self, user: &str) -> Self {
        self.token(&tokens::of_service(user))
    }

    /// The method and the path, for the message of a failed test.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) async fn send(self) -> Answer {
        Answer::read(self.request.send().await.unwrap(), &self.method, &self.path).await
    }
}
