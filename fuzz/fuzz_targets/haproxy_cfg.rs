#![no_main]

#[path = "../bodies/haproxy_cfg.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
