#![no_main]

#[path = "../bodies/haproxy_cfg.rs"]
mod body;
#[path = "../bodies/draft.rs"]
mod draft;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
