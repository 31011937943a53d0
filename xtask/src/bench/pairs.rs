//! Which pairs the loads ask for: made from a number, so that nothing has to be remembered about a million of them.
//!
//! `lua/common.lua` says the same in the load generator's language. A run notices if they part: what should be a
//! hit would create a chat.

/// So many that with a million chats each user has twenty.
const USERS: u64 = 100_000;
/// A prime, so that the steps below visit every place before they come back to the first.
const SPACE: u64 = 67_108_859;
/// Far, so that consecutive pairs lie in different parts of the index.
const STEP: u64 = 40_960_001;

/// The tag of the pairs that a store is filled with.
pub(super) const FILLED: &str = "fill";

/// The body of the request for the pair with this number. Tags keep loads apart: no pair has two of them.
pub(super) fn body(number: u64, tag: &str) -> String {
    let place = number * STEP % SPACE;
    let one = place % USERS;
    let other = (one + 1 + place / USERS) % USERS;
    format!(r#"{{"participants":["{}","{}"]}}"#, name(one, tag), name(other, tag))
}

/// Looks random, so that new keys fall everywhere between the old ones.
fn name(user: u64, tag: &str) -> String {
    format!("{:08x}-{tag}", user * 2_654_435_761 % (1 << 32))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_numbers_name_the_same_pair() {
        let mut seen = HashSet::new();
        for number in 0..200_000 {
            let body = body(number, FILLED);
            let mut names: Vec<&str> = body.split('"').filter(|part| part.ends_with("-fill")).collect();
            names.sort_unstable();
            assert_eq!(names.len(), 2, "{body}");
            assert_ne!(names[0], names[1]);
            assert!(seen.insert(names.join("_")), "pair {number} is there already");
        }
    }

    #[test]
    fn every_body_is_as_long_as_the_first() {
        let length = body(0, FILLED).len();
        assert!((0..10_000).all(|number| body(number, FILLED).len() == length));
    }
}
