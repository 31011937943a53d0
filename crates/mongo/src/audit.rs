//! The audit of the collections: reads only, beside running servers. Memory does not grow with the data: grouping
//! is done by the database, which spills to its disk.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::{
    Collection, Database,
    bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::{
    ChatId, KeyFormat, Participant, ParticipantsKey, StoreError, Timestamp,
    ports::{Audit, AuditReport, FindingKind, Findings, Progress},
};

use crate::{
    IndexPurpose, MongoIndexes, MongoOptions, OpenError,
    codec::{Codec, field, text_of},
    collections::ALIASES,
    connection::Connection,
    error::{number, unavailable},
    meta,
    metrics::Pool,
};

/// How often progress is told, in chats.
const STRIDE: u64 = 10_000;
/// How many chats are fetched together to be compared with what refers to them.
const BATCH: usize = 1000;

/// Checks collections without changing anything; a user who may only read is enough.
pub struct MongoAudit {
    database: Database,
    codec: Codec,
    key_format: KeyFormat,
}

impl MongoAudit {
    /// Connects for reading.
    pub async fn connect(url: &str, options: &MongoOptions) -> Result<Self, OpenError> {
        let codec = Codec::new(options.mapping.clone())?;
        let connection = Connection::open(url, options.deadline, Pool::default()).await?;
        let chats = &codec.mapping().chats;
        if let Some(stored) = meta::noted(&connection.database, chats).await? {
            meta::compare(chats, stored, options.key_format)?;
        }
        Ok(Self::new(connection.database, codec, options.key_format))
    }

    pub(crate) fn new(database: Database, codec: Codec, key_format: KeyFormat) -> Self {
        Self { database, codec, key_format }
    }

    async fn run(&self, progress: &dyn Progress) -> Result<AuditReport, Error> {
        let mut findings = Findings::default();
        let chats = self.scan(progress, &mut findings).await?;
        self.duplicates(&mut findings).await?;
        let messages = self.messages(&mut findings).await?;
        let aliases = self.aliases(&mut findings).await?;
        Ok(AuditReport { chats, messages, aliases, findings: findings.into_sorted() })
    }

    async fn missing_index(&self) -> Result<Option<String>, StoreError> {
        let status = MongoIndexes::new(self.database.clone(), self.codec.clone()).status().await?;
        let key = status.into_iter().find(|status| status.purpose == IndexPurpose::OneChatPerKey);
        Ok(key.filter(|status| status.found.is_none()).map(|status| status.collection))
    }

    /// What shows in a chat alone.
    async fn scan(&self, progress: &dyn Progress, findings: &mut Findings) -> Result<u64, Error> {
        let chats = self.chats();
        let total = chats.estimated_document_count().await?;
        let mut cursor = chats.find(doc! {}).await?;
        let mut done = 0;
        while let Some(document) = cursor.try_next().await? {
            self.check(&document, findings);
            done += 1;
            if done % STRIDE == 0 {
                progress.advance(done, total.max(done));
            }
        }
        progress.advance(done, done);
        Ok(done)
    }

    fn check(&self, document: &RawDocument, findings: &mut Findings) {
        let id =
            || field(document, "_id").and_then(text_of).unwrap_or_else(|| "without a usable _id".to_owned());
        let set = match self.codec.participants(document) {
            Ok(set) => set,
            Err(reason) => {
                findings.add(FindingKind::MalformedParticipants, || format!("chat {}: {reason}", id()));
                return;
            }
        };
        let right = ParticipantsKey::new(&set, self.key_format);
        if self.key_format.may_be_ambiguous(&set) {
            findings.add(FindingKind::AmbiguousKey, || format!("chat {} has {:?}", id(), right.as_str()));
        }
        match field(document, self.codec.key_field()).and_then(RawBsonRef::as_str) {
            Some(key) if key == right.as_str() => {}
            None | Some("") => {
                findings.add(FindingKind::MissingKey, || {
                    format!("chat {} should have {:?}", id(), right.as_str())
                });
            }
            Some(key) => findings.add(FindingKind::WrongKey, || {
                format!("chat {} has {key:?}, its participants' key is {:?}", id(), right.as_str())
            }),
        }
    }

