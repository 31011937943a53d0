//! How an existing collection is brought to the guaranteed state: decisions only. What is read and written comes in
//! and goes out as values; the mechanics are in `onechat-mongo`.
//!
//! Documents are BSON, because an undo has to give back every byte of them. `bson` is a format, not a driver: nothing
//! here connects to anything.

mod account;
mod control;
pub mod course;
mod describe;
mod differences;
mod explain;
mod extended;
mod fields;
mod group;
mod plan;
mod planning;
mod rules;
mod state;
mod times;
mod undo;
mod values;

pub use account::{Account, Tally};
pub use control::{Control, Stopped, Uncontrolled};
pub use differences::{Difference, Differences, Kind, Place, Unexplained};
pub use explain::{Decided, Explanation};
pub use group::{Activity, ChatRow, Group, ReferenceRows};
pub use plan::{Blocked, Conflict, GroupPlan, LoserPlan, Move, RowEdit};
pub use planning::{plan, plan_around, swept};
pub use rules::{
    EmbeddedArray, FieldNames, FieldRule, MergeRules, MessageFieldsOfRows, Reference, RowState, StateField,
    StateForm, SurvivorPolicy,
};
pub use state::{CollectionState, UnknownState};
pub use times::{time_of, time_of_row};
pub use undo::{Undone, undo_document};
pub use values::{UuidOrder, name_of, number_in, number_of, text_of, written_like};
