//! The people and sets of a random workload: ordinary pairs, groups, and ids made to be mistaken for each other.

use std::collections::HashSet;

use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    Contexts, Namespace,
    cast::{Cast, PersonNo, SetNo},
};

/// One family of hostile sets for so many pairs.
const PAIRS_PER_FAMILY: usize = 100;
/// One group for so many pairs.
const PAIRS_PER_GROUP: usize = 10;
/// One pair that talks about several things, and about nothing, for so many pairs.
const PAIRS_PER_SUBJECTS: usize = 5;

/// Fills `cast` and returns the sets whose chats are to be opened, in random order.
pub(crate) fn populate(
    cast: &mut Cast,
    namespace: &Namespace,
    pairs: usize,
    contexts: Contexts,
    rng: &mut ChaCha8Rng,
) -> Vec<SetNo> {
    // About a quarter of all possible pairs get a chat, so that everybody knows some and nobody knows all.
    let count = (pairs * 8).isqrt().max(6) + 1;
    let people: Vec<_> = (0..count).map(|n| cast.person(format!("{namespace}{n}"))).collect();
    let mut sets = random_sets(cast, &people, pairs, 2..=2, rng);
    sets.extend(random_sets(cast, &people, pairs.div_ceil(PAIRS_PER_GROUP), 3..=5, rng));
    for family in 0..pairs.div_ceil(PAIRS_PER_FAMILY) {
        sets.extend(hostile_sets(cast, &format!("{namespace}h{family}")));
    }
    if contexts != Contexts::Off {
        sets.extend(several_contexts(cast, &people, namespace, pairs.div_ceil(PAIRS_PER_SUBJECTS), rng));
        for family in 0..pairs.div_ceil(PAIRS_PER_FAMILY) {
            sets.extend(hostile_contexts(cast, &format!("{namespace}i{family}")));
        }
    }
    sets.shuffle(rng);
    sets
}

fn random_sets(
    cast: &mut Cast,
    people: &[PersonNo],
    count: usize,
    members: std::ops::RangeInclusive<usize>,
    rng: &mut ChaCha8Rng,
) -> Vec<SetNo> {
    let mut seen = HashSet::new();
    let mut sets = Vec::with_capacity(count);
    while sets.len() < count {
        let wanted = rng.random_range(members.clone());
        let mut chosen: Vec<PersonNo> = Vec::with_capacity(wanted);
        while chosen.len() < wanted {
            let person = people[rng.random_range(0..people.len())];
            if !chosen.contains(&person) {
                chosen.push(person);
            }
        }
        let set = cast.set(&chosen);
        if seen.insert(set) {
            sets.push(set);
        }
    }
    sets
}

