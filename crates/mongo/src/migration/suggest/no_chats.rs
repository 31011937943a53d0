//! Messages with a sender and a receiver where nothing holds chats: their chats can be made, unless something tells several
//! chats of the same people apart, which is a question then.

use std::collections::BTreeMap;

use mongodb::bson::Bson;

use super::{
    Suggestion,
    chats::{CHATS, form_of},
    print::{Toml, quoted, with_questions},
    questions::{Answer, Question},
    rows::Messages,
    sample::{Sample, is_most, person_text, plain},
    words::{Word, flag_of, is_subject, word_of},
};
use crate::Mapping;

/// What collections of messages are called.
const MESSAGES: [&str; 5] = ["messag", "msg", "chat", "direct", "inbox"];
/// What a collection of chats may be called that is not there yet.
const NEW: [&str; 3] = ["chats", "conversations", "dialogs"];
/// How many different values are shown.
const SHOWN: usize = 3;

/// Messages, each from one person to another.
pub(super) struct Between<'a> {
    pub(super) sample: &'a Sample,
    pub(super) sender: String,
    pub(super) receiver: String,
}

impl Between<'_> {
    /// Whether all messages of the same two people have the same there, and some two have several messages.
    fn tells_from_people(&self, field: &str) -> bool {
        let mut values: BTreeMap<[String; 2], Vec<Option<String>>> = BTreeMap::new();
        for document in &self.sample.documents {
            let person = |field: &str| document.get(field).and_then(person_text);
            let (Some(one), Some(other)) = (person(&self.sender), person(&self.receiver)) else { continue };
            let mut people = [one, other];
            people.sort();
            values.entry(people).or_default().push(document.get(field).and_then(person_text));
        }
        values.values().any(|of_pair| of_pair.len() > 1)
            && values.values().all(|of_pair| of_pair.iter().all(|value| *value == of_pair[0]))
    }

    fn is_called_messages(&self) -> bool {
        let name = plain(&self.sample.collection);
        MESSAGES.iter().any(|part| name.contains(part))
    }
}

