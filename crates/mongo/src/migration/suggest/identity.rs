//! Which documents are chats of which there is one for each set of people: what tells others apart is a question, always,
//! and asked whether or not chats of the same people differ in it today.

use std::fmt::Write as _;

use mongodb::bson::{Bson, Document};
use onechat_migrate::Differences;

use super::{
    census::{Census, Values},
    print::{key, value},
    questions::{Answer, Question, Test, all_hold, filter, nothing},
    sample::{Sample, plain},
    words::{
        Word, flag_of, is_end, is_false, is_life, is_moment, is_name, is_over, is_status, is_true,
        tells_kinds, word_of,
    },
};

/// What a field tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    Kinds,
    Ends,
    Names,
}

#[derive(Debug)]
struct Condition<'a> {
    field: &'a str,
    tells: Tells,
    test: Test,
    values: &'a Values,
}

/// A field that has the same value in all chats that have one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) field: String,
    pub(super) value: Bson,
    /// Whether new chats should have it too.
    pub(super) is_common: bool,
    /// Whether some chats have nothing there.
    pub(super) is_absent: bool,
}

/// As many chats as it takes to tell a constant from what a few chats happen to share.
const FEW: u64 = 5;

/// The fields with one value that tells nothing apart.
pub(super) fn constants(census: &Census) -> Vec<Constant> {
    let constant = |(field, values): (&String, &Values)| {
        let [(value, count)] = values.known.as_slice() else { return None };
        let is_absent = values.absent.all > 0;
        let is_harmless = match value {
            Bson::Boolean(is) => {
                let says_group = if *is { Word::Group } else { Word::Direct };
                let tells =
                    flag_of(field) == says_group || (*is && is_end(field)) || (!*is && is_life(field));
                !tells && (!is_absent || !*is || flag_of(field) == Word::Direct)
            }
            Bson::String(_) => {
                let is_known = word_of(value) == Word::Direct || field.starts_with('_');
                let tells = tells_kinds(field) && word_of(value) == Word::Group || is_over(value);
                !tells && (!is_absent || is_known)
            }
            _ => false,
        };
        (is_harmless && !values.is_many).then(|| Constant {
            field: field.clone(),
            value: value.clone(),
            is_common: count.all >= values.absent.all,
            is_absent,
        })
    };
    // A few chats say nothing.
    census.fields.iter().filter(|(_, values)| values.present.all >= FEW).filter_map(constant).collect()
}

/// The question, and the filter of its first answer.
pub(super) fn only(
    census: &Census,
    sample: &Sample,
    constants: &[Constant],
    differences: &Differences,
) -> Option<Question> {
    let is_constant = |field: &str| constants.iter().any(|constant| constant.field == field);
    let candidates = census.fields.iter().filter(|(field, _)| !is_constant(field));
    let mut found: Vec<Condition<'_>> =
        candidates.filter_map(|(field, values)| kind(field, values).or_else(|| end(field, values))).collect();
    // A flag says it more surely than a date beside it.
    found.sort_by_key(|one| (one.tells == Tells::Ends, one.test == Test::IsNull));
    let mut conditions: Vec<Condition<'_>> = Vec::new();
    let mut same: Vec<Condition<'_>> = Vec::new();
    for condition in found {
        let tests: Vec<(&str, &Test)> = conditions.iter().map(|one| (one.field, &one.test)).collect();
        let leaves_out = |document: &&Document| !condition.test.holds(document.get(condition.field));
        let is_new = |document: &Document| all_hold(&tests, document);
        let mut left_out = sample.documents.iter().filter(leaves_out).peekable();
        // A second mark of what another one leaves out already tells nothing more.
        if left_out.peek().is_some() && !left_out.any(is_new) {
            same.push(condition);
        } else {
            conditions.push(condition);
        }
    }
    let tests: Vec<(&str, &Test)> = conditions.iter().map(|one| (one.field, &one.test)).collect();
    let names = census.fields.iter().filter(|(field, _)| !is_constant(field) && is_name(field));
    let names: Vec<Condition<'_>> = names
        .filter(|(field, values)| {
            let inside = sample.documents.iter().filter(|document| all_hold(&tests, document));
            let mut different: Vec<&str> = inside
                .filter_map(|document| document.get_str(field).ok())
                .filter(|name| !name.is_empty())
                .collect();
            different.sort_unstable();
            different.dedup();
            // Where nothing else tells, one name among chats without is enough.
            let is_alone = conditions.is_empty() && values.absent.all > 0 && !values.known.is_empty();
            different.len() > 1 || is_alone || (conditions.is_empty() && values.known.len() > 1)
        })
        .map(|(field, values)| Condition { field, tells: Tells::Names, test: Test::IsNull, values })
        .collect();
    conditions.extend(names);
    if conditions.is_empty() {
        return None;
    }
    Some(question(&conditions, &same, sample, differences))
}

