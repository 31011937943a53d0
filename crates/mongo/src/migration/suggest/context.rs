//! What chats may be about: a field by which the same people have several. A question, always.

use mongodb::bson::{Bson, Document};
use onechat_migrate::Differences;

use super::{
    super::{MigrateError, MongoMigrator},
    Findings,
    census::{Census, Values},
    chats::Chats,
    identity::differing,
    kinds::hides,
    print::{key, quoted},
    questions::{Answer, Question},
    sample::{Sample, is_most, person_of, person_text},
    words::{is_end, is_name, is_status, is_subject, tells_kinds},
};

/// A field that may be a context.
struct Candidate<'a> {
    field: &'a str,
    values: &'a Values,
    /// The collection that it leads to.
    leads_to: Option<String>,
    /// In how many groups of chats of the same people it differs.
    groups: u64,
}

impl MongoMigrator {
    /// The question, if there is something that chats may be about.
    pub(super) async fn context(
        &self,
        census: &Census,
        (sample, samples): (&Sample, &[Sample]),
        found: &Findings,
        not: &[&str],
        differences: &Differences,
    ) -> Result<Option<Question>, MigrateError> {
        let Findings { chats, constants, messages, .. } = found;
        let mut found = Vec::new();
        for (field, values) in &census.fields {
            let is_constant = constants.iter().any(|constant| constant.field == *field);
            let is_other =
                hides(field) || is_end(field) || is_status(field) || tells_kinds(field) || is_name(field);
            let ids: Vec<Bson> = values.known.iter().map(|(value, _)| value.clone()).collect();
            let is_id = |id: &Bson| matches!(id, Bson::ObjectId(_) | Bson::Binary(_));
            let are_ids = ids.iter().all(|id| is_id(id) || person_text(id).is_some());
            if is_constant || is_other || !are_ids || is_of_people(sample, chats, field) {
                continue;
            }
            let groups =
                differences.fields.iter().find(|one| one.field == *field).map_or(0, |one| one.groups);
            let holder = self.holder(&ids, samples, not).await?;
            let leads_to = holder.map(|holder| holder.collection.clone());
            if messages.as_ref().is_some_and(|messages| leads_to.as_ref() == Some(&messages.collection)) {
                continue;
            }
            let is_unknown_id = ids.iter().all(is_id) && groups > 0;
            if is_subject(field) || leads_to.is_some() || is_unknown_id {
                found.push(Candidate { field, values, leads_to, groups });
            }
        }
        found.sort_by_key(|one| (std::cmp::Reverse(one.groups), !is_subject(one.field)));
        Ok((!found.is_empty()).then(|| question(&found, differences)))
    }
}

/// Whether it names somebody of the chat.
fn is_of_people(sample: &Sample, chats: &Chats, field: &str) -> bool {
    let values =
        |document: &Document| Some((document.get(field).and_then(person_of)?, chats.people(document)));
    let named: Vec<(String, Vec<String>)> = sample.documents.iter().filter_map(values).collect();
    is_most(named.iter().filter(|(id, people)| people.contains(id)).count(), named.len(), 60)
}

fn question(found: &[Candidate<'_>], differences: &Differences) -> Question {
    let names: Vec<&str> = found.iter().map(|one| one.field).collect();
    let mut facts = Vec::new();
    for one in found {
        let leads = one.leads_to.as_ref().map(|to| format!(" It leads to {to}.")).unwrap_or_default();
        facts.push(format!("{}: {}.{leads}", one.field, one.values.facts()));
        facts.extend(differing(differences, one.field));
    }
    let mut answers: Vec<Answer> = found.iter().map(about).collect();
    let rules: Vec<String> = names.iter().map(|name| format!("{} = \"survivor\"\n", key(name))).collect();
    answers.push(Answer {
        when: "Neither matters: the same people have one chat.".to_owned(),
        toml: format!("[migrate.fields]\n{}", rules.concat()),
    });
    Question {
        fields: names.iter().map(|name| (*name).to_owned()).collect(),
        question: format!(
            "Are chats about what {} says, so that the same people have a chat for each, or is it one chat all the same?",
            names.join(", or ")
        ),
        facts,
        answers,
    }
}

fn about(one: &Candidate<'_>) -> Answer {
    let form = one.values.known.first().map_or("string", |(value, _)| super::chats::form_of(value));
    let policy = if one.values.absent.all > 0 { "optional" } else { "required" };
    Answer {
        when: format!("Chats that differ in {} are different chats.", one.field),
        toml: format!(
            "[chats]\ncontext = \"{policy}\"\n[mongodb]\ncontext = \"{form}\"\n[mongodb.chat_fields]\ncontext = {}\n",
            quoted(one.field)
        ),
    }
}