/// Pairs that have several chats, each about something, and one about nothing.
fn several_contexts(
    cast: &mut Cast,
    people: &[PersonNo],
    namespace: &Namespace,
    pairs: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<SetNo> {
    let mut sets = Vec::new();
    for pair in random_sets(cast, people, pairs, 2..=2, rng) {
        let members = cast.members(pair);
        sets.push(pair);
        let first = rng.random_range(0..10);
        sets.extend([first, first + 1].map(|n| cast.set_about(&members, &format!("{namespace}listing:{n}"))));
    }
    sets
}

/// Contexts that a careless key, index, comparison or default takes for one another, for no context, or for a part of
/// the set. Each id begins with `p`, but for those that imitate a context.
fn hostile_contexts(cast: &mut Cast, p: &str) -> Vec<SetNo> {
    let [a, b, c] = ["a", "b", "c"].map(|name| cast.person(format!("{p}{name}")));
    let long = "c".repeat(255);
    let mut sets: Vec<SetNo> = [
        // Each has the key of one of the sets below, or of another context, where keys are plain joins.
        (format!("{p}x"), vec![a, b]),
        (format!("{p}x"), vec![a, b, c]),
        (format!("{p}x_{p}a"), vec![b, c]),
        (format!("%in:{p}x"), vec![a, b]),
        // Who is in the chat, said once more.
        (format!("{p}a"), vec![a, b]),
        // Equal after case folding, trimming or normalisation, or where only the beginning is kept.
        (format!("{p}X"), vec![a, b]),
        (format!("{p}x "), vec![a, b]),
        ("\u{e9}".to_owned(), vec![a, b]),
        ("e\u{301}".to_owned(), vec![a, b]),
        (format!("{long}1"), vec![a, b]),
        (format!("{long}2"), vec![a, b]),
        // What stands for nothing elsewhere, and wildcards.
        ("null".to_owned(), vec![a, b]),
        ("0".to_owned(), vec![a, b]),
        ("%".to_owned(), vec![a, b]),
        ("_".to_owned(), vec![a, b]),
        ("$ne".to_owned(), vec![a, b]),
    ]
    .into_iter()
    .map(|(about, members)| cast.set_about(&members, &about))
    .collect();
    let imitations = [format!("%in:{p}x"), format!("%in:{p}x_{p}a")].map(|id| cast.person(id));
    sets.extend([cast.set(&[a, b]), cast.set(&[imitations[0], a, b]), cast.set(&[imitations[1], b])]);
    sets
}

/// Sets that a careless key, order, pattern or comparison takes for one another. Each id begins with `p`.
fn hostile_sets(cast: &mut Cast, p: &str) -> Vec<SetNo> {
    let sets: [&[&str]; 16] = [
        // One key, where keys are plain joins.
        &["a_{p}b", "c"],
        &["a", "b_{p}c"],
        &["a", "b", "c"],
        // The escapes of a separator, taken literally.
        &["a%5F{p}b", "c"],
        &["a%255F{p}b", "c"],
        &["a%", "5F"],
        // Wildcards of SQL's LIKE, and a dollar for MongoDB.
        &["%", "x"],
        &["_", "x"],
        &["$gt", "x"],
        // UTF-16 order and UTF-8 order differ.
        &["\u{1F600}", "\u{FFFD}"],
        &["\u{1F600}", "\u{FFFD}", "x"],
        // Equal after case folding, trimming or normalisation.
        &["ann", "x"],
        &["Ann", "x"],
        &["ann ", "x"],
        &["\u{e9}", "x"],
        &["e\u{301}", "x"],
    ];
    sets.iter()
        .map(|members| {
            let person = |id: &&str| cast.person(format!("{p}{}", id.replace("{p}", p)));
            let members: Vec<_> = members.iter().map(person).collect();
            cast.set(&members)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn hostile_sets_are_different_sets_and_some_share_a_joined_key() {
        let mut cast = Cast::default();
        let sets = hostile_sets(&mut cast, "p-");
        assert_eq!(sets.iter().collect::<HashSet<_>>().len(), sets.len());
        assert_eq!(cast.ambiguous_sets(), sets[..3].iter().copied().collect());
    }

    #[test]
    fn hostile_contexts_are_different_chats_and_some_share_a_joined_key_with_a_set() {
        let mut cast = Cast::default();
        let sets = hostile_contexts(&mut cast, "p-");
        assert_eq!(sets.iter().collect::<HashSet<_>>().len(), sets.len());
        let ambiguous = cast.ambiguous_sets();
        let with_context = |has| ambiguous.iter().filter(|&&set| cast.context(set).is_some() == has).count();
        assert_eq!((with_context(true), with_context(false)), (3, 2));
    }

    #[test]
    fn even_the_smallest_population_has_pairs_groups_and_hostile_sets() {
        let mut cast = Cast::default();
        let namespace = Namespace::new("p-").unwrap();
        let sets = populate(&mut cast, &namespace, 1, Contexts::Off, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(sets.len(), 1 + 1 + 16);
        assert!(sets.iter().any(|&set| cast.members(set).len() >= 3));
    }
}
