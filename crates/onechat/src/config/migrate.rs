//! From `[migrate]` to rules that make sense, and to the limits of long work.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use onechat_migrate::{
    EmbeddedArray, FieldNames, FieldRule, MergeRules, MessageFieldsOfRows, Reference, RowState, StateField,
    StateForm, SurvivorPolicy,
};
use onechat_mongo::{IdMapping, Mapping, MessagePlace};

use super::{
    mapping::{check_collection, check_field, check_path, root},
    migrate_settings::{
        EmbeddedSettings, Form, MigrateSettings, OpenQuestion, ReferenceSettings, RenumberSettings, Rule,
        StateSettings, Survivor,
    },
};

/// What only a migration needs to know.
#[derive(Clone, PartialEq)]
pub(crate) struct MigrateConfig {
    pub(crate) rules: MergeRules,
    pub(crate) limits: Limits,
    /// Whether a document that `only` leaves out gives up its key when a chat inside needs it.
    pub(crate) takes_outside_keys: bool,
    /// Whether messages that name no chat get the one of their sender and receiver.
    pub(crate) makes_chats: bool,
    /// What the operator has not answered.
    pub(crate) questions: Vec<OpenQuestion>,
    /// The work stops when this file is there.
    pub(crate) stop_file: Option<PathBuf>,
}

/// How fast long work may be. Can change while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// Documents written per second.
    pub(crate) max_rate: Option<u32>,
    /// How far a secondary may be behind.
    pub(crate) max_lag: Option<Duration>,
}

/// What the names of our own collections begin with.
const OURS: &str = "onechat_";

impl MigrateConfig {
    pub(super) fn resolve(settings: MigrateSettings, mapping: &Mapping) -> anyhow::Result<Self> {
        let limits = Limits::of(&settings)?;
        let mut taken = meanings(mapping);
        let mut references: Vec<Reference> = messages(mapping).into_iter().collect();
        for given in settings.references {
            let reference = reference(given, mapping, &references).context("references")?;
            references.push(reference);
        }
        for given in settings.renumber {
            renumber(given, &mut references).context("renumber")?;
        }
        let embedded = settings.embedded.into_iter().map(|given| embedded(given, &mut taken));
        let mut embedded = embedded.collect::<anyhow::Result<Vec<_>>>().context("embedded")?;
        let is_said = |own: &EmbeddedArray| embedded.iter().any(|said| said.field == own.field);
        if let Some(own) = embedded_messages(mapping).filter(|own| !is_said(own)) {
            take(&mut taken, "chat_fields", &own.field)?;
            embedded.push(own);
        }
        let path = match (&mapping.participant_path, &mapping.fields.participants[..]) {
            (Some(path), [participants]) => Some((participants, path.as_str())),
            _ => None,
        };
        let state = settings.state.into_iter().map(|given| state(given, path, &mut taken));
        let state = state.collect::<anyhow::Result<_>>().context("state")?;
        for field in settings.fields.keys() {
            take_path(&mut taken, field)?;
        }
        let rules = MergeRules {
            survivor: settings.survivor.unwrap_or_default().into(),
            names: names(mapping),
            references,
            embedded,
            state,
            fields: rules_of(settings.fields),
        };
        let takes_outside_keys = settings.outside_keys.is_some();
        let makes_chats = settings.chats_from_messages.unwrap_or(false);
        if makes_chats {
            ensure_can_make_chats(mapping).context("chats_from_messages")?;
        }
        let (questions, stop_file) = (settings.questions, settings.stop_file);
        Ok(Self { rules, limits, takes_outside_keys, makes_chats, questions, stop_file })
    }

    /// Nothing is left open of what decides which chats are one chat.
    pub(crate) fn ensure_answered(&self) -> anyhow::Result<()> {
        if self.questions.is_empty() {
            return Ok(());
        }
        let questions = self.questions.iter().fold(String::new(), |mut text, open| {
            let _ = write!(text, "\n  {}: {}", open.fields.join(", "), open.question);
            text
        });
        let (count, are) = match self.questions.len() {
            1 => ("1 question".to_owned(), "is"),
            many => (format!("{many} questions"), "are"),
        };
        bail!(
            "{count} in [[migrate.questions]] of the configuration {are} not answered, so nothing was begun. What to do: write \
             one of the answers in the comments below each into the file, take the question out, and repeat the \
             command:{questions}"
        );
    }
}

