//! Who is let in, and what the others are told.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onechat_api::{Authenticator, KeyError};
use serde_json::{Value, json};

use crate::support::{Answer, Service, Setup, tokens};

async fn with_authorization(service: &Service, value: &str) -> Answer {
    service.get("/api/chats").header("authorization", value).send().await
}

async fn with_claims(service: &Service, claims: &Value) -> Answer {
    service.get("/api/chats").token(&tokens::with_claims(claims)).send().await
}

#[tokio::test]
async fn the_refusal_says_what_is_wrong_with_the_header() {
    let service = Service::start().await;
    let detail = service.get("/api/chats").send().await.refused(401, "unauthorized");
    assert!(detail.contains("missing"), "{detail}");
    for (value, reason) in
        [("Bearer", "malformed"), ("Basic YTpi", "another scheme"), ("Bearer x.y", "malformed")]
    {
        let detail = with_authorization(&service, value).await.refused(401, "unauthorized");
        assert!(detail.contains(reason), "{value}: {detail}");
    }
    with_authorization(&service, &format!("bearer {}", tokens::of("alice"))).await.ok(200);
    // Which of two would count is a guess that another program may make the other way round.
    let twice = service.get("/api/chats").by("alice").by("bob").send().await;
    assert!(twice.refused(401, "unauthorized").contains("more than once"));
}

