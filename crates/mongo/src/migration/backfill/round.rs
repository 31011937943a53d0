//! One batch of chats, in rounds: who holds the keys that they should have, who gets them, and what the server says to
//! it. What a race has changed meanwhile goes to the next round.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, RawBsonRef, RawDocumentBuf, doc},
    options::Collation,
};
use onechat_core::ChatIdentity;

use super::{
    super::{MigrateError, commands::persist, journal::shown},
    Work,
    change::{Change, Taker},
    contest::{Age, Holder, Verdict, decide},
    seen::{Seen, packed_value},
};
use crate::codec::field;

/// How many chats are remembered as corrected, and not as newly keyed, once the pass comes to them.
const MOST_EVICTED: usize = 100_000;
/// Each round gives at least one chat its key, or was raced by somebody else. Nobody races this often.
const ROUNDS: usize = 64;

/// A chat that has a key now.
struct Found {
    /// Nothing if it is malformed.
    seen: Option<Seen>,
    age: Age,
}

impl Work<'_> {
    /// Notes that a chat to come has lost a key that was another's.
    pub(super) fn had_another_key(&mut self, id: &Bson) {
        if self.evicted.len() < MOST_EVICTED {
            self.evicted.insert(packed_value(id));
        }
    }

    fn lost_another_key(&mut self, id: &Bson) -> bool {
        !self.evicted.is_empty() && self.evicted.remove(&packed_value(id))
    }

    pub(super) async fn settle_seen(&mut self, batch: Vec<Seen>, last: &Bson) -> Result<(), MigrateError> {
        let format = self.migrator.key_format;
        let mut contested: Vec<String> = batch
            .iter()
            .filter(|seen| seen.is_right() && format.may_be_ambiguous(&seen.identity))
            .map(|seen| seen.right.clone())
            .collect();
        let mut takers: Vec<Taker> = batch
            .into_iter()
            .filter(|seen| !seen.is_right())
            .map(|seen| Taker { was_wrong: seen.is_wrong() || self.lost_another_key(&seen.id), seen })
            .collect();
        // Others that lose a wrong key on the way were counted when the pass came to them.
        let mut to_count: HashSet<Vec<u8>> =
            takers.iter().map(|taker| packed_value(&taker.seen.id)).collect();
        for _ in 0..ROUNDS {
            if takers.is_empty() && contested.is_empty() {
                return Ok(());
            }
            let changes = self.decide(takers, std::mem::take(&mut contested), &mut to_count).await?;
            takers = self.write(changes, last).await?;
        }
        for taker in takers {
            self.report.ambiguous += 1;
            self.report.example(|| format!("chat {} is changed all the time", shown(&taker.seen.id)));
        }
        Ok(())
    }

    /// Who gets a key, and who loses one. Counts those who get none.
    async fn decide(
        &mut self,
        takers: Vec<Taker>,
        contested: Vec<String>,
        to_count: &mut HashSet<Vec<u8>>,
    ) -> Result<Vec<Change>, MigrateError> {
        let mut groups: Vec<(String, Vec<Taker>)> = Vec::new();
        let mut at: HashMap<String, usize> = HashMap::new();
        let contested = contested.into_iter().map(|key| (key, None));
        let wanted = takers.into_iter().map(|taker| (taker.seen.right.clone(), Some(taker)));
        for (key, taker) in contested.chain(wanted) {
            let index = *at.entry(key).or_insert_with_key(|key| {
                groups.push((key.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[index].1.extend(taker);
        }
        let needed: Vec<&str> =
            groups.iter().filter(|(_, takers)| !takers.is_empty()).map(|(key, _)| key.as_str()).collect();
        if !needed.is_empty() {
            self.migrator.take_from_outside(self.lease, self.run, &needed).await?;
        }
        let mut holders = self.holders(groups.iter().map(|(key, _)| key.as_str()).collect()).await?;
        let mut changes = Vec::new();
        for (key, takers) in groups {
            let found = holders.remove(&key).unwrap_or_default();
            let (own, others): (Vec<Found>, Vec<Found>) =
                found.into_iter().partition(|found| found.seen.as_ref().is_none_or(Seen::is_right));
            let held: Vec<Holder<'_>> = own
                .iter()
                .map(|found| Holder {
                    identity: found.seen.as_ref().map(|seen| &seen.identity),
                    age: found.age.clone(),
                })
                .collect();
            let sets: Vec<&ChatIdentity> = takers.iter().map(|taker| &taker.seen.identity).collect();
            let (losing, verdicts) = decide(&held, &sets);
            let losers = own.into_iter().zip(losing).filter(|(_, loses)| *loses);
            changes.extend(losers.filter_map(|(found, _)| Some(Change::TakeAway(found.seen?))));
            let gets = verdicts.contains(&Verdict::Gets);
            if gets {
                changes.extend(others.into_iter().filter_map(|found| Some(Change::Evict(found.seen?))));
            }
            for (taker, verdict) in takers.into_iter().zip(verdicts) {
                match verdict {
                    Verdict::Gets => changes.push(Change::Give(taker)),
                    _ if !to_count.remove(&packed_value(&taker.seen.id)) => {}
                    Verdict::Duplicate => self.report.duplicates += 1,
                    Verdict::Ambiguous => self.report.ambiguous(&taker.seen.id, &key),
                }
            }
        }
        Ok(changes)
    }

    /// Who has these keys.
    async fn holders(&self, keys: Vec<&str>) -> Result<HashMap<String, Vec<Found>>, MigrateError> {
        let migrator = self.migrator;
        let chats = migrator.database.collection::<RawDocumentBuf>(migrator.chats_name());
        let filter = migrator.codec.inside(doc! { migrator.codec.key_field(): { "$in": keys } });
        let documents: Vec<RawDocumentBuf> = persist(|| async {
            let find = chats.find(filter.clone()).projection(migrator.projection());
            let simple = Collation::builder().locale("simple").build();
            find.collation(simple).await?.try_collect().await
        })
        .await?;
        let mut holders: HashMap<String, Vec<Found>> = HashMap::new();
        for document in &documents {
            let key = field(document, migrator.codec.key_field());
            let Some(key) = key.and_then(RawBsonRef::as_str) else { continue };
            let seen = migrator.see(document).ok();
            let found = Found { seen, age: migrator.age(document) };
            holders.entry(key.to_owned()).or_default().push(found);
        }
        Ok(holders)
    }
}
