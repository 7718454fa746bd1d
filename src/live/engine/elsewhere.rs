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
        let fail = |error: Box<dyn std::error::Error + Send + Sync>| LiveError::System {
            what: "cannot find the balancer",
            error: std::io::Error::other(error),
        };
        if Target::resolve(url).map_err(|error| fail(error.into()))?.secure {
            return Err(fail("a run's clients speak plain HTTP; give an http:// address".into()));
        }
        Ok(Self { url: url.to_owned() })
    }

    pub(super) fn facts(&self) -> manifest::Engine {
        manifest::Engine { name: self.url.clone(), ..manifest::Engine::default() }
    }
}