impl Limits {
    pub(super) fn of(settings: &MigrateSettings) -> anyhow::Result<Self> {
        ensure!(
            settings.max_rate != Some(0),
            "max_rate is 0, and nothing would ever be done: leave it out for no limit, or stop the command"
        );
        ensure!(settings.max_lag_ms != Some(0), "max_lag_ms must be at least 1");
        Ok(Self { max_rate: settings.max_rate, max_lag: settings.max_lag_ms.map(Duration::from_millis) })
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max_rate {
            Some(rate) => write!(f, "{rate} documents a second, ")?,
            None => f.write_str("any number of documents a second, ")?,
        }
        match self.max_lag {
            Some(lag) => write!(f, "secondaries at most {} ms behind", lag.as_millis()),
            None => f.write_str("secondaries as far behind as they are"),
        }
    }
}

/// Messages say whose chat they are in, and new chats can be written.
fn ensure_can_make_chats(mapping: &Mapping) -> anyhow::Result<()> {
    ensure!(
        mapping.message_fields.receiver.is_some(),
        "chats are made of the sender and the receiver of messages: say receiver = \"…\" in [mongodb.message_fields]"
    );
    ensure!(
        mapping.message_place == MessagePlace::Rows,
        "messages are in their chats, or chats list them: none is without a chat that could be made"
    );
    ensure!(
        mapping.fields.context.is_none() || mapping.message_fields.context.is_some(),
        "chats have a context, and nothing says where messages have it: say context = \"…\" in [mongodb.message_fields]"
    );
    ensure!(
        mapping.fields.participants.len() == 1 || mapping.order.is_some(),
        "a new chat has a field for each participant, and nothing says who goes where: say order = \"sorted\" in [mongodb]"
    );
    Ok(())
}

fn names(mapping: &Mapping) -> FieldNames {
    let fields = mapping.fields.clone();
    FieldNames {
        participants: fields.participants,
        participant_path: mapping.participant_path.clone(),
        context: fields.context,
        uuids: mapping.uuids(),
        participants_key: fields.participants_key,
        previous_key: mapping.previous.as_ref().map(|previous| previous.participants_key.clone()),
        created_at: fields.created_at,
        updated_at: fields.updated_at,
        last_message_at: fields.last_message_at,
        public_id: match &mapping.id {
            IdMapping::ObjectId => None,
            IdMapping::Field { name, .. } => Some(name.clone()),
        },
    }
}

/// The fields of a chat whose merging is not a matter of configuration, with the reason.
fn meanings(mapping: &Mapping) -> BTreeMap<String, String> {
    let FieldNames {
        participants,
        participant_path: _,
        uuids: _,
        context,
        participants_key,
        previous_key,
        created_at,
        updated_at,
        last_message_at,
        public_id,
    } = names(mapping);
    let known = [participants_key, created_at, updated_at, last_message_at];
    let context = context.map(|path| root(&path).to_owned());
    known
        .into_iter()
        .chain(participants)
        .chain(public_id)
        .chain(previous_key)
        .chain(context)
        .map(|name| (name, "[mongodb], which says already what it is".to_owned()))
        .collect()
}

/// Notes that a field of the chat is spoken for.
fn take(taken: &mut BTreeMap<String, String>, section: &str, field: &str) -> anyhow::Result<()> {
    check_field(section, field)?;
    match taken.insert(field.to_owned(), section.to_owned()) {
        None => Ok(()),
        Some(other) => {
            bail!("the field {field:?} is in {section} and also in {other}: a field is merged in one way")
        }
    }
}

/// Notes that a path in the chat has a rule. Several paths may lead through one sub-document.
fn take_path(taken: &mut BTreeMap<String, String>, path: &str) -> anyhow::Result<()> {
    let Some((top, _)) = path.split_once('.') else { return take(taken, "fields", path) };
    check_path("fields", path)?;
    check_field("fields", top)?;
    if let Some(other) = taken.get(top).filter(|other| **other != INSIDE) {
        bail!("the field {top:?} is in {other} and {path:?} also in fields: a field is merged in one way");
    }
    taken.insert(top.to_owned(), INSIDE.to_owned());
    Ok(())
}

/// Where a field is spoken for of which sub-fields have rules.
const INSIDE: &str = "fields, by its sub-fields";

