//! What names chats elsewhere, and which of that are the messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};

use super::{
    super::{MigrateError, MongoMigrator, commands::persist},
    chats::{CHATS, Chats, counted, timed},
    kinds::{SENDERS, hides, rule_of, text_field},
    sample::{Sample, at, id_form, id_text, is_most, leaves, person_of, person_text, plain, time_form},
};

/// How many values of a collection are looked for among the chats.
const VALUES: usize = 4000;
/// How many are looked for together.
const TOGETHER: usize = 500;

/// A field whose values are ids of chats.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) collection: String,
    pub(super) field: String,
    /// How many different values were looked for, and how many chats they are ids of.
    pub(super) values: usize,
    pub(super) matches: usize,
    /// In words.
    pub(super) form: String,
    /// The field with the participant, if there is a row for each participant and chat.
    pub(super) participant: Option<String>,
    pub(super) rules: BTreeMap<String, &'static str>,
}

/// The collection of messages.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) collection: String,
    /// The field that names the chat, if one does: else the chat lists them.
    pub(super) chat: Option<String>,
    /// How many of them name it in which form, the commonest first; and whether some do in another one than the chat's own.
    pub(super) chat_forms: Vec<(&'static str, usize)>,
    pub(super) names_otherwise: bool,
    pub(super) sender: String,
    pub(super) text: Option<String>,
    pub(super) client_message_id: Option<String>,
    pub(super) created_at: Option<String>,
    /// How those times are written, if not as dates.
    pub(super) times: Option<&'static str>,
    /// The flags that hide a message from all, and are set somewhere.
    pub(super) hiding: Vec<String>,
}

/// Chats by the text of their ids.
pub(super) type Known = HashMap<String, KnownChat>;

/// What is known of a chat.
#[derive(Debug, Clone)]
pub(super) struct KnownChat {
    people: Vec<String>,
    /// How its `_id` is written.
    form: Option<&'static str>,
}

impl MongoMigrator {
    /// Every field of a collection that names chats.
    pub(super) async fn rows_of(
        &self,
        sample: &Sample,
        chats: &Chats,
        known: &mut Known,
    ) -> Result<Vec<Row>, MigrateError> {
        let mut paths: BTreeMap<String, BTreeMap<String, &Bson>> = BTreeMap::new();
        let mut wanted: HashMap<String, &Bson> = HashMap::new();
        for document in &sample.documents {
            leaves(document, &mut |path, value| {
                let Some(text) = name_text(path, value).filter(|_| wanted.len() < VALUES) else { return };
                paths.entry(path.to_owned()).or_default().insert(text.clone(), value);
                wanted.insert(text, value);
            });
        }
        self.look_up(chats, wanted.into_values(), known).await?;
        let is_chats = sample.collection == chats.collection;
        let public = chats.public_id.as_ref().map(|id| id.field.as_str());
        let rows = paths.into_iter().filter_map(|(field, values)| {
            let matches = values.keys().filter(|text| known.contains_key(*text)).count();
            let is_own = field == "_id" || (is_chats && (Some(field.as_str()) == public || is_inner(&field)));
            if is_own || !is_most(matches, values.len(), 20) {
                return None;
            }
            let mut row = Row {
                collection: sample.collection.clone(),
                form: form(values.values()),
                values: values.len(),
                matches,
                field,
                participant: None,
                rules: BTreeMap::new(),
            };
            row.look_for_state(sample, known);
            Some(row)
        });
        Ok(rows.collect())
    }

    /// Adds those chats to the known ones that have one of the ids.
    async fn look_up<'a>(
        &self,
        chats: &Chats,
        values: impl Iterator<Item = &'a Bson>,
        known: &mut Known,
    ) -> Result<(), MigrateError> {
        let collection = self.database.collection::<Document>(&chats.collection);
        let public = chats.public_id.as_ref().map(|id| id.field.as_str());
        let ids: Vec<Bson> = values.flat_map(|value| self.codec.names(value)).collect();
        for ids in ids.chunks(TOGETHER) {
            let mut fields = vec![doc! { "_id": { "$in": ids } }];
            fields.extend(public.map(|public| doc! { public: { "$in": ids } }));
            for filter in fields {
                let found: Vec<Document> =
                    persist(|| async { collection.find(filter.clone()).await?.try_collect().await }).await?;
                for chat in found {
                    let one =
                        KnownChat { people: chats.people(&chat), form: chat.get("_id").and_then(id_form) };
                    let ids =
                        ["_id"].into_iter().chain(public).filter_map(|name| person_text(chat.get(name)?));
                    known.extend(ids.map(|id| (id, one.clone())));
                }
            }
        }
        Ok(())
    }
}

