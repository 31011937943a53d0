//! How the old backend writes what it knows: people, keys, ids.

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use onechat_core::{KeyFormat, ParticipantSet, ParticipantsKey};

use crate::{People, PublicIds, Shape, chance::Chance, value::id_from};

pub(crate) struct Writing {
    pub(crate) shape: Shape,
}

impl Writing {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape }
    }

    /// A person where one is named alone, such as a sender.
    pub(crate) fn person(&self, person: &str) -> Bson {
        match self.shape.people {
            People::Text => Bson::String(person.to_owned()),
            People::ObjectIds => id_from(person),
        }
    }

    /// A person in the array of participants.
    pub(crate) fn participant(&self, person: &str, chance: &mut Chance) -> Bson {
        let person = self.person(person);
        let Some(path) = &self.shape.participant_path else { return person };
        let mut member = match path.rsplit('.').fold(person, |inner, name| doc! { name: inner }.into()) {
            Bson::Document(member) => member,
            other => return other,
        };
        // Whatever else is known of a participant.
        if chance.percent(50) {
            member.insert("role", *chance.pick(&["owner", "member"]));
        }
        member.into()
    }

    /// The key that a set has in the end.
    pub(crate) fn key(&self, set: &ParticipantSet) -> String {
        let format = if self.shape.joined { KeyFormat::Joined } else { KeyFormat::Escaped };
        ParticipantsKey::new(&set.into(), format).as_str().to_owned()
    }

    /// The value of `id` of a new chat, and the same as text; nothing where `_id` is what the API has.
    pub(crate) fn public_id(&self, chance: &mut Chance) -> Option<(Bson, String)> {
        let form = self.shape.public_ids?;
        let bytes = chance.uuid();
        let text = crate::chance::uuid_text(&bytes);
        Some(match form {
            PublicIds::Text => (Bson::String(text.clone()), text),
            PublicIds::Uuid => {
                let value = Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() };
                (value.into(), text)
            }
        })
    }

    /// The participants of a chat, in some order, some of them twice.
    pub(crate) fn participants(&self, people: &[String], chance: &mut Chance) -> Bson {
        let mut people: Vec<&String> = people.iter().collect();
        if chance.percent(50) {
            chance.shuffle(&mut people);
        }
        if chance.percent(10) {
            let again = *chance.pick(&people);
            people.push(again);
        }
        Bson::Array(people.into_iter().map(|person| self.participant(person, chance)).collect())
    }
}

/// `document` with a field more, if there is a value for it.
pub(crate) fn with(mut document: Document, field: &str, value: Option<impl Into<Bson>>) -> Document {
    if let Some(value) = value {
        document.insert(field, value);
    }
    document
}