#[tokio::test]
async fn every_call_of_the_api_needs_a_token() {
    let service = Service::start().await;
    let message = json!({ "text": "hello", "clientMessageId": "m1" });
    for call in [
        service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })),
        service.get("/api/chats/lookup?with=bob"),
        service.get("/api/chats"),
        service.get("/api/chats/x"),
        service.get("/api/chats/x/messages"),
        service.post("/api/chats/x/messages", &message),
    ] {
        call.send().await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_signature_of_another_secret_is_refused() {
    let service = Service::start().await;
    let key = EncodingKey::from_secret(b"another secret, just as long as the good one");
    let token = tokens::signed(&Header::new(Algorithm::HS256), &tokens::claims_of("alice"), &key);
    let detail = service.get("/api/chats").token(&token).send().await.refused(401, "unauthorized");
    assert!(detail.contains("signature"), "{detail}");
}

#[tokio::test]
async fn the_token_does_not_choose_the_algorithm() {
    let service = Service::start().await;
    let key = EncodingKey::from_secret(tokens::SECRET);
    let token = tokens::signed(&Header::new(Algorithm::HS512), &tokens::claims_of("alice"), &key);
    let detail = service.get("/api/chats").token(&token).send().await.refused(401, "unauthorized");
    assert!(detail.contains("another algorithm"), "{detail}");

    // {"alg":"none"}
    let payload = tokens::of("alice").split('.').nth(1).unwrap().to_owned();
    for token in [format!("eyJhbGciOiJub25lIn0.{payload}."), format!("eyJhbGciOiJub25lIn0.{payload}")] {
        service.get("/api/chats").token(&token).send().await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn extensions_that_have_to_be_understood_are_not() {
    let service = Service::start().await;
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    let token =
        tokens::signed(&header, &tokens::claims_of("alice"), &EncodingKey::from_secret(tokens::SECRET));
    service.get("/api/chats").token(&token).send().await.refused(401, "unauthorized");
}

#[tokio::test]
async fn tokens_expire_give_or_take_a_minute() {
    let service = Service::start().await;
    let claims = json!({ "sub": "alice", "exp": tokens::NOW + 10 });
    with_claims(&service, &claims).await.ok(200);
    service.clock.advance(Duration::from_secs(69));
    with_claims(&service, &claims).await.ok(200);
    service.clock.advance(Duration::from_secs(1));
    let detail = with_claims(&service, &claims).await.refused(401, "unauthorized");
    assert!(detail.contains("expired"), "{detail}");
}

#[tokio::test]
async fn tokens_begin_give_or_take_a_minute() {
    let service = Service::start().await;
    let claims = json!({ "sub": "alice", "exp": tokens::NOW + 3600, "nbf": tokens::NOW + 61 });
    let detail = with_claims(&service, &claims).await.refused(401, "unauthorized");
    assert!(detail.contains("not valid yet"), "{detail}");
    service.clock.advance(Duration::from_secs(1));
    with_claims(&service, &claims).await.ok(200);
}

#[tokio::test]
async fn the_clock_skew_is_configurable() {
    let authenticator = Authenticator::hs256(tokens::SECRET).unwrap().with_clock_skew(Duration::ZERO);
    let service = Setup { authenticator, ..Setup::default() }.start().await;
    let claims = json!({ "sub": "alice", "exp": tokens::NOW });
    with_claims(&service, &claims).await.refused(401, "unauthorized");
    with_claims(&service, &json!({ "sub": "alice", "exp": tokens::NOW + 1 })).await.ok(200);
}

#[tokio::test]
async fn claims_have_to_make_sense() {
    let service = Service::start().await;
    let exp = tokens::NOW + 60;
    for (claims, reason) in [
        (json!({ "sub": "alice" }), "no exp"),
        (json!({ "sub": "alice", "exp": "tomorrow" }), "\"exp\" of the token is not a number"),
        (json!({ "sub": "alice", "exp": null }), "\"exp\" of the token is not a number"),
        (json!({ "sub": "alice", "exp": exp, "nbf": "now" }), "\"nbf\" of the token is not a number"),
        (json!({ "exp": exp }), "no claim \"sub\""),
        (json!({ "sub": 7, "exp": exp }), "no claim \"sub\""),
        (json!({ "sub": ["alice"], "exp": exp }), "no claim \"sub\""),
        (json!({ "sub": { "id": "alice" }, "exp": exp }), "no claim \"sub\""),
        (json!({ "sub": "", "exp": exp }), "must not be empty"),
        (json!({ "sub": "a\nb", "exp": exp }), "control characters"),
        (json!(["alice"]), "not a JSON object"),
    ] {
        let detail = with_claims(&service, &claims).await.refused(401, "unauthorized");
        assert!(detail.contains(reason), "{claims}: {detail}");
    }
    with_claims(&service, &json!({ "sub": "alice", "exp": 1e18, "aud": "somebody else" })).await.ok(200);
    // What is not looked at may have any type.
    for claims in [json!({ "aud": { "a": [1] } }), json!({ "iss": ["x", 1] }), json!({ "jti": [[]] })] {
        let mut whole = json!({ "sub": "alice", "exp": exp });
        whole.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        with_claims(&service, &whole).await.ok(200);
    }
}

#[tokio::test]
async fn the_user_claim_is_configurable() {
    let authenticator = Authenticator::hs256(tokens::SECRET).unwrap().with_user_claim("uid");
    let service = Setup { authenticator, ..Setup::default() }.start().await;
    let token = tokens::with_claims(&json!({ "sub": "x", "uid": "alice", "exp": tokens::NOW + 60 }));
    let create = service.post("/api/chats/create-or-get", &json!({ "with": ["bob"] })).token(&token);
    assert_eq!(create.send().await.ok(201)["participants"], json!(["alice", "bob"]));
    let detail = with_claims(&service, &tokens::claims_of("alice")).await.refused(401, "unauthorized");
    assert!(detail.contains("\"uid\""), "{detail}");
}

#[test]
fn a_short_secret_is_refused_with_the_way_to_a_good_one() {
    let error = Authenticator::hs256(&[b'x'; 31]).err().unwrap();
    assert_eq!(error, KeyError::ShortSecret { bytes: 31 });
    assert!(error.to_string().contains("openssl rand -hex 32"), "{error}");
    assert!(Authenticator::hs256(&[b'x'; 32]).is_ok());
}