impl Row {
    /// The people of the chat that a row names.
    fn people<'a>(&self, row: &Document, known: &'a Known) -> Option<&'a Vec<String>> {
        known.get(&person_text(at(row, &self.field)?)?).map(|chat| &chat.people)
    }

    /// The fields of the rows whose values are people of the rows' chats, the surest first.
    fn member_fields(&self, sample: &Sample, known: &Known) -> Vec<String> {
        let (mut agreeing, mut all) = (BTreeMap::<&str, usize>::new(), 0);
        for row in &sample.documents {
            let Some(people) = self.people(row, known) else { continue };
            all += 1;
            for (name, value) in row {
                let is_one = person_of(value).is_some_and(|id| people.contains(&id));
                *agreeing.entry(name).or_default() += usize::from(is_one);
            }
        }
        let mut fields: Vec<(&str, usize)> =
            agreeing.into_iter().filter(|(_, some)| is_most(*some, all, 60)).collect();
        fields.sort_by_key(|(_, some)| std::cmp::Reverse(*some));
        fields.into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether each participant has one row per chat: by a unique index, or by a name that says so and no pair twice.
    fn look_for_state(&mut self, sample: &Sample, known: &Known) {
        const NAMES: [&str; 9] = [
            "member",
            "participant",
            "read",
            "receipt",
            "unread",
            "state",
            "setting",
            "subscription",
            "inbox",
        ];
        let Some(participant) = self.member_fields(sample, known).into_iter().next() else { return };
        let is_pair = |fields: &Vec<String>| {
            fields.len() == 2 && fields.contains(&self.field) && fields.contains(&participant)
        };
        let mut pairs = BTreeSet::new();
        let is_once = sample.documents.iter().all(|row| {
            let value = |path: &str| at(row, path).and_then(person_text);
            pairs.insert((value(&self.field), value(&participant)))
        });
        let name = plain(&self.collection);
        let is_called_so = NAMES.iter().any(|part| name.contains(part)) && is_once;
        if !sample.unique.iter().any(is_pair) && !is_called_so {
            return;
        }
        for (field, values) in sample.fields() {
            let is_other = field != "_id" && field != "__v" && field != self.field && *field != participant;
            if let Some(rule) = rule_of(field, &values).filter(|_| is_other) {
                self.rules.insert(field.to_owned(), rule);
            }
        }
        self.participant = Some(participant);
    }

    /// These rows as messages: somebody of the chat said something.
    pub(super) fn as_messages(&self, sample: &Sample, known: &Known) -> Option<(usize, Messages)> {
        if self.field.contains('.') || self.participant.is_some() {
            return None;
        }
        let senders = self.member_fields(sample, known);
        let is_sender = |name: &&String| SENDERS.iter().any(|part| plain(name).contains(part));
        let sender = senders.iter().find(is_sender).or(senders.first())?.clone();
        let mut messages = Messages::of(sample, Some(&self.field), &sender)?;
        let named = sample.documents.iter().filter_map(|row| {
            let value = at(row, &self.field)?;
            Some((id_form(value)?, known.get(&person_text(value)?)?.form?))
        });
        let named: Vec<(&str, &str)> = named.collect();
        messages.names_otherwise =
            named.iter().any(|(form, own)| form != own && !(is_number(form) && is_number(own)));
        messages.chat_forms = counted(named.into_iter().map(|(form, _)| form));
        let named = if plain(&self.collection).contains("messag") { 1000 } else { 0 };
        Some((named + self.matches, messages))
    }
}

impl Messages {
    /// The rows of a collection as messages by this field; of the chat that a field names, or of the one that lists them.
    pub(super) fn of(sample: &Sample, chat: Option<&str>, sender: &str) -> Option<Self> {
        let fields = sample.fields();
        let text = text_field(&fields, &[chat.unwrap_or_default(), sender])?;
        let client = fields.keys().find(|name| {
            let plain = plain(name);
            ["client", "nonce", "tempid", "localid", "idempot"].iter().any(|part| plain.contains(part))
        });
        let path = fields.get(sender).and_then(|values| {
            let inner = values.iter().find_map(|value| value.as_document())?;
            ["$id", "_id", "id", "userId"].into_iter().find(|name| inner.contains_key(*name))
        });
        let created_at = timed(sample, &["creat", "sent", "time", "date", "at", "ts"]);
        let is_set = |values: &Vec<&Bson>| {
            values.iter().all(|value| matches!(value, Bson::Boolean(_) | Bson::Null))
                && values.iter().any(|value| matches!(value, Bson::Boolean(true)))
        };
        let hiding = fields.iter().filter(|(name, values)| hides(name) && is_set(values));
        Some(Self {
            hiding: hiding.map(|(name, _)| (*name).to_owned()).collect(),
            collection: sample.collection.clone(),
            times: created_at.as_ref().and_then(|name| time_form(fields.get(name.as_str())?)),
            chat: chat.map(str::to_owned),
            chat_forms: Vec::new(),
            names_otherwise: false,
            client_message_id: client.map(|name| (*name).to_owned()),
            created_at,
            sender: path.map_or_else(|| sender.to_owned(), |path| format!("{sender}.{path}")),
            text: Some(text),
        })
    }
}

/// The server calls numbers equal whatever their type.
fn is_number(form: &str) -> bool {
    ["int32", "int64", "double"].contains(&form)
}

/// What a row may name a chat by. Numbers are everywhere, so only fields that are called like chats have ids in them.
fn name_text(path: &str, value: &Bson) -> Option<String> {
    id_text(value).or_else(|| {
        let name = plain(path.rsplit('.').next().unwrap_or(path));
        let is_called_so = CHATS.iter().chain(&["convo", "conv"]).any(|part| name.contains(part));
        person_text(value).filter(|_| is_called_so || ["rid", "cid", "tid"].contains(&name.as_str()))
    })
}

/// What is inside of arrays and sub-documents of chats themselves belongs to what they are.
fn is_inner(field: &str) -> bool {
    field.contains('.')
}

fn form<'a>(values: impl Iterator<Item = &'a &'a Bson>) -> String {
    let (mut object_ids, mut strings, mut uuids, mut numbers) = (0, 0, 0, 0);
    for value in values {
        match value {
            Bson::ObjectId(_) => object_ids += 1,
            Bson::String(_) => strings += 1,
            Bson::Binary(_) => uuids += 1,
            _ => numbers += 1,
        }
    }
    let parts = [(object_ids, "ObjectIds"), (strings, "strings"), (uuids, "UUIDs"), (numbers, "numbers")];
    let parts: Vec<&str> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, name)| name).collect();
    parts.join(" and ")
}
