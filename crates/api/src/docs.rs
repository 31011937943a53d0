//! The OpenAPI document, and the page that shows it without asking anybody else's server for anything.

use axum::{
    Router,
    body::{self, Bytes},
    http::{HeaderValue, header},
    middleware,
    response::Response,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, RefOr, Schema,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    endpoints,
    problem::{ProblemBody, problem_codes},
};

/// Where the page is.
pub(crate) const PAGE_PATH: &str = "/docs";

/// The name under which endpoints refer to the bearer token.
pub(crate) const BEARER: &str = "bearer";

/// Swagger UI styles its elements inline and has its icons in `data:` URLs; nothing else comes from elsewhere.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "onechat",
        description = "Chats, of which a set of people has exactly one. Every call may be repeated safely. \
                       Every refusal is a problem (RFC 9457) with a stable `code`.\n\n\
                       To try the calls here, press *Authorize* and paste a token: `onechat token --sub alice`, \
                       with the configuration of the server, prints one (`onechat token --dev --sub alice` for a \
                       server that was started by `serve --dev`). In production, tokens come from whoever signs \
                       users in."
    ),
    components(schemas(ProblemBody<'_>)),
    modifiers(&Bearer, &Codes)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        http.description =
            Some("A JWT whose claim `sub`, or another by configuration, names the caller.".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(http));
    }
}

/// Clients that are generated from the document know every code.
struct Codes;

impl Modify for Codes {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem")
            && let Some(RefOr::T(Schema::Object(code))) = problem.properties.get_mut("code")
        {
            code.enum_values = Some(problem_codes().iter().map(|row| row.code.into()).collect());
        }
    }
}

/// The OpenAPI document of the service.
pub fn openapi() -> openapi::OpenApi {
    endpoints::all()
        .into_iter()
        .fold(OpenApiRouter::with_openapi(Document::openapi()), |router, endpoint| {
            router.routes(endpoint.routes)
        })
        .into_openapi()
}

/// The same, as text.
pub(crate) fn openapi_json() -> Bytes {
    openapi().to_json().expect("the document is made of strings, lists and maps only").into()
}

/// The page with its assets, which are part of the program.
pub(crate) fn page() -> Router {
    let config = Config::from(endpoints::OPENAPI_PATH).validator_url("none");
    let page: Router = SwaggerUi::new(PAGE_PATH).config(config).into();
    page.layer(middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        let media_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if media_type.is_some_and(|media_type| media_type.starts_with(b"text/html")) {
            response = with_our_title(response).await;
        }
        response
    }))
}

/// The page as vendored is titled "Swagger UI", as those of all other services are.
async fn with_our_title(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // Part of the program: it is there, and small.
    let page = body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let page =
        String::from_utf8_lossy(&page).replace("<title>Swagger UI</title>", "<title>onechat API</title>");
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, page.into())
}
