//! An axum backend with onechat behind it: the backend knows its users, and onechat keeps their chats.
//!
//!     ONECHAT_JWT_SECRET=… cargo run -p onechat-api --example backend

use std::{error::Error, sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use jsonwebtoken::{EncodingKey, Header};
use reqwest::{Client, Url};
use serde_json::json;

/// Where onechat is, and what the backend signs its own tokens with.
pub struct Onechat {
    /// Without a slash at the end.
    pub url: String,
    /// The HS256 secret of the service.
    pub secret: String,
    /// Seconds since 1970.
    pub now: fn() -> u64,
}

/// The chats of whoever is signed in at the backend.
pub fn router(onechat: Onechat) -> Router {
    let backend = Arc::new((Client::new(), onechat));
    Router::new()
        .route("/api/chats", any(to_onechat))
        .route("/api/chats/{*rest}", any(to_onechat))
        .with_state(backend)
}

/// Stands for your own sign-in: a session, a cookie, your own tokens. It must not be a header that clients can set.
fn signed_in(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-demo-user")?.to_str().ok()
}

/// Every call for chats goes to onechat, in the name of the user who is signed in here.
async fn to_onechat(State(backend): State<Arc<(Client, Onechat)>>, request: Request) -> Response {
    let Some(user) = signed_in(request.headers()).map(str::to_owned) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    forward(&backend.0, &backend.1, &user, request).await.unwrap_or_else(|error| {
        eprintln!("onechat cannot be asked: {error}");
        StatusCode::BAD_GATEWAY.into_response()
    })
}

async fn forward(
    client: &Client,
    onechat: &Onechat,
    user: &str,
    request: Request,
) -> Result<Response, Box<dyn Error>> {
    let mut url = Url::parse(&format!("{}{}", onechat.url, request.uri()))?;
    // The URL is normalised by now: `..` in it must not lead to other paths of onechat.
    if url.path() != "/api/chats" && !url.path().starts_with("/api/chats/") {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let query: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "as").collect();
    // Who is asking is never the client's word.
    url.query_pairs_mut().clear().extend_pairs(query).append_pair("as", user);

    let (parts, body) = request.into_parts();
    let mut call = client.request(parts.method, url).bearer_auth(service_token(onechat)?);
    if let Some(media_type) = parts.headers.get(header::CONTENT_TYPE) {
        call = call.header(header::CONTENT_TYPE, media_type);
    }
    let body: Bytes = axum::body::to_bytes(body, 256 * 1024).await?;
    let answer = call.body(body).send().await?;

    let mut response = Response::builder().status(answer.status());
    for name in [header::CONTENT_TYPE.as_str(), header::RETRY_AFTER.as_str(), "x-request-id"] {
        if let Some(value) = answer.headers().get(name) {
            response = response.header(name, value);
        }
    }
    Ok(response.body(answer.bytes().await?.into())?)
}

/// The backend's own token. It is for this process alone: no client ever sees it.
fn service_token(onechat: &Onechat) -> jsonwebtoken::errors::Result<String> {
    let claims = json!({ "sub": "backend", "scope": "chats:any", "exp": (onechat.now)() + 300 });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(onechat.secret.as_bytes()))
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "a program of its own, and not part of the service")]
async fn main() -> Result<(), Box<dyn Error>> {
    let onechat = Onechat {
        url: "http://127.0.0.1:8080".to_owned(),
        secret: std::env::var("ONECHAT_JWT_SECRET")?,
        now: || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("backend on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router(onechat)).await?)
}