/// The rows of messages that onechat itself stores; nothing where messages are in their chats.
fn messages(mapping: &Mapping) -> Option<Reference> {
    if matches!(mapping.message_place, MessagePlace::Embedded { .. }) {
        return None;
    }
    let fields = mapping.message_fields.clone();
    Some(Reference {
        collection: mapping.messages.clone(),
        field: fields.chat,
        time: Some(fields.created_at.clone()),
        sequence: None,
        unique: Vec::new(),
        messages: Some(MessageFieldsOfRows {
            sender: fields.sender,
            text: fields.text,
            client_message_id: fields.client_message_id,
            created_at: fields.created_at,
        }),
        state: None,
    })
}

/// The array of a chat's messages, or of their ids, as servers write it.
fn embedded_messages(mapping: &Mapping) -> Option<EmbeddedArray> {
    let fields = &mapping.message_fields;
    let time = Some(fields.created_at.clone());
    match mapping.message_place.clone() {
        MessagePlace::Rows => None,
        MessagePlace::Embedded { field } => Some(EmbeddedArray {
            field,
            id: Some("_id".to_owned()),
            ids_of: None,
            time,
            sender: Some(fields.sender.clone()),
        }),
        MessagePlace::Listed { field, reference } => Some(EmbeddedArray {
            field,
            id: reference.map(|_| "$id".to_owned()),
            ids_of: Some(mapping.messages.clone()),
            time,
            sender: None,
        }),
    }
}

fn reference(given: ReferenceSettings, mapping: &Mapping, others: &[Reference]) -> anyhow::Result<Reference> {
    let ReferenceSettings { collection, field, participant, rules, read_until } = given;
    check_collection("collection", &collection)?;
    ensure!(
        !collection.starts_with(OURS),
        "{collection} is a collection of onechat's own: it needs no reference"
    );
    check_path("field", &field)?;
    ensure!(
        field != "_id",
        "the field of {collection} is \"_id\", which cannot be changed: name another one"
    );
    if let Some(other) = others.iter().find(|other| other.collection == collection && other.field == field) {
        if other.messages.is_some() {
            bail!(
                "{collection}.{field} is the mapped messages, which are a reference by themselves: leave it out"
            );
        }
        bail!("{collection}.{field} is there twice");
    }
    ensure!(
        collection != mapping.chats || !meanings(mapping).contains_key(&field),
        "{collection}.{field} has another meaning by [mongodb]: it cannot name a chat too"
    );
    let state = match participant {
        None => {
            ensure!(
                rules.is_empty() && read_until.is_none(),
                "{collection}.{field} has rules but no participant: rules are for collections with one row per \
                 participant and chat, so say participant = \"…\" too"
            );
            None
        }
        Some(participant) => {
            check_path("participant", &participant)?;
            ensure!(participant != field, "participant and field of {collection} are both {field:?}");
            for name in rules.keys() {
                check_path("rules", name)?;
                ensure!(
                    *name != participant && *name != field,
                    "the rule for {name:?} of {collection} makes no sense: rows that become one have the same there"
                );
            }
            check_recompute(&format!("{collection}.{field}"), &rules, read_until.as_deref())?;
            Some(RowState { participant, rules: rules_of(rules), read_until })
        }
    };
    Ok(Reference { collection, field, time: None, sequence: None, unique: Vec::new(), messages: None, state })
}

/// A reference whose rows are counted within each chat.
fn renumber(given: RenumberSettings, references: &mut [Reference]) -> anyhow::Result<()> {
    let RenumberSettings { collection, field, time } = given;
    check_field("field", &field)?;
    time.as_deref().map_or(Ok(()), |path| check_path("time", path))?;
    let mut of_it = references.iter_mut().filter(|reference| reference.collection == collection);
    let (Some(reference), None) = (of_it.next(), of_it.next()) else {
        bail!(
            "{collection} has to be the mapped messages, or in one of the references: rows can be counted within each chat \
             only where one field names the chat"
        );
    };
    ensure!(
        reference.state.is_none(),
        "{collection} has one row per participant and chat: nothing is counted there"
    );
    ensure!(
        field != reference.field,
        "the field of {collection} that is counted is the one that names the chat"
    );
    ensure!(reference.sequence.is_none(), "{collection} is there twice");
    if let Some(time) = time {
        reference.time = Some(time);
    }
    reference.sequence = Some(field);
    Ok(())
}

