//! Files with the names of classes, one per line.

use super::CliError;
use std::collections::HashMap;
use std::path::Path;

/// Reads the names. Marks and line ends of Windows' editors are no part of them, and empty lines at the end are none.
pub(super) fn class_names(file: &Path) -> Result<Vec<String>, CliError> {
    let shown = file.display();
    let bytes = tilewright::regular_file::read(file)
        .map_err(|error| CliError::failed(format!("`{shown}` cannot be read: {error}")))?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| {
        CliError::failed(format!("`{shown}` is no UTF-8 text: save it as UTF-8, with the name of one class a line"))
    })?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    let mut lines = HashMap::new();
    for (line, name) in (1..).zip(&names) {
        if name.is_empty() {
            return Err(CliError::failed(format!("line {line} of `{shown}` is empty, but must name a class")));
        }
        if let Some(first) = lines.insert(name, line) {
            return Err(CliError::failed(format!(
                "lines {first} and {line} of `{shown}` both name the class `{name}`: give each a name of its own"
            )));
        }
    }
    Ok(names)
}
