//! What a crowd costs the database, by the database's own count.

use std::sync::Arc;

use mongodb::bson::{Bson, Document, doc};
use onechat_core::{OutcomeKind, ports::ChatStore};
use onechat_mongod::Deployment;
use tokio::sync::Barrier;

use crate::support::{Place, World};

const CALLERS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_of_a_new_pair_cost_at_most_four_commands() {
    // A server of its own: others would be counted too.
    let deployment = Deployment::standalone().await.unwrap();
    let place = Place::on(&deployment).await;
    let (store, world) = (place.store().await, Arc::new(World::default()));
    for round in 0..3 {
        let before = commands(&place).await;
        let barrier = Arc::new(Barrier::new(CALLERS));
        let calls: Vec<_> = (0..CALLERS)
            .map(|n| {
                let (ann, bob) = (format!("ann-{round}"), format!("bob-{round}"));
                let names = if n % 2 == 0 { [ann, bob] } else { [bob, ann] };
                let proposal = world.proposal(&names.each_ref().map(String::as_str));
                let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.create_or_get(proposal).await
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await.unwrap().unwrap());
        }
        let cost = commands(&place).await - before;
        assert!(outcomes.iter().all(|outcome| outcome.chat.id == outcomes[0].chat.id));
        let created = outcomes.iter().filter(|outcome| outcome.kind == OutcomeKind::Created).count();
        assert_eq!(created, 1);
        assert!((2..=4).contains(&cost), "{CALLERS} callers cost {cost} commands in round {round}");
    }
}

/// Commands that read or write documents, since the server started.
async fn commands(place: &Place) -> i64 {
    let status = place.database.run_command(doc! { "serverStatus": 1 }).await.expect("a status");
    let all = status.get_document("metrics").and_then(|metrics| metrics.get_document("commands"));
    let all = all.expect("counts of commands");
    let total = |name: &str| all.get_document(name).ok().and_then(number).unwrap_or(0);
    ["find", "getMore", "insert", "update", "findAndModify", "aggregate", "count", "distinct"]
        .map(total)
        .iter()
        .sum()
}

fn number(command: &Document) -> Option<i64> {
    match command.get("total")? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    }
}
