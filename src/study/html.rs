//! Pieces of a page: text that is safe in it, tables and figures.

use std::fmt::Write as _;

/// Text with what HTML would read as its own replaced.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A table with its caption; the first cell of a row is its heading. It scrolls by itself where it is wider than the page.
pub(super) fn table(caption: &str, titles: &[&str], rows: &[Vec<String>]) -> String {
    let caption = escape(caption);
    let mut text = format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table><caption>{caption}</caption>\
         <thead><tr>"
    );
    titles.iter().for_each(|title| push(&mut text, format_args!("<th scope=\"col\">{}</th>", escape(title))));
    text += "</tr></thead><tbody>\n";
    for row in rows {
        text += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            match column {
                0 => push(&mut text, format_args!("<th scope=\"row\">{cell}</th>")),
                _ => push(&mut text, format_args!("<td>{cell}</td>")),
            }
        }
        text += "</tr>\n";
    }
    text + "</tbody></table></div>\n"
}

/// A picture of an SVG file with what it shows in words. One that is `wide` scrolls where the page is narrow; others shrink.
pub(super) fn figure(svg: &str, told: &str, wide: bool) -> String {
    let told = escape(told);
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{told}\" "), 1);
    let scroll = if wide { " class=\"scroll\" role=\"region\" tabindex=\"0\"" } else { "" };
    let label = if wide { format!(" aria-label=\"{told}\"") } else { String::new() };
    format!("<figure><div{scroll}{label}>{svg}</div><figcaption>{told}</figcaption></figure>\n")
}

/// What is opened on demand.
pub(super) fn details(summary: &str, inner: &str) -> String {
    format!("<details><summary>{}</summary>\n{inner}</details>\n", escape(summary))
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_html_would_read_is_replaced() {
        assert_eq!(escape("<b a=\"1\">&'\u{7}</b>"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;\u{fffd}&lt;/b&gt;");
        let table = table("a & b", &["x"], &[vec!["<script>".to_owned(), "1".to_owned()]]);
        assert!(table.contains("<th scope=\"row\">&lt;script&gt;</th><td>1</td>") && table.contains("a &amp; b"));
        assert!(
            figure("<svg width=\"1\"></svg>", "\">", false).contains("<svg role=\"img\" aria-label=\"&quot;&gt;\" ")
        );
    }
}
