//! The data are as many as were asked for, the same for the same seed, as bad as promised, and not yet what is expected.

use std::collections::BTreeMap;

use onechat_legacy::{
    Expected, People, Place, Population, PublicIds, Record, Shape, Strictness, check, connect, generate,
    recompute,
};
use onechat_mongod::{fresh_database, shared_standalone};

fn shapes() -> [Shape; 4] {
    let plain = Shape::of(2_000, 200, 5_000, 7);
    [
        plain.clone(),
        Shape { joined: false, ambiguous: 3, ..plain.clone() },
        Shape { people: People::ObjectIds, participant_path: Some("user.id".to_owned()), ..plain.clone() },
        Shape { public_ids: Some(PublicIds::Uuid), embedded: false, ambiguous: 2, ..plain },
    ]
}

fn pieces(shape: &Shape) -> (Vec<String>, Vec<Record>) {
    let (mut documents, mut records) = (Vec::new(), Vec::new());
    for piece in Population::new(shape).expect("the shape makes sense") {
        let piece = piece.expect("every document can be made");
        documents.extend(piece.documents.iter().map(|(place, one)| format!("{}: {one}", place.name())));
        records.extend(piece.records);
    }
    (documents, records)
}

#[test]
fn the_same_seed_gives_the_same_data_and_another_one_others() {
    for shape in shapes() {
        let (one, again) = (pieces(&shape), pieces(&shape));
        assert!(one == again, "{shape:?}");
        assert!(one != pieces(&Shape { seed: 8, ..shape.clone() }), "{shape:?}");
    }
}

#[test]
fn there_is_as_much_as_was_asked_for_and_of_every_kind() {
    for shape in shapes() {
        let (mut sizes, mut keys) = (BTreeMap::new(), BTreeMap::new());
        let mut messages = 0;
        for piece in Population::new(&shape).unwrap() {
            let piece = piece.unwrap();
            for (place, document) in &piece.documents {
                messages += u64::from(*place == Place::Messages);
                if *place == Place::Chats {
                    let kind = document.get("participantsKey").map(|key| match key.as_str() {
                        Some("") => "empty".to_owned(),
                        Some(_) => "text".to_owned(),
                        None => format!("{:?}", key.element_type()),
                    });
                    *keys.entry(kind).or_insert(0_u64) += 1;
                }
            }
            for record in piece.records {
                if let Record::Set(set) = record {
                    *sizes.entry(set.losers.len() + 1).or_insert(0_u64) += 1;
                }
            }
        }
        let groups: u64 = sizes.range(2..).map(|(_, count)| count).sum();
        assert_eq!((groups, messages), (shape.groups, shape.messages), "{sizes:?}");
        assert_eq!(keys.values().sum::<u64>(), shape.chats);
        assert_eq!(keys.len(), 5, "missing, null, empty, a number, and text: {keys:?}");
        assert_eq!(sizes.keys().last(), Some(&50), "{sizes:?}");
        assert!(sizes[&2] > groups / 2 && sizes.len() > 5, "{sizes:?}");
    }
}

#[test]
fn what_is_written_to_the_file_is_read_from_it() {
    for shape in shapes() {
        for record in pieces(&shape).1 {
            let line = serde_json::to_string(&record).unwrap();
            let read: Record = serde_json::from_str(&line).unwrap();
            assert_eq!(read, record, "{line}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let shape = Shape::of(100, 90, 10, 1);
    let error = Population::new(&shape).err().expect("90 groups of 100 chats");
    assert!(error.to_string().contains("more than 100"), "{error}");
}

#[tokio::test]
async fn what_is_in_the_database_is_what_the_file_speaks_of_and_not_migrated() {
    let folder = tempfile::tempdir().unwrap();
    for shape in shapes() {
        let url = shared_standalone().await.uri(&fresh_database("legacy"));
        let database = connect(&url).await.unwrap();
        let out = folder.path().join("expected.json");
        let totals = generate(&database, &shape, &out).await.unwrap();
        assert_eq!((totals.chats, totals.messages), (shape.chats, shape.messages));
        let found = recompute(&database, &shape).await.unwrap();
        assert_eq!((found.chats, found.sets, found.malformed), (shape.chats, totals.sets, shape.malformed));
        assert_eq!(found.duplicates, shape.groups);
        let last = Expected::open(&out).unwrap().last().unwrap().unwrap();
        assert_eq!(last, Record::Totals(totals));
        let differences = check(&database, &out, Strictness::Exact).await.unwrap();
        for part in ["is still there", "leads to None", "has the key", "is in Some", "memberships"] {
            let is_found = differences.iter().any(|line| line.contains(part));
            assert!(is_found, "{part:?} is missing in {differences:#?}");
        }
        assert!(differences.last().unwrap().starts_with("and "), "{differences:#?}");
        let again = generate(&database, &shape, &out).await.expect_err("it is not empty");
        assert!(again.to_string().contains("has a collection"), "{again}");
    }
}

/// What was not to be touched is checked to the byte, also after the way through the file.
#[tokio::test]
async fn nothing_that_was_to_stay_is_reported_before_anybody_touches_it() {
    let folder = tempfile::tempdir().unwrap();
    for shape in shapes() {
        let url = shared_standalone().await.uri(&fresh_database("legacy"));
        let database = connect(&url).await.unwrap();
        let out = folder.path().join("expected.json");
        // No groups: what differs is the keys alone.
        let shape = Shape {
            groups: 0,
            ambiguous: 0,
            chats: 120,
            messages: 200,
            malformed: 16,
            dangling: 20,
            ..shape
        };
        generate(&database, &shape, &out).await.unwrap();
        let differences = check(&database, &out, Strictness::Exact).await.unwrap();
        let others: Vec<&String> = differences.iter().filter(|line| !line.contains("has the key")).collect();
        assert!(others.is_empty(), "{others:#?}");
    }
}
