//! The indexes: what they have to be, which of those that are there will do, and how they are made and dropped.

use std::fmt;

use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{Document, RawDocumentBuf, doc},
};
use onechat_core::StoreError;

use crate::{
    IdMapping, IndexError, MongoOptions, OpenError,
    codec::Codec,
    connection::Connection,
    error::{code, code_of, number, unavailable},
    metrics::Pool,
};

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexPurpose {
    /// Keeps the second chat of a set out: without it nothing is guaranteed.
    OneChatPerKey,
    /// Keeps a message that is sent again from being stored again.
    OneMessagePerClientId,
    /// Finds the chats of a participant.
    ChatsOfParticipant,
    /// Finds a chat by its public id.
    ChatByPublicId,
    /// Lists the messages of a chat.
    MessagesOfChat,
}

impl IndexPurpose {
    /// A stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneChatPerKey => "one_chat_per_key",
            Self::OneMessagePerClientId => "one_message_per_client_id",
            Self::ChatsOfParticipant => "chats_of_participant",
            Self::ChatByPublicId => "chat_by_public_id",
            Self::MessagesOfChat => "messages_of_chat",
        }
    }

    /// Whether the guarantee rests on it; the others only make things fast.
    pub const fn is_unique(self) -> bool {
        matches!(self, Self::OneChatPerKey | Self::OneMessagePerClientId)
    }
}

impl fmt::Display for IndexPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneChatPerKey => "one chat per set of participants",
            Self::OneMessagePerClientId => "one message per sender's own id",
            Self::ChatsOfParticipant => "lists a participant's chats",
            Self::ChatByPublicId => "finds a chat by its public id",
            Self::MessagesOfChat => "lists a chat's messages",
        })
    }
}

/// Whether an index that is needed is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStatus {
    /// The collection that it belongs to.
    pub collection: String,
    /// What it is needed for.
    pub purpose: IndexPurpose,
    /// The index that does it, ours or another program's.
    pub found: Option<FoundIndex>,
    /// Indexes on the same fields that will not do.
    pub unfit: Vec<UnfitIndex>,
}

/// An index that will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundIndex {
    /// Its name.
    pub name: String,
    /// Its definition as the server has it, as JSON.
    pub definition: String,
    /// Whether it has the name that we give; otherwise it is another program's.
    pub ours: bool,
}

/// An index that looks right and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitIndex {
    /// Its name.
    pub name: String,
    /// Why it will not do.
    pub reason: String,
}

/// The indexes of the collections that a mapping names.
pub struct MongoIndexes {
    database: Database,
    codec: Codec,
}

/// An index that is needed.
pub(crate) struct Needed {
    pub(crate) purpose: IndexPurpose,
    pub(crate) collection: String,
    name: String,
    key: Document,
    partial: Option<Document>,
}

impl MongoIndexes {
    /// Connects; looks at nothing and changes nothing yet.
    pub async fn connect(url: &str, options: &MongoOptions) -> Result<Self, OpenError> {
        let codec = Codec::new(options.mapping.clone())?;
        let connection = Connection::open(url, options.deadline, Pool::default()).await?;
        Ok(Self { database: connection.database, codec })
    }

    pub(crate) fn new(database: Database, codec: Codec) -> Self {
        Self { database, codec }
    }

    /// What there is, and what is missing.
    pub async fn status(&self) -> Result<Vec<IndexStatus>, StoreError> {
        let mut statuses = Vec::new();
        let (chats, messages) = (self.listed(true).await?, self.listed(false).await?);
        for needed in needed(&self.codec) {
            let there = if needed.collection == self.codec.mapping().chats { &chats } else { &messages };
            statuses.push(needed.among(there));
        }
        Ok(statuses)
    }

    /// Makes what is missing. Building a large index takes its time; interrupted, it goes on in the database.
    pub async fn create(&self) -> Result<Vec<IndexStatus>, IndexError> {
        let status = self.status().await?;
        for needed in needed(&self.codec) {
            if status.iter().any(|status| status.purpose == needed.purpose && status.found.is_none()) {
                self.build(&needed).await?;
            }
        }
        let after = self.status().await?;
        if after.iter().any(|status| status.found.is_none()) {
            return Err(IndexError::NotThere(after));
        }
        Ok(after)
    }

