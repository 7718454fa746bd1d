//! The backend of the live world: a small HTTP service with a real queue and real workers.