/// A field that tells groups from direct chats.
fn kind<'a>(field: &'a str, values: &'a Values) -> Option<Condition<'a>> {
    if values.is_many || values.known.is_empty() || is_name(field) || is_end(field) || is_life(field) {
        return None;
    }
    let condition = |test| Some(Condition { field, tells: Tells::Kinds, test, values });
    let of = |is: fn(&Bson) -> bool| -> Vec<Bson> {
        values.known.iter().map(|(value, _)| value).filter(|value| is(value)).cloned().collect()
    };
    let is_flag = values
        .known
        .iter()
        .all(|(value, _)| matches!(value, Bson::Boolean(_)) || is_true(value) || is_false(value));
    let (is, is_not) = (of(is_true), of(is_false));
    match flag_of(field) {
        Word::Group if is_flag => return if is.is_empty() { None } else { condition(Test::IsNot(is)) },
        Word::Direct if is_flag && !is_not.is_empty() => return condition(Test::IsNot(is_not)),
        Word::Direct if is_flag => return if values.absent.all > 0 { condition(Test::Is(is)) } else { None },
        _ => {}
    }
    let count_of = |wanted: Word| -> Vec<Bson> {
        let found = values.known.iter().map(|(value, _)| value).filter(|value| word_of(value) == wanted);
        found.cloned().collect()
    };
    let (directs, groups) = (count_of(Word::Direct), count_of(Word::Group));
    let several = values.known.len() + usize::from(values.absent.all > 0) > 1;
    let is_count = ["count", "size", "total", "num", "max"].iter().any(|part| plain(field).contains(part));
    let is_told_by_people = !is_count && is_by_people(values);
    if !is_told_by_people && !(tells_kinds(field) && (several || !groups.is_empty())) {
        return None;
    }
    if tells_kinds(field) && values.known.len() == 1 && groups.is_empty() && !is_told_by_people {
        // Old ones have nothing, and new ones one value: asked only if it differs in chats of the same people.
        return None;
    }
    let mut inside = directs;
    if inside.is_empty() && groups.len() < values.known.len() {
        let others = values.known.iter().filter(|(value, _)| !groups.contains(value));
        let most = others.max_by_key(|(_, count)| count.of_two);
        inside.extend(most.filter(|(_, count)| count.of_two * 2 > count.all).map(|(value, _)| value.clone()));
    }
    if values.absent.all == 0 && !inside.is_empty() {
        return condition(Test::Is(inside));
    }
    condition(Test::IsNot(
        values
            .known
            .iter()
            .map(|(value, _)| value)
            .filter(|value| !inside.contains(value))
            .cloned()
            .collect(),
    ))
}

/// Whether the chats with one value are of two people, and those with another are not.
fn is_by_people(values: &Values) -> bool {
    let is_scalar = |value: &Bson| {
        matches!(
            value,
            Bson::String(_) | Bson::Boolean(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)
        )
    };
    let counts: Vec<_> = values.known.iter().map(|(_, count)| *count).chain([values.absent]).collect();
    let of_others = counts.iter().any(|count| count.all > 1 && count.of_two * 2 < count.all);
    let of_two = counts.iter().any(|count| count.all > 1 && count.of_two * 10 > count.all * 9);
    values.known.len() <= 8 && values.known.iter().all(|(value, _)| is_scalar(value)) && of_others && of_two
}

/// A field that marks chats that are over.
fn end<'a>(field: &'a str, values: &'a Values) -> Option<Condition<'a>> {
    let of = |is: fn(&Bson) -> bool| -> Vec<Bson> {
        values.known.iter().map(|(value, _)| value).filter(|value| is(value)).cloned().collect()
    };
    let is_flag = values.known.iter().all(|(value, _)| is_true(value) || is_false(value));
    let test = if is_end(field) && is_flag {
        Test::IsNot(of(is_true))
    } else if is_end(field)
        && (values.is_many
            || values.known.iter().all(|(value, _)| is_moment(value) || value.as_object_id().is_some()))
    {
        return (values.present.all > 0).then_some(Condition {
            field,
            tells: Tells::Ends,
            test: Test::IsNull,
            values,
        });
    } else if is_life(field) && is_flag {
        Test::IsNot(of(is_false))
    } else if (is_status(field) || is_end(field)) && !values.is_many {
        Test::IsNot(of(is_over))
    } else {
        return None;
    };
    let Test::IsNot(values_of) = &test else { return None };
    (!values_of.is_empty()).then_some(Condition { field, tells: Tells::Ends, test, values })
}