    /// Makes the missing indexes of collections that are empty: there they cannot fail, nor take long.
    pub(crate) async fn create_where_empty(&self) -> Result<(), IndexError> {
        let mapping = self.codec.mapping();
        for collection in [&mapping.chats, &mapping.messages] {
            let any = self.database.collection::<RawDocumentBuf>(collection).find_one(doc! {}).await;
            if any.map_err(|error| unavailable(&error))?.is_some() {
                continue;
            }
            let status = self.status().await?;
            for needed in needed(&self.codec).into_iter().filter(|needed| needed.collection == *collection) {
                if status.iter().any(|status| status.purpose == needed.purpose && status.found.is_none()) {
                    self.build(&needed).await?;
                }
            }
        }
        Ok(())
    }

    /// Drops every unique index on the key of chats, whoever made it. From then on nothing keeps duplicates out.
    /// The names of what was dropped, with their collection.
    pub async fn drop(&self) -> Result<Vec<String>, IndexError> {
        let collection = &self.codec.mapping().chats;
        let mut dropped = Vec::new();
        loop {
            let status = self.status().await?;
            let one_chat = status.into_iter().find(|status| status.purpose == IndexPurpose::OneChatPerKey);
            let Some(index) = one_chat.and_then(|status| status.found) else { return Ok(dropped) };
            let drop = doc! {
                "dropIndexes": collection, "index": &index.name, "writeConcern": { "w": "majority" },
            };
            match self.database.run_command(drop).await {
                Err(error) if code_of(&error) != Some(code::INDEX_NOT_FOUND) => {
                    return Err(unavailable(&error).into());
                }
                _ => dropped.push(format!("{collection}.{}", index.name)),
            }
        }
    }

    async fn build(&self, needed: &Needed) -> Result<(), IndexError> {
        let mut index = doc! { "key": needed.key.clone(), "name": &needed.name };
        if needed.purpose.is_unique() {
            index.insert("unique", true);
        }
        if let Some(partial) = &needed.partial {
            index.insert("partialFilterExpression", partial.clone());
        }
        let collection = &needed.collection;
        let create = doc! {
            "createIndexes": collection, "indexes": [index], "writeConcern": { "w": "majority" },
        };
        let Err(error) = self.database.run_command(create).await else { return Ok(()) };
        Err(match code_of(&error) {
            Some(code::DUPLICATE_KEY) => IndexError::Duplicates { collection: collection.clone() },
            Some(code::INDEX_OPTIONS_CONFLICT | code::INDEX_KEY_SPECS_CONFLICT) => {
                IndexError::InTheWay { collection: collection.clone(), name: needed.name.clone() }
            }
            _ => unavailable(&error).into(),
        })
    }

    /// The unique indexes of the chats: their fields in order, and their names.
    pub(crate) async fn unique_of_chats(&self) -> Result<Vec<(Vec<String>, String)>, StoreError> {
        let unique = |index: &Document| index.get_bool("unique").unwrap_or(false);
        let names = |index: &Document| {
            let key = index.get_document("key").ok()?;
            Some((key.keys().cloned().collect(), index.get_str("name").ok()?.to_owned()))
        };
        let mut indexes: Vec<_> =
            self.listed(true).await?.iter().filter(|index| unique(index)).filter_map(names).collect();
        indexes.push((vec!["_id".to_owned()], "_id_".to_owned()));
        Ok(indexes)
    }

