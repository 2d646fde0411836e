//! Which layers are not trained.

/// Whether the parameter `name` is meant by `pattern`: a parameter's name, or the path of a layer for
/// all that is in it, in which `*` stands for any characters.
pub fn is_meant(pattern: &str, name: &str) -> bool {
    // The name itself, and each path that it lies under.
    let ends = name.match_indices('.').map(|(end, _)| end).chain([name.len()]);
    ends.into_iter().any(|end| is_match(pattern.as_bytes(), &name.as_bytes()[..end]))
}

/// Two pointers: a mismatch goes back to the last `*`, which then takes one character more.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::is_meant;

    #[test]
    fn a_path_means_what_is_in_it_and_no_layer_that_begins_alike() {
        assert!(is_meant("layer1", "layer1.0.conv1.weight"));
        assert!(is_meant("layer1.0.conv1.weight", "layer1.0.conv1.weight"));
        assert!(!is_meant("layer1", "layer10.0.conv1.weight"));
        assert!(!is_meant("layer1.0.conv1.weight", "layer1"));
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(is_meant("*", "fc.weight"));
        assert!(is_meant("layer*.bn1", "layer1.0.bn1.weight"));
        assert!(is_meant("*.bias", "layer1.0.bn1.bias"));
        assert!(is_meant("a*b*c", "aabbcc"));
        assert!(!is_meant("a*b*d", "aabbcc"));
        assert!(!is_meant("layer*.bn2", "layer1.0.bn1.weight"));
    }
}
