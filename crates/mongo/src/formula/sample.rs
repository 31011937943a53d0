//! Reads so many keys of a collection that a formula which most of them follow shows.

use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::{
    Database,
    bson::{Bson, Document, RawDocument, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::{ChatIdentity, KeyFormat};

use super::{Formula, KeyTally};
use crate::{
    codec::{Codec, field},
    index::simple,
};

/// So many documents of a large collection are looked at; one that is not much larger is looked at as a whole.
const SAMPLE: i32 = 2000;
const SMALL: u64 = 8000;
/// Fewer keys than this in a sample say little: then keys are looked for.
const TELLING: usize = 50;

/// The formula that the keys of the collection follow, if it is not ours. Reads only, and not more of a large collection
/// than a sample.
pub(crate) async fn other_formula(
    database: &Database,
    codec: &Codec,
    format: KeyFormat,
) -> Result<Option<Formula>, Error> {
    let chats = database.collection::<RawDocumentBuf>(&codec.mapping().chats);
    let mut tally = KeyTally::new(format);
    if chats.estimated_document_count().await? > SMALL {
        let stages = [
            doc! { "$sample": { "size": SAMPLE } },
            doc! { "$match": keyed_chats(codec) },
            doc! { "$project": codec.identity_and_key() },
        ];
        let mut sample = chats.aggregate(stages).collation(simple()).await?;
        while let Some(chat) = sample.try_next().await? {
            let chat = RawDocumentBuf::try_from(&chat).map_err(Error::custom)?;
            add(&mut tally, codec, &chat);
        }
        if tally.keyed() >= TELLING {
            return Ok(tally.other_formula());
        }
    }
    let mut tally = KeyTally::new(format);
    let find = chats.find(keyed_chats(codec)).projection(codec.identity_and_key()).collation(simple());
    let most = usize::try_from(SMALL).expect("it is small");
    let mut found = find.await?.take(most);
    while let Some(chat) = found.try_next().await? {
        add(&mut tally, codec, &chat);
    }
    Ok(tally.other_formula())
}

/// The chats under the guarantee that have any key.
pub(crate) fn keyed_chats(codec: &Codec) -> Document {
    codec.inside(doc! { codec.key_field(): { "$nin": [Bson::Null, Bson::from("")] } })
}

fn add(tally: &mut KeyTally, codec: &Codec, chat: &RawDocument) {
    let Some((identity, members)) = of(codec, chat) else { return };
    if let Some(key) = field(chat, codec.key_field()) {
        tally.add(&identity, &members, key);
    }
}

/// Whose chat it is; nothing if it is malformed.
fn of(codec: &Codec, chat: &RawDocument) -> Option<(ChatIdentity, Vec<String>)> {
    Some((codec.identity(chat).ok()?, codec.members(chat).ok()?))
}

impl Formula {
    /// Whether the key of this chat is made so, and not as ours.
    pub(crate) fn is_of(&self, codec: &Codec, chat: &RawDocument, format: KeyFormat) -> bool {
        let (Some((identity, members)), Some(key)) = (of(codec, chat), field(chat, codec.key_field())) else {
            return false;
        };
        self.makes(&identity, &members, key, format)
    }
}
