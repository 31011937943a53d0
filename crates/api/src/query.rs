//! Query parameters, strictly: what is not UTF-8 is refused rather than replaced, since replacing it could make
//! one participant of two.

use std::{borrow::Cow, str::FromStr};

use axum::http::Uri;
use onechat_core::PageSize;
use percent_encoding::percent_decode_str;

use crate::problem::{Code, Problem};

/// The parameters of one request, in order, decoded.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn of(uri: &'a Uri) -> Result<Self, Problem> {
        let parts = uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::new(
                Code::InvalidRequest,
                format!("The parameter {name} is given more than once."),
            )),
            (value, None) => Ok(value),
        }
    }

    /// A position in a list, as an earlier page gave it.
    pub(crate) fn cursor<C>(&self, name: &str) -> Result<Option<C>, Problem>
    where
        C: FromStr<Err: std::error::Error>,
    {
        let parse = |text: &str| {
            text.parse().map_err(|error| {
                Problem::new(Code::InvalidRequest, format!("The parameter {name}: {error}."))
            })
        };
        self.one(name)?.map(parse).transpose()
    }

    /// The parameter `limit`.
    pub(crate) fn limit(&self) -> Result<PageSize, Problem> {
        let Some(text) = self.one("limit")? else {
            return Ok(PageSize::default());
        };
        // A number too large for the type is as much out of range as one too large for the page.
        PageSize::new(text.parse().unwrap_or(0))
            .map_err(|error| Problem::because(Code::InvalidRequest, &error))
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    let refuse = |_| Problem::new(Code::InvalidRequest, "The query has escapes that are not UTF-8.");
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Ok(Cow::Owned(percent_decode_str(&spaced).decode_utf8().map_err(refuse)?.into_owned()));
    }
    percent_decode_str(text).decode_utf8().map_err(refuse)
}
