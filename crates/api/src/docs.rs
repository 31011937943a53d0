//! The OpenAPI document, and the page that shows it without asking anybody else's server for anything.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header},
    middleware,
    response::Response,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{endpoints, problem::ProblemBody};

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
                       Every refusal is a problem (RFC 9457) with a stable `code`."
    ),
    components(schemas(ProblemBody<'_>)),
    modifiers(&Bearer)
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
        response
    }))
}
