//! What chats of the same people differ in besides, and for which no rule was found: a question for each field.

use std::collections::BTreeMap;

use onechat_migrate::{Place, Unexplained};

use super::{
    census::Census,
    chats::form_of,
    inside::Inside,
    kinds::hides,
    print::{key, quoted},
    questions::{Answer, Question, Test, filter},
    words::{is_beginner, is_true},
};

pub(super) fn question(one: &Unexplained, census: &Census, inside: &Inside) -> Question {
    let mut facts = vec![format!(
        "It differs in {} {} of chats of the same people:",
        one.groups,
        if one.groups == 1 { "group" } else { "groups" }
    )];
    for example in &one.examples {
        let values: Vec<String> =
            example.iter().map(|(owner, value)| format!("{value} in {owner}")).collect();
        facts.push(format!("  {}", values.join(", ")));
    }
    let answers = match one.place() {
        Place::Chat(path) => of_chat(path, one, census, inside),
        Place::State { field, participant, path } => {
            let given = inside.state.iter().find(|state| state.field == *field);
            let mut rules = given.map(|state| state.rules.clone()).unwrap_or_default();
            vec![of_state(field, participant.as_deref(), path, &rules_of(one), &mut rules, given.is_some())]
        }
        Place::Rows { collection, path } => vec![Answer {
            when: format!(
                "Write into rules of the [[migrate.references]] of {collection}: {} = \"…\", one of {}.",
                key(path),
                rules_of(one)
            ),
            toml: String::new(),
        }],
    };
    Question {
        fields: vec![one.field.clone()],
        question: format!(
            "What does one chat have in {}, if there were several with different values?",
            one.field
        ),
        facts,
        answers,
    }
}

/// The rules that make sense, the likeliest first.
fn rules_of(one: &Unexplained) -> String {
    let rules = one.rules();
    let likeliest = if hides(&one.field) {
        "all"
    } else if is_beginner(&one.field) || rules == "newest, survivor" {
        "survivor"
    } else {
        return rules.to_owned();
    };
    let others = rules.split(", ").filter(|rule| *rule != likeliest);
    [likeliest].into_iter().chain(others).collect::<Vec<_>>().join(", ")
}

fn first(rules: &str) -> &str {
    rules.split(", ").next().unwrap_or(rules)
}

fn of_chat(path: &str, one: &Unexplained, census: &Census, inside: &Inside) -> Vec<Answer> {
    if let Some((state, are_numbers)) = inside.unruled.iter().find(|(state, _)| state.field == path) {
        let rules = match (are_numbers, hides(path)) {
            (_, true) => "all, max, min, newest, survivor",
            (true, false) => "sum, max, min, newest, survivor",
            (false, false) => "survivor, newest, all, max, min",
        };
        return vec![of_state(path, state.participant.as_deref(), "", rules, &mut BTreeMap::new(), false)];
    }
    let rules = rules_of(one);
    let mut answers = vec![Answer {
        when: format!("The chats are one chat. Its {path} follows a rule: one of {rules}."),
        toml: format!("[migrate.fields]\n{} = \"{}\"\n", key(path), first(&rules)),
    }];
    // Only a single value can be part of what a chat is.
    let Some(values) = census.fields.get(path) else { return answers };
    let is_flag = values.known.iter().any(|(value, _)| value.as_bool().is_some());
    if !is_flag && !hides(path) {
        let form = values.known.first().map_or("string", |(value, _)| form_of(value));
        let policy = if values.absent.all > 0 { "optional" } else { "required" };
        answers.push(Answer {
            when: format!("Chats that differ in {path} are different chats, of which the same people have one for each."),
            toml: format!(
                "[chats]\ncontext = \"{policy}\"\n[mongodb]\ncontext = \"{form}\"\n[mongodb.chat_fields]\ncontext = {}\n",
                quoted(path)
            ),
        });
    }
    let test = if is_flag {
        Test::IsNot(
            values.known.iter().map(|(value, _)| value).filter(|value| is_true(value)).cloned().collect(),
        )
    } else {
        Test::IsNull
    };
    answers.push(Answer {
        when: "It tells other documents from chats of which there is one for each set of people: these alone are such."
            .to_owned(),
        toml: format!("[mongodb]\nonly = {}\n", filter(&[(path, &test)])),
    });
    answers
}

fn of_state(
    field: &str,
    participant: Option<&str>,
    path: &str,
    choice: &str,
    rules: &mut BTreeMap<String, &'static str>,
    is_given: bool,
) -> Answer {
    let list: Vec<String> = rules
        .iter()
        .map(|(name, rule)| format!("{} = \"{rule}\"", key(name)))
        .chain([format!("{} = \"{}\"", key(path), first(choice))])
        .collect();
    let rules = format!("rules = {{ {} }}", list.join(", "));
    if is_given {
        return Answer {
            when: format!(
                "In the [[migrate.state]] of {field} above, {rules}; or another rule: one of {choice}."
            ),
            toml: String::new(),
        };
    }
    let form = participant.map_or_else(
        || "form = \"map\"".to_owned(),
        |participant| format!("form = \"array\"\nparticipant = {}", quoted(participant)),
    );
    Answer {
        when: format!("What is said of each participant follows a rule: one of {choice}."),
        toml: format!("[[migrate.state]]\nfield = {}\n{form}\n{rules}\n", quoted(field)),
    }
}
