//! The OpenAPI document, and the page that shows it.

use std::io::Read;

use serde_json::{Value, json};

use crate::support::Service;

fn document() -> Value {
    serde_json::to_value(onechat_api::openapi()).unwrap()
}

#[test]
fn every_call_is_in_the_document() {
    let document = document();
    let mut operations: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    operations.sort();
    assert_eq!(
        operations,
        [
            "get /api/chats",
            "get /api/chats/lookup",
            "get /api/chats/{id}",
            "get /api/chats/{id}/messages",
            "get /healthz",
            "get /metrics",
            "get /openapi.json",
            "get /readyz",
            "post /api/chats/create-or-get",
            "post /api/chats/{id}/messages",
        ]
    );
}

#[test]
fn calls_of_the_api_name_the_token_the_stand_in_and_their_problems() {
    let document = document();
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert!(document["components"]["schemas"]["Problem"]["properties"]["code"].is_object());
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let needs_token = path.starts_with("/api/");
            assert_eq!(
                operation["security"],
                if needs_token { json!([{ "bearer": [] }]) } else { json!(null) }
            );
            assert_eq!(operation["responses"].get("401").is_some(), needs_token, "{path}");
            let act_as =
                operation["parameters"].as_array().into_iter().flatten().find(|one| one["name"] == "as");
            assert_eq!(act_as.is_some(), needs_token, "{path}");
        }
    }
    let refusal = &document["paths"]["/api/chats/create-or-get"]["post"]["responses"]["409"];
    let schema = &refusal["content"]["application/problem+json"]["schema"];
    assert_eq!(*schema, json!({ "$ref": "#/components/schemas/Problem" }));
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

/// Whoever presses "Execute" sends these.
#[tokio::test]
async fn the_examples_of_the_document_work_as_they_are() {
    let service = Service::start().await;
    let document = document();
    let schemas = &document["components"]["schemas"];
    let open = &schemas["CreateOrGet"];
    let one_of: Vec<_> = open["oneOf"].as_array().unwrap().iter().map(|form| &form["required"]).collect();
    assert_eq!(one_of, [&json!(["participants"]), &json!(["with"])]);
    let chat = service.post("/api/chats/create-or-get", &open["example"]).by("alice").send().await.ok(201);

    let lookup = &document["paths"]["/api/chats/lookup"]["get"]["parameters"];
    let with = lookup.as_array().unwrap().iter().find(|one| one["name"] == "with").unwrap();
    let others: Vec<_> =
        with["example"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let path = format!("/api/chats/lookup?with={}", others.join("&with="));
    assert_eq!(service.get(&path).by("alice").send().await.ok(200)["id"], chat["id"]);

    let mut message = json!({});
    for (name, property) in schemas["SendMessage"]["properties"].as_object().unwrap() {
        message[name] = property["example"].clone();
    }
    let path = format!("/api/chats/{}/messages", chat["id"].as_str().unwrap());
    service.post(&path, &message).by("alice").send().await.ok(201);
}

#[test]
fn the_document_lists_every_problem_code_and_says_how_to_get_a_token() {
    let document = document();
    let listed =
        document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    let codes: Vec<_> = onechat_api::problem_codes().iter().map(|row| row.code).collect();
    assert_eq!(*listed, codes);
    assert!(document["info"]["description"].as_str().unwrap().contains("onechat token"));
}

#[tokio::test]
async fn the_service_hands_its_document_out() {
    let service = Service::start().await;
    let answer = service.get("/openapi.json").send().await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.ok(200), document());
}

#[tokio::test]
async fn the_page_asks_nobody_else_for_anything() {
    let service = Service::start().await;
    for path in ["/docs", "/docs/", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"] {
        let answer = service.get(path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("http") && !policy.contains('*'), "{path}: {policy}");
    }
    let page = service.get("/docs/").send().await.text();
    for reference in page.split(['"', '\'']).filter(|text| text.contains(".js") || text.contains(".css")) {
        assert!(!reference.contains("//"), "{reference}");
    }
    assert!(page.contains("<title>onechat API</title>"), "{page}");
    let initializer = service.get("/docs/swagger-initializer.js").send().await;
    let mut settings = String::new();
    if initializer.header("content-encoding") == "gzip" {
        flate2::read::GzDecoder::new(&*initializer.body).read_to_string(&mut settings).unwrap();
    } else {
        settings = initializer.text();
    }
    assert!(settings.contains(r#""validatorUrl": "none""#), "{settings}");
    assert!(settings.contains(r#""url": "/openapi.json""#), "{settings}");
    assert!(!settings.contains("http"), "{settings}");
}
