//! What keys are made of, and whether what is noted of that is what was configured. Pure.

use mongodb::bson::{Bson, Document, doc};
use onechat_core::KeyFormat;
use onechat_migrate::CollectionState;

use super::{CONTEXT, KEY_FIELD, KEY_FORMAT, META, ONLY, PREVIOUS, RETIRED, STATE};
use crate::{Mapping, OpenError};

/// What all servers and tools have to agree on, since the keys depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How keys are written.
    pub(crate) key_format: KeyFormat,
    /// The field with the keys, if it is known. Who looks for them in another field finds none, and creates every chat
    /// a second time.
    pub(crate) key_field: Option<String>,
    /// The field with what a chat is about, if chats have contexts.
    pub(crate) context: Option<String>,
    /// Which chats have keys, if not all.
    pub(crate) only: Option<String>,
}

/// What a server or a tool was told of the keys.
#[derive(Debug, Clone)]
pub(crate) struct Configured {
    pub(crate) chats: String,
    pub(crate) terms: Terms,
    /// The terms that these are to replace. Which chats they leave out is not known here.
    pub(crate) previous: Option<Terms>,
}

impl Configured {
    pub(crate) fn new(key_format: KeyFormat, mapping: &Mapping) -> Self {
        let only = mapping.only.as_ref().map(ToString::to_string);
        let key_field = Some(mapping.fields.participants_key.clone());
        let previous = mapping.previous.as_ref().map(|previous| Terms {
            key_format: previous.key_format,
            key_field: Some(previous.participants_key.clone()),
            context: previous.context.clone(),
            only: None,
        });
        Self {
            chats: mapping.chats.clone(),
            terms: Terms { key_format, key_field, context: mapping.fields.context.clone(), only },
            previous,
        }
    }

    fn field(&self) -> &str {
        self.terms.key_field.as_deref().unwrap_or_default()
    }
}

/// A note beside a collection: of its first terms, under its name; of terms that replace others, under its name and the
/// field of the key.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) id: Bson,
    pub(super) key_format: Result<KeyFormat, String>,
    pub(super) key_field: Option<String>,
    context: Option<String>,
    pub(super) only: Option<String>,
    pub(super) state: Option<String>,
    /// The field of the keys that these are replacing now.
    pub(super) previous: Option<String>,
    /// Whether other keys have replaced these.
    pub(super) is_retired: bool,
}

impl Note {
    pub(super) fn of(note: &Document) -> Self {
        let text = |name: &str| note.get_str(name).ok().map(str::to_owned);
        let format = note.get_str(KEY_FORMAT).map_err(|error| error.to_string());
        Self {
            id: note.get("_id").cloned().unwrap_or(Bson::Null),
            key_format: format.and_then(|format| format.parse().map_err(|error| format!("{error}"))),
            key_field: text(KEY_FIELD),
            context: text(CONTEXT),
            only: text(ONLY),
            state: text(STATE),
            previous: text(PREVIOUS),
            is_retired: note.contains_key(RETIRED),
        }
    }

    pub(super) fn terms(&self, chats: &str) -> Result<Terms, OpenError> {
        let key_format = self.key_format.clone().map_err(|reason| OpenError::Meta {
            collection: chats.to_owned(),
            meta: META.to_owned(),
            reason,
        })?;
        let (key_field, context, only) = (self.key_field.clone(), self.context.clone(), self.only.clone());
        Ok(Terms { key_format, key_field, context, only })
    }

    /// Whether keys count already: on an unmigrated collection nobody relies on them.
    fn is_settled(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state != CollectionState::Unmigrated.name())
    }

    fn counts(&self) -> bool {
        self.is_settled() && !self.is_retired
    }

    fn is_first(&self) -> bool {
        matches!(self.id, Bson::String(_))
    }

    fn is_of(&self, field: &str) -> bool {
        self.key_field.as_deref().is_none_or(|known| known == field)
    }
}

/// The `_id` of a note of terms that replace others.
pub(super) fn id_by_field(chats: &str, field: &str) -> Bson {
    doc! { "collection": chats, "field": field }.into()
}

/// The note that one follows whose keys are in this field.
pub(super) fn own<'a>(notes: &'a [Note], chats: &str, field: &str, replaces: bool) -> Option<&'a Note> {
    let id = id_by_field(chats, field);
    // As long as the first terms do not count they may change, their field too.
    let may_be_ours = |note: &&Note| {
        if replaces {
            note.key_field.as_deref() == Some(field)
        } else {
            note.is_of(field) || !note.is_settled() && !note.is_retired
        }
    };
    let first = || notes.iter().find(|note| note.is_first()).filter(may_be_ours);
    notes.iter().find(|note| note.id == id).or_else(first)
}

/// What the notes say to one who was configured so.
#[derive(Debug)]
pub(super) struct Verdict<'a> {
    /// The note to follow, if there is one yet.
    pub(super) note: Option<&'a Note>,
    /// Its `_id`.
    pub(super) id: Bson,
    /// The field of the keys that the configured ones are replacing.
    pub(super) replaces: Option<&'a str>,
}

