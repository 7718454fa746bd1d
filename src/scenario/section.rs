//! Macros that define the parts of a scenario file: one list of keys gives the type, the reader
//! and the schema, and the doc comments of the keys are the descriptions an editor shows.

/// Joins the lines of a doc comment.
pub(crate) fn about(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A table: `optional key: Type` or `required key: Type`; `field as "key"` where the key is a word
/// of Rust. Each field is an `Option<Written<Type>>`, since a wrong one does not end the reading.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub(crate) struct $name:ident {
            $( $(#[doc = $doc:literal])+ $need:ident $field:ident $(as $key:literal)?: $kind:ty, )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])+ pub(crate) $field: Option<Written<$kind>>, )*
        }

        impl Section for $name {
            fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
                Self { $( $field: fields.$need(section!(@key $field $($key)?), problems), )* }
            }
            fn properties() -> Vec<(&'static str, bool, serde_json::Value)> {
                vec![$( (
                    section!(@key $field $($key)?),
                    stringify!($need) == "required",
                    described(<$kind as Read>::schema(), &about(&[$($doc),+])),
                ), )*]
            }
        }

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                read_section(node, problems)
            }
            fn schema() -> serde_json::Value {
                section_schema::<Self>(&about(&[$($about),+]))
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}

/// A word out of a fixed list, standing for a value.
macro_rules! choice {
    ($kind:ty: $what:literal, $( $word:literal => $value:expr ),+ $(,)?) => {
        impl Read for $kind {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                const WORDS: &[&str] = &[$($word),+];
                let text = String::read(node, problems)?;
                match text.as_str() {
                    $( $word => Some($value), )+
                    wrong => {
                        let help = suggestion(wrong, WORDS.iter().copied(), "one of");
                        problems.report_with(&node.place, format!("`{wrong}` is no {}", $what), help);
                        None
                    }
                }
            }
            fn schema() -> serde_json::Value {
                serde_json::json!({ "enum": [$($word),+] })
            }
        }
    };
}

/// A table of one of several forms, told apart by the word under one key.
macro_rules! tagged {
    (
        $(#[doc = $about:literal])+
        pub(crate) enum $name:ident by $tag:literal ($what:literal) {
            $( $(#[doc = $doc:literal])+ $word:literal => $variant:ident($form:ty), )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub(crate) enum $name {
            $( $(#[doc = $doc])+ $variant($form), )+
        }

        impl Read for $name {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                const WORDS: &[&str] = &[$($word),+];
                let mut fields = Fields::of(node, problems)?;
                let word = fields.required::<String>($tag, problems)?;
                let read = match word.value.as_str() {
                    $( $word => Self::$variant(<$form as Section>::take(&mut fields, problems)), )+
                    wrong => {
                        let help = suggestion(wrong, WORDS.iter().copied(), "one of");
                        problems.report_with(&word.place, format!("`{wrong}` is no {}", $what), help);
                        return None;
                    }
                };
                fields.finish(problems);
                Some(read)
            }
            fn schema() -> serde_json::Value {
                serde_json::json!({
                    "type": "object",
                    "description": about(&[$($about),+]),
                    "required": [$tag],
                    "oneOf": [$( tagged_form::<$form>($tag, $word, &about(&[$($doc),+])) ),+],
                })
            }
        }
    };
}

pub(crate) use {choice, section, tagged};
