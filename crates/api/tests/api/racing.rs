//! What the project is for: people who tap "message" at once get one chat.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_creates_and_all_get_the_same() {
    let service = Service::start().await;
    for round in 0..10 {
        let (alice, bob) = (format!("alice{round}"), format!("bob{round}"));
        let calls = (0..32).map(|n| {
            let (caller, other) = if n % 2 == 0 { (&alice, &bob) } else { (&bob, &alice) };
            service.post("/api/chats/create-or-get", &json!({ "with": [other] })).by(caller).send()
        });
        let answers = join_all(calls).await;
        let first = answers[0].json()["id"].clone();
        let mut created = 0;
        for answer in &answers {
            let chat = answer.json();
            assert_eq!(chat["id"], first);
            assert_eq!(answer.status, if chat["created"] == true { 201 } else { 200 });
            created += usize::from(answer.status == 201);
        }
        assert_eq!(created, 1);
    }
}
