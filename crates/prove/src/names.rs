//! Numbers for things that a history names again and again: a large history has to fit into memory.

use std::{collections::HashMap, hash::Hash, marker::PhantomData};

/// The number of a `T` in a [`Names`].
pub(crate) struct No<T>(u32, PhantomData<fn() -> T>);

impl<T> No<T> {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

// Derived, these would ask the same of `T`.
impl<T> Clone for No<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for No<T> {}

impl<T> PartialEq for No<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for No<T> {}

impl<T> std::hash::Hash for No<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> std::fmt::Debug for No<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Different `T`s, numbered in the order in which they came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names<T: Hash + Eq> {
    items: Vec<T>,
    index: HashMap<T, No<T>>,
}

impl<T: Clone + Eq + Hash> Names<T> {
    pub(crate) fn intern(&mut self, item: T) -> No<T> {
        if let Some(no) = self.index.get(&item) {
            return *no;
        }
        let no = No(u32::try_from(self.items.len()).expect("fewer than 2^32 names"), PhantomData);
        self.items.push(item.clone());
        self.index.insert(item, no);
        no
    }

    pub(crate) fn find(&self, item: &T) -> Option<No<T>> {
        self.index.get(item).copied()
    }

    pub(crate) fn get(&self, no: No<T>) -> &T {
        &self.items[no.index()]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (No<T>, &T)> {
        self.items.iter().map(|item| (self.index[item], item))
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

impl<T: Hash + Eq> Default for Names<T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: HashMap::new() }
    }
}
