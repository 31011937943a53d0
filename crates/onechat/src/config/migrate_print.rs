//! The section `[migrate]` that gives these rules: for `--print-config`, and for the head of a plan.

use std::collections::BTreeMap;

use onechat_migrate::{FieldRule, MergeRules, StateForm, SurvivorPolicy};
use toml::{Table, Value};

use super::{MigrateConfig, print::number};

/// Rules, limits and flag file. The mapped messages, which are a reference by themselves, are not named.
pub(super) fn to_toml(config: &MigrateConfig) -> Table {
    let mut section = rules_to_toml(&config.rules);
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            section.insert(name.to_owned(), value);
        }
    };
    put("max_rate", config.limits.max_rate.map(number));
    put("max_lag_ms", config.limits.max_lag.map(|lag| number(lag.as_millis())));
    put("outside_keys", config.takes_outside_keys.then(|| text(&"take")));
    put("chats_from_messages", config.makes_chats.then_some(Value::Boolean(true)));
    let questions = config.questions.iter().map(|open| {
        let fields = open.fields.iter().map(|field| text(field)).collect();
        Value::Table(
            [("fields".to_owned(), Value::Array(fields)), ("question".to_owned(), text(&open.question))]
                .into_iter()
                .collect(),
        )
    });
    put("questions", (!config.questions.is_empty()).then(|| Value::Array(questions.collect())));
    put("stop_file", config.stop_file.as_ref().map(|file| text(&file.display())));
    section
}

/// What decides how groups are merged.
pub(crate) fn rules_to_toml(rules: &MergeRules) -> Table {
    let mut section = Table::new();
    section.insert("survivor".into(), text(&survivor(rules.survivor)));
    let references = rules.references.iter().filter(|one| one.messages.is_none()).map(|one| {
        let mut table = Table::new();
        table.insert("collection".into(), text(&one.collection));
        table.insert("field".into(), text(&one.field));
        if let Some(state) = &one.state {
            table.insert("participant".into(), text(&state.participant));
            if !state.rules.is_empty() {
                table.insert("rules".into(), rules_table(&state.rules));
            }
            if let Some(path) = &state.read_until {
                table.insert("read_until".into(), text(path));
            }
        }
        table
    });
    put_all(&mut section, "references", references);
    let renumber = rules.references.iter().filter_map(|one| {
        let mut table = Table::new();
        table.insert("collection".into(), text(&one.collection));
        table.insert("field".into(), text(one.sequence.as_ref()?));
        let is_mapped =
            one.messages.as_ref().is_some_and(|fields| one.time.as_ref() == Some(&fields.created_at));
        if let Some(time) = one.time.as_ref().filter(|_| !is_mapped) {
            table.insert("time".into(), text(time));
        }
        Some(table)
    });
    put_all(&mut section, "renumber", renumber);
    let embedded = rules.embedded.iter().map(|one| {
        let mut table = Table::new();
        table.insert("field".into(), text(&one.field));
        let id = if one.ids_of.is_some() { "path" } else { "id" };
        for (name, path) in
            [("ids_of", &one.ids_of), (id, &one.id), ("time", &one.time), ("sender", &one.sender)]
        {
            if let Some(path) = path {
                table.insert(name.into(), text(path));
            }
        }
        table
    });
    put_all(&mut section, "embedded", embedded);
    let state = rules.state.iter().map(|one| {
        let mut table = Table::new();
        table.insert("field".into(), text(&one.field));
        match &one.form {
            StateForm::Map => drop(table.insert("form".into(), text(&"map"))),
            StateForm::Array { participant } => {
                table.insert("form".into(), text(&"array"));
                table.insert("participant".into(), text(participant));
            }
        }
        table.insert("rules".into(), rules_table(&one.rules));
        if let Some(path) = &one.read_until {
            table.insert("read_until".into(), text(path));
        }
        table
    });
    put_all(&mut section, "state", state);
    if !rules.fields.is_empty() {
        section.insert("fields".into(), rules_table(&rules.fields));
    }
    section
}

fn put_all(section: &mut Table, name: &str, tables: impl Iterator<Item = Table>) {
    let tables: Vec<Value> = tables.map(Value::Table).collect();
    if !tables.is_empty() {
        section.insert(name.to_owned(), Value::Array(tables));
    }
}

fn rules_table(rules: &BTreeMap<String, FieldRule>) -> Value {
    Value::Table(rules.iter().map(|(field, rule)| (field.clone(), text(&rule.name()))).collect())
}

fn text(text: &dyn ToString) -> Value {
    Value::String(text.to_string())
}

const fn survivor(policy: SurvivorPolicy) -> &'static str {
    match policy {
        SurvivorPolicy::Oldest => "oldest",
        SurvivorPolicy::MostMessages => "most-messages",
        SurvivorPolicy::MostRecent => "most-recent",
    }
}