/// The one collection of them, if it is plain which it is.
pub(super) fn the_one(mut found: Vec<Between<'_>>) -> Option<Between<'_>> {
    if found.len() > 1 {
        found.retain(Between::is_called_messages);
    }
    if found.len() == 1 { found.pop() } else { None }
}

pub(super) fn suggestion(between: &Between<'_>, samples: &[Sample]) -> Suggestion {
    let Between { sample, sender, receiver } = between;
    let messages = Messages::of(sample, None, sender);
    let mut questions = Vec::new();
    if !between.is_called_messages() {
        questions.push(Question {
            fields: vec![sender.clone(), receiver.clone()],
            question: format!(
                "Is each document of {} what {sender} wrote to {receiver}, so that there is one chat for each pair of them?",
                sample.collection
            ),
            facts: vec!["It is not called like messages.".to_owned()],
            answers: vec![Answer { when: "It is: take out the question.".to_owned(), toml: String::new() }],
        });
    }
    questions.extend(about(between, messages.as_ref()));
    let toml = with_questions(toml(between, messages.as_ref(), samples), &questions);
    Suggestion { toml, questions }
}

fn toml(between: &Between<'_>, messages: Option<&Messages>, samples: &[Sample]) -> String {
    let Between { sample, sender, receiver } = between;
    let default = Mapping::default();
    let mut text = Toml::new();
    text.comment(&format!(
        "Inferred from {} of about {} documents in {}, each from {sender} to {receiver}, and nothing holds chats: a chat is made \
         for each two people, and their messages name it from then on. Read it before you use it.",
        sample.documents.len(),
        sample.count,
        sample.collection
    ));
    text.table("store");
    text.value("key_format", "escaped");
    text.table("mongodb");
    let is_free =
        |name: &&&str| !samples.iter().any(|sample| sample.collection == **name && sample.count > 0);
    text.comment("There is no such collection yet.");
    text.value("chats", NEW.iter().find(is_free).unwrap_or(&NEW[0]));
    text.value("messages", &sample.collection);
    if let Some(messages) = messages {
        text.visible_messages(messages);
    }
    let mut forms = BTreeMap::<&str, usize>::new();
    let people = [sender, receiver];
    for value in sample.documents.iter().flat_map(|document| people.map(|field| document.get(field))) {
        *forms.entry(value.map_or("string", form_of)).or_default() += 1;
    }
    let shown: Vec<String> = forms.iter().map(|(form, count)| format!("{count} {form}")).collect();
    text.comment(&format!("How the sampled senders and receivers are written: {}.", shown.join(", ")));
    let form = forms.into_iter().max_by_key(|(_, count)| *count);
    text.value("participants", form.map_or("string", |(form, _)| form));
    text.table("mongodb.message_fields");
    if sample.fields().contains_key(default.message_fields.chat.as_str()) {
        text.comment(&format!("{} is there already, and is left as it is.", default.message_fields.chat));
        text.value("chat", "onechatId");
    } else {
        text.comment("Where messages will name their chat.");
        text.value("chat", &default.message_fields.chat);
    }
    text.value("sender", sender);
    text.value("receiver", receiver);
    if let Some(messages) = messages {
        text.inferred("text", messages.text.as_ref(), &default.message_fields.text);
        let client = messages.client_message_id.as_ref();
        text.inferred("client_message_id", client, &default.message_fields.client_message_id);
        text.inferred("created_at", messages.created_at.as_ref(), &default.message_fields.created_at);
    }
    text.table("migrate");
    text.line("chats_from_messages = true");
    text.into_text()
}

/// What may tell several chats of the same people apart: a subject, a room, or an id that many messages share.
fn about(between: &Between<'_>, messages: Option<&Messages>) -> Option<Question> {
    let Between { sample, sender, receiver } = between;
    let mut known = vec!["_id", "__v", sender.as_str(), receiver.as_str()];
    if let Some(messages) = messages {
        let fields = [&messages.text, &messages.client_message_id, &messages.created_at];
        known.extend(fields.into_iter().flatten().map(String::as_str));
    }
    let own: Vec<String> =
        sample.documents.iter().filter_map(|document| person_text(document.get("_id")?)).collect();
    let fields = sample.fields();
    let others = fields.iter().filter(|(field, _)| !known.contains(*field));
    let candidates = others.filter_map(|(field, values)| {
        let values: Vec<&Bson> =
            values.iter().copied().filter(|value| !matches!(value, Bson::Null | Bson::Boolean(_))).collect();
        let texts: Vec<String> = values.iter().filter_map(|value| person_text(value)).collect();
        // What points to another message is none.
        let replies = texts.iter().filter(|text| own.contains(text)).count();
        if texts.is_empty() || texts.len() < values.len() || is_most(replies, texts.len(), 50) {
            return None;
        }
        let mut different = texts.clone();
        different.sort();
        different.dedup();
        let name = plain(field);
        let is_room = flag_of(field) == Word::Group || CHATS.iter().any(|part| name.contains(part));
        let tells_kinds = values.iter().any(|value| word_of(value) != Word::Unknown && name != "text");
        let are_ids = values.iter().all(|value| matches!(value, Bson::ObjectId(_) | Bson::Binary(_)));
        let is_shared = are_ids && different.len() * 2 <= texts.len();
        // What is the same in all messages of two people names their chat, and tells no others apart.
        let may_differ = (is_room || tells_kinds || is_shared) && !between.tells_from_people(field);
        let is_one = is_subject(field) || may_differ;
        is_one.then(|| Candidate {
            field: (*field).to_owned(),
            form: values.first().map_or("string", |value| form_of(value)),
            in_all: texts.len() == sample.documents.len(),
            facts: format!(
                "{field}: in {} of {} messages, {} different values, such as {}.",
                texts.len(),
                sample.documents.len(),
                different.len(),
                different[..different.len().min(SHOWN)].join(", ")
            ),
        })
    });
    let candidates: Vec<Candidate> = candidates.collect();
    if candidates.is_empty() {
        return None;
    }
    let fields: Vec<String> = candidates.iter().map(|one| one.field.clone()).collect();
    let mut answers: Vec<Answer> = candidates.iter().map(Candidate::answer).collect();
    answers.push(Answer {
        when: "Neither matters: all messages of two people are one chat. Take out the question.".to_owned(),
        toml: String::new(),
    });
    Some(Question {
        question: format!(
            "Are messages about what {} says, so that the same two people have a chat for each, or is it one chat all the same?",
            fields.join(", or ")
        ),
        facts: candidates.iter().map(|one| one.facts.clone()).collect(),
        fields,
        answers,
    })
}

/// A field of messages that may tell chats of the same people apart.
struct Candidate {
    field: String,
    form: &'static str,
    in_all: bool,
    facts: String,
}

impl Candidate {
    fn answer(&self) -> Answer {
        let (policy, form) = (if self.in_all { "required" } else { "optional" }, self.form);
        let field = quoted(&self.field);
        Answer {
            when: format!("Messages of two people that differ in {} are in different chats.", self.field),
            toml: format!(
                "[chats]\ncontext = \"{policy}\"\n[mongodb]\ncontext = \"{form}\"\n[mongodb.chat_fields]\ncontext = {field}\n\
                 [mongodb.message_fields]\ncontext = {field}\n"
            ),
        }
    }
}
