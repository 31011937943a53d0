//! Fields in which the chats of a group differ and of which nothing says what becomes of them: gathered over all groups,
//! with the lines of configuration to choose from, so that an operator answers once.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use bson::RawBsonRef;
use serde::Serialize;

use crate::fields::bson_of;

/// How many examples of a field are kept.
const EXAMPLES: usize = 3;
/// How many characters of a value are shown.
const SHOWN: usize = 60;

/// A number of milliseconds in these years (2000 to 2099) is a time rather than a count.
const MS_OF_TIMES: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// Where a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the chat, at this path.
    Chat(String),
    /// In the state of a participant.
    State {
        /// The chat's field with the state.
        field: String,
        /// What names the participant in an element of an array; nothing for a map.
        participant: Option<String>,
        /// The path in one participant's state; empty for the state itself.
        path: String,
    },
    /// In rows of another collection, of which each participant has one for each chat.
    Rows {
        /// The collection.
        collection: String,
        /// The path in a row.
        path: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chat(path) => f.write_str(path),
            Self::State { field, path, .. } if path.is_empty() => f.write_str(field),
            Self::State { field, path, .. } => write!(f, "{field}.{path}"),
            Self::Rows { collection, path } => write!(f, "{collection}: {path}"),
        }
    }
}

/// What kind of value a field has, which tells the rules that may fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// A date.
    Date,
    /// True or false.
    Flag,
    /// An array.
    List,
    /// A sub-document.
    Document,
    /// Anything else: text, an id.
    Other,
}

impl Kind {
    pub(crate) fn of(value: RawBsonRef<'_>) -> Self {
        match value {
            RawBsonRef::Int64(number) if MS_OF_TIMES.contains(&number) => Self::Date,
            RawBsonRef::Int32(_)
            | RawBsonRef::Int64(_)
            | RawBsonRef::Double(_)
            | RawBsonRef::Decimal128(_) => Self::Number,
            RawBsonRef::DateTime(_) | RawBsonRef::Timestamp(_) => Self::Date,
            RawBsonRef::Boolean(_) => Self::Flag,
            RawBsonRef::Array(_) => Self::List,
            RawBsonRef::Document(_) => Self::Document,
            _ => Self::Other,
        }
    }

    /// The rules that make sense, the likeliest first.
    const fn rules(self) -> &'static str {
        match self {
            Self::Number => "sum, max, min, newest, survivor",
            Self::Date => "max, min, newest, all, survivor",
            Self::Flag => "all, survivor",
            Self::List => "union, all, survivor",
            Self::Document => "newest, all, survivor",
            Self::Other => "newest, survivor",
        }
    }
}

/// A field in which the chats of one group differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which field.
    pub place: Place,
    /// What its values are.
    pub kind: Kind,
    /// The `_id` of each document, and the beginning of what it has there.
    pub values: Vec<(String, String)>,
}

impl Difference {
    /// `values` are those of all documents, of which at least one has a value.
    pub(crate) fn new<'a>(
        place: Place,
        values: impl Iterator<Item = (&'a bson::Bson, Option<RawBsonRef<'a>>)>,
    ) -> Self {
        let mut kind = None;
        let shown = values.map(|(owner, value)| {
            kind = kind.or(value.map(Kind::of));
            (owner.to_string(), value.map_or_else(|| "absent".to_owned(), short))
        });
        let values = shown.collect();
        Self { place, kind: kind.unwrap_or(Kind::Other), values }
    }
}

pub(crate) fn short(value: RawBsonRef<'_>) -> String {
    let text = bson_of(value).to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The fields of one group, in a line.
pub(crate) fn in_a_line(differences: &[Difference]) -> String {
    let fields: Vec<String> = differences.iter().map(|difference| difference.place.to_string()).collect();
    format!(
        "its chats differ in {}, and no rule says what becomes of that: `onechat migrate --dry-run` shows the rules to \
         choose from",
        fields.join(", ")
    )
}

/// A field of which an operator has to say what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unexplained {
    /// The field.
    pub field: String,
    /// In how many groups its values differ.
    pub groups: u64,
    /// The first few groups: the `_id` of each document, and what it has there.
    pub examples: Vec<Vec<(String, String)>>,
    #[serde(skip)]
    place: Place,
    #[serde(skip)]
    kind: Kind,
}

impl Unexplained {
    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The rules that make sense for it, separated by commas, the likeliest first.
    pub fn rules(&self) -> &'static str {
        self.kind.rules()
    }
}

/// All fields of all groups. Empty if nothing is in question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Differences {
    /// How many groups have such a field.
    pub groups: u64,
    /// The fields, by name.
    pub fields: Vec<Unexplained>,
}

impl Differences {
    /// Takes those of one group in.
    pub fn add(&mut self, of_group: Vec<Difference>) {
        self.groups += u64::from(!of_group.is_empty());
        for Difference { place, kind, values } in of_group {
            let field = place.to_string();
            let index = match self.fields.binary_search_by(|known| known.field.cmp(&field)) {
                Ok(index) => index,
                Err(index) => {
                    let new = Unexplained { field, groups: 0, examples: Vec::new(), place, kind };
                    self.fields.insert(index, new);
                    index
                }
            };
            let known = &mut self.fields[index];
            known.groups += 1;
            if known.examples.len() < EXAMPLES {
                known.examples.push(values);
            }
        }
    }

