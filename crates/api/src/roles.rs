//! Who is what in a new chat, as a request says it.

use std::{collections::BTreeMap, fmt};

use onechat_core::Participant;
use serde::{
    Deserialize,
    de::{Deserializer, Error as _, MapAccess, Visitor},
};

use crate::problem::{Code, Problem};

/// The participants by their roles. A role that is given twice is refused: one of the two would not be heard.
pub(crate) struct NamedRoles(BTreeMap<String, String>);

impl NamedRoles {
    /// The participants, if they are such.
    pub(crate) fn take(self) -> Result<BTreeMap<String, Participant>, Problem> {
        let one = |(role, name): (String, String)| {
            let participant = Participant::new(name)
                .map_err(|error| Problem::because(Code::InvalidParticipants, &error))?;
            Ok((role, participant))
        };
        self.0.into_iter().map(one).collect()
    }
}

impl<'de> Deserialize<'de> for NamedRoles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedRolesVisitor)
    }
}

struct NamedRolesVisitor;

impl<'de> Visitor<'de> for NamedRolesVisitor {
    type Value = NamedRoles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamedRoles, A::Error> {
        let mut roles = BTreeMap::new();
        while let Some((role, participant)) = map.next_entry::<String, String>()? {
            if roles.insert(role.clone(), participant).is_some() {
                return Err(A::Error::custom(format!("duplicate field `{role}`")));
            }
        }
        Ok(NamedRoles(roles))
    }
}
