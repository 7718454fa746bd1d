//! What is there already, as scenarios and traces: configurations and access logs.

#[path = "import/configurations.rs"]
mod configurations;
#[path = "import/fits.rs"]
mod fits;
#[path = "import/logs.rs"]
mod logs;
#[path = "import/nginx_log.rs"]
mod nginx_log;
