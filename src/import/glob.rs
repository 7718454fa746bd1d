//! Names by pattern, as `include conf.d/*.conf;` writes them.

/// Whether `name` is one of those that `pattern` stands for: `*` is any number of characters, `?`
/// one, `[a-z]` one of these, `[!a]` another one. As in fnmatch(3), a dot at the beginning is
/// matched by a dot only.
#[must_use]
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where to go on if what follows the last star does not match: one character later.
    let (mut p, mut n, mut retry) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n + 1));
            p += 1;
        } else if let Some(next) = one(&pattern, p, name[n]) {
            (p, n) = (next, n + 1);
        } else if let Some((after_star, again)) = retry {
            (p, n) = (after_star, again);
            retry = Some((after_star, again + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The place behind the part of the pattern at `place`, if that part matches `c`.
fn one(pattern: &[char], place: usize, c: char) -> Option<usize> {
    match pattern.get(place)? {
        '?' => Some(place + 1),
        '[' => {
            let end = (place + 2..pattern.len()).find(|at| pattern[*at] == ']');
            let Some(end) = end else { return (c == '[').then_some(place + 1) };
            let inverted = matches!(pattern[place + 1], '!' | '^');
            let set = &pattern[place + 1 + usize::from(inverted)..end];
            (in_set(set, c) != inverted).then_some(end + 1)
        }
        '*' => None,
        other => (*other == c).then_some(place + 1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let mut place = 0;
    while place < set.len() {
        if place + 2 < set.len() && set[place + 1] == '-' {
            if (set[place]..=set[place + 2]).contains(&c) {
                return true;
            }
            place += 3;
        } else {
            if set[place] == c {
                return true;
            }
            place += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?[0-9][!x]", "a7y", true),
            ("?[0-9][!x]", "a7x", false),
            ("[", "[", true),
            ("[]", "a", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(glob_matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
