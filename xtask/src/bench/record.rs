//! The figures in the documentation: between two marks, and exactly what a run printed.

use std::fs;

use anyhow::{Context as _, ensure};

use crate::shell;

pub(super) const PAGE: &str = "docs/BENCHMARKS.md";
const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->";

/// Replaces the figures of the page.
pub(super) fn write(figures: &str) -> anyhow::Result<()> {
    let path = shell::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("{PAGE} cannot be read"))?;
    fs::write(&path, replaced(&page, figures)?).with_context(|| format!("{PAGE} cannot be written"))
}

/// Finds out before a long run what would make its end useless.
pub(super) fn check_page() -> anyhow::Result<()> {
    let page =
        fs::read_to_string(shell::root().join(PAGE)).with_context(|| format!("{PAGE} cannot be read"))?;
    replaced(&page, "").map(drop)
}

fn replaced(page: &str, figures: &str) -> anyhow::Result<String> {
    let marks = || format!("{PAGE} needs the marks {} and {END}, in this order, once each", BEGIN.trim_end());
    let (before, rest) = page.split_once(BEGIN).with_context(marks)?;
    let (old, after) = rest.split_once(END).with_context(marks)?;
    ensure!(!old.contains(BEGIN) && !after.contains(BEGIN) && !after.contains(END), marks());
    Ok(format!("{before}{BEGIN}\n{}\n\n{END}{after}", figures.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    const PAGE: &str = "a\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nb\n";

    #[test]
    fn only_the_figures_change() {
        let page = replaced(PAGE, "new\n").unwrap();
        assert_eq!(page, "a\n<!-- figures: begin -->\n\nnew\n\n<!-- figures: end -->\nb\n");
        assert_eq!(replaced(&page, "new\n").unwrap(), page);
    }

    #[test]
    fn a_page_without_its_marks_is_refused() {
        assert!(replaced("a\nb\n", "new").is_err());
        assert!(replaced(&PAGE.replace("begin", "other"), "new").is_err());
        assert!(replaced(&format!("{PAGE}{PAGE}"), "new").is_err());
    }
}
