//! The figures in the documentation: between two marks, and exactly what a run printed.

use std::fs;

use anyhow::{Context as _, ensure};

use crate::shell;

pub(super) const PAGE: &str = "docs/BENCHMARKS.md";
/// The marks around the figures of one store.
fn marks(part: &str) -> (String, String) {
    (format!("<!-- {part}: begin -->\n"), format!("<!-- {part}: end -->"))
}

/// Replaces the figures of the page.
pub(super) fn write(part: &str, figures: &str) -> anyhow::Result<()> {
    let path = shell::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("{PAGE} cannot be read"))?;
    fs::write(&path, replaced(&page, part, figures)?).with_context(|| format!("{PAGE} cannot be written"))
}

/// Finds out before a long run what would make its end useless.
pub(super) fn check_page(part: &str) -> anyhow::Result<()> {
    let page =
        fs::read_to_string(shell::root().join(PAGE)).with_context(|| format!("{PAGE} cannot be read"))?;
    replaced(&page, part, "").map(drop)
}

fn replaced(page: &str, part: &str, figures: &str) -> anyhow::Result<String> {
    let (begin, end) = marks(part);
    let (begin, end) = (begin.as_str(), end.as_str());
    let wanted =
        || format!("{PAGE} needs the marks {} and {end}, in this order, once each", begin.trim_end());
    let (before, rest) = page.split_once(begin).with_context(wanted)?;
    let (old, after) = rest.split_once(end).with_context(wanted)?;
    ensure!(!old.contains(begin) && !after.contains(begin) && !after.contains(end), wanted());
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", figures.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    const PAGE: &str = "a\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nb\n";

    #[test]
    fn only_the_figures_change() {
        let page = replaced(PAGE, "figures", "new\n").unwrap();
        assert_eq!(page, "a\n<!-- figures: begin -->\n\nnew\n\n<!-- figures: end -->\nb\n");
        assert_eq!(replaced(&page, "figures", "new\n").unwrap(), page);
    }

    #[test]
    fn a_page_without_its_marks_is_refused() {
        assert!(replaced("a\nb\n", "figures", "new").is_err());
        assert!(replaced(&PAGE.replace("begin", "other"), "figures", "new").is_err());
        assert!(replaced(&format!("{PAGE}{PAGE}"), "figures", "new").is_err());
    }
}