/// Refuses what would make other keys than those that count, or look for them elsewhere.
pub(super) fn judge<'a>(notes: &'a [Note], configured: &'a Configured) -> Result<Verdict<'a>, OpenError> {
    let Configured { chats, terms, previous } = configured;
    let own = own(notes, chats, configured.field(), previous.is_some());
    if let Some(own) = own.filter(|own| own.is_retired) {
        return Err(retired(notes, own, configured));
    }
    let by_field = || id_by_field(chats, configured.field());
    if let Some(previous) = previous
        && let Some(replaces) = replaced(notes, own, previous, configured)?
    {
        if let Some(own) = own {
            compare(chats, own, terms)?;
        }
        let id = own.map_or_else(by_field, |own| own.id.clone());
        return Ok(Verdict { note: own, id, replaces: Some(replaces) });
    }
    let Some(own) = own else {
        if let Some(other) = notes.iter().find(|note| note.counts()) {
            let (stored, field) =
                (other.key_field.clone().unwrap_or_default(), configured.field().to_owned());
            return Err(OpenError::KeyField { collection: chats.clone(), stored, configured: field });
        }
        let id = if notes.iter().any(Note::is_first) { by_field() } else { chats.as_str().into() };
        return Ok(Verdict { note: None, id, replaces: None });
    };
    if let Some(previous) = &own.previous {
        let (collection, field) = (chats.clone(), configured.field().to_owned());
        return Err(OpenError::Replacing { collection, field, previous: previous.clone() });
    }
    compare(chats, own, terms)?;
    Ok(Verdict { note: Some(own), id: own.id.clone(), replaces: None })
}

/// The field of the keys that are being replaced; nothing if that is over.
fn replaced<'a>(
    notes: &[Note],
    own: Option<&Note>,
    previous: &'a Terms,
    configured: &Configured,
) -> Result<Option<&'a str>, OpenError> {
    let chats = &configured.chats;
    let field = previous.key_field.as_deref().unwrap_or_default();
    let wrong = |reason: String| {
        let (collection, field) = (chats.clone(), field.to_owned());
        Err(OpenError::Previous { collection, field, reason })
    };
    let id = id_by_field(chats, field);
    let first = || notes.iter().find(|note| note.is_first() && note.is_of(field));
    let Some(theirs) = notes.iter().find(|note| note.id == id).or_else(first) else {
        return wrong("no server has noted that it has keys there".to_owned());
    };
    let noted = theirs.terms(chats)?;
    if noted.key_format != previous.key_format {
        return wrong(format!("the keys there are in the format {}: set key_format to it", noted.key_format));
    }
    if noted.context != previous.context {
        let made = noted.context.map_or_else(
            || "without a context: leave context out".to_owned(),
            |context| format!("with the context in {context:?}: set context to it"),
        );
        return wrong(format!("the keys there were made {made}"));
    }
    if theirs.is_retired && own.is_some_and(|own| own.counts() && own.previous.is_none()) {
        return Ok(None);
    }
    // Two that replace the same keys would not know of each other once these are gone.
    let is_other = |note: &&Note| own.is_none_or(|own| own.id != note.id) && note.id != theirs.id;
    let is_rival = |note: &&Note| theirs.is_retired || note.previous.as_deref() == Some(field);
    let mut others = notes.iter().filter(|note| note.counts()).filter(is_other);
    if let Some(rival) = others.find(is_rival) {
        let rival = rival.key_field.as_deref().unwrap_or_default();
        return wrong(format!("the keys in {rival} replace them already"));
    }
    if own.and_then(|own| own.previous.as_deref()) == Some(field) {
        return Ok(Some(field));
    }
    if theirs.is_retired {
        return Ok(None);
    }
    if !theirs.is_settled() {
        return wrong(
            "the collection is not migrated by these keys, so there is nothing to replace: leave [mongodb.previous] out"
                .to_owned(),
        );
    }
    if theirs.previous.is_some() {
        return wrong(
            "the keys there are replacing others themselves: end that first (`onechat rekey finish`)"
                .to_owned(),
        );
    }
    if own.is_some_and(Note::is_settled) {
        return wrong(format!("the keys in {} count by themselves already", configured.field()));
    }
    Ok(Some(field))
}

fn retired(notes: &[Note], own: &Note, configured: &Configured) -> OpenError {
    let successor = notes.iter().find(|note| note.counts() && note.id != own.id);
    let successor = successor.and_then(|note| note.key_field.clone()).unwrap_or_default();
    let (collection, field) = (configured.chats.clone(), configured.field().to_owned());
    OpenError::Retired { collection, field, successor }
}

/// Refuses terms that make other keys than those that count.
fn compare(chats: &str, note: &Note, configured: &Terms) -> Result<(), OpenError> {
    let (collection, stored) = (chats.to_owned(), note.terms(chats)?);
    if stored.key_format != configured.key_format {
        let (stored, configured) = (stored.key_format, configured.key_format);
        return Err(OpenError::KeyFormat { collection, stored, configured });
    }
    if !note.is_settled() {
        return Ok(());
    }
    if let (Some(stored), Some(configured)) = (&stored.key_field, &configured.key_field)
        && stored != configured
    {
        let (stored, configured) = (stored.clone(), configured.clone());
        return Err(OpenError::KeyField { collection, stored, configured });
    }
    if stored.context != configured.context {
        let (stored, configured) = (stored.context, configured.context.clone());
        return Err(OpenError::Context { collection, stored, configured });
    }
    if stored.only != configured.only {
        let (stored, configured) = (stored.only, configured.only.clone());
        return Err(OpenError::Only { collection, stored, configured });
    }
    Ok(())
}
