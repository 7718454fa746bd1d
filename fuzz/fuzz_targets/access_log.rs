#![no_main]

#[path = "../bodies/access_log.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
