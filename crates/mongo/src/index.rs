//! The indexes: what they have to be, which of those that are there will do, and how they are made and dropped.

use std::fmt;

use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{Document, RawDocumentBuf, doc},
    options::Collation,
};
use onechat_core::StoreError;

use crate::{
    IndexError, MongoOptions, OpenError,
    codec::Codec,
    connection::Connection,
    error::{code, code_of, unavailable},
    metrics::Pool,
    needed::{Needed, finds_all_by, needed},
};

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexPurpose {
    /// Keeps the second chat of a set out: without it nothing is guaranteed.
    OneChatPerKey,
    /// Keeps a message that is sent again from being stored again.
    OneMessagePerClientId,
    /// Finds a chat by its id, for a participant of it.
    ChatOfParticipant,
    /// Lists a participant's chats that have messages.
    ActiveChatsOfParticipant,
    /// Lists a participant's chats that have no message yet.
    SilentChatsOfParticipant,
    /// Lists the messages of a chat.
    MessagesOfChat,
}

impl IndexPurpose {
    /// A stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneChatPerKey => "one_chat_per_key",
            Self::OneMessagePerClientId => "one_message_per_client_id",
            Self::ChatOfParticipant => "chat_of_participant",
            Self::ActiveChatsOfParticipant => "active_chats_of_participant",
            Self::SilentChatsOfParticipant => "silent_chats_of_participant",
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
            Self::ChatOfParticipant => "finds a chat for its participant",
            Self::ActiveChatsOfParticipant => "lists a participant's chats with messages",
            Self::SilentChatsOfParticipant => "lists a participant's chats without messages",
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
    /// One that is not unique, but keeps new duplicates out while old ones stand (`prepareUnique`). It is among the
    /// unfit ones too, since not everything is kept out.
    pub guarding: Option<FoundIndex>,
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

impl IndexStatus {
    /// The index by which the server refuses a second chat with a key.
    pub(crate) fn keeps_out(&self) -> Option<&FoundIndex> {
        self.found.as_ref().or(self.guarding.as_ref())
    }
}

/// The indexes of the collections that a mapping names.
pub struct MongoIndexes {
    pub(crate) database: Database,
    pub(crate) codec: Codec,
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

    /// Those of servers that know the previous keys alone, if there are such keys.
    pub(crate) fn of_previous(&self) -> Option<Self> {
        let previous = self.codec.previous()?;
        Some(Self { database: self.database.clone(), codec: previous.codec().clone() })
    }

    /// What there is, and what is missing; as `needed` has it.
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
        let mut all: Vec<_> = needed(&self.codec).into_iter().zip(status).collect();
        // Those that can fail come last: the others are of use even then.
        all.sort_by_key(|(needed, _)| needed.purpose.is_unique());
        for (needed, status) in all {
            match (&status.found, &status.guarding) {
                (Some(_), _) => {}
                (None, Some(guarding)) => {
                    let (collection, name) = (needed.collection, guarding.name.clone());
                    return Err(IndexError::Guarding { collection, name });
                }
                (None, None) => self.build(&needed, needed.purpose.is_unique()).await?,
            }
        }
        let after = self.status().await?;
        if after.iter().any(|status| status.found.is_none()) {
            return Err(IndexError::NotThere(after));
        }
        self.note_protected().await?;
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
            for (needed, status) in needed(&self.codec).into_iter().zip(status) {
                if needed.collection == *collection && status.found.is_none() {
                    self.build(&needed, needed.purpose.is_unique()).await?;
                }
            }
        }
        Ok(())
    }

    /// Drops every index on the key of chats that is unique or keeps new duplicates out, whoever made it. From then
    /// on nothing keeps duplicates out, so servers are told to create nothing. The names of what was dropped, with
    /// their collection.
    pub async fn drop(&self) -> Result<Vec<String>, IndexError> {
        self.tell_servers_to_stop().await?;
        self.drop_on_the_key().await
    }

    /// The same, once servers were told.
    pub(crate) async fn drop_on_the_key(&self) -> Result<Vec<String>, IndexError> {
        let collection = &self.codec.mapping().chats;
        let mut dropped = Vec::new();
        loop {
            let key = self.on_the_key().await?;
            let Some(index) = key.keeps_out() else { return Ok(dropped) };
            self.drop_one(&index.name).await?;
            dropped.push(format!("{collection}.{}", index.name));
        }
    }

    /// Drops an index of the chats. Does nothing if it is not there.
    pub(crate) async fn drop_one(&self, name: &str) -> Result<(), IndexError> {
        let drop = doc! {
            "dropIndexes": &self.codec.mapping().chats, "index": name, "writeConcern": { "w": "majority" },
        };
        match self.database.run_command(drop).await {
            Err(error) if code_of(&error) != Some(code::INDEX_NOT_FOUND) => Err(unavailable(&error).into()),
            _ => Ok(()),
        }
    }

    /// Makes an index; one on the key may be made without being unique.
    pub(crate) async fn build(&self, needed: &Needed, unique: bool) -> Result<(), IndexError> {
        // A collection may have a collation of its own, to which different people are the same.
        let mut index =
            doc! { "key": needed.key.clone(), "name": &needed.name, "collation": simple_document() };
        if unique {
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
            Some(code::CANNOT_INDEX_PARALLEL_ARRAYS) => {
                IndexError::Arrays { collection: collection.clone(), fields: needed.fields() }
            }
            Some(code::INDEX_OPTIONS_CONFLICT | code::INDEX_KEY_SPECS_CONFLICT) => {
                IndexError::InTheWay { collection: collection.clone(), name: needed.name.clone() }
            }
            _ => unavailable(&error).into(),
        })
    }

    /// The index on the key of chats, as it is.
    pub(crate) async fn on_the_key(&self) -> Result<IndexStatus, StoreError> {
        Ok(self.needed_on_the_key().among(&self.listed(true).await?))
    }

    /// Whether any index finds all chats of a participant: what it has beside the participants is of no matter.
    pub(crate) async fn finds_by_participants(&self) -> Result<bool, StoreError> {
        let paths = self.codec.participants_paths();
        let finds = |index: &Document| paths.iter().any(|path| finds_all_by(index, path));
        Ok(self.listed(true).await?.iter().any(finds))
    }

    pub(crate) fn needed_on_the_key(&self) -> Needed {
        let mut all = needed(&self.codec).into_iter();
        all.find(|needed| needed.purpose == IndexPurpose::OneChatPerKey).expect("it is always needed")
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
    pub(crate) async fn listed(&self, chats: bool) -> Result<Vec<Document>, StoreError> {
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

/// Compares texts as they are, whatever the collection's own collation says.
pub(crate) fn simple() -> Collation {
    Collation::builder().locale("simple").build()
}

pub(crate) fn simple_document() -> Document {
    doc! { "locale": "simple" }
}
