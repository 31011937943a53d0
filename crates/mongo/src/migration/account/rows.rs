//! What the journal of a run names, row by row.

use mongodb::bson::{Bson, oid::ObjectId};
use onechat_migrate::Control;

use super::{
    super::{
        MigrateError, MongoMigrator, RunId,
        commands::aside,
        journal::{Entries, EntryState, Item, shown},
        undo::{Loaded, Now, value_at},
    },
    AccountReport, Lineage, Removed,
};

/// How many bytes of images are looked at together.
const BATCH_BYTES: usize = 4 << 20;
/// How many entries are looked at together.
const PAGE: i64 = 500;

/// A row that is not there. A later merge may have removed it.
pub(super) struct Suspect {
    pub(super) collection: String,
    pub(super) id: Bson,
    pub(super) text: String,
}

/// The merges of a run, the last first.
struct Reading {
    migrator: MongoMigrator,
    run: RunId,
    before: Option<i64>,
    entries: Option<Entries>,
}

impl Reading {
    /// Some of them; none at the end.
    async fn next(mut self) -> Result<(Self, Vec<Loaded>), MigrateError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        loop {
            let Some(entries) = &mut self.entries else {
                let page = self.migrator.merges_of(&self.run, self.before, PAGE).await?;
                let Some((_, last)) = page.last() else { return Ok((self, batch)) };
                self.before = Some(*last);
                let ids: Vec<ObjectId> = page.iter().map(|(id, _)| *id).collect();
                self.entries = Some(self.migrator.whole_entries(&ids).await?);
                continue;
            };
            while let Some((entry, items)) = entries.next().await? {
                let loaded = Loaded { entry, items };
                bytes += loaded.bytes();
                batch.push(loaded);
                if bytes > BATCH_BYTES {
                    return Ok((self, batch));
                }
            }
            self.entries = None;
            if !batch.is_empty() {
                return Ok((self, batch));
            }
        }
    }
}

impl MongoMigrator {
    /// Reads the entries of a run: what they removed, and with `suspects` whether everything is where they put it.
    pub(super) async fn read_journal(
        &self,
        run: &RunId,
        removed: &mut Removed,
        mut suspects: Option<&mut Vec<Suspect>>,
        report: &mut AccountReport,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        let total = self.count_of_merges(run).await?;
        let reading = Reading { migrator: self.clone(), run: run.clone(), before: None, entries: None };
        let (mut reading, mut batch) = reading.next().await?;
        let mut done = 0;
        while !batch.is_empty() {
            done += batch.len() as u64;
            for loaded in &batch {
                self.note_removed(loaded, removed);
            }
            let is_asked = suspects.is_some();
            batch.retain(|loaded| is_asked && loaded.entry.state == EntryState::Done);
            let check = self.check(batch, suspects.as_deref_mut(), report);
            ((), (reading, batch)) = futures_util::try_join!(check, aside(reading.next()))?;
            control.pace(0).await?;
            control.advance("account of the journal", done, total.max(done));
        }
        Ok(())
    }

    fn note_removed(&self, loaded: &Loaded, removed: &mut Removed) {
        for item in &loaded.items {
            match item {
                Item::Loser { id, .. } => removed.add(self.chats_name(), id),
                Item::Edit { collection, id, after: None, .. } => removed.add(collection, id),
                _ => {}
            }
        }
    }

    async fn check(
        &self,
        batch: Vec<Loaded>,
        suspects: Option<&mut Vec<Suspect>>,
        report: &mut AccountReport,
    ) -> Result<(), MigrateError> {
        let Some(suspects) = suspects.filter(|_| !batch.is_empty()) else { return Ok(()) };
        let names = batch.iter().flat_map(|loaded| {
            let entry = &loaded.entry;
            let losers = entry.losers.iter().map(|(id, public)| (public.clone(), id.clone()));
            losers.chain([(entry.survivor_public_id.clone(), entry.survivor.clone())])
        });
        let (now, lineage) = futures_util::try_join!(self.stored_now(&batch), self.lineage(names.collect()))?;
        self.check_old_ids(&batch, &lineage, report).await?;
        for loaded in &batch {
            self.check_entry(loaded, &now, &lineage, suspects, report);
            self.check_elements(loaded, &now, &lineage, report).await?;
        }
        Ok(())
    }

    /// Every loser's id answers.
    async fn check_old_ids(
        &self,
        batch: &[Loaded],
        lineage: &Lineage,
        report: &mut AccountReport,
    ) -> Result<(), MigrateError> {
        let ends = |public: &str| lineage.end(public).map(|(_, end)| end);
        let losers: Vec<&String> =
            batch.iter().flat_map(|loaded| &loaded.entry.losers).map(|(_, public)| public).collect();
        let targets: Vec<String> = losers.iter().filter_map(|public| ends(public)).collect();
        let living = self.living(&targets).await?;
        for public in losers {
            match ends(public) {
                None => report.miss(|| format!("the old id {public} is an alias of no chat")),
                Some(end) if living.contains(&end) => {}
                Some(end) => {
                    report
                        .miss(|| format!("the old id {public} stands for {end}, and there is no such chat"));
                }
            }
        }
        Ok(())
    }

    fn check_entry(
        &self,
        loaded: &Loaded,
        now: &Now,
        lineage: &Lineage,
        suspects: &mut Vec<Suspect>,
        report: &mut AccountReport,
    ) {
        for item in &loaded.items {
            match item {
                Item::Loser { id, .. } if now.document(self.chats_name(), id).is_some() => {
                    report.miss(|| format!("the chat {} was merged, and is there again", shown(id)));
                }
                Item::Edit { collection, id, after: Some(_), .. }
                    if now.document(collection, id).is_none() =>
                {
                    suspects.push(Suspect {
                        collection: collection.clone(),
                        id: id.clone(),
                        text: format!("{collection} {} was changed by a merge, and is gone", shown(id)),
                    });
                }
                Item::Moved { collection, field, to, ids, .. } => {
                    let names = lineage.names(&self.codec.name(to));
                    for id in ids {
                        let row = now.row(collection, field, id);
                        let value = row.and_then(|row| value_at(row, field));
                        match (row, value) {
                            (Some(_), Some(value)) if names.contains(&self.codec.name(&value)) => {}
                            (None, _) => suspects.push(Suspect {
                                collection: collection.clone(),
                                id: id.clone(),
                                text: format!("{collection} {} was moved by a merge, and is gone", shown(id)),
                            }),
                            (Some(_), value) => report.miss(|| {
                                let value =
                                    value.map_or_else(|| "nothing".to_owned(), |id| self.codec.name(&id));
                                let to = self.codec.name(to);
                                format!("{collection} {} names {value} in {field}, not {to}", shown(id))
                            }),
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