    /// Chats of one set, whatever keys they have: grouping by the key would not see those without one.
    async fn duplicates(&self, findings: &mut Findings) -> Result<(), Error> {
        let (participants, path) =
            (&self.codec.mapping().fields.participants, self.codec.participants_path());
        let as_text = doc! { "$convert": {
            "input": "$$this", "to": "string", "onError": Bson::Null, "onNull": Bson::Null,
        } };
        let members = doc! { "$map": { "input": format!("${path}"), "in": as_text } };
        let set = doc! { "$sortArray": { "input": { "$setUnion": [members, []] }, "sortBy": 1 } };
        let stages = vec![
            doc! { "$match": { participants: { "$type": "array", "$ne": [] } } },
            doc! { "$group": {
                "_id": set,
                "chats": { "$sum": 1 },
                "first": { "$min": "$_id" },
                "last": { "$max": "$_id" },
            } },
            doc! { "$match": { "chats": { "$gt": 1 }, "_id": { "$ne": Bson::Null } } },
        ];
        let chats: Collection<Document> = self.database.collection(&self.codec.mapping().chats);
        let mut groups = chats.aggregate(stages).allow_disk_use(true).await?;
        while let Some(group) = groups.try_next().await? {
            let members = group.get_array("_id").map(Vec::as_slice).unwrap_or_default();
            // Those are reported as malformed.
            if members.is_empty() || members.contains(&Bson::Null) {
                continue;
            }
            let count = number(group.get("chats")).unwrap_or_default();
            let (first, last) = (shown(group.get("first")), shown(group.get("last")));
            findings.add(FindingKind::DuplicateSet, || {
                format!("{count} chats of one set, among them {first} and {last}")
            });
        }
        Ok(())
    }

    /// What shows between messages and their chats.
    async fn messages(&self, findings: &mut Findings) -> Result<u64, Error> {
        let mapping = self.codec.mapping();
        let of = |name: &str| format!("${name}");
        let fields = &mapping.message_fields;
        let stages = vec![doc! { "$group": {
            "_id": of(&fields.chat),
            "messages": { "$sum": 1 },
            "newest": { "$max": of(&fields.created_at) },
            "senders": { "$addToSet": of(&fields.sender) },
        } }];
        let messages: Collection<Document> = self.database.collection(&mapping.messages);
        let mut groups = messages.aggregate(stages).allow_disk_use(true).await?;
        let (mut count, mut batch) = (0, Vec::with_capacity(BATCH));
        while let Some(group) = groups.try_next().await? {
            count += number(group.get("messages")).unwrap_or_default().unsigned_abs();
            batch.push(group);
            if batch.len() == BATCH {
                self.compare(&std::mem::take(&mut batch), findings).await?;
            }
        }
        self.compare(&batch, findings).await?;
        Ok(count)
    }

    async fn compare(&self, groups: &[Document], findings: &mut Findings) -> Result<(), Error> {
        let ids: Vec<Bson> = groups.iter().filter_map(|group| group.get("_id").cloned()).collect();
        let mut chats = HashMap::new();
        let mut cursor = self.chats().find(doc! { "_id": { "$in": ids } }).await?;
        while let Some(document) = cursor.try_next().await? {
            if let Ok(stored) = self.codec.chat(&document) {
                chats.insert(stored.document_id.to_string(), Some(stored.chat));
            } else {
                // It is reported as malformed.
                let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
                chats.insert(id.unwrap_or(Bson::Null).to_string(), None);
            }
        }
        for group in groups {
            let id = group.get("_id").unwrap_or(&Bson::Null);
            let Some(chat) = chats.get(&id.to_string()) else {
                let count = number(group.get("messages")).unwrap_or_default();
                findings.add(FindingKind::OrphanedMessage, || format!("{count} in {}", shown(Some(id))));
                continue;
            };
            let Some(chat) = chat else { continue };
            for sender in group.get_array("senders").map(Vec::as_slice).unwrap_or_default() {
                let sender = shown(Some(sender));
                if !Participant::new(sender.clone()).is_ok_and(|sender| chat.participants.contains(&sender)) {
                    findings.add(FindingKind::ForeignSender, || format!("{sender} in chat {}", chat.id));
                }
            }
            let newest = group.get_datetime("newest").ok().map(|at| at.timestamp_millis());
            let newest = newest.and_then(Timestamp::from_unix_ms);
            if newest > chat.last_message_at && self.is_still_behind(id, newest).await? {
                findings.add(FindingKind::WrongActivity, || match newest {
                    Some(at) => format!("chat {}, whose newest message is of {at}", chat.id),
                    None => format!("chat {}", chat.id),
                });
            }
        }
        Ok(())
    }

