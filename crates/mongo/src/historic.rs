//! Chats that their key does not find, since nobody gave it to them: they are found by their participants, and adopted
//! by giving them the key.
//!
//! Whoever misses a chat by its key has to look here before creating one; otherwise every old chat would get a
//! duplicate on its first request. What happens between this look and the write is settled by the unique (or guarding)
//! index: of an adoption and an insert with one key, one fails, and looks again by key. Only a chat that somebody
//! inserts without a key after this look is a duplicate, which nothing but `onechat watch` can heal.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, Document, RawBsonRef, RawDocument, doc},
    error::Error,
    options::ReadConcern,
};
use onechat_core::{Chat, ChatIdentity, KeyFormat, ParticipantsKey, StoreError, Timestamp};

use crate::{
    attempt::{Deadline, once, until},
    codec::{Previous, field},
    collections::Collections,
    error::{Written, code, code_of, is_permanent, number, reason, sort_out},
    formula::{is_no_key, is_of_somebody},
    index::simple,
};

/// The most sets, and about the most participants, that one find asks for.
const MOST_SETS: usize = 100;
const MOST_PARTICIPANTS: usize = 1000;

/// Keys that a program like ours may have written.
const FORMATS: [KeyFormat; 2] = [KeyFormat::Escaped, KeyFormat::Joined];

/// A set that somebody asks for, with its key. Two sets may have the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: ParticipantsKey,
    pub(crate) identity: Arc<ChatIdentity>,
}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// A chat that was found by its participants.
#[derive(Debug, Clone)]
pub(crate) struct Historic {
    pub(crate) chat: Arc<Chat>,
    /// Whether it has its key: somebody gave it to it since it was looked for by that.
    pub(crate) is_keyed: bool,
    /// Whether it can be given its key. One that another program may have made by its own formula is not overwritten: that
    /// program finds the chat by it.
    pub(crate) is_adoptable: bool,
    document_id: Bson,
    /// Its key and its identity as they are stored: only while they are, it is adopted.
    key: Option<Bson>,
    identity_as_stored: Document,
    /// Whether it has its previous key: servers that know no other find it by that.
    has_previous: bool,
    /// The previous key that it is to get, if it has none, and what has to be stored for that.
    previous: Option<(ParticipantsKey, Document)>,
}

/// What the participants find. One that is damaged stands for a set only if there is no other.
pub(crate) type FoundBySet = HashMap<Wanted, Result<Historic, StoreError>>;

impl Collections {
    /// The chat of each set: the one with the right key if there is one, else the oldest. Bounded by the time that one
    /// try may take: without an index on the participants this reads the whole collection.
    pub(crate) async fn by_participants(
        &self,
        wanted: &[&Wanted],
        concern: &ReadConcern,
        deadline: Deadline,
    ) -> Result<FoundBySet, StoreError> {
        let mut found = HashMap::new();
        for wanted in in_parts(wanted) {
            self.metrics.participant_lookups.inc_by(wanted.len() as u64);
            let part = until(deadline, &self.metrics, || async {
                match self.find_sets(wanted, concern, deadline).await {
                    // Trying again would read the whole collection again.
                    Err(error) if code_of(&error) == Some(code::MAX_TIME_MS_EXPIRED) => Ok(None),
                    other => other.map(Some),
                }
            });
            found.extend(part.await?.ok_or_else(|| {
                StoreError::Unavailable(
                    "looking for chats by their participants took too long; `onechat guard on` makes the index for it"
                        .to_owned(),
                )
            })?);
        }
        Ok(found)
    }

    /// Whether there is really no chat of the set, with or without its key: see [`Collections::surely_by_key`].
    pub(crate) async fn surely_by_participants(
        &self,
        wanted: &Wanted,
    ) -> Result<Option<Arc<Chat>>, StoreError> {
        if !self.is_replicated {
            return Ok(None);
        }
        let mut found =
            self.by_participants(&[wanted], &ReadConcern::linearizable(), self.deadline()).await?;
        Ok(found.remove(wanted).transpose()?.map(|found| found.chat))
    }

    async fn find_sets(
        &self,
        wanted: &[&Wanted],
        concern: &ReadConcern,
        deadline: Deadline,
    ) -> Result<FoundBySet, Error> {
        let by_set: HashMap<&ChatIdentity, &Wanted> =
            wanted.iter().map(|wanted| (&*wanted.identity, *wanted)).collect();
        let sets: Vec<Document> = wanted.iter().flat_map(|wanted| self.has_all(&wanted.identity)).collect();
        let find = self
            .chats
            .find(self.codec.inside(doc! { "$or": sets }))
            .projection(self.parts())
            .collation(simple());
        // The server gives up before we do, so that no scan goes on that nobody waits for.
        let find = find.read_concern(concern.clone()).max_time(deadline.server_time() * 3 / 4);
        let mut cursor = find.await?;
        let mut found: FoundBySet = HashMap::new();
        while let Some(document) = cursor.try_next().await? {
            // The filter finds larger sets too, and knows nothing of what else an element may hold.
            let Ok(identity) = self.codec.identity(&document) else { continue };
            let Some(wanted) = by_set.get(&identity) else { continue };
            let candidate = self.historic(&document, wanted);
            if found.get(*wanted).is_none_or(|known| rank(&candidate) < rank(known)) {
                found.insert((*wanted).clone(), candidate);
            }
        }
        Ok(found)
    }

