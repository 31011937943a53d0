//! Who goes where in a new chat with a field for each participant: in the order of the request, or by the roles that it names.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use onechat_core::{
    Outcome, OutcomeKind, Participant, Proposal, ResolveError, Roles, StoreError, ports::ChatStore,
};
use onechat_mongo::{ChatFields, Mapping, MongoOptions, Order};
use onechat_mongod::{shared_replica_set, shared_standalone};

use crate::support::{Place, World};

fn with(order: Order) -> MongoOptions {
    let participants = ["buyerId", "sellerId"].map(str::to_owned).to_vec();
    let fields = ChatFields { participants, ..ChatFields::default() };
    MongoOptions {
        mapping: Mapping { fields, order: Some(order), ..Mapping::default() },
        ..MongoOptions::default()
    }
}

fn named(proposal: Proposal, roles: &[(&str, &str)]) -> Proposal {
    let one = |(role, name): &(&str, &str)| ((*role).to_owned(), Participant::new(*name).expect("it is one"));
    let by_name: BTreeMap<String, Participant> = roles.iter().map(one).collect();
    Proposal { roles: Roles::new(Vec::new(), by_name), ..proposal }
}

/// Who is buyer and who is seller in all chats, by the time of their making.
async fn stored(place: &Place) -> Vec<[String; 2]> {
    use futures_util::TryStreamExt as _;
    let chats: Vec<Document> = place
        .chats()
        .find(doc! {})
        .sort(doc! { "_id": 1 })
        .await
        .expect("it answers")
        .try_collect()
        .await
        .expect("it answers");
    let who = |chat: &Document, field: &str| chat.get_str(field).expect("it is there").to_owned();
    chats.iter().map(|chat| [who(chat, "buyerId"), who(chat, "sellerId")]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_first_is_in_the_first_field_and_the_same_people_have_one_chat() {
    for deployment in [shared_standalone().await, shared_replica_set().await] {
        let place = Place::on(deployment).await;
        let (store, world) = (place.store_with(with(Order::Request)).await, World::default());
        let first = store.create_or_get(world.proposal(&["zoe", "ann", "zoe"])).await.unwrap();
        let again = store.create_or_get(world.proposal(&["ann", "zoe"])).await.unwrap();
        assert_eq!((first.kind, again.kind), (OutcomeKind::Created, OutcomeKind::Existing));
        assert_eq!(first.chat, again.chat);
        store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap();
        store.create_or_get(world.proposal(&["zoe"])).await.unwrap();
        assert_eq!(stored(&place).await, [["zoe", "ann"], ["ann", "bob"], ["zoe", "zoe"]]);
        let roles = named(world.proposal(&["ann", "bob"]), &[("buyerId", "bob"), ("sellerId", "ann")]);
        let refused = store.create_or_get(roles).await;
        assert!(matches!(refused, Err(ResolveError::Store(StoreError::RolesUnknown(_)))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_say_who_goes_where_and_swapped_ones_are_the_same_chat() {
    for deployment in [shared_standalone().await, shared_replica_set().await] {
        let place = Place::on(deployment).await;
        let (store, world) = (place.store_with(with(Order::Roles)).await, World::default());
        let asked = |people: &[&str], roles: &[(&str, &str)]| named(world.proposal(people), roles);
        let (buys, sells) =
            ([("buyerId", "zoe"), ("sellerId", "ann")], [("buyerId", "ann"), ("sellerId", "zoe")]);
        let refused = store.create_or_get(asked(&["ann", "zoe"], &[])).await;
        let Err(ResolveError::Store(StoreError::RolesRequired(roles))) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(roles, "buyerId and sellerId");
        assert_eq!(stored(&place).await.len(), 0);
        let made = store.create_or_get(asked(&["ann", "zoe"], &buys)).await.unwrap();
        assert_eq!(made.kind, OutcomeKind::Created);
        for roles in [&sells[..], &buys[..], &[]] {
            let found = store.create_or_get(asked(&["zoe", "ann"], roles)).await.unwrap();
            assert_eq!((found.kind, &found.chat), (OutcomeKind::Existing, &made.chat), "{roles:?}");
        }
        store.create_or_get(asked(&["bob"], &[])).await.unwrap();
        assert_eq!(stored(&place).await, [["zoe", "ann"], ["bob", "bob"]], "it stays as it is");
        // What says nothing of everybody is refused whether or not there is a chat.
        let unknown = [
            &[("buyer", "zoe"), ("seller", "ann")][..],
            &[("buyerId", "zoe")],
            &[("buyerId", "zoe"), ("sellerId", "zoe")],
            &[("buyerId", "zoe"), ("sellerId", "eve")],
            &[("buyerId", "zoe"), ("sellerId", "ann"), ("agentId", "ann")],
        ];
        for (people, roles) in
            [["ann", "zoe"], ["bob", "zoe"]].iter().flat_map(|people| unknown.map(|roles| (people, roles)))
        {
            let refused = store.create_or_get(asked(people, roles)).await;
            assert!(
                matches!(refused, Err(ResolveError::Store(StoreError::RolesUnknown(_)))),
                "{roles:?}: {refused:?}"
            );
        }
        assert_eq!(stored(&place).await.len(), 2);
    }
}

/// Of many who ask at once, some say who is what, in different ways, and some do not: all get one chat, as one of them said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_requests_with_roles_and_without_make_one_chat() {
    for deployment in [shared_standalone().await, shared_replica_set().await] {
        let place = Place::on(deployment).await;
        let store = place.store_with(with(Order::Roles)).await;
        let world = World::default();
        for pair in 0..10 {
            let other = format!("b{pair}");
            let people = ["ann", other.as_str()];
            let calls = (0..30).map(|number| {
                let roles = match number % 3 {
                    0 => vec![],
                    1 => vec![("buyerId", "ann"), ("sellerId", people[1])],
                    _ => vec![("buyerId", people[1]), ("sellerId", "ann")],
                };
                store.create_or_get(named(world.proposal(&people), &roles))
            });
            // Who says nothing, and came before anybody else, was refused.
            let is_refused = |outcome: &Result<Outcome, ResolveError>| {
                matches!(outcome, Err(ResolveError::Store(StoreError::RolesRequired(_))))
            };
            let outcomes = (0..).zip(join_all(calls).await);
            let outcomes = outcomes.filter(|(number, outcome)| number % 3 > 0 || !is_refused(outcome));
            let outcomes: Vec<Outcome> = outcomes.map(|(_, outcome)| outcome.unwrap()).collect();
            assert!(outcomes.len() >= 20);
            assert!(outcomes.iter().all(|outcome| outcome.chat.id == outcomes[0].chat.id));
            let created = outcomes.iter().filter(|outcome| outcome.kind == OutcomeKind::Created).count();
            assert_eq!(created, 1, "{other}");
        }
        assert_eq!(stored(&place).await.len(), 10);
    }
}
