//! The people and sets of a random workload: ordinary pairs, groups, and ids made to be mistaken for each other.

use std::collections::HashSet;

use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    Namespace,
    cast::{Cast, PersonNo, SetNo},
};

/// One family of hostile sets for so many pairs.
const PAIRS_PER_FAMILY: usize = 100;
/// One group for so many pairs.
const PAIRS_PER_GROUP: usize = 10;

/// Fills `cast` and returns the sets whose chats are to be opened, in random order.
pub(crate) fn populate(
    cast: &mut Cast,
    namespace: &Namespace,
    pairs: usize,
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
    fn even_the_smallest_population_has_pairs_groups_and_hostile_sets() {
        let mut cast = Cast::default();
        let namespace = Namespace::new("p-").unwrap();
        let sets = populate(&mut cast, &namespace, 1, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(sets.len(), 1 + 1 + 16);
        assert!(sets.iter().any(|&set| cast.members(set).len() >= 3));
    }
}
