//! HAProxy's rules (2.6) where they differ from NGINX's.

/// Settings of HAProxy that the machine reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HaproxyRules {
    /// `option redispatch`: a retry may go to another server. Off by default, and then each retry
    /// goes to the same server after a pause.
    pub redispatch: bool,
    /// `option allbackups`: all usable backups share the load; without it the first has all of it.
    pub all_backups: bool,
}
