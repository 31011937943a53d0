//! Makes the plan of a group. Pure: no clock, no database, no order of documents.

use crate::{Blocked, Group, GroupPlan, MergeRules};

/// What becomes of a group, or why nothing can.
pub fn plan(rules: &MergeRules, group: &Group) -> Result<GroupPlan, Blocked> {
    let _ = (rules, group);
    todo!()
}