    /// Chats with messages, and chats without: each kind has an index that begins with the participants.
    fn has_all(&self, identity: &ChatIdentity) -> [Document; 2] {
        let mut filter = self.codec.has_all(&identity.participants);
        filter.extend(self.codec.has_context(identity.context.as_ref()));
        let active = &self.codec.mapping().fields.last_message_at;
        [doc! { "$exists": true }.into(), Bson::Null].map(|kind| {
            let mut filter = filter.clone();
            filter.insert(active, kind);
            filter
        })
    }

    /// The fields that make a chat: others may hold all its messages.
    pub(crate) fn parts(&self) -> Document {
        let fields = &self.codec.mapping().fields;
        let names = [
            "_id",
            self.codec.id_field(),
            self.codec.key_field(),
            &fields.created_at,
            &fields.updated_at,
            &fields.last_message_at,
        ];
        let previous = self.codec.previous().into_iter().flat_map(Previous::fields);
        let names = names.into_iter().chain(self.codec.identity_fields()).chain(previous);
        names.map(|name| (name.to_owned(), Bson::Int32(1))).collect()
    }

    pub(crate) fn historic(&self, document: &RawDocument, wanted: &Wanted) -> Result<Historic, StoreError> {
        let stored = self.codec.chat(document)?;
        let value = |name: &str| field(document, name).and_then(|value| Bson::try_from(value).ok());
        let key = field(document, self.codec.key_field());
        let is_keyed = key.and_then(RawBsonRef::as_str) == Some(wanted.key.as_str());
        let previous = self.codec.previous();
        Ok(Historic {
            has_previous: previous.is_some_and(|previous| {
                let key = previous.stored(document);
                key.is_some() && key == previous.key_of(document).as_ref().map(ParticipantsKey::as_str)
            }),
            previous: previous.and_then(|previous| previous.missing_in(document)),
            chat: Arc::new(stored.chat),
            is_keyed,
            is_adoptable: key.is_none_or(|key| {
                is_no_key(key) || FORMATS.iter().any(|format| is_of_somebody(key, *format))
            }),
            document_id: stored.document_id,
            key: value(self.codec.key_field()),
            identity_as_stored: self.codec.identity_as_stored(document),
        })
    }

    /// Gives chats their key, each only if it is as it was found; and their previous key, as long as others rely on that.
    /// What became of each, a chat that had changed among the stored ones; and how many got their key.
    pub(crate) async fn adopt(
        &self,
        chats: &[(&Wanted, Historic)],
        follows_previous: bool,
        deadline: Deadline,
    ) -> Result<(Vec<Written>, u64), StoreError> {
        let key_field = self.codec.key_field();
        let updates = chats.iter().map(|(wanted, chat)| {
            let mut as_found = doc! {
                "_id": chat.document_id.clone(),
                // Null also stands for a key that is not there.
                key_field: { "$eq": chat.key.clone().unwrap_or(Bson::Null) },
            };
            as_found.extend(chat.identity_as_stored.clone());
            let mut keys = doc! { key_field: wanted.key.as_str() };
            if let (true, Some(previous), Some((key, stored))) =
                (follows_previous, self.codec.previous(), &chat.previous)
            {
                as_found.extend(stored.clone());
                keys.insert(previous.field(), key.as_str());
            }
            let update = doc! { "$set": keys };
            doc! { "q": self.codec.inside(as_found), "u": update, "collation": { "locale": "simple" } }
        });
        let wait = i64::try_from(deadline.server_time().as_millis()).unwrap_or(i64::MAX);
        let command = doc! {
            "update": self.chats.name(),
            "ordered": false,
            "updates": updates.collect::<Vec<_>>(),
            "writeConcern": { "w": "majority", "j": true, "wtimeout": wait },
        };
        let why = match once(deadline, self.database.run_command(command).into_future()).await {
            Ok(Ok(reply)) => {
                let adopted = number(reply.get("nModified")).and_then(|count| u64::try_from(count).ok());
                return Ok((sort_out(&reply, chats.len()), adopted.unwrap_or(0)));
            }
            Ok(Err(error)) if is_permanent(&error) => return Err(StoreError::Unavailable(reason(&error))),
            Ok(Err(error)) => reason(&error),
            Err(hung) => hung.to_owned(),
        };
        Ok((vec![Written::Unknown(why); chats.len()], 0))
    }
}

/// Parts that one find can ask for.
fn in_parts<'a, 'b>(wanted: &'a [&'b Wanted]) -> impl Iterator<Item = &'a [&'b Wanted]> {
    let mut rest = wanted;
    std::iter::from_fn(move || {
        let mut participants = 0;
        let fits = |wanted: &&&Wanted| {
            participants += wanted.identity.participants.members().len();
            participants <= MOST_PARTICIPANTS
        };
        let count = rest.iter().take(MOST_SETS).take_while(fits).count().max(usize::from(!rest.is_empty()));
        let (part, others) = rest.split_at(count);
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

/// The same order on every server. Who has the previous key, no index takes it from.
pub(crate) fn rank(
    candidate: &Result<Historic, StoreError>,
) -> (bool, bool, bool, Option<(Timestamp, &str)>) {
    let found = candidate.as_ref().ok();
    let age = found.map(|found| (found.chat.created_at, found.chat.id.as_str()));
    let (is_keyed, has_previous) = found.map_or((false, false), |found| (found.is_keyed, found.has_previous));
    (found.is_none(), !is_keyed, !has_previous, age)
}
