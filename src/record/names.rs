//! The names behind the indices in rows.

/// Peers and classes in order of their index: rows hold the index, files the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Peers in configuration order, then in order of addition.
    pub upstreams: Vec<String>,
    /// Classes in configuration order.
    pub classes: Vec<String>,
}

impl Names {
    /// From the names of peers and classes.
    pub fn new<U: Into<String>, C: Into<String>>(
        upstreams: impl IntoIterator<Item = U>,
        classes: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            upstreams: upstreams.into_iter().map(Into::into).collect(),
            classes: classes.into_iter().map(Into::into).collect(),
        }
    }
}
