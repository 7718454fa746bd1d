//! `--set KEY=VALUE`: keys of a scenario replaced on the command line.

use clap::Args;

/// What the command line replaces in a scenario.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Overrides {
    /// Replace a key of the scenario, such as `balancer.algorithm=random`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

impl Overrides {
    /// Keys and values, in the order given.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.set
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// The values of a list with commas between; a comma in quotes, brackets or braces parts nothing.
pub(super) fn values(text: &str) -> Vec<String> {
    let (mut values, mut value, mut depth, mut quote) = (Vec::new(), String::new(), 0, None);
    for c in text.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                values.push(std::mem::take(&mut value).trim().to_owned());
                continue;
            }
            _ => {}
        }
        value.push(c);
    }
    values.push(value.trim().to_owned());
    values
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn commas_part_values_unless_they_are_within_one() {
        assert_eq!(values("least_conn, random"), ["least_conn", "random"]);
        assert_eq!(values("[1, 2],{ a = \"x,y\" }"), ["[1, 2]", "{ a = \"x,y\" }"]);
        assert_eq!(values("'a,b'"), ["'a,b'"]);
        assert_eq!(values("250ms"), ["250ms"]);
    }
}
