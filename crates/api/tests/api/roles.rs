//! Roles in requests, where chats have none.

use reqwest::Method;
use serde_json::json;

use crate::support::Setup;

const CREATE_OR_GET: &str = "/api/chats/create-or-get";

#[tokio::test]
async fn roles_are_refused_where_chats_have_none_whether_there_is_a_chat_or_not() {
    let service = Setup::default().start().await;
    let roles = json!({ "buyer": "alice", "seller": "bob" });
    for _ in 0..2 {
        for body in [
            json!({ "with": ["bob"], "roles": roles }),
            json!({ "participants": ["alice", "bob"], "roles": roles }),
        ] {
            let refused = service.post(CREATE_OR_GET, &body).by("alice").send().await;
            let detail = refused.refused(422, "roles_unknown");
            assert_eq!(detail, "The `roles` do not fit: chats have no roles here.", "{body}");
        }
        // None are as good as no field.
        for none in [json!({}), json!(null)] {
            let body = json!({ "with": ["bob"], "roles": none });
            let status = service.post(CREATE_OR_GET, &body).by("alice").send().await.status;
            assert!([200, 201].contains(&status), "{body}: {status}");
        }
    }
}

#[tokio::test]
async fn roles_that_are_none_are_refused_by_what_is_wrong_with_them() {
    let service = Setup::default().start().await;
    let cases = [
        (r#"{"roles": {"buyer": "alice", "seller": "bob"}}"#, "invalid_request", "Give either"),
        (r#"{"with": ["bob"], "roles": ["bob"]}"#, "invalid_request", "`roles` has to be an object"),
        (r#"{"with": ["bob"], "roles": {"buyer": 7}}"#, "invalid_request", "has to be a string"),
        (
            r#"{"with": ["bob"], "roles": {"buyer": "alice", "buyer": "bob"}}"#,
            "invalid_request",
            "`buyer` is given more than once",
        ),
        (r#"{"with": ["bob"], "roles": {"buyer": "alice", "seller": ""}}"#, "invalid_participants", ""),
    ];
    for (body, code, detail) in cases {
        let call = service.call(Method::POST, CREATE_OR_GET).body("application/json", body);
        let said = call.by("alice").send().await.refused(400, code);
        assert!(said.contains(detail), "{body}: {said}");
    }
}
