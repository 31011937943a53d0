//! What an endpoint is: a route, its documentation, and the problems that it may answer with.

use std::sync::Arc;

use axum::{http::Method, routing::MethodRouter};
use utoipa::{
    IntoParams,
    openapi::{
        Content, Ref, RefOr, Response,
        path::{Operation, ParameterIn},
        security::SecurityRequirement,
    },
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::{
    api::Shared,
    caller::ActAs,
    docs,
    problem::{Code, Problem},
};

/// A route with its documentation.
pub(crate) struct Endpoint {
    pub(crate) routes: UtoipaMethodRouter<Arc<Shared>>,
    needs_token: bool,
}

/// What can go wrong wherever somebody has to say who they are and the store is asked.
const PROBLEMS_OF_EVERY_CALL: &[Code] = &[
    Code::InvalidRequest,
    Code::InvalidParticipants,
    Code::Unauthorized,
    Code::ScopeRequired,
    Code::HeadTooLarge,
    Code::Internal,
    Code::Overloaded,
    Code::StoreUnavailable,
    Code::Timeout,
];

impl Endpoint {
    /// A call of the chat API: with a token, and with the parameter `as`.
    pub(super) fn call(routes: UtoipaMethodRouter<Arc<Shared>>, problems: &[Code]) -> Self {
        let mut endpoint = Self { routes, needs_token: true };
        endpoint.for_each_operation(|operation| {
            operation.security = Some(vec![SecurityRequirement::new(docs::BEARER, [""; 0])]);
            let act_as = ActAs::into_params(|| Some(ParameterIn::Query)).into_iter().map(RefOr::T);
            operation.parameters.get_or_insert_default().extend(act_as);
            describe(operation, PROBLEMS_OF_EVERY_CALL);
            describe(operation, problems);
            if operation.request_body.is_some() {
                describe(operation, &[Code::BodyTimeout]);
            }
        });
        endpoint
    }

    /// What anybody may ask, also while the service is busy.
    pub(super) fn open(routes: UtoipaMethodRouter<Arc<Shared>>, problems: &[Code]) -> Self {
        let mut endpoint = Self { routes, needs_token: false };
        endpoint.for_each_operation(|operation| {
            describe(operation, &[Code::HeadTooLarge]);
            describe(operation, problems);
        });
        endpoint
    }

    /// The template of its path, of which each endpoint has one.
    pub(crate) fn path(&self) -> &str {
        self.routes.1.paths.keys().next().map_or("", String::as_str)
    }

    /// Whether it is a call of the chat API.
    pub(crate) fn needs_token(&self) -> bool {
        self.needs_token
    }

    /// The query parameters of each of its methods, as documented.
    pub(crate) fn query_names(&self) -> impl Iterator<Item = (Method, Vec<String>)> {
        let operations = self.routes.1.paths.values().flat_map(|item| {
            [(Method::GET, &item.get), (Method::POST, &item.post)]
                .into_iter()
                .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
        });
        operations.map(|(method, operation)| {
            let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
                    Some(parameter.name.clone())
                }
                _ => None,
            });
            (method, parameters.collect())
        })
    }

    /// What serves it.
    pub(crate) fn into_method_router(self) -> MethodRouter<Arc<Shared>> {
        self.routes.2
    }

    fn for_each_operation(&mut self, mut change: impl FnMut(&mut Operation)) {
        for item in self.routes.1.paths.values_mut() {
            [&mut item.get, &mut item.post].into_iter().flatten().for_each(&mut change);
        }
    }
}

/// Adds the problems to the operation's answers: one answer per status, with a line per code.
fn describe(operation: &mut Operation, problems: &[Code]) {
    for problem in problems {
        let row = problem.row();
        let line = format!("`{}`: {}", row.code, row.meaning);
        let answer = operation.responses.responses.entry(row.status.to_string()).or_insert_with(|| {
            let mut answer = Response::new("");
            let content = Content::new(Some(Ref::from_schema_name("Problem")));
            answer.content.insert(Problem::CONTENT_TYPE.to_owned(), RefOr::T(content));
            RefOr::T(answer)
        });
        if let RefOr::T(answer) = answer {
            if !answer.description.is_empty() {
                answer.description.push_str("\n\n");
            }
            answer.description.push_str(&line);
        }
    }
}