    /// A server that works stores the message first: what is behind for a moment is not wrong.
    async fn is_still_behind(&self, id: &Bson, newest: Option<Timestamp>) -> Result<bool, Error> {
        for _ in 0..5 {
            let Some(document) = self.chats().find_one(doc! { "_id": id.clone() }).await? else {
                return Ok(false);
            };
            if self.codec.chat(&document).is_ok_and(|stored| stored.chat.last_message_at >= newest) {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(true)
    }

    async fn aliases(&self, findings: &mut Findings) -> Result<u64, Error> {
        let aliases: Collection<Document> = self.database.collection(ALIASES);
        let mut cursor = aliases.find(doc! {}).await?;
        let (mut count, mut batch) = (0, Vec::with_capacity(BATCH));
        while let Some(alias) = cursor.try_next().await? {
            count += 1;
            batch.push((shown(alias.get("_id")), shown(alias.get("chat"))));
            if batch.len() == BATCH {
                self.compare_aliases(&std::mem::take(&mut batch), findings).await?;
            }
        }
        self.compare_aliases(&batch, findings).await?;
        Ok(count)
    }

    async fn compare_aliases(
        &self,
        aliases: &[(String, String)],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let texts = aliases.iter().flat_map(|(alias, chat)| [alias, chat]);
        let ids: Vec<Bson> =
            texts.filter_map(|id| ChatId::new(id.as_str()).ok().and_then(|id| self.codec.id(&id))).collect();
        let id_field = self.codec.id_field();
        let chats = self.chats();
        let find = chats.find(doc! { id_field: { "$in": ids } }).projection(doc! { id_field: 1 });
        let living: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
        let living: HashSet<String> =
            living.iter().filter_map(|document| field(document, id_field).and_then(text_of)).collect();
        for (alias, chat) in aliases {
            if living.contains(alias) {
                findings.add(FindingKind::AliasOfLiveChat, || alias.clone());
            }
            if !living.contains(chat) {
                findings.add(FindingKind::DanglingAlias, || format!("{alias} of {chat}"));
            }
        }
        Ok(())
    }

    fn chats(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(&self.codec.mapping().chats)
    }
}

#[async_trait]
impl Audit for MongoAudit {
    async fn audit(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError> {
        let missing = self.missing_index().await?;
        let mut report = self.run(progress).await.map_err(|error| unavailable(&error))?;
        if let Some(collection) = missing {
            let mut findings = Findings::default();
            findings.add(FindingKind::MissingUniqueIndex, || format!("collection {collection}"));
            // First in the order of reports, but for damage, which a database finds by itself.
            report.findings.splice(0..0, findings.into_sorted());
        }
        Ok(report)
    }
}

/// An id of any form, for people.
fn shown(value: Option<&Bson>) -> String {
    match value {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(Bson::String(text)) => text.clone(),
        Some(Bson::Binary(binary)) => match uuid::Uuid::from_slice(&binary.bytes) {
            Ok(uuid) => uuid.to_string(),
            Err(_) => format!("{:?}", binary.bytes),
        },
        Some(other) => other.to_string(),
        None => "nothing".to_owned(),
    }
}