    /// Whether every difference is explained.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The lines of configuration to choose from.
    fn choices(&self) -> String {
        let (mut fields, mut states) = (String::new(), BTreeMap::<_, Vec<String>>::new());
        let mut rows = BTreeMap::<_, Vec<String>>::new();
        for one in &self.fields {
            let rules = one.kind.rules();
            match &one.place {
                Place::Chat(path) => {
                    let _ = write!(fields, "\n{} = \"?\"   # one of: {rules}", quoted(path));
                    if one.kind == Kind::List {
                        let _ = write!(
                            fields,
                            "; or united in the order of time by [[migrate.embedded]]\n\
                             #   with field = \"{path}\", id and time; for ids of rows with ids_of, the rows' collection"
                        );
                    }
                    if one.kind == Kind::Document {
                        let _ = write!(
                            fields,
                            "; or by sub-field, \"{path}.NAME\" = \"?\"; a map by\n\
                             #   participant by [[migrate.state]] with form = \"map\""
                        );
                    }
                }
                Place::State { field, participant, path } => {
                    let rule = format!("{} = \"?\"   # one of: {rules}", quoted(path));
                    states.entry((field, participant)).or_default().push(rule);
                }
                Place::Rows { collection, path } => {
                    let rule = format!("{} = \"?\"   # one of: {rules}", quoted(path));
                    rows.entry(collection).or_default().push(rule);
                }
            }
        }
        let mut text = String::new();
        if !fields.is_empty() {
            let _ = writeln!(text, "[migrate.fields]{fields}");
        }
        for ((field, participant), rules) in states {
            let form = if participant.is_some() { "array" } else { "map" };
            let _ = write!(text, "\n[[migrate.state]]\nfield = \"{field}\"\nform = \"{form}\"\n");
            if let Some(participant) = participant {
                let _ = writeln!(text, "participant = \"{participant}\"");
            }
            let _ = write!(text, "[migrate.state.rules]\n{}\n", rules.join("\n"));
        }
        for (collection, rules) in rows {
            let _ = write!(
                text,
                "\n# in the [[migrate.references]] of {collection}:\n[migrate.references.rules]\n{}\n",
                rules.join("\n")
            );
        }
        text
    }
}

/// The name of a field, as TOML takes it.
fn quoted(path: &str) -> String {
    let is_bare = !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_bare { path.to_owned() } else { format!("\"{path}\"") }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (groups, fields) = (self.groups, self.fields.len());
        writeln!(
            f,
            "In {groups} {} of chats of the same people the chats differ in {fields} {} of which nothing says what becomes \
             of {}. Nothing was merged.",
            if groups == 1 { "group" } else { "groups" },
            if fields == 1 { "field" } else { "fields" },
            if fields == 1 { "it" } else { "them" },
        )?;
        for one in &self.fields {
            let groups = if one.groups == 1 { "group" } else { "groups" };
            writeln!(f, "\n{}: differs in {} {groups}", one.field, one.groups)?;
            for example in &one.examples {
                let values: Vec<String> =
                    example.iter().map(|(owner, value)| format!("{value} in {owner}")).collect();
                writeln!(f, "  {}", values.join(", "))?;
            }
        }
        // An id of something else, or its name, more likely than a number.
        let is_one = |kind| {
            let is_at_the_top = |place: &Place| matches!(place, Place::Chat(path) if !path.contains('.'));
            self.fields.iter().find(|one| one.kind == kind && is_at_the_top(&one.place))
        };
        let context = is_one(Kind::Other).or_else(|| is_one(Kind::Number));
        write!(
            f,
            "\nWhat to do: answer for each field in the configuration, and repeat the command.\n\
             - It is part of what a chat is about (a listing, an order, a match): chats that differ in it are different\n  \
               chats. Then say:\n\n\
             [mongodb]\n\
             context = \"{}\"   # how it is written: string, object_id or uuid\n\n\
             [mongodb.chat_fields]\n\
             context = \"{}\"\n\n\
             - It tells other documents (groups, deleted chats) from the chats that have to be one for each set of people.\n  \
               Then say which are such chats, by a filter in MongoDB's query language:\n\n\
             [mongodb]\n\
             only = '{{ … }}'\n\n\
             - Otherwise the chats are one chat. Then say what the merged one has there:\n\n{}",
            context.map_or("…", |one| form_of(&one.examples)),
            context.map_or("…", |one| one.field.as_str()),
            self.choices().trim_end()
        )
    }
}

/// How the values of these examples are written, as the configuration calls it.
fn form_of(examples: &[Vec<(String, String)>]) -> &'static str {
    let starts_with = |form: &str| examples.iter().flatten().any(|(_, value)| value.starts_with(form));
    match () {
        () if starts_with("ObjectId(") => "object_id",
        () if starts_with("Binary(") => "uuid",
        () => "string",
    }
}
