//! Each set of people: its one chat, what the old ids lead to, and what belongs to it.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, RawBsonRef, RawDocument, RawDocumentBuf, doc};

use super::{Check, Strictness};
use crate::{
    ExpectedSet, LegacyError, Place,
    value::{digest, id_from, people, text_at, text_of, whole},
};

/// As many as a server follows.
const HOPS: usize = 16;

/// What the database has of some sets.
struct Found {
    chats: HashMap<String, RawDocumentBuf>,
    aliases: HashMap<String, String>,
    messages: HashMap<String, String>,
    notifications: HashMap<String, String>,
    memberships: HashMap<String, Vec<RawDocumentBuf>>,
}

impl Check<'_> {
    pub(super) async fn sets(&mut self, sets: &[ExpectedSet]) -> Result<(), LegacyError> {
        if sets.is_empty() {
            return Ok(());
        }
        let found = self.find(sets).await?;
        for set in sets {
            let survivor = set.survivor.as_ref().and_then(text_of).unwrap_or_default();
            self.chat(set, &survivor, &found)?;
            self.belongings(set, &survivor, &found);
            self.memberships(set, &survivor, &found);
        }
        Ok(())
    }

    async fn find(&self, sets: &[ExpectedSet]) -> Result<Found, LegacyError> {
        let chats = sets.iter().flat_map(|set| set.survivor.iter().chain(&set.losers)).cloned().collect();
        let texts = |of: fn(&ExpectedSet) -> &Vec<String>| sets.iter().flat_map(of).map(|id| id_from(id));
        let aliases: Vec<Bson> =
            sets.iter().flat_map(|set| &set.aliases).map(|id| Bson::String(id.clone())).collect();
        let messages = texts(|set| &set.messages).chain(texts(|set| &set.folded)).collect();
        let mut memberships: HashMap<String, Vec<RawDocumentBuf>> = HashMap::new();
        for row in self.rows(Place::Memberships.name(), "chatId", chats).await? {
            memberships.entry(text_at(&row, "chatId").unwrap_or_default()).or_default().push(row);
        }
        let chats = sets.iter().flat_map(|set| set.survivor.iter().chain(&set.losers)).cloned().collect();
        let chats = self.rows(Place::Chats.name(), "_id", chats).await?;
        let notifications = texts(|set| &set.notifications).collect();
        Ok(Found {
            chats: chats.into_iter().map(|chat| (text_at(&chat, "_id").unwrap_or_default(), chat)).collect(),
            aliases: self.aliases(aliases).await?,
            messages: self.named(Place::Messages, "chatId", messages).await?,
            notifications: self.named(Place::Notifications, "about.chat", notifications).await?,
            memberships,
        })
    }

    async fn rows(
        &self,
        collection: &str,
        field: &str,
        values: Vec<Bson>,
    ) -> Result<Vec<RawDocumentBuf>, LegacyError> {
        let rows = self.collection(collection).find(doc! { field: { "$in": values } }).await?;
        Ok(rows.try_collect().await?)
    }

    /// Where each alias leads to, followed to the end.
    async fn aliases(&self, mut ids: Vec<Bson>) -> Result<HashMap<String, String>, LegacyError> {
        let mut steps: HashMap<String, String> = HashMap::new();
        for _ in 0..HOPS {
            ids.retain(|id| text_of(id).is_none_or(|id| !steps.contains_key(&id)));
            if ids.is_empty() {
                break;
            }
            let rows = self.rows("onechat_aliases", "_id", std::mem::take(&mut ids)).await?;
            for row in rows {
                let to = text_at(&row, "chat").unwrap_or_default();
                ids.push(Bson::String(to.clone()));
                steps.insert(text_at(&row, "_id").unwrap_or_default(), to);
            }
        }
        let end = |first: &String| {
            (0..HOPS).try_fold(first, |at, _| steps.get(at).ok_or(at)).map_or_else(Clone::clone, Clone::clone)
        };
        Ok(steps.keys().map(|from| (from.clone(), end(from))).collect())
    }

    /// What each of these rows has in `field`, by its `_id`.
    async fn named(
        &self,
        place: Place,
        field: &str,
        ids: Vec<Bson>,
    ) -> Result<HashMap<String, String>, LegacyError> {
        let rows = self.rows(place.name(), "_id", ids).await?;
        let of = |row: &RawDocumentBuf| match field.split_once('.') {
            None => text_at(row, field),
            Some((outer, inner)) => row.get_document(outer).ok().and_then(|outer| text_at(outer, inner)),
        };
        let named = |row: RawDocumentBuf| {
            (text_at(&row, "_id").unwrap_or_default(), of(&row).unwrap_or_else(|| "nothing".to_owned()))
        };
        Ok(rows.into_iter().map(named).collect())
    }

    fn chat(&mut self, set: &ExpectedSet, survivor: &str, found: &Found) -> Result<(), LegacyError> {
        let who = &set.participants;
        for loser in &set.losers {
            let is_there = text_of(loser).is_some_and(|id| found.chats.contains_key(&id));
            self.say(is_there, || format!("{loser} of {who:?} is still there"));
        }
        for alias in &set.aliases {
            let end = found.aliases.get(alias);
            self.say(end != Some(&set.public_id), || {
                format!("the old id {alias} of {who:?} leads to {end:?}, not to {}", set.public_id)
            });
        }
        let Some(chat) = found.chats.get(survivor) else {
            self.say(true, || format!("{survivor}, the chat of {who:?}, is gone"));
            return Ok(());
        };
        let people = people(chat, self.shape.participant_path.as_deref());
        self.say(people.as_ref() != Some(who), || format!("{survivor} of {who:?} has {people:?}"));
        let key = chat.get("participantsKey").ok().flatten();
        let is_right = key == Some(RawBsonRef::String(&set.key)) || (set.shares_key && key.is_none());
        self.say(!is_right, || format!("{survivor} of {who:?} has the key {key:?}, not {:?}", set.key));
        if let (Some(wanted), Strictness::Exact) = (&set.digest, self.strictness) {
            let is_as_it_was = digest(chat)? == *wanted;
            self.say(!is_as_it_was, || format!("{survivor} of {who:?} was alone, and was changed: {chat:?}"));
        }
        self.counters(set, survivor, chat);
        self.embedded(set, survivor, chat);
        Ok(())
    }

    fn counters(&mut self, set: &ExpectedSet, survivor: &str, chat: &RawDocument) {
        let unread: BTreeMap<String, i64> = chat.get_document("unread").map_or_else(
            |_| BTreeMap::new(),
            |unread| {
                let entries = unread.iter().flatten();
                entries.filter_map(|(name, count)| Some((name.as_str().to_owned(), whole(count)?))).collect()
            },
        );
        self.say(unread != set.unread, || format!("{survivor}: unread is {unread:?}, not {:?}", set.unread));
        let count = chat.get("messageCount").ok().flatten().and_then(whole);
        self.say(count != set.message_count, || {
            format!("{survivor}: messageCount is {count:?}, not {:?}", set.message_count)
        });
    }

    fn embedded(&mut self, set: &ExpectedSet, survivor: &str, chat: &RawDocument) {
        if !self.shape.embedded {
            return;
        }
        let mut messages = Vec::new();
        if let Ok(array) = chat.get_array("messages") {
            for message in array.into_iter().flatten().filter_map(RawBsonRef::as_document) {
                let at_ms = message.get_datetime("createdAt").map(mongodb::bson::DateTime::timestamp_millis);
                messages.push((at_ms.ok(), text_at(message, "_id").unwrap_or_default()));
            }
        }
        let is_sorted = set.losers.is_empty() || messages.is_sorted_by_key(|(at_ms, _)| *at_ms);
        self.say(!is_sorted, || format!("{survivor}: the embedded messages are not in the order of time"));
        let mut ids: Vec<String> = messages.into_iter().map(|(_, id)| id).collect();
        ids.sort();
        self.say(ids != set.embedded, || format!("{survivor}: embedded are {ids:?}, not {:?}", set.embedded));
    }

    fn belongings(&mut self, set: &ExpectedSet, survivor: &str, found: &Found) {
        let rows = [
            ("message", &set.messages, &found.messages, false),
            ("notification", &set.notifications, &found.notifications, true),
        ];
        for (what, ids, there, either_name) in rows {
            for id in ids {
                let chat = there.get(id);
                let is_right =
                    chat.is_some_and(|chat| chat == survivor || (either_name && *chat == set.public_id));
                self.say(!is_right, || {
                    format!("the {what} {id} is in {chat:?}, not in {survivor} of {:?}", set.participants)
                });
            }
        }
        for id in &set.folded {
            let chat = found.messages.get(id);
            self.say(chat.is_some(), || format!("the message {id}, sent twice, is there twice: {chat:?}"));
        }
    }

    fn memberships(&mut self, set: &ExpectedSet, survivor: &str, found: &Found) {
        let left =
            set.losers.iter().filter_map(text_of).filter(|loser| found.memberships.contains_key(loser));
        let left: Vec<String> = left.collect();
        self.say(!left.is_empty(), || format!("memberships still name {left:?} of {:?}", set.participants));
        let mut there = BTreeMap::new();
        for row in found.memberships.get(survivor).into_iter().flatten() {
            let unread = row.get("unread").ok().flatten().and_then(whole).unwrap_or_default();
            let read_ms =
                row.get_datetime("lastReadAt").map_or(i64::MIN, mongodb::bson::DateTime::timestamp_millis);
            let other = there.insert(text_at(row, "userId").unwrap_or_default(), (unread, read_ms));
            self.say(other.is_some(), || format!("{survivor}: somebody has two memberships: {row:?}"));
        }
        self.say(there != set.memberships, || {
            format!("{survivor}: memberships are {there:?}, not {:?}", set.memberships)
        });
    }
}
