//! A balancer that runs already, somewhere that lab does not control.

use crate::live::world::LiveError;
use crate::load::Target;
use crate::record::manifest;

/// Where it is.
pub(in crate::live) struct Elsewhere {
    pub(super) url: String,
}

impl Elsewhere {
    /// Looks its host up, so that one that is unknown is an error before anything starts.
    pub(super) fn find(url: &str) -> Result<Self, LiveError> {
        Target::resolve(url).map_err(|error| LiveError::System {
            what: "cannot find the balancer",
            error: std::io::Error::other(error),
        })?;
        Ok(Self { url: url.to_owned() })
    }

    pub(super) fn facts(&self) -> manifest::Engine {
        manifest::Engine { name: self.url.clone(), ..manifest::Engine::default() }
    }
}
