//! What somebody may have meant who misspelt a name.

/// How many letters a name may be off to be suggested.
const MAX_DISTANCE: usize = 4;

/// The known name that is most like `name`, if one is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, _)| *distance <= MAX_DISTANCE)
        .min()
        .map(|(_, known)| known)
}