fn embedded(given: EmbeddedSettings, taken: &mut BTreeMap<String, String>) -> anyhow::Result<EmbeddedArray> {
    let EmbeddedSettings { field, id, ids_of, path, time, sender } = given;
    take(taken, "embedded", &field)?;
    for (setting, path) in [("id", &id), ("time", &time), ("sender", &sender)] {
        path.as_deref().map_or(Ok(()), |path| check_path(setting, path))?;
    }
    let id = match &ids_of {
        None => {
            ensure!(
                path.is_none(),
                "{field} has a path, which is for an array of pointers to rows: say ids_of = \"…\", their collection"
            );
            id
        }
        Some(collection) => {
            check_collection("ids_of", collection)?;
            ensure!(
                id.is_none() && sender.is_none(),
                "{field} is an array of ids of {collection}: id and sender are for sub-documents, so leave them out, or \
                 say path = \"…\", where in an element the id stands"
            );
            // The pointer of a DBRef.
            path.as_deref().filter(|path| *path != "$id").map_or(Ok(()), |path| check_path("path", path))?;
            path
        }
    };
    Ok(EmbeddedArray { field, id, ids_of, time, sender })
}

/// `participants` is the field with the participants, if they are sub-documents, with the path to who they are.
fn state(
    given: StateSettings,
    participants: Option<(&String, &str)>,
    taken: &mut BTreeMap<String, String>,
) -> anyhow::Result<StateField> {
    let StateSettings { field, form, participant, rules, read_until } = given;
    match participants.filter(|(participants, _)| **participants == field) {
        // What is said there of a participant has rules like any other state.
        Some((_, path)) => {
            ensure!(
                form == Form::Array && participant.as_deref() == Some(path),
                "{field} are the participants, sub-documents: say form = \"array\" and participant = {path:?}, as \
                 participant_path does"
            );
            taken.remove(&field);
            take(taken, "state", &field)?;
        }
        None => take(taken, "state", &field)?,
    }
    let form = match (form, participant) {
        (Form::Map, None) => StateForm::Map,
        (Form::Map, Some(_)) => bail!(
            "{field} is a map, whose field names are the participants: leave participant out, or say form = \"array\""
        ),
        (Form::Array, None) => bail!(
            "{field} is an array, in whose elements a field names the participant: say participant = \"…\""
        ),
        (Form::Array, Some(participant)) => {
            check_path("participant", &participant)?;
            StateForm::Array { participant }
        }
    };
    ensure!(
        !rules.is_empty(),
        "{field} has no rules: say rules = {{ \"\" = \"sum\" }}, or one for each sub-field"
    );
    if rules.contains_key("") {
        ensure!(
            rules.len() == 1 && form == StateForm::Map,
            "{field} has a rule for \"\", the value itself, which is for a map without sub-fields and stands alone"
        );
    }
    rules.keys().filter(|name| !name.is_empty()).try_for_each(|name| check_path("rules", name))?;
    check_recompute(&field, &rules, read_until.as_deref())?;
    Ok(StateField { field, form, rules: rules_of(rules), read_until })
}

fn check_recompute(
    what: &str,
    rules: &BTreeMap<String, Rule>,
    read_until: Option<&str>,
) -> anyhow::Result<()> {
    read_until.map_or(Ok(()), |path| check_path("read_until", path))?;
    ensure!(
        read_until.is_some() || !rules.values().any(|rule| *rule == Rule::Recompute),
        "{what} has a rule \"recompute\": say read_until = \"…\", the field with the time up to which the \
         participant has read"
    );
    Ok(())
}

fn rules_of(given: BTreeMap<String, Rule>) -> BTreeMap<String, FieldRule> {
    given.into_iter().map(|(field, rule)| (field, rule.into())).collect()
}

impl From<Survivor> for SurvivorPolicy {
    fn from(survivor: Survivor) -> Self {
        match survivor {
            Survivor::Oldest => Self::Oldest,
            Survivor::MostMessages => Self::MostMessages,
            Survivor::MostRecent => Self::MostRecent,
        }
    }
}

impl From<Rule> for FieldRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Max => Self::Max,
            Rule::Min => Self::Min,
            Rule::Sum => Self::Sum,
            Rule::Union => Self::Union,
            Rule::Survivor => Self::Survivor,
            Rule::Recompute => Self::Recompute,
            Rule::Newest => Self::Newest,
            Rule::All => Self::All,
        }
    }
}

#[cfg(test)]
mod tests;
