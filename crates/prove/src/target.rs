//! What is driven.

use std::sync::Arc;

use onechat_core::Participant;
use reqwest::Url;

use crate::ProveError;

/// Makes a bearer token with which the service takes the bearer for this participant.
pub type TokenMint = Arc<dyn Fn(&Participant) -> String + Send + Sync>;

/// Whether the service has contexts, by which the same people have several chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contexts {
    /// It has none, and refuses them.
    #[default]
    Off,
    /// Chats may have one: some will, and hostile ones are among them.
    Optional,
    /// Each chat has to have one.
    Required,
}

/// One service, which may be several servers on the same data.
#[derive(Clone)]
pub struct Target {
    /// Where the servers answer, at least one. Requests go round; the retry of one goes to the next server.
    pub base_urls: Vec<String>,
    /// How the prover signs in as a participant. Called for every request.
    pub tokens: TokenMint,
    /// Makes a bearer token of a service that may act for anybody, with `as`. Intruders come in this way too; without
    /// it, they come with tokens of their own only.
    pub service_token: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    /// Whether the service has contexts.
    pub contexts: Contexts,
}

impl Target {
    pub(crate) fn urls(&self) -> Result<Vec<Url>, ProveError> {
        if self.base_urls.is_empty() {
            return Err(ProveError::NoServer);
        }
        self.base_urls.iter().map(|url| base_url(url)).collect()
    }
}

fn base_url(text: &str) -> Result<Url, ProveError> {
    let bad = || ProveError::BadUrl { url: text.to_owned() };
    let url = Url::parse(text).map_err(|_| bad())?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "https" => Err(ProveError::Https { url: text.to_owned() }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(base_urls: &[&str]) -> Result<Vec<Url>, ProveError> {
        let base_urls = base_urls.iter().map(|&url| url.to_owned()).collect();
        let tokens: TokenMint = Arc::new(|_| String::new());
        Target { base_urls, tokens, service_token: None, contexts: Contexts::Off }.urls()
    }

    #[test]
    fn only_plain_http_is_driven() {
        assert_eq!(urls(&["http://127.0.0.1:8080", "http://[::1]:1/sub/"]).unwrap().len(), 2);
        assert!(matches!(urls(&[]), Err(ProveError::NoServer)));
        assert!(matches!(urls(&["localhost:8080"]), Err(ProveError::BadUrl { .. })));
        let error = urls(&["https://chat.example"]).unwrap_err();
        assert!(error.to_string().contains("plain http"), "{error}");
    }
}
