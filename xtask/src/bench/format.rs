//! How figures look: numbers for people, and tables that read as well in a terminal as in Markdown.

/// A number with thousands set apart: `61,200`.
pub(super) fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds; the small ones with more digits.
pub(super) fn ms(number: f64) -> String {
    if number < 10.0 { format!("{number:.2}") } else { format!("{number:.1}") }
}

/// A row of a table.
pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// A table with aligned columns; the first row is its head, the first column is set to the left. Every row has as
/// many cells as the head.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let [head, body @ ..] = rows else { return String::new() };
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("| {cell:<width$} "),
            _ => format!("| {cell:>width$} "),
        });
        cells.collect::<String>() + "|\n"
    };
    let rule = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width),
        _ => "-".repeat(width - 1) + ":",
    });
    line(head) + &line(&rule.collect()) + &body.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(count(61_234.4), "61,234");
        assert_eq!((count(999.0), count(1_000_000.0)), ("999".to_owned(), "1,000,000".to_owned()));
        assert_eq!((ms(1.234), ms(12.34)), ("1.23".to_owned(), "12.3".to_owned()));
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["figure".to_owned(), "≥".to_owned()], vec!["a".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&rows), "| figure |     ≥ |\n| ------ | ----: |\n| a      | 1,000 |\n");
    }
}
