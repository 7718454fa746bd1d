//! Envoy's rules (1.40) where they differ from NGINX's.

use crate::units::Span;

/// Settings of Envoy that the machine reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyRules {
    /// `common_lb_config.update_merge_window`: changes of health within this time of the last
    /// applied one wait for its end; zero merges nothing.
    pub update_merge_window: Span,
}

impl Default for EnvoyRules {
    fn default() -> Self {
        Self { update_merge_window: Span::from_secs(1) }
    }
}
