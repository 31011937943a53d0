//! Whether chats have contexts here: a matter of configuration, decided before the store is asked.

use std::{fmt, str::FromStr};

use onechat_core::Context;

use crate::problem::{Code, Problem};

/// Whether a request may, or has to, say what the chat is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContextPolicy {
    /// It may not: the same people have one chat. Answers show no context, unless the chat has one from other times.
    #[default]
    Off,
    /// It may: the same people have one chat for each context, and one without.
    Optional,
    /// It has to, except in lists, which it may narrow down.
    Required,
}

/// A text that names no [`ContextPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a policy for contexts: use \"off\", \"optional\" or \"required\"")]
pub struct UnknownContextPolicy(String);

impl ContextPolicy {
    const ALL: [Self; 3] = [Self::Off, Self::Optional, Self::Required];

    /// The name used in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }

    /// The context of the chat that a request is for.
    pub(crate) fn of_chat<T: Into<Box<str>>>(self, given: Option<T>) -> Result<Option<Context>, Problem> {
        if self == Self::Required && given.is_none() {
            let detail = "Give `context`: the same people have a chat for each here, and none without.";
            return Err(Problem::new(Code::ContextRequired, detail));
        }
        self.of_list(given)
    }

    /// The context to which a list is narrowed down.
    pub(crate) fn of_list<T: Into<Box<str>>>(self, given: Option<T>) -> Result<Option<Context>, Problem> {
        let Some(text) = given else { return Ok(None) };
        if self == Self::Off {
            let detail = "The request has a `context`, and contexts are not enabled here: the same people have one chat.";
            return Err(Problem::new(Code::ContextNotEnabled, detail));
        }
        let context = Context::new(text);
        context.map(Some).map_err(|error| Problem::because(Code::InvalidContext, &error))
    }
}

impl fmt::Display for ContextPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ContextPolicy {
    type Err = UnknownContextPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|policy| policy.name() == text);
        known.ok_or_else(|| UnknownContextPolicy(text.to_owned()))
    }
}
