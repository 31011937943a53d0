//! A plan in a few lines, and what two plans of one group have in common.

use std::fmt;

use bson::RawDocumentBuf;

use crate::{Conflict, GroupPlan, fields::sha256};

impl GroupPlan {
    /// Whether nothing is to be done.
    pub fn changes_nothing(&self) -> bool {
        self.survivor_after.is_none()
            && self.losers.is_empty()
            && self.moves.is_empty()
            && self.edits.is_empty()
    }

    /// SHA-256 in hexadecimal of what was decided and of what that was decided on. It differs as soon as the group has
    /// changed since; rows that are merely to be pointed elsewhere may come and go.
    pub fn fingerprint(&self) -> String {
        let mut parts: Vec<Vec<u8>> = vec![
            self.key.as_bytes().to_vec(),
            self.survivor.to_string().into_bytes(),
            self.survivor_fingerprint.as_bytes().to_vec(),
            bytes(self.survivor_after.as_ref()),
        ];
        parts.extend(self.losers.iter().map(|loser| loser.fingerprint.as_bytes().to_vec()));
        for edit in &self.edits {
            parts.push(edit.collection.as_bytes().to_vec());
            parts.push(bytes(Some(&edit.before)));
            parts.push(bytes(edit.after.as_ref()));
        }
        // With the lengths, so that no two lists of parts are one text.
        let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_le_bytes()).collect();
        sha256(parts.iter().zip(&lengths).flat_map(|(part, length)| [length.as_slice(), part.as_slice()]))
    }

    /// Whether the group is as it was when the other plan was made, and the decision the same.
    pub fn is_as(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

fn bytes(document: Option<&RawDocumentBuf>) -> Vec<u8> {
    document.map(|document| document.as_bytes().to_vec()).unwrap_or_default()
}

impl fmt::Display for GroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.participants.join(", "))?;
        let changed = if self.survivor_after.is_some() { "changed" } else { "as it is" };
        writeln!(f, "  stays  {} ({changed}, key {:?})", self.survivor_public_id, self.key)?;
        for loser in &self.losers {
            writeln!(f, "  ends   {}", loser.public_id)?;
        }
        for moved in &self.moves {
            let (collection, field) = (&moved.collection, &moved.field);
            writeln!(
                f,
                "  points {collection}.{field} of {} rows: {} -> {}",
                moved.rows, moved.from, moved.to
            )?;
        }
        for edit in &self.edits {
            let what = if edit.after.is_some() { "edits " } else { "removes" };
            writeln!(f, "  {what} {} {}: {}", edit.collection, edit.id, edit.reason)?;
        }
        for (field, count) in &self.repeats {
            writeln!(f, "  unites {field}: {count} were there twice")?;
        }
        for conflict in &self.conflicts {
            writeln!(f, "  keeps  {conflict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.field, short(&self.kept))?;
        for (value, owner) in &self.dropped {
            write!(f, ", not {} of {owner}", short(value))?;
        }
        Ok(())
    }
}

/// A value on a line.
fn short(value: &bson::Bson) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
