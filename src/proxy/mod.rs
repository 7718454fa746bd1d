//! The balancer of the live world: an HTTP reverse proxy around [`crate::policy::Upstream`].