fn question(
    conditions: &[Condition<'_>],
    same: &[Condition<'_>],
    sample: &Sample,
    differences: &Differences,
) -> Question {
    let has = |tells: Tells| conditions.iter().any(|one| one.tells == tells);
    let named = |tells: Tells| -> String {
        let fields: Vec<&str> =
            conditions.iter().filter(|one| one.tells == tells).map(|one| one.field).collect();
        fields.join(", ")
    };
    let mut parts = Vec::new();
    if has(Tells::Kinds) {
        parts.push(format!("{} tells kinds of chats apart", named(Tells::Kinds)));
    }
    if has(Tells::Ends) {
        parts.push(format!("{} marks chats that are deleted or over", named(Tells::Ends)));
    }
    if has(Tells::Names) {
        parts.push(format!("{} gives chats names", named(Tells::Names)));
    }
    let mut facts = Vec::new();
    for one in conditions.iter().chain(same) {
        facts.push(format!("{}: {}.", one.field, one.values.facts()));
        if sample.unique.iter().any(|index| index.as_slice() == [one.field]) {
            facts.push(format!("  It has a unique index: no two have the same {}.", one.field));
        }
        facts.extend(differing(differences, one.field));
    }
    let only: Vec<&Condition<'_>> = conditions.iter().filter(|one| one.tells != Tells::Names).collect();
    let unnamed: Vec<&Condition<'_>> =
        conditions.iter().filter(|one| one.tells == Tells::Names && one.values.absent.all > 0).collect();
    let mut answers = Vec::new();
    let both: Vec<&Condition<'_>> = only.iter().chain(&unnamed).copied().collect();
    if !both.is_empty() {
        answers.push(narrowed(&both));
    }
    if both.len() > 1 {
        answers.extend(both.iter().map(|one| narrowed(&[*one])));
    }
    if has(Tells::Names) || has(Tells::Kinds) {
        let none = Answer {
            when: "They are rooms that people join and leave, none of them the one chat of its people: nothing is under the \
                   guarantee."
                .to_owned(),
            toml: format!("[mongodb]\nonly = {}\n", nothing()),
        };
        answers.push(none);
    }
    let rules: String = conditions.iter().chain(same).fold(String::new(), |mut text, one| {
        let rule = if one.tells == Tells::Ends && one.test != Test::IsNull { "all" } else { "survivor" };
        let _ = writeln!(text, "{} = {}", key(one.field), value(&rule.into()));
        text
    });
    let everything = Answer {
        when: "The value does not matter: the same people have one chat, and all of these chats are merged."
            .to_owned(),
        toml: format!("[migrate.fields]\n{rules}"),
    };
    answers.push(everything);
    let fields = conditions.iter().chain(same).map(|one| one.field.to_owned()).collect();
    let question =
        format!("{}: of which documents is there to be one for each set of people?", parts.join(", and "));
    Question { fields, question, facts, answers }
}

/// In how many groups of chats of the same people a field differs, with an example.
pub(super) fn differing(differences: &Differences, field: &str) -> Vec<String> {
    let Some(one) = differences.fields.iter().find(|one| one.field == field) else { return Vec::new() };
    let groups = if one.groups == 1 { "group" } else { "groups" };
    let mut lines = vec![format!("  It differs in {} {groups} of chats of the same people:", one.groups)];
    for example in &one.examples {
        let values: Vec<String> =
            example.iter().map(|(owner, value)| format!("{value} in {owner}")).collect();
        lines.push(format!("    {}", values.join(", ")));
    }
    lines
}

/// The answer that the guarantee is for those alone that meet all of the conditions.
fn narrowed(conditions: &[&Condition<'_>]) -> Answer {
    let tests: Vec<(&str, &Test)> = conditions.iter().map(|one| (one.field, &one.test)).collect();
    let ends: Vec<(&str, &Test)> =
        conditions.iter().filter(|one| one.tells == Tells::Ends).map(|one| (one.field, &one.test)).collect();
    let mut toml = format!("[mongodb]\nonly = {}\n", filter(&tests));
    let mut when = "Those that this filter selects; the others are left as they are".to_owned();
    if !ends.is_empty() {
        let _ = writeln!(toml, "visible = {}", filter(&ends));
        when.push_str(", and what is over is not shown in lists");
    }
    let mut constants = String::new();
    let mut rules = String::new();
    for one in conditions {
        if let Some(value_of) = constant_of(one) {
            let _ = writeln!(constants, "{} = {}", key(one.field), value(&value_of));
        }
        if let (Test::IsNot(_), true) = (&one.test, varies(one)) {
            let _ = writeln!(rules, "{} = \"survivor\"", key(one.field));
        }
    }
    if !constants.is_empty() {
        let _ = write!(toml, "[mongodb.constants]\n{constants}");
    }
    if !rules.is_empty() {
        let _ = write!(toml, "[migrate.fields]\n{rules}");
    }
    Answer { when: format!("{when}."), toml }
}

/// Whether those inside may differ.
fn varies(condition: &Condition<'_>) -> bool {
    let inside = condition.values.known.iter().filter(|(value, _)| condition.test.holds(Some(value))).count();
    inside + usize::from(condition.values.absent.all > 0) > 1
}

/// What new chats have there, so that the filter selects them: what most of those inside have.
fn constant_of(condition: &Condition<'_>) -> Option<Bson> {
    let inside = condition.values.known.iter().filter(|(value, _)| condition.test.holds(Some(value)));
    let (value, count) = inside.max_by_key(|(_, count)| count.all)?;
    let is_needed = matches!(condition.test, Test::Is(_)) || count.all >= condition.values.absent.all;
    let can_be_one = matches!(
        value,
        Bson::Boolean(_) | Bson::String(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)
    );
    (is_needed && can_be_one).then(|| value.clone())
}
