//! Plain tables: columns as wide as their widest cell, two spaces between, the last one as long as it is.

/// Renders rows of equal length under a head.
pub(super) fn render<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = head.map(str::to_owned);
    std::iter::once(&head).chain(rows).map(|row| line(row, &widths)).collect::<Vec<_>>().join("\n")
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// At most so many characters, on one line.
pub(super) fn short(text: &str, most: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if flat.chars().count() <= most {
        return flat;
    }
    let kept: String = flat.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [["a".to_owned(), "bb".to_owned()], ["äöü".to_owned(), String::new()]];
        assert_eq!(render(["X", "Y"], &rows), "X    Y\na    bb\näöü");
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        assert_eq!(short("short", 5), "short");
        assert_eq!(short("äöüß\nx", 4), "äöü…");
    }
}
