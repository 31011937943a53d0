//! What a dry run has to remember: the chats that it would have given back by then, as they would be.

use std::collections::{HashMap, HashSet};

use mongodb::bson::{Bson, RawDocumentBuf};

use super::super::{
    MigrateError,
    journal::{Item, KeyChange},
    survey::bytes_of,
};
use super::{
    Undo,
    now::value_at,
    reversal::{Loaded, Reversal},
};

/// The keys of chats that would have been given back, by `_id`. Whole documents would take too much memory.
#[derive(Default)]
pub(super) struct Foreseen {
    keys: HashMap<Vec<u8>, Option<Bson>>,
    /// Rows that were changed one by one and would have been given back.
    rows: HashSet<(String, Vec<u8>)>,
    /// How many messages would name a chat no more.
    pointed: HashMap<Vec<u8>, u64>,
}

impl Foreseen {
    fn knows(&self, loaded: &Loaded) -> bool {
        images(loaded).any(|(id, _)| self.keys.contains_key(&bytes_of(id)))
    }

    fn give_back(&mut self, loaded: &Loaded, key_field: &str) {
        for (id, before) in images(loaded) {
            self.keys.insert(bytes_of(id), value_at(before, key_field));
        }
        self.rows.extend(loaded.edited_rows());
    }

    /// A row that names chats of two groups was changed twice, and the later change would be undone by now.
    fn leave_out_rows(&self, loaded: &mut Loaded) {
        loaded.items.retain(|item| match item {
            Item::Edit { collection, id, .. } => !self.rows.contains(&(collection.clone(), bytes_of(id))),
            _ => true,
        });
    }

    /// Chats as they would be by now.
    pub(super) fn keys_of(&self, changes: &[KeyChange], now: &mut HashMap<Vec<u8>, Option<Bson>>) {
        if self.keys.is_empty() {
            return;
        }
        for id in changes.iter().map(|change| bytes_of(&change.id)) {
            if let Some(key) = self.keys.get(&id) {
                now.insert(id, key.clone());
            }
        }
    }

    pub(super) fn pointed_back(&mut self, chat: &Bson, messages: u64) {
        *self.pointed.entry(bytes_of(chat)).or_default() += messages;
    }

    pub(super) fn pointed(&self, chat: &Bson) -> u64 {
        self.pointed.get(&bytes_of(chat)).copied().unwrap_or_default()
    }

    /// A key may have been given twice in a run.
    pub(super) fn keys_taken_back(&mut self, changes: &[KeyChange]) {
        for change in changes {
            self.keys.insert(bytes_of(&change.id), change.before.clone());
        }
    }
}

/// The chats of a group as they were.
fn images(loaded: &Loaded) -> impl Iterator<Item = (&Bson, &RawDocumentBuf)> {
    loaded.items.iter().filter_map(|item| match item {
        Item::Survivor { id, before, .. } | Item::Loser { id, before } => Some((id, before)),
        _ => None,
    })
}

impl Undo<'_> {
    /// Reads what an undo would find, and counts what it would do. An entry on which a later one has built would find
    /// what that leaves when it is undone: nothing that could be looked at now, so no conflicts are looked for.
    pub(super) async fn foresee(&mut self, batch: Vec<Loaded>) -> Result<(), MigrateError> {
        let key_field = self.migrator.codec.key_field().to_owned();
        let (built_on, mut others): (Vec<Loaded>, Vec<Loaded>) =
            batch.into_iter().partition(|loaded| self.foreseen.knows(loaded));
        for loaded in &built_on {
            self.foreseen.give_back(loaded, &key_field);
        }
        for loaded in &mut others {
            self.foreseen.leave_out_rows(loaded);
            self.foreseen.give_back(loaded, &key_field);
        }
        for loaded in built_on {
            self.report.groups += u64::from(!loaded.entry.losers.is_empty());
            self.report.revived += loaded.entry.losers.len() as u64;
            let moved = loaded.items.iter().map(|item| match item {
                Item::Moved { ids, .. } => ids.len() as u64,
                _ => 0,
            });
            self.report.moved_back += moved.sum::<u64>();
        }
        let now = self.migrator.now_of(&others).await?;
        let chats = self.migrator.chats_name();
        let others = others.into_iter().map(|loaded| Reversal::of(loaded, chats, &now));
        let others: Vec<Reversal> = others.collect();
        self.count(&others, &[]);
        Ok(())
    }
}
