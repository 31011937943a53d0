//! One answer, and what holds for every problem.

use onechat_api::problem_codes;
use reqwest::{Method, Response, header::HeaderMap};
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads the answer; whatever it is, it has to be as documented.
    pub(crate) async fn read(response: Response, method: &Method, path: &str) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let answer = Self { status, headers, body: response.bytes().await.unwrap().to_vec() };
        answer.check_request_id();
        if answer.header("content-type") == "application/problem+json" {
            answer.check_problem();
        } else {
            assert!(status < 400, "a refusal that is not a problem: {answer:?}");
        }
        answer.check_is_documented(method, path);
        answer
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Asserts that this is the problem `code`, and returns its detail.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        self.json()["detail"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    fn check_request_id(&self) {
        let id = self.header("x-request-id");
        assert!((1..=64).contains(&id.len()), "{self:?}");
    }

    fn check_problem(&self) {
        let problem = self.json();
        let row = problem_codes()
            .iter()
            .find(|row| problem["code"] == row.code)
            .unwrap_or_else(|| panic!("an unknown code: {problem}"));
        assert_eq!(self.status, row.status);
        assert_eq!(problem["status"], row.status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["requestId"], self.header("x-request-id"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        let retry_after = row.retry_after_seconds.map_or(String::new(), |seconds| seconds.to_string());
        assert_eq!(self.header("retry-after"), retry_after);
        assert_eq!(self.header("www-authenticate"), if self.status == 401 { "Bearer" } else { "" });
    }

    /// Clients are generated from the document: it must not leave out an answer that they will meet.
    fn check_is_documented(&self, method: &Method, path: &str) {
        let document = serde_json::to_value(onechat_api::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let Some(template) = paths
            .keys()
            .filter(|template| matches(template, path))
            .max_by_key(|template| !template.contains('{'))
        else {
            assert!(self.status == 404 || path.starts_with("/docs"), "an undocumented path: {path} {self:?}");
            return;
        };
        let operation = &paths[template][method.as_str().to_lowercase()];
        if operation.is_null() {
            assert!(self.status == 405 || *method == Method::HEAD, "an undocumented method: {method} {path}");
            return;
        }
        let documented = &operation["responses"][self.status.to_string()];
        assert!(!documented.is_null(), "an undocumented answer to {method} {path}: {}", self.text());
        if self.status >= 400 {
            let description = documented["description"].as_str().unwrap();
            assert!(description.contains(&format!("`{}`", self.code())), "{method} {path}: {}", self.text());
        }
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(part, given)| (part.starts_with('{') && !given.is_empty()) || *part == given)
}
