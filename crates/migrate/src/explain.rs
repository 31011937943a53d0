//! Why the chats of a group are one chat, and what decides each of their differences: for whoever has to answer for it.

use std::fmt;

use bson::{Bson, RawDocument, RawDocumentBuf};
use serde::Serialize;

use crate::{
    FieldRule, GroupPlan, MergeRules, StateForm,
    differences::short,
    fields::{is_null, same},
};

/// One group, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whose chats these are: the same set in each, in whatever order and form it is stored.
    pub participants: Vec<String>,
    /// The fields that say so.
    pub participants_in: Vec<String>,
    /// What they are about; nothing if chats have no context, or these have none.
    pub context: Option<String>,
    /// The field that says so, if chats have contexts.
    pub context_in: Option<String>,
    /// The `_id`s, that of the chat that lives on first.
    pub chats: Vec<String>,
    /// In what they differ, and what decides it.
    pub differences: Vec<Decided>,
}

/// A field in which the chats of a group differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The field, at the top of the chat.
    pub field: String,
    /// What each chat has there, in the order of the chats.
    pub values: Vec<String>,
    /// What decides, in words.
    pub by: String,
}

impl Explanation {
    /// `chats` are the documents of the group that was planned.
    pub fn new(rules: &MergeRules, plan: &GroupPlan, chats: &[RawDocumentBuf]) -> Self {
        let names = &rules.names;
        let id = |chat: &RawDocument| chat.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        let mut chats: Vec<&RawDocumentBuf> = chats.iter().collect();
        chats.sort_by_key(|chat| id(chat).as_ref() != Some(&plan.survivor));
        let mut fields: Vec<&str> = Vec::new();
        for element in chats.iter().flat_map(|chat| chat.iter_elements()).flatten() {
            let name = element.key().as_str();
            let is_key = name == names.participants_key || names.previous_key.as_deref() == Some(name);
            if name != "_id" && name != "__v" && !is_key && !fields.contains(&name) {
                fields.push(name);
            }
        }
        let decided = fields.into_iter().filter_map(|field| {
            let values: Vec<_> = chats
                .iter()
                .map(|chat| chat.get(field).ok().flatten().filter(|value| !is_null(*value)))
                .collect();
            let differ = values.windows(2).any(|two| match (two[0], two[1]) {
                (Some(one), Some(other)) => !same(one, other),
                (None, None) => false,
                _ => true,
            });
            differ.then(|| Decided {
                field: field.to_owned(),
                values: values
                    .into_iter()
                    .map(|value| value.map_or_else(|| "absent".to_owned(), short))
                    .collect(),
                by: decider(rules, field),
            })
        });
        Self {
            participants: plan.participants.clone(),
            participants_in: names.participants.clone(),
            context: plan.context.clone(),
            context_in: names.context.clone(),
            differences: decided.collect(),
            chats: chats.into_iter().filter_map(|chat| Some(id(chat)?.to_string())).collect(),
        }
    }
}

/// What decides about a field.
fn decider(rules: &MergeRules, field: &str) -> String {
    let names = &rules.names;
    let has_state = rules.state.iter().find(|state| state.field == field);
    if let Some(state) = has_state {
        let list: Vec<String> =
            state
                .rules
                .iter()
                .map(|(name, rule)| {
                    if name.is_empty() { rule.name().to_owned() } else { format!("{name} = {}", rule.name()) }
                })
                .collect();
        let form = if state.form == StateForm::Map { "map" } else { "array" };
        return format!("[[migrate.state]], a {form}, for each participant: {}", list.join(", "));
    }
    let holds = |path: &str| path.split('.').next() == Some(field);
    if names.participants.iter().any(|path| holds(path)) || names.context.as_deref().is_some_and(holds) {
        return "it is the same identity, in another order or form; the surviving chat's is kept".to_owned();
    }
    if field == names.created_at {
        return "the earliest, as for every time of creation".to_owned();
    }
    if rules.embedded.iter().any(|array| array.field == field) {
        return "[[migrate.embedded]]: all elements, each once, in the order of time".to_owned();
    }
    if let Some(rule) = rules.fields.get(field) {
        return format!("[migrate.fields]: {}", rule.name());
    }
    if field == names.updated_at || field == names.last_message_at {
        return "the latest, as for every time of activity".to_owned();
    }
    let inside = format!("{field}.");
    if rules.fields.keys().any(|path| path.starts_with(&inside)) {
        return "[migrate.fields], for its sub-fields".to_owned();
    }
    "NOTHING: this stops a migration".to_owned()
}

impl FieldRule {
    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Min => "min",
            Self::Sum => "sum",
            Self::Union => "union",
            Self::Survivor => "survivor",
            Self::Recompute => "recompute",
            Self::Newest => "newest",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} chats are one chat, because", self.participants.join(", "), self.chats.len())?;
        writeln!(f, "  their participants are the same set, by {}", self.participants_in.join(" and "))?;
        match (&self.context_in, &self.context) {
            (None, _) => writeln!(f, "  chats have no context, by the configuration"),
            (Some(field), None) => writeln!(f, "  none of them has a context in {field}"),
            (Some(field), Some(context)) => {
                writeln!(f, "  their context is the same, by {field}: {context}")
            }
        }?;
        for (index, chat) in self.chats.iter().enumerate() {
            writeln!(f, "  {} {chat}", if index == 0 { "stays " } else { "merged" })?;
        }
        for one in &self.differences {
            writeln!(f, "  {}: {}", one.field, one.values.join(" | "))?;
            writeln!(f, "    decided by {}", one.by)?;
        }
        Ok(())
    }
}
