//! Gathers what waits, so that one round trip answers many: requests of one key form a group, and no key is in two
//! batches at once. There is no timer: what can begin, begins.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
};

/// Keys that wait, with who waits for each.
pub(crate) struct Gatherer<K, W> {
    /// Who waits for the next batch with the key. Never empty groups.
    waiting: HashMap<K, Vec<W>>,
    /// Keys that wait and are not busy, in the order in which they came.
    queue: VecDeque<K>,
    /// Keys of batches that have begun and are not released.
    busy: HashSet<K>,
}

impl<K, W> Default for Gatherer<K, W> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), queue: VecDeque::new(), busy: HashSet::new() }
    }
}

impl<K: Clone + Eq + Hash, W> Gatherer<K, W> {
    /// Adds one who waits. While the key is busy the answer under way is not for them: it may be older than their
    /// question, so they form the next group.
    pub(crate) fn push(&mut self, key: K, waiter: W) {
        let group = self.waiting.entry(key.clone()).or_default();
        group.push(waiter);
        if group.len() == 1 && !self.busy.contains(&key) {
            self.queue.push_back(key);
        }
    }

    /// Whether a batch could begin.
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Begins a batch of at most `most` keys. Each stays busy until it is released.
    pub(crate) fn begin(&mut self, most: usize) -> Vec<(K, Vec<W>)> {
        let count = self.queue.len().min(most);
        let keys: Vec<K> = self.queue.drain(..count).collect();
        keys.into_iter()
            .filter_map(|key| {
                let group = self.waiting.remove(&key)?;
                self.busy.insert(key.clone());
                Some((key, group))
            })
            .collect()
    }

    /// The key's answer is out: its next group may begin.
    pub(crate) fn release(&mut self, key: &K) {
        if self.busy.remove(key) && self.waiting.contains_key(key) {
            self.queue.push_back(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_one_key_share_a_place() {
        let mut gatherer = Gatherer::default();
        for (key, waiter) in [("a", 1), ("b", 2), ("a", 3)] {
            gatherer.push(key, waiter);
        }
        assert_eq!(gatherer.begin(10), [("a", vec![1, 3]), ("b", vec![2])]);
        assert!(!gatherer.has_work());
    }

    #[test]
    fn who_comes_while_a_key_is_busy_waits_for_the_next_batch() {
        let mut gatherer = Gatherer::default();
        gatherer.push("a", 1);
        assert_eq!(gatherer.begin(10), [("a", vec![1])]);
        gatherer.push("a", 2);
        gatherer.push("a", 3);
        assert!(!gatherer.has_work(), "a busy key must not begin again");
        gatherer.release(&"a");
        assert_eq!(gatherer.begin(10), [("a", vec![2, 3])]);
        gatherer.release(&"a");
        assert!(!gatherer.has_work());
    }

    #[test]
    fn a_batch_has_its_limit_and_the_rest_keeps_its_order() {
        let mut gatherer = Gatherer::default();
        for key in 0..5 {
            gatherer.push(key, ());
        }
        let keys = |batch: Vec<(i32, Vec<()>)>| batch.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(gatherer.begin(2)), [0, 1]);
        gatherer.release(&0);
        assert_eq!(keys(gatherer.begin(9)), [2, 3, 4]);
    }
}