    /// The indexes of a collection as the server describes them; none if there is no such collection.
    async fn listed(&self, chats: bool) -> Result<Vec<Document>, StoreError> {
        let mapping = self.codec.mapping();
        let name = if chats { &mapping.chats } else { &mapping.messages };
        let list = self.database.run_cursor_command(doc! { "listIndexes": name }).await;
        match list {
            Ok(cursor) => cursor.try_collect().await.map_err(|error| unavailable(&error)),
            Err(error) if code_of(&error) == Some(code::NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// Every index that the mapping needs.
pub(crate) fn needed(codec: &Codec) -> Vec<Needed> {
    let mapping = codec.mapping();
    let (chats, messages) = (&mapping.chats, &mapping.messages);
    let key = codec.key_field();
    let of_message = &mapping.message_fields;
    let client_id = &of_message.client_message_id;
    let needed = |purpose, collection: &String, name: String, key, partial| Needed {
        purpose,
        collection: collection.clone(),
        name,
        key,
        partial,
    };
    let mut all = vec![
        needed(
            IndexPurpose::OneChatPerKey,
            chats,
            format!("onechat_{key}"),
            doc! { key: 1 },
            Some(doc! { key: { "$gt": "" } }),
        ),
        needed(
            IndexPurpose::ChatsOfParticipant,
            chats,
            format!("onechat_{}", codec.participants_path()),
            doc! { codec.participants_path(): 1 },
            None,
        ),
        needed(
            IndexPurpose::OneMessagePerClientId,
            messages,
            format!("onechat_{client_id}"),
            doc! { &of_message.chat: 1, &of_message.sender: 1, client_id: 1 },
            Some(doc! { client_id: { "$gt": "" } }),
        ),
        needed(
            IndexPurpose::MessagesOfChat,
            messages,
            format!("onechat_{}", of_message.created_at),
            doc! { &of_message.chat: 1, &of_message.created_at: 1, "_id": 1 },
            None,
        ),
    ];
    if let IdMapping::Field { name, .. } = &mapping.id {
        all.push(needed(
            IndexPurpose::ChatByPublicId,
            chats,
            format!("onechat_{name}"),
            doc! { name: 1 },
            None,
        ));
    }
    all
}

impl Needed {
    fn among(&self, indexes: &[Document]) -> IndexStatus {
        let (mut found, mut unfit): (Option<FoundIndex>, Vec<UnfitIndex>) = (None, Vec::new());
        for index in indexes.iter().filter(|index| self.is_on_the_same_fields(index)) {
            let name = index.get_str("name").unwrap_or_default().to_owned();
            match self.what_is_wrong_with(index) {
                Some(reason) => unfit.push(UnfitIndex { name, reason }),
                None if found.as_ref().is_none_or(|found| !found.ours) => {
                    let definition = index.to_string();
                    found = Some(FoundIndex { ours: name == self.name, name, definition });
                }
                None => {}
            }
        }
        IndexStatus { collection: self.collection.clone(), purpose: self.purpose, found, unfit }
    }

    /// The direction of an index on one field is of no matter, nor is that of a pair of equalities.
    fn is_on_the_same_fields(&self, index: &Document) -> bool {
        index.get_document("key").is_ok_and(|key| key.keys().eq(self.key.keys()))
    }

    /// Why an index on the right fields will not do.
    fn what_is_wrong_with(&self, index: &Document) -> Option<String> {
        let flag = |name: &str| index.get_bool(name).unwrap_or(false);
        let key = index.get_document("key").ok()?;
        if key.values().any(|direction| number(Some(direction)).is_none()) {
            return Some("it is of another kind (text, hashed, geo)".to_owned());
        }
        if index.contains_key("collation") {
            return Some("it has a collation, to which different participants may be the same".to_owned());
        }
        if flag("hidden") {
            return Some("it is hidden from queries".to_owned());
        }
        if self.purpose.is_unique() && !flag("unique") {
            return Some("it is not unique".to_owned());
        }
        match index.get_document("partialFilterExpression") {
            Ok(filter) if Some(filter) == self.partial.as_ref() => None,
            Ok(filter) => Some(format!("it leaves out documents: it has the filter {filter}")),
            Err(_) if flag("sparse") && !self.purpose.is_unique() => {
                Some("it is sparse and leaves out documents".to_owned())
            }
            Err(_) => None,
        }
    }
}
