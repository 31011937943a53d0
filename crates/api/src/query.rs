//! Query parameters, strictly: what is not UTF-8 is refused rather than replaced, since replacing it could make
//! one participant of two.

use std::{borrow::Cow, collections::HashMap, fmt::Write as _, str::FromStr};

use axum::{
    extract::MatchedPath,
    http::{Method, Uri, request::Parts},
};
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

/// The query parameters that each call of the API documents. Others are refused: a misspelt one would otherwise be
/// ignored, and the answer be that to another question.
#[derive(Default)]
pub(crate) struct QueryNames(HashMap<String, Vec<(Method, Vec<String>)>>);

impl QueryNames {
    /// Adds those of the path with this template, for each of its methods.
    pub(crate) fn add(&mut self, path: &str, names: impl Iterator<Item = (Method, Vec<String>)>) {
        self.0.entry(path.to_owned()).or_default().extend(names);
    }

    /// Refuses a request with a parameter that its call does not know.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Problem> {
        if request.uri.query().is_none_or(str::is_empty) {
            return Ok(());
        }
        // HEAD is answered as GET is.
        let method = if request.method == Method::HEAD { &Method::GET } else { &request.method };
        let path = request.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let names = self.0.get(path).into_iter().flatten().find(|(of, _)| of == method);
        let Some((_, names)) = names else { return Ok(()) };
        let query = Query::of(&request.uri)?;
        match query.0.iter().find(|(name, _)| !names.iter().any(|known| known == name)) {
            Some((name, _)) => Err(unknown(name, names)),
            None => Ok(()),
        }
    }
}

fn unknown(name: &str, known: &[String]) -> Problem {
    let likeness = |known: &&String| strsim::jaro_winkler(known, name);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let mut detail = format!("The parameter {name:?} is not known here.");
    if let Some(nearest) = nearest {
        // Infallible: a String takes whatever is written.
        let _ = write!(detail, " The nearest known one is {nearest:?}; all are {}.", known.join(", "));
    }
    Problem::new(Code::InvalidRequest, detail)
}

fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    let refuse = |_| Problem::new(Code::InvalidRequest, "The query has escapes that are not UTF-8.");
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Ok(Cow::Owned(percent_decode_str(&spaced).decode_utf8().map_err(refuse)?.into_owned()));
    }
    percent_decode_str(text).decode_utf8().map_err(refuse)
}
