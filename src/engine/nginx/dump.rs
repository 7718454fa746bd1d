//! What `nginx -T` prints: every file of a configuration, each behind a comment with its name. Put
//! together it is the one file that lab runs.

use std::borrow::Cow;

use super::parse::parse;
use crate::engine::UserConfigurationError;

/// What stands in front of each file.
const HEAD: &str = "# configuration file ";
/// Files that include each other do not end.
const DEEPEST: usize = 10;

/// The one file that `text` stands for: itself, or if it is what `nginx -T` prints, its first file
/// with every `include` replaced by the files that it names.
///
/// # Errors
/// When a file cannot be read, or includes itself.
pub(super) fn whole(text: &str) -> Result<Cow<'_, str>, UserConfigurationError> {
    let Some(start) = text.find(HEAD).filter(|at| is_line_start(text, *at)) else {
        return Ok(Cow::Borrowed(text));
    };
    let files = files(&text[start..]);
    match files.split_first() {
        // What is printed in front of the files are warnings.
        Some((main, others)) if !others.is_empty() => {
            let folder = main.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            Ok(Cow::Owned(put_together(main.text, others, folder, DEEPEST)?))
        }
        _ => Ok(Cow::Borrowed(text)),
    }
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

fn is_line_start(text: &str, at: usize) -> bool {
    at == 0 || text.as_bytes()[at - 1] == b'\n'
}

/// The files behind their heads, such as `# configuration file /etc/nginx/mime.types:`.
fn files(text: &str) -> Vec<File<'_>> {
    let heads: Vec<usize> =
        text.match_indices(HEAD).map(|(at, _)| at).filter(|at| is_line_start(text, *at)).collect();
    let ends = heads.iter().skip(1).copied().chain([text.len()]);
    let file = |(start, end): (&usize, usize)| {
        let (head, text) = text[*start..end].split_once('\n')?;
        let name = head.strip_prefix(HEAD)?.trim_end().strip_suffix(':')?;
        Some(File { name, text })
    };
    heads.iter().zip(ends).filter_map(file).collect()
}

/// `text` with the files in place of the directives that name them. Those that name none of them
/// stay, but for patterns, which may stand for no file.
fn put_together(
    text: &str,
    files: &[File<'_>],
    folder: &str,
    deepest: usize,
) -> Result<String, UserConfigurationError> {
    let (mut whole, mut at) = (String::new(), 0);
    for include in parse(text)?.iter().filter(|directive| directive.name() == "include") {
        let name = include.argument();
        let name = if name.starts_with('/') { name.to_owned() } else { format!("{folder}/{name}") };
        let named: Vec<_> = files.iter().filter(|file| stands_for(&name, file.name)).collect();
        if named.is_empty() && !name.contains('*') {
            continue;
        }
        if deepest == 0 {
            let what = format!("`include {name}` goes in circles");
            return Err(UserConfigurationError::Syntax { line: include.line, what });
        }
        whole.push_str(&text[at..include.place.start]);
        for file in named {
            whole.push_str(&put_together(file.text, files, folder, deepest - 1)?);
        }
        at = include.place.end;
    }
    whole.push_str(&text[at..]);
    Ok(whole)
}

/// Whether `pattern`, whose only special sign is `*`, stands for the file `name`, which was
/// included by somebody.
fn stands_for(pattern: &str, name: &str) -> bool {
    let Some((before, behind)) = pattern.split_once('*') else { return pattern == name };
    let behind = behind.trim_start_matches('*');
    let rest = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
    rest.is_some_and(|rest| !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_stays_as_it_is() {
        let text = "# mine\nhttp {\n    include mime.types;\n}\n";
        assert_eq!(whole(text).unwrap(), text);
        let alone = "# configuration file /etc/nginx/nginx.conf:\nhttp { }\n";
        assert_eq!(whole(alone).unwrap(), alone);
    }

    #[test]
    fn files_come_where_they_are_included() {
        let text = "nginx: the configuration file is ok\n# configuration file /n/nginx.conf:\nhttp {\n    \
                    include mime.types;\n    include /n/conf.d/*.conf;\n    include /n/sites/*;\n}\n\
                    # configuration file /n/mime.types:\ntypes { }\n\
                    # configuration file /n/conf.d/a.conf:\ngzip on;\ninclude /n/more;\n\
                    # configuration file /n/more:\n# more\n";
        let expected = "http {\n    types { }\n\n    gzip on;\n# more\n\n\n    \n}\n";
        assert_eq!(whole(text).unwrap(), expected);
    }

    #[test]
    fn circles_are_found() {
        let text = "# configuration file /n/a:\ninclude /n/b;\n# configuration file /n/b:\ninclude /n/b;\n";
        let error = whole(text).unwrap_err().to_string();
        assert!(error.contains("goes in circles"), "{error}");
    }
}
