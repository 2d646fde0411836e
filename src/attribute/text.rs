//! Attributes as they are written after a name: `momentum=0.9,nesterov=true`.

use serde_json::{Map, Number, Value};

/// Reads `key=value` between commas. A list is written `3,5`, `[3,5]` or `3+5`.
///
/// # Errors
/// What is wrong with the first pair that is none.
pub(crate) fn read_attributes(list: &str) -> Result<Map<String, Value>, String> {
    let mut attributes = Map::new();
    for piece in pieces(list) {
        let not_a_pair = || format!("`{}` is not of the form key=value: it has no `=`", excerpt(piece));
        let (key, value) = piece.split_once('=').ok_or_else(not_a_pair)?;
        let key = key.trim();
        if attributes.insert(key.to_owned(), value_of(value.trim())).is_some() {
            return Err(format!("`{}` is given twice", excerpt(key)));
        }
    }
    Ok(attributes)
}

/// Pairs between commas. A comma within brackets, or before a number, parts the items of a list.
fn pieces(list: &str) -> Vec<&str> {
    let (mut found, mut begin, mut in_brackets) = (Vec::new(), 0, false);
    for (at, letter) in list.char_indices() {
        match letter {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            ',' if !in_brackets && !list[at + 1..].trim_start().starts_with(|next: char| next.is_ascii_digit()) => {
                found.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[begin..]);
    if list.trim().is_empty() { Vec::new() } else { found }
}

/// A number, a list of numbers or lengths, `true` or `false`, or else a word.
fn value_of(text: &str) -> Value {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let items = inner.unwrap_or(text).trim();
    if items.is_empty() {
        return Value::Array(Vec::new());
    }
    if let Some(value) = number_of(text).or_else(|| text.parse().map(Value::Bool).ok()) {
        return value;
    }
    let list: Option<Vec<Value>> = items.split([',', '+']).map(|item| item_of(item.trim())).collect();
    match list.as_deref() {
        // A list of one is written as that one.
        Some([one]) => one.clone(),
        Some(list) => list.into(),
        None => Value::from(text),
    }
}

/// A number, or a length such as `30epochs`.
fn item_of(text: &str) -> Option<Value> {
    let is_length = || text.starts_with(|first: char| first.is_ascii_digit());
    number_of(text).or_else(|| is_length().then(|| Value::from(text)))
}

fn number_of(text: &str) -> Option<Value> {
    let whole = text.parse::<u64>().ok().map(Number::from);
    whole.or_else(|| Number::from_f64(text.parse().ok()?)).map(Value::Number)
}

/// As much of a text as an error shows of it.
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
