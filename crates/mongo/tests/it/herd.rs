//! What a crowd costs the database, by the database's own count.

use std::sync::Arc;

use mongodb::bson::{Document, doc};
use onechat_core::{OutcomeKind, ports::ChatStore};
use tokio::sync::Barrier;

use crate::support::{Place, World};

const CALLERS: usize = 1000;

/// On one thread, so that all callers wait before the first answer comes: who comes later costs another find.
#[tokio::test]
async fn a_thousand_callers_of_a_new_pair_cost_a_find_and_an_insert() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, Arc::new(World::default()));
    place.database.run_command(doc! { "profile": 2 }).await.unwrap();
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
        assert_eq!(cost, 2, "commands for {CALLERS} callers in round {round}");
    }
}

/// Commands on the chats that the profiler saw. What a store asks about the collection's state is none of them.
async fn commands(place: &Place) -> u64 {
    let profile = place.database.collection::<Document>("system.profile");
    let on_chats = doc! { "ns": format!("{}.chats", place.database.name()) };
    profile.count_documents(on_chats).await.expect("the database answers")
}
